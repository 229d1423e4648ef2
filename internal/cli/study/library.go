// Package study has the commands that a reader uses before a run: profiles, incidents, pools,
// servers, show, new-incident, lint, explain and doctor.
package study

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/nearest"
	"github.com/kabench/kabench/internal/telemetry/dashboard"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/schema"
	"github.com/kabench/kabench/profiles/settings"
)

// NewProfiles makes 'kabench profiles'.
func NewProfiles(s *cli.Streams) *cobra.Command {
	return newList(s, "profiles", "List the example profiles that come with kabench",
		"profile", "for 'kabench run NAME'", profiles.Profiles)
}

// listed is a row of a list of profiles, as --json prints it.
type listed struct {
	Kind     string `json:"kind"`
	Name     string `json:"name"`
	Question string `json:"question"`
	Source   string `json:"source,omitempty"`
	// Only for an incident:
	Group   string  `json:"group,omitempty"`   // where its cause lies
	Because string  `json:"because,omitempty"` // what it has in common with the symptom that was looked for
	Takes   float64 `json:"takes,omitempty"`   // seconds, with its remedies
	Network bool    `json:"needs_network,omitempty"`
	Target  bool    `json:"takes_target,omitempty"` // 'kabench reproduce --target' can aim it at a server
	NoWay   string  `json:"no_target,omitempty"`    // otherwise: why not

	group profiles.Group
}

func newList(s *cli.Streams, name, short, kind, use string, all func() []profiles.Embedded) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Args: usage.None,
		RunE: func(*cobra.Command, []string) error {
			if s.JSON {
				rows := []listed{}
				for _, e := range all() {
					rows = append(rows, listed{Kind: kind, Name: e.Name, Question: e.Question, Source: e.Source})
				}
				return json.NewEncoder(s.Out).Encode(rows)
			}
			var b bytes.Buffer
			fmt.Fprintf(&b, "%ss, %s\n", kind, use)
			w := layout.Table(&b)
			for _, e := range all() {
				fmt.Fprintf(w, "  %s\t%s\n", e.Name, e.Question)
			}
			w.Flush()
			return layout.Print(s.Out, b.String(), 0)
		},
	}
}

// listedPreset is a row of a list of pools or servers, as --json prints it.
type listedPreset struct {
	Kind       string            `json:"kind"`
	Name       string            `json:"name"`
	Also       []string          `json:"also,omitempty"`
	What       string            `json:"what"`
	Client     string            `json:"client,omitempty"`
	Versions   string            `json:"versions"`
	Run        []string          `json:"run,omitempty"` // the versions that were played beside the preset
	References map[string]string `json:"references,omitempty"`
	Cannot     []string          `json:"cannot,omitempty"`
	// Settings are the client's settings for fields of the pool.
	Settings settings.Spellings `json:"settings,omitempty"`
	text     string
}

func listedPools() []listedPreset {
	var rows []listedPreset
	for _, p := range profiles.Pools() {
		rows = append(rows, listedPreset{"pool", p.Name, p.Also, p.What, p.Client, p.Versions, p.Run, p.References, p.Cannot.Texts(), p.Ways(), p.Text()})
	}
	return rows
}

func listedServers() []listedPreset {
	var rows []listedPreset
	for _, p := range profiles.Servers() {
		rows = append(rows, listedPreset{"server", p.Name, p.Also, p.What, "", p.Versions, nil, p.References, p.Cannot, nil, p.Text()})
	}
	return rows
}

// NewPools makes 'kabench pools'.
func NewPools(s *cli.Streams) *cobra.Command {
	return newPresets(s, "pools", "List the pool presets: real clients, with the versions that they describe",
		"for --pool NAME; 'kabench show pool:NAME' prints the values with their sources, and what is not modelled", listedPools)
}

// NewServers makes 'kabench servers'.
func NewServers(s *cli.Streams) *cobra.Command {
	return newPresets(s, "servers", "List the server presets: real servers, with the versions that they describe",
		"for 'kabench lab --as NAME'; 'kabench show server:NAME' prints the values with their sources, and what is not modelled", listedServers)
}

func newPresets(s *cli.Streams, name, short, use string, all func() []listedPreset) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Args: usage.None,
		RunE: func(*cobra.Command, []string) error {
			if s.JSON {
				return json.NewEncoder(s.Out).Encode(all())
			}
			var b bytes.Buffer
			fmt.Fprintf(&b, "%s, %s\n", name, use)
			w := layout.Table(&b)
			for _, p := range all() {
				fmt.Fprintf(w, "  %s\t%s\n  \t  %s\n", p.Name, p.What, p.Versions)
			}
			w.Flush()
			return layout.Print(s.Out, b.String(), 0)
		},
	}
}

// NewShow makes 'kabench show'.
func NewShow(s *cli.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Print a profile, an incident, a pool or a server as YAML that you can edit, the JSON Schema of such files, or a dashboard",
		Example: `  kabench show idle-race > mine.yaml && kabench reproduce ./mine.yaml
  kabench show pool:reactor-netty
  kabench show server:tomcat
  kabench show schema:profile > kabench-profile.schema.json
  kabench show dashboard:grafana > kabench.json`,
		Args:              usage.One("one profile, incident, pool or server; 'kabench profiles', 'incidents', 'pools' and 'servers' list them"),
		ValidArgsFunction: completeShow,
		RunE: func(_ *cobra.Command, args []string) error {
			if name, ok := strings.CutPrefix(args[0], schemaPrefix); ok {
				return showSchema(s, name)
			}
			if args[0] == grafana {
				_, err := s.Out.Write(dashboard.Grafana())
				return err
			}
			found, err := find(args[0])
			if err != nil {
				return err
			}
			if s.JSON {
				return json.NewEncoder(s.Out).Encode(found)
			}
			_, err = io.WriteString(s.Plain(), schema.Line(schemaOf(found.Kind))+found.Text)
			return err
		},
	}
}

// grafana is the name of the dashboard, which is JSON with and without --json.
const grafana = "dashboard:grafana"

// shown is what 'kabench show --json' prints.
type shown struct {
	Kind     string `json:"kind"`
	Name     string `json:"name"`
	Question string `json:"question,omitempty"`
	What     string `json:"what,omitempty"` // of a pool or server
	Source   string `json:"source,omitempty"`
	Text     string `json:"yaml"`
}

// find returns what comes with kabench under that name. The name may begin with the kind,
// as in pool:NAME and server:NAME.
func find(name string) (shown, error) {
	var all []shown
	var names []string
	kind, bare, prefixed := strings.Cut(name, ":")
	if !prefixed {
		kind, bare = "", name
	}
	add := func(e shown, also []string) {
		if kind == "" || kind == e.Kind {
			names = append(append(names, e.Name), also...)
			if e.Name == bare || slices.Contains(also, bare) {
				all = append(all, e)
			}
		}
	}
	for _, e := range profiles.Profiles() {
		add(shown{"profile", e.Name, e.Question, "", e.Source, e.Text}, nil)
	}
	for _, e := range profiles.Incidents() {
		add(shown{"incident", e.Name, e.Question, "", e.Source, e.Text}, nil)
	}
	for _, p := range append(listedPools(), listedServers()...) {
		add(shown{p.Kind, p.Name, "", p.What, "", p.text}, p.Also)
	}
	switch {
	case len(all) == 1:
		return all[0], nil
	case len(all) > 1:
		return shown{}, fmt.Errorf("%s is a %s and a %s; write %s:%s or %s:%s", name, all[0].Kind, all[1].Kind, all[0].Kind, bare, all[1].Kind, bare)
	}
	hint := "'kabench profiles', 'incidents', 'pools' and 'servers' list all names"
	if near := nearest.Name(bare, names); near != "" {
		hint = "did you mean " + near + "? (" + hint + ")"
	}
	return shown{}, fmt.Errorf("%s: kabench has nothing with this name; %s", name, hint)
}

func completeShow(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list := cli.Names(append(profiles.Profiles(), profiles.Incidents()...))
	for _, p := range append(listedPools(), listedServers()...) {
		list = append(list, p.Name+"\t"+p.What, p.Kind+":"+p.Name+"\t"+p.What)
	}
	return append(append(list, completeSchemas()...), grafana+"\ta Grafana dashboard of kabench's metrics"), cobra.ShellCompDirectiveNoFileComp
}

// newIncident is what 'kabench new-incident --json' prints.
type newIncident struct {
	File string `json:"file"` // "": standard output
	Text string `json:"yaml"`
}

// NewNewIncident makes 'kabench new-incident'.
func NewNewIncident(s *cli.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "new-incident [FILE]",
		Short: "Write a commented incident file to start from",
		Long: `Write the YAML of a small incident with comments, for you to change. It goes to FILE, which must
not exist yet, or to standard output. It works unchanged: 'kabench reproduce FILE'.`,
		Example: "  kabench new-incident mine.yaml && kabench reproduce ./mine.yaml",
		Args:    usage.AtMostOne("file"),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 && s.JSON {
				return s.Line(newIncident{Text: profiles.NewIncident}, "")
			}
			if len(args) == 0 {
				_, err := io.WriteString(s.Plain(), profiles.NewIncident)
				return err
			}
			f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			if errors.Is(err, os.ErrExist) {
				return fmt.Errorf("%s exists already; name another file", args[0])
			}
			if err != nil {
				return err
			}
			_, err = io.WriteString(f, profiles.NewIncident)
			if err = errors.Join(err, f.Close()); err != nil {
				return err
			}
			if s.JSON {
				return s.Line(newIncident{File: args[0], Text: profiles.NewIncident}, "")
			}
			fmt.Fprintf(s.Err, "written: %s (kabench reproduce ./%s)\n", args[0], args[0])
			return nil
		},
	}
}
