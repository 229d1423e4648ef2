// Package incidents reproduces incidents and reports the outcomes. Each incident runs in a
// process of its own, so that the sockets it leaves do not affect the next incident.
package incidents

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/children"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// Result is the outcome of the reproduction of one incident.
type Result struct {
	Name         string
	Took         time.Duration
	Code         exit.Code             // of the process that reproduced it
	JSON         []byte                // the reproduction as that process printed it; nil: it printed none
	Reproduction *results.Reproduction // nil: there is none
	Why          string                // why there is no reproduction
}

// Reproduce reproduces the incident of that name with kabench, which keeps the results
// in dir ("none": nowhere) and is given each of sets as --set, and --i-may if the user has given it.
func Reproduce(ctx context.Context, stop <-chan struct{}, kabench children.Program, name, dir string, sets []string, iMay bool) *Result {
	args := []string{"reproduce", name, "--json", "--out", dir}
	for _, set := range sets {
		args = append(args, "--set", set)
	}
	if iMay {
		args = append(args, "--i-may")
	}
	child := kabench.Run(ctx, stop, args...)
	r := &Result{Name: name, Took: child.Took, Code: exit.Code(child.Code)}
	if child.Err != nil {
		r.Code, r.Why = exit.Input, child.Err.Error()
		return r
	}
	var rep results.Reproduction
	if err := json.Unmarshal(child.Stdout, &rep); err != nil {
		r.Why = lastWords(string(child.Stderr))
		if r.Code == exit.Done {
			r.Code = exit.Input // it printed something else than a reproduction
		}
		return r
	}
	r.JSON, r.Reproduction = bytes.TrimSpace(child.Stdout), &rep
	return r
}

// Read reads the results of the incident of that name in dir, which may have been cut
// off; it returns nil if the incident was not begun.
func Read(dir, name string) (*Result, error) {
	r := &Result{Name: name}
	rep, err := record.OpenReproduction(filepath.Join(dir, name))
	switch {
	case err == nil:
		return r, r.take(rep)
	case !errors.Is(err, os.ErrNotExist):
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
		return nil, nil
	}
	r.Code, r.Why = exit.Interrupted, "cut off in its first run"
	return r, nil
}

// take fills r from a reproduction that was kept.
func (r *Result) take(rep *results.Reproduction) error {
	var b bytes.Buffer
	if err := record.EncodeReproduction(&b, rep); err != nil {
		return err
	}
	r.Reproduction, r.JSON, r.Code = rep, bytes.TrimSpace(b.Bytes()), exit.OfReproduction(rep)
	took := func(run *results.Run) time.Duration { return run.End.Sub(run.Start) }
	r.Took = took(rep.IncidentRun)
	for _, remedy := range rep.RemedyRuns {
		if remedy.Run != nil {
			r.Took += took(remedy.Run)
		}
	}
	return nil
}

// lastWords returns, in one line, why a process printed no reproduction: its error message,
// or else the first line of a panic.
func lastWords(stderr string) string {
	stderr = strings.TrimSpace(stderr)
	if i := strings.LastIndex("\n"+stderr, "\nkabench: "); i >= 0 {
		return strings.ReplaceAll(strings.TrimPrefix(stderr[i:], "kabench: "), "\n", "; ")
	}
	first, _, _ := strings.Cut(stderr, "\n")
	return first
}

// Says returns the outcome in a few words, with the number of runs that were repeated.
func (r *Result) Says() string {
	if r.Reproduction == nil || len(r.Reproduction.MadeAgain) == 0 {
		return r.outcome()
	}
	return r.outcome() + "; " + results.FormatCount(uint64(len(r.Reproduction.MadeAgain)), "invalid run") + " repeated"
}

func (r *Result) outcome() string {
	switch {
	case r.Reproduction == nil && r.Code == exit.Interrupted:
		return "interrupted"
	case r.Reproduction == nil:
		return "not run: " + r.Why
	case r.Reproduction.Reproduced:
		return "reproduced"
	case r.Code == exit.Invalid:
		return "not judged: a run was invalid"
	case r.Code == exit.Interrupted:
		return "interrupted"
	}
	return "NOT reproduced"
}

// Worst returns the exit code of all results together.
func Worst(all []*Result) exit.Code {
	code := exit.Done
	for _, r := range all {
		code = exit.Worst(code, r.Code)
	}
	return code
}
