package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"

	"github.com/kabench/kabench/internal/children"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/incidents"
	"github.com/kabench/kabench/internal/interrupt"
	"github.com/kabench/kabench/profiles"
)

// gallery is the reports being made.
type gallery struct {
	*options
	stderr     io.Writer
	work       string // directory for the results
	measuredBy string

	mu      sync.Mutex // guards the rest
	reports []entry
	code    exit.Code
}

// make reproduces the incidents and writes their reports.
func (o *options) make(ctx context.Context, stderr io.Writer) error {
	g := &gallery{options: o, stderr: stderr, measuredBy: measuredBy(ctx)}
	var err error
	if g.reports, err = readIndex(o.out); err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	if g.work, err = os.MkdirTemp("", "kabench-gallery-"); err != nil {
		return err
	}
	defer os.RemoveAll(g.work)
	ctx, stop, restore := interrupt.Catch(ctx, stderr)
	defer restore()
	kabench, err := g.build(ctx)
	if err != nil {
		return err
	}
	names := g.names()
	children.Each(stop, o.jobs, len(names), func(i int) {
		dir := filepath.Join(g.work, names[i])
		defer os.RemoveAll(dir)
		r := incidents.Reproduce(ctx, stop, kabench, names[i], dir, o.sets, false)
		g.take(r, dir)
	})
	if err := writeIndex(o.out, g.reports); err != nil {
		return err
	}
	if children.Stopped(stop) {
		return exit.Interrupted
	}
	if g.code == exit.Done {
		fmt.Fprintf(stderr, "written: %s, %d reports\n", o.out, len(g.reports))
	}
	return g.code.Err()
}

// names are the incidents to reproduce.
func (o *options) names() []string {
	var names []string
	for _, e := range profiles.Incidents() {
		if len(o.only) == 0 || slices.Contains(o.only, e.Name) {
			names = append(names, e.Name)
		}
	}
	return names
}

// build builds kabench, unless the command line names one.
func (g *gallery) build(ctx context.Context) (children.Program, error) {
	path := g.kabench
	if path == "" {
		path = filepath.Join(g.work, "kabench.exe") // which every system takes for a program
		out, err := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/kabench/kabench/cmd/kabench").CombinedOutput()
		if err != nil {
			return children.Program{}, fmt.Errorf("building kabench (run gallery in its repository, or name a program with -kabench): %w: %s", err, out)
		}
	}
	return children.Program{Path: path, Name: path}, nil
}

// take writes the reports of an incident that was reproduced or not. One that could not
// be judged keeps the report that it had.
func (g *gallery) take(r *incidents.Result, dir string) {
	var e entry
	var err error
	judged := r.Reproduction != nil && (r.Code == exit.Done || r.Code == exit.Unmet)
	if judged {
		e, err = g.write(dir, r.Name, g.measuredBy)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	fmt.Fprintf(g.stderr, "%s: %s, %d s\n", r.Name, r.Says(), int(r.Took.Seconds()))
	switch {
	case err != nil:
		fmt.Fprintf(g.stderr, "gallery: %s: %v\n", r.Name, err)
		g.code = exit.Input
	case !judged:
		g.code = cmp.Or(r.Code, exit.Input)
	default:
		g.code = cmp.Or(g.code, r.Code)
		g.reports = slices.DeleteFunc(g.reports, func(other entry) bool { return other.Name == e.Name })
		g.reports = append(g.reports, e)
	}
}
