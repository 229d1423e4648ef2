package study

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/symptoms"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/profiles"
)

// NewIncidents makes 'kabench incidents', which also says how long each one takes, and finds them
// by what a user sees.
func NewIncidents(s *cli.Streams) *cobra.Command {
	return &cobra.Command{
		Use: "incidents [SYMPTOM]", Short: "List the incidents that come with kabench, by where the cause lies, or those that show a symptom",
		Long: `List the incidents that come with kabench, by where the cause lies, and the question that each answers.
With a SYMPTOM, list those that show it, the surest first. A symptom is a phase and a cause ('connect timeout'),
a status (502), a line of a client's log, a state of a socket, words of a question,
or words of a group's title (deploys).
If no incident shows it, the exit code is 1.`,
		Example: `  kabench incidents 'connect timeout'
  kabench incidents 502
  kabench incidents 'Connection prematurely closed BEFORE response'`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listIncidents(s)
			}
			symptom := strings.Join(args, " ")
			if strings.TrimSpace(symptom) == "" {
				return usage.Errorf("kabench incidents", "the symptom is empty; without one, all incidents are listed")
			}
			return findIncidents(s, symptom)
		},
	}
}

// listIncidents prints all incidents, by group.
func listIncidents(s *cli.Streams) error {
	var rows []listed
	for _, g := range profiles.Groups() {
		for _, e := range profiles.Incidents() {
			if e.Group != g {
				continue
			}
			row, err := listedIncident(e)
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
	}
	if s.JSON {
		return json.NewEncoder(s.Out).Encode(rows)
	}
	var b bytes.Buffer
	b.WriteString("incidents, " + incidentsUse)
	w := layout.Table(&b)
	for i, r := range rows {
		if i == 0 || r.group != rows[i-1].group {
			fmt.Fprintf(w, "%s\n", r.group.Title())
		}
		r.write(w, r.Source)
	}
	w.Flush()
	return layout.Print(s.Out, b.String(), 0)
}

// findIncidents prints the incidents that show a symptom.
func findIncidents(s *cli.Streams, symptom string) error {
	found, err := symptoms.Find(symptom)
	if err != nil {
		return err
	}
	rows := []listed{}
	for _, m := range found {
		e, _ := profiles.Find(m.Name)
		row, err := listedIncident(e)
		if err != nil {
			return err
		}
		row.Because = m.Because
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		near, err := symptoms.Nearest(symptom, 3)
		if err != nil {
			return err
		}
		hint := "'kabench incidents' lists all, and 'kabench explain TEXT' says what a line of a log means"
		if len(near) > 0 {
			hint = "the nearest: " + strings.Join(near, ", ") + "; " + hint
		}
		fmt.Fprintf(s.Err, "no incident shows this; %s\n", hint)
	}
	switch {
	case s.JSON:
		err = json.NewEncoder(s.Out).Encode(rows)
	case len(rows) > 0:
		var b bytes.Buffer
		b.WriteString("incidents that show this, the surest first, " + incidentsUse)
		w := layout.Table(&b)
		for _, r := range rows {
			r.write(w, "found by "+r.Because)
		}
		w.Flush()
		err = layout.Print(s.Out, b.String(), 0)
	}
	if err == nil && len(rows) == 0 {
		return exit.Unmet
	}
	return err
}

const incidentsUse = "for 'kabench reproduce NAME'; * needs a private network ('kabench doctor' reports whether this machine allows one), + can be reproduced on a server of your own (--target URL)\n"

func listedIncident(e profiles.Embedded) (listed, error) {
	p, err := profiles.Open(e.Name, nil)
	if err != nil {
		return listed{}, err
	}
	takes, why := cli.TakesTarget(e.Name)
	return listed{
		Kind: "incident", Name: e.Name, Question: e.Question, Source: e.Source, Group: e.Group.String(), group: e.Group,
		Takes: p.Takes().Seconds(), Network: p.NeedsNetwork(), Target: takes, NoWay: why,
	}, nil
}

// write prints the row of an incident, with more in a line of its own.
func (r listed) write(w io.Writer, more string) {
	mark := ""
	if r.Network {
		mark = "*"
	}
	if r.Target {
		mark += "+"
	}
	fmt.Fprintf(w, "  %s%s\t%.0f s\t%s\n\t\t%s\n", r.Name, mark, r.Takes, r.Question, more)
}
