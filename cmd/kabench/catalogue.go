package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// chapter is an incident of the catalogue, reproduced by a process of its own.
type chapter struct {
	name string
	took time.Duration
	code int                   // the process's exit code
	json []byte                // what it printed
	rep  *results.Reproduction // nil: there is none
	why  string                // what it said instead
}

// reproduceAll reproduces every incident, each in a process of its own so that
// none meets what another left, jobs at a time, and prints one table.
func reproduceAll(ctx context.Context, s *streams, o *reproduceOptions) error {
	all := profiles.Incidents()
	for _, e := range all { // before any of them is run
		if _, err := loadProfile(e.Name, o.sets); err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
	}
	ctx, stop, restore := interruptible(ctx, s.err)
	defer restore()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	out := outDir(o.out, "all")
	if out != "" {
		plan := &results.Plan{Version: version(), Kind: results.KindCatalogue, Name: "all", Start: time.Now()}
		for _, e := range all {
			plan.Incidents = append(plan.Incidents, e.Name)
		}
		if err := results.ClaimWith(out, func() error { return results.SavePlan(out, plan) }); err != nil {
			return &kabench.InputError{Err: err}
		}
		fmt.Fprintf(s.err, "results: %s\n", out)
	}
	chapters := make([]*chapter, len(all))
	places := make(chan struct{}, o.jobs)
	var running sync.WaitGroup
	for i, e := range all {
		select {
		case <-stop:
		case places <- struct{}{}:
		}
		if isClosed(stop) {
			break
		}
		c := &chapter{name: e.Name}
		chapters[i] = c
		running.Go(func() {
			defer func() { <-places }()
			dir := "none"
			if out != "" {
				dir = filepath.Join(out, e.Name)
			}
			c.reproduce(ctx, stop, self, append([]string{"reproduce", e.Name, "--json", "--out", dir}, setFlags(o.sets)...))
			if !s.json {
				fmt.Fprintf(s.err, "%s: %s, %d s\n", c.name, c.says(), int(c.took.Seconds()))
			}
		})
	}
	running.Wait()
	done := chapters[:0]
	for _, c := range chapters {
		if c != nil {
			done = append(done, c)
		}
	}
	if s.json {
		err = printAllJSON(s.out, done)
	} else {
		err = printAll(s.out, done, len(all), out)
	}
	if err != nil {
		return err
	}
	if isClosed(stop) {
		return exitCode(exitInterrupted)
	}
	return worst(done)
}

func setFlags(sets []string) []string {
	var flags []string
	for _, set := range sets {
		flags = append(flags, "--set", set)
	}
	return flags
}

func isClosed(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// reproduce runs the program with args. What it is asked to stop it passes on.
func (c *chapter) reproduce(ctx context.Context, stop <-chan struct{}, self string, args []string) {
	runtime.LockOSThread() // with which, on Linux, the process ends
	defer runtime.UnlockOSThread()
	began := time.Now()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	apart(cmd)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	err := cmd.Start()
	if err == nil {
		ended := make(chan struct{})
		go func() {
			select {
			case <-stop:
				_ = cmd.Process.Signal(os.Interrupt) // it has ended: Wait says so
			case <-ended:
			}
		}()
		err = cmd.Wait()
		close(ended)
	}
	c.took = time.Since(began)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		c.code = exit.ExitCode()
	} else if err != nil {
		c.code, c.why = exitInput, err.Error()
		return
	}
	var rep results.Reproduction
	if err := json.Unmarshal(stdout.Bytes(), &rep); err != nil {
		c.why = lastWords(stderr.String())
		return
	}
	c.json, c.rep = bytes.TrimSpace(stdout.Bytes()), &rep
}

// lastWords is what a process that printed no document said of it, as one line:
// its error, or else what it ended with.
func lastWords(stderr string) string {
	stderr = strings.TrimSpace(stderr)
	if i := strings.LastIndex("\n"+stderr, "\nkabench: "); i >= 0 {
		return strings.ReplaceAll(strings.TrimPrefix(stderr[i:], "kabench: "), "\n", "; ")
	}
	first, _, _ := strings.Cut(stderr, "\n") // of a panic, that is what it was
	return first
}

// says is how it came out, in a few words, and how many runs were made again.
func (c *chapter) says() string {
	if c.rep == nil || len(c.rep.MadeAgain) == 0 {
		return c.outcome()
	}
	return c.outcome() + "; " + results.FormatCount(uint64(len(c.rep.MadeAgain)), "invalid run") + " made again"
}

func (c *chapter) outcome() string {
	switch {
	case c.rep == nil && c.code == exitInterrupted:
		return "interrupted"
	case c.rep == nil:
		return "not run: " + c.why
	case c.rep.Reproduced:
		return "reproduced"
	case c.code == exitInvalid:
		return "not judged, a run is invalid"
	case c.code == exitInterrupted:
		return "interrupted"
	}
	return "NOT reproduced"
}

// printAllJSON writes a list of what each printed, and for one that printed
// nothing its name and why.
func printAllJSON(w io.Writer, all []*chapter) error {
	list := []json.RawMessage{}
	for _, c := range all {
		text := c.json
		if text == nil {
			var err error
			if text, err = json.Marshal(map[string]any{"incident": c.name, "reproduced": false, "error": c.says()}); err != nil {
				return err
			}
		}
		list = append(list, text)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(list)
}

// printAll writes the table and, of each that was not reproduced, what was
// missing and where there is more. There were to be so many; the results are in
// out, "" when they were not kept.
func printAll(w io.Writer, all []*chapter, of int, out string) error {
	var b bytes.Buffer
	t := layout.Table(&b)
	fmt.Fprintf(t, "incident\tfailed\twith remedies\ttook\t\n")
	reproduced := 0
	for _, c := range all {
		failed, remedied := "-", "-"
		if c.rep != nil {
			failed = failures(c.rep.IncidentRun)
			if len(c.rep.RemedyRuns) > 0 {
				remedied = ""
			}
			for i, r := range c.rep.RemedyRuns {
				if i > 0 {
					remedied += ", "
				}
				remedied += failures(r.Run)
			}
			if c.rep.Reproduced {
				reproduced++
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d s\t%s\n", c.name, failed, remedied, int(c.took.Seconds()), c.says())
	}
	t.Flush()
	if err := layout.Print(w, b.String(), 0); err != nil {
		return err
	}
	for _, c := range all {
		if c.rep == nil || c.rep.Reproduced || c.code == exitInterrupted {
			continue
		}
		fmt.Fprintf(w, "\n%s\n", c.name)
		if err := results.RenderShortcomings(w, c.rep); err != nil {
			return err
		}
		more := "kabench reproduce " + c.name
		if out != "" {
			more += ", or its reports below " + filepath.Join(out, c.name)
		}
		fmt.Fprintf(w, "For more: %s\n", more)
	}
	_, err := fmt.Fprintf(w, "\n%d of %d reproduced", reproduced, of)
	if left := of - len(all); err == nil && left > 0 {
		_, err = fmt.Fprintf(w, ", %d not begun", left)
	}
	if err == nil {
		_, err = fmt.Fprintln(w)
	}
	return err
}

func failures(run *results.Run) string {
	if run == nil {
		return "-"
	}
	text := fmt.Sprintf("%d of %d", run.Counts.Failed, run.Counts.Started)
	if n := run.ErrorAnswers.Sum(); n > 0 {
		text += fmt.Sprintf(" (and %d error answers)", n)
	}
	return text
}

// worst is the exit code of all together: what could not be run comes before
// what was invalid, and that before what was not reproduced.
func worst(all []*chapter) error {
	rank := map[int]int{exitDone: 0, exitUnmet: 1, exitInvalid: 2, exitInput: 3, exitInterrupted: 4}
	code := exitDone
	for _, c := range all {
		if c.rep == nil && c.code == exitDone {
			c.code = exitInput // it printed something else than it should
		}
		if rank[c.code] > rank[code] {
			code = c.code
		}
	}
	if code == exitDone {
		return nil
	}
	return exitCode(code)
}
