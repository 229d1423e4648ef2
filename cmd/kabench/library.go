package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/nearest"
	"github.com/kabench/kabench/profiles"
)

func newProfiles(s *streams) *cobra.Command {
	return newList(s, "profiles", "List the example profiles that come with kabench",
		"profile", "for 'kabench run NAME'", profiles.Profiles)
}

// listed is a row of a list, with --json.
type listed struct {
	Kind     string `json:"kind"`
	Name     string `json:"name"`
	Question string `json:"question"`
	Source   string `json:"source,omitempty"`
	// Of an incident.
	Takes   float64 `json:"takes,omitempty"` // seconds, with its remedies
	Network bool    `json:"needs_network,omitempty"`
}

// newIncidents lists what newProfiles does, and what an incident takes.
func newIncidents(s *streams) *cobra.Command {
	return &cobra.Command{
		Use: "incidents", Short: "List the incidents that come with kabench, and the question each answers",
		Args: none,
		RunE: func(*cobra.Command, []string) error {
			rows := []listed{}
			for _, e := range profiles.Incidents() {
				p, err := loadProfile(e.Name, nil)
				if err != nil {
					return err
				}
				rows = append(rows, listed{"incident", e.Name, e.Question, e.Source, p.Takes().Seconds(), p.NeedsNetwork()})
			}
			if s.json {
				return json.NewEncoder(s.out).Encode(rows)
			}
			var b bytes.Buffer
			fmt.Fprintf(&b, "incidents, for 'kabench reproduce NAME'; * needs a private network ('kabench doctor' says whether there can be one)\n")
			w := layout.Table(&b)
			for _, r := range rows {
				mark := ""
				if r.Network {
					mark = "*"
				}
				fmt.Fprintf(w, "  %s%s\t%.0f s\t%s\n\t\t%s\n", r.Name, mark, r.Takes, r.Question, r.Source)
			}
			w.Flush()
			return layout.Print(s.out, b.String(), 0)
		},
	}
}

func newList(s *streams, name, short, kind, use string, all func() []profiles.Embedded) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Args: none,
		RunE: func(*cobra.Command, []string) error {
			if s.json {
				rows := []listed{}
				for _, e := range all() {
					rows = append(rows, listed{Kind: kind, Name: e.Name, Question: e.Question, Source: e.Source})
				}
				return json.NewEncoder(s.out).Encode(rows)
			}
			var b bytes.Buffer
			fmt.Fprintf(&b, "%ss, %s\n", kind, use)
			w := layout.Table(&b)
			for _, e := range all() {
				fmt.Fprintf(w, "  %s\t%s\n", e.Name, e.Question)
			}
			w.Flush()
			return layout.Print(s.out, b.String(), 0)
		},
	}
}

// listedPreset is a pool or a server in a list, with --json.
type listedPreset struct {
	Kind       string            `json:"kind"`
	Name       string            `json:"name"`
	Also       []string          `json:"also,omitempty"`
	What       string            `json:"what"`
	Client     string            `json:"client,omitempty"`
	Versions   string            `json:"versions"`
	References map[string]string `json:"references,omitempty"`
	Cannot     []string          `json:"cannot,omitempty"`
	text       string
}

func listedPools() []listedPreset {
	var rows []listedPreset
	for _, p := range profiles.Pools() {
		rows = append(rows, listedPreset{"pool", p.Name, p.Also, p.What, p.Client, p.Versions, p.References, p.Cannot, p.Text()})
	}
	return rows
}

func listedServers() []listedPreset {
	var rows []listedPreset
	for _, p := range profiles.Servers() {
		rows = append(rows, listedPreset{"server", p.Name, p.Also, p.What, "", p.Versions, p.References, p.Cannot, p.Text()})
	}
	return rows
}

func newPools(s *streams) *cobra.Command {
	return newPresets(s, "pools", "List the pools of real clients, and the versions they hold for",
		"for --pool NAME; 'kabench show pool:NAME' has their values, where each is from, and what they leave out", listedPools)
}

func newServers(s *streams) *cobra.Command {
	return newPresets(s, "servers", "List the servers that 'kabench lab' can be, and the versions they hold for",
		"for 'kabench lab --as NAME'; 'kabench show server:NAME' has their values, where each is from, and what they leave out", listedServers)
}

func newPresets(s *streams, name, short, use string, all func() []listedPreset) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Args: none,
		RunE: func(*cobra.Command, []string) error {
			if s.json {
				return json.NewEncoder(s.out).Encode(all())
			}
			var b bytes.Buffer
			fmt.Fprintf(&b, "%s, %s\n", name, use)
			w := layout.Table(&b)
			for _, p := range all() {
				fmt.Fprintf(w, "  %s\t%s\n  \t  %s\n", p.Name, p.What, p.Versions)
			}
			w.Flush()
			return layout.Print(s.out, b.String(), 0)
		},
	}
}

func newShow(s *streams) *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Print a profile, incident, pool or server as YAML, ready to edit",
		Example: `  kabench show idle-race > mine.yaml && kabench reproduce ./mine.yaml
  kabench show pool:reactor-netty
  kabench show server:tomcat`,
		Args:              one("a profile, an incident, a pool or a server; 'kabench profiles', 'incidents', 'pools' and 'servers' list them"),
		ValidArgsFunction: completeShow,
		RunE: func(_ *cobra.Command, args []string) error {
			found, err := find(args[0])
			if err != nil {
				return err
			}
			if s.json {
				return json.NewEncoder(s.out).Encode(found)
			}
			_, err = io.WriteString(s.out, found.Text)
			return err
		},
	}
}

// shown is what `kabench show` shows.
type shown struct {
	Kind     string `json:"kind"`
	Name     string `json:"name"`
	Question string `json:"question,omitempty"`
	What     string `json:"what,omitempty"` // of a pool or server
	Source   string `json:"source,omitempty"`
	Text     string `json:"yaml"`
}

// find is what comes with kabench under that name, which may begin with the
// kind, as in pool:NAME and server:NAME.
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
		return shown{}, fmt.Errorf("%s is a %s and a %s; say %s:%s or %s:%s", name, all[0].Kind, all[1].Kind, all[0].Kind, bare, all[1].Kind, bare)
	}
	hint := "'kabench profiles', 'incidents', 'pools' and 'servers' list what there is"
	if near := nearest.Name(bare, names); near != "" {
		hint = "did you mean " + near + "? (" + hint + ")"
	}
	return shown{}, fmt.Errorf("%s: nothing of that name comes with kabench; %s", name, hint)
}

func completeShow(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list := names(append(profiles.Profiles(), profiles.Incidents()...))
	for _, p := range append(listedPools(), listedServers()...) {
		list = append(list, p.Name+"\t"+p.What, p.Kind+":"+p.Name+"\t"+p.What)
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

func completeProfiles(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return names(append(profiles.Profiles(), profiles.Incidents()...)), cobra.ShellCompDirectiveDefault
}

func completeIncidents(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return names(profiles.Incidents()), cobra.ShellCompDirectiveDefault
}

func names(all []profiles.Embedded) []string {
	var list []string
	for _, e := range all {
		list = append(list, e.Name+"\t"+e.Question)
	}
	return list
}
