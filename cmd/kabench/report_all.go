package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/results"
)

// reportAll prints the table of 'kabench reproduce --all' from the directory of
// its results, which may have been cut off.
func reportAll(s *streams, dir string, plan *results.Plan) error {
	var chapters []*chapter
	for _, name := range plan.Incidents {
		c := &chapter{name: name}
		rep, err := results.OpenReproduction(filepath.Join(dir, name))
		switch {
		case err == nil:
			if err := c.read(rep); err != nil {
				return err
			}
		case !errors.Is(err, os.ErrNotExist):
			return err
		default:
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				continue // it was not begun
			}
			c.code, c.why = exit.Interrupted, "cut off in its first run"
		}
		chapters = append(chapters, c)
	}
	if s.json {
		return printAllJSON(s.out, chapters)
	}
	return printAll(s.out, chapters, len(plan.Incidents), dir)
}

// read takes in the outcome of an incident that was run before.
func (c *chapter) read(rep *results.Reproduction) error {
	c.rep = rep
	var b bytes.Buffer
	if err := results.EncodeReproduction(&b, rep); err != nil {
		return err
	}
	c.json = bytes.TrimSpace(b.Bytes())
	c.code = exit.OfReproduction(rep)
	took := func(run *results.Run) time.Duration { return run.End.Sub(run.Start) }
	c.took = took(rep.IncidentRun)
	for _, r := range rep.RemedyRuns {
		if r.Run != nil {
			c.took += took(r.Run)
		}
	}
	return nil
}
