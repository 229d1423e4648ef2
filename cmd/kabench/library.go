package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/profiles"
)

func newProfiles(s *streams) *cobra.Command {
	return newList(s, "profiles", "List the example profiles and the pools that come with kabench",
		section{"profile", "for 'kabench run NAME'", profiles.Profiles}, section{"pool", "for --pool NAME", profiles.Pools})
}

func newIncidents(s *streams) *cobra.Command {
	return newList(s, "incidents", "List the incidents that come with kabench, and the question each answers",
		section{"incident", "for 'kabench reproduce NAME'", profiles.Incidents})
}

// section is a part of a list.
type section struct {
	kind, use string
	all       func() []profiles.Embedded
}

// listed is a row of a list, with --json.
type listed struct {
	Kind     string `json:"kind"`
	Name     string `json:"name"`
	Question string `json:"question"`
	Source   string `json:"source,omitempty"`
}

func newList(s *streams, name, short string, sections ...section) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			rows := []listed{}
			for _, part := range sections {
				for _, e := range part.all() {
					rows = append(rows, listed{part.kind, e.Name, e.Question, e.Source})
				}
			}
			if s.json {
				return json.NewEncoder(s.out).Encode(rows)
			}
			w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
			for _, part := range sections {
				fmt.Fprintf(w, "%ss, %s\t\n", part.kind, part.use)
				for _, e := range part.all() {
					fmt.Fprintf(w, "  %s\t%s\n", e.Name, e.Question)
				}
			}
			return w.Flush()
		},
	}
}

func newShow(s *streams) *cobra.Command {
	return &cobra.Command{
		Use:               "show NAME",
		Short:             "Print a profile, incident or pool as YAML, ready to edit",
		Example:           "  kabench show idle-race > mine.yaml && kabench reproduce ./mine.yaml",
		Args:              one("a profile, an incident or a pool; 'kabench profiles' and 'kabench incidents' list them"),
		ValidArgsFunction: completeProfiles,
		RunE: func(_ *cobra.Command, args []string) error {
			found, err := find(args[0])
			if err != nil {
				return err
			}
			if s.json {
				return json.NewEncoder(s.out).Encode(map[string]string{
					"name": found.Name, "question": found.Question, "source": found.Source, "yaml": found.Text,
				})
			}
			_, err = io.WriteString(s.out, found.Text)
			return err
		},
	}
}

// find is what comes with kabench under that name: a profile, an incident, or,
// as NAME or pool:NAME, a pool.
func find(name string) (profiles.Embedded, error) {
	for _, p := range profiles.Pools() {
		if p.Name == strings.TrimPrefix(name, "pool:") {
			return p, nil
		}
	}
	if p, found := profiles.Find(name); found {
		return p, nil
	}
	return profiles.Embedded{}, profiles.NotFound(name)
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
