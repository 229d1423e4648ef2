package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/kabench/kabench/results"
)

// row is a profile's forecast beside its run.
type row struct {
	drawn
	forecast, run *results.Run
	invalid       string // why the run proves nothing
}

// prove forecasts a profile and runs it.
func prove(ctx context.Context, kabench, path string, d drawn) (row, error) {
	r := row{drawn: d}
	if err := os.WriteFile(path, []byte(d.yaml), 0o644); err != nil {
		return r, err
	}
	var err error
	if r.forecast, err = document(ctx, kabench, "forecast", path, "--json"); err != nil {
		return r, err
	}
	if r.run, err = document(ctx, kabench, "run", path, "--json", "--out", "none"); err != nil {
		return r, err
	}
	if !r.run.Valid {
		r.invalid = strings.Join(r.run.Invalid, "; ")
	}
	return r, nil
}

// document runs kabench and reads the document that it prints.
func document(ctx context.Context, kabench string, args ...string) (*results.Run, error) {
	c := exec.CommandContext(ctx, kabench, args...)
	var out, chatter bytes.Buffer
	c.Stdout, c.Stderr = &out, &chatter
	err := c.Run()
	if exited, ok := errors.AsType[*exec.ExitError](err); ok && exited.ExitCode() == 3 {
		err = nil // an invalid run, which says so
	}
	var run results.Run
	if err == nil {
		err = json.Unmarshal(out.Bytes(), &run)
	}
	if err != nil {
		return nil, fmt.Errorf("kabench %s: %w\n%s", strings.Join(args, " "), err, chatter.String())
	}
	return &run, nil
}

// interval is the run's interval of 95 % of its failure rate.
func (r *row) interval() (low, high float64) {
	return results.Interval(r.run.Counts.Failed, r.run.Counts.Started, 0.95)
}

// rate is the failure rate of a document.
func rate(run *results.Run) float64 {
	return float64(run.Counts.Failed) / float64(max(run.Counts.Started, 1))
}

func (r *row) rateAgrees() bool {
	low, high := r.interval()
	return rate(r.forecast) >= low && rate(r.forecast) <= high
}

// off is by how much of the run's value the forecast's is off; 0 if both are 0.
func off(forecast, run float64) float64 {
	if forecast == run {
		return 0
	}
	return (forecast - run) / max(run, 1)
}

func (r *row) openedOff() float64 {
	return off(float64(r.forecast.Connections.Opened), float64(r.run.Connections.Opened))
}

// openedLikely is the interval of the connections that 95 % of the forecast's runs opened, and
// whether the run's lie in it.
func (r *row) openedLikely() (low, high float64, in bool) {
	for _, f := range r.forecast.Forecast.Figures {
		if f.Path == "connections.opened" {
			n := float64(r.run.Connections.Opened)
			return f.Low, f.High, n >= f.Low && n <= f.High
		}
	}
	return 0, 0, false
}

// exhausted is how many requests got no port.
func exhausted(run *results.Run) float64 {
	return float64(run.FailureCounts()[results.MeasureFailureRate+".connect.port_exhausted"])
}

// table is the rows as Markdown, with the sums first.
func table(rows []row, seed uint64, lasts time.Duration) string {
	var b strings.Builder
	judged, rates, opened, likely, ports, portsAgree := 0, 0, 0, 0, 0, 0
	for _, r := range rows {
		if r.invalid != "" {
			continue
		}
		judged++
		if r.rateAgrees() {
			rates++
		}
		if math.Abs(r.openedOff()) <= 0.05 {
			opened++
		}
		if _, _, in := r.openedLikely(); in {
			likely++
		}
		if r.ports {
			ports++
			if math.Abs(off(exhausted(r.forecast), exhausted(r.run))) <= 0.10 {
				portsAgree++
			}
		}
	}
	fmt.Fprintf(&b, "Of %d profiles drawn with seed %d and run for %v each, %d runs were valid. The forecast's failure rate lies in the run's 95 %% interval in %d of them, connections opened are within 5 %% in %d and within the interval of 95 %% of the forecast's runs in %d, and requests without a port are within 10 %% in %d of %d. Made on %s: %s, %d cores, %s.\n\n",
		len(rows), seed, lasts, judged, rates, opened, likely, portsAgree, ports, time.Now().UTC().Format(time.DateOnly), runtime.GOOS+"/"+runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	fmt.Fprintln(&b, "| profile | failure rate: forecast | run, 95 % interval | agrees | opened: forecast | 95 % of its runs | run | off |")
	fmt.Fprintln(&b, "| --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, r := range rows {
		low, high := r.interval()
		least, most, _ := r.openedLikely()
		agrees := map[bool]string{true: "yes", false: "**no**"}[r.rateAgrees()]
		if r.invalid != "" {
			agrees = "not judged: the run is invalid"
		}
		fmt.Fprintf(&b, "| %s | %s | %s, %s to %s | %s | %d | %.0f to %.0f | %d | %+.1f %% |\n", r.about,
			results.FormatPercent(rate(r.forecast)), results.FormatPercent(rate(r.run)), results.FormatPercent(low), results.FormatPercent(high), agrees,
			r.forecast.Connections.Opened, least, most, r.run.Connections.Opened, 100*r.openedOff())
	}
	fmt.Fprintln(&b)
	return b.String()
}
