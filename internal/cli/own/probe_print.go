package own

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/probe"
	"github.com/kabench/kabench/internal/serverfile"
	"github.com/kabench/kabench/internal/wording"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/lint"
	"github.com/kabench/kabench/results"
)

// probeFound is what 'kabench probe' prints with --json and keeps as probe.json.
type probeFound struct {
	probe.Document
	Pool string          `json:"pool,omitempty"`
	Lint *lint.Checklist `json:"lint,omitempty"` // with --pool: the pool against the measured server

	result *probe.Result
}

func sourceOf(r *probe.Result) serverfile.Source {
	return serverfile.Source{URL: r.URL, From: "probe", At: r.Began}
}

// check compares the pool with the measured server, as 'kabench lint' does.
func (f *probeFound) check(pool string) error {
	server, known := f.result.Safest()
	if !known {
		return nil
	}
	p, err := profiles.LoadToCheck([]string{"pool=" + pool})
	if err != nil {
		return err
	}
	preset := serverfile.Preset(server, sourceOf(f.result))
	p.Server = preset.Facts
	p.Server.Take(preset.Lab)
	list := lint.Check(p, lint.Options{Ports: lint.DefaultPorts, Words: wording.For})
	f.Pool, f.Lint = pool, &list
	return nil
}

// print prints the result.
func (f *probeFound) print(s *cli.Streams) error {
	if s.JSON {
		return json.NewEncoder(s.Out).Encode(f)
	}
	if err := s.PrintProbe(f.Document); err != nil {
		return err
	}
	if f.Lint == nil {
		return nil
	}
	fmt.Fprintf(s.Out, "\npool %s against this server:\n", f.Pool)
	return cli.PrintChecklist(s.Out, *f.Lint)
}

// showProbe shows how far a probe has come.
func showProbe(p *cli.Progress) func(probe.Progress) {
	return func(now probe.Progress) {
		line := probeLine(now)
		p.Draw(now.Elapsed, []string{line}, line)
	}
}

// probeLine is one line of progress.
func probeLine(now probe.Progress) string {
	line := fmt.Sprintf("%.0f s · %s, %d open · %d of %d requests", now.Elapsed.Seconds(), count(now.Connections, "connection"), now.Open, now.Requests, now.Most)
	idle := now.Known.Idle
	switch n := len(idle); {
	case n == 0:
		return line + fmt.Sprintf(" · no idle connection closed yet · at most %s left", round(now.Left.Round(time.Second)))
	case n == 1:
		line += " · one close after " + results.FormatSeconds(idle[0].Seconds())
	default:
		line += fmt.Sprintf(" · %d closes after %s", n, results.FormatSecondsRange(slices.Min(idle).Seconds(), slices.Max(idle).Seconds()))
	}
	return line + fmt.Sprintf(" · about %s left", round(now.Left.Round(time.Second)))
}

func count(n int, what string) string { return cli.Count(n, what) }
