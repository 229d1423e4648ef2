package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
)

// baselines is how many runs a job is compared with.
const baselines = 5

// place is where jobs run.
type place struct {
	*options
	dir     string
	profile string
	urls    map[string]string
}

func (p *place) store() string { return filepath.Join(p.dir, "store") }

// job is the outcome of one job.
type job struct {
	kind    kind
	invalid int      // how many runs were invalid, and were made again
	judged  bool     // one was valid
	worse   []string // paths whose condition was not met
	p99     float64  // seconds
	failed  float64  // share of the requests
}

func (j job) says() string {
	switch {
	case !j.judged:
		return "not judged, all runs were invalid"
	case len(j.worse) == 0:
		return "passed"
	}
	return "worse: " + strings.Join(j.worse, ", ")
}

// found reports whether the job failed for the reason of its kind. For the unchanged service
// any reason is a false alarm.
func (j job) found() bool {
	return j.kind.path == "" && len(j.worse) > 0 || slices.Contains(j.worse, j.kind.path)
}

// tries is how often a job is run again if its run is invalid, because the machine was too
// busy.
const tries = 3

// fill puts the first baselines into the store, by jobs that are not counted.
func (p *place) fill(ctx context.Context) error {
	for added, n := 0, 0; added < baselines; n++ {
		if n == baselines*tries {
			return errors.New("this machine is too busy: no five valid runs for the store; stop other programs, or lower --rate")
		}
		j, err := p.job(ctx, fmt.Sprintf("first-%d", n), kinds[0])
		if err != nil {
			return err
		}
		if j.judged && len(j.worse) == 0 {
			added++
		}
	}
	return nil
}

// job runs one job.
func (p *place) job(ctx context.Context, name string, k kind) (job, error) {
	j := job{kind: k}
	for try := range tries {
		out := filepath.Join(p.dir, fmt.Sprintf("%s-%d", name, try))
		args := []string{"run", p.profile, "--target", p.urls[k.name], "--baseline", fmt.Sprintf("latest:%d", baselines), "--baseline-store", p.store(), "--out", out, "--json"}
		for _, set := range p.sets {
			args = append(args, "--set", set)
		}
		text, code, err := p.call(ctx, args...)
		if err != nil {
			return j, err
		}
		var run results.Run
		if err := json.Unmarshal(text, &run); err != nil {
			return j, fmt.Errorf("what kabench printed: %w", err)
		}
		if code == 3 {
			j.invalid++
			os.RemoveAll(out)
			continue
		}
		j.judged = true
		j.p99 = run.Latency[results.LatencyResponse].P99
		j.failed = float64(run.Counts.Failed) / float64(max(run.Counts.Started, 1))
		for _, e := range run.Unmet() {
			j.worse = append(j.worse, e.Path)
		}
		if (code == 1) != (len(j.worse) > 0) {
			return j, fmt.Errorf("exit code %d, and the conditions that were not met are %q", code, j.worse)
		}
		if k.path == "" && code == 0 {
			if _, _, err := p.call(ctx, "baseline", "add", out, "--store", p.store(), "--keep", "20"); err != nil {
				return j, err
			}
		}
		return j, os.RemoveAll(out)
	}
	return j, nil
}

// call runs kabench. Exit codes other than 0, 1 and 3 are errors.
func (p *place) call(ctx context.Context, args ...string) (stdout []byte, code int, err error) {
	var out, chatter bytes.Buffer
	c := exec.CommandContext(ctx, p.kabench, args...)
	c.Stdout, c.Stderr = &out, &chatter
	err = c.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && (exit.ExitCode() == 1 || exit.ExitCode() == 3) {
		return out.Bytes(), exit.ExitCode(), nil
	}
	if err != nil {
		err = fmt.Errorf("kabench %s: %w\n%s", args[0], err, chatter.String())
	}
	return out.Bytes(), 0, err
}
