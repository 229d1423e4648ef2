package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/results"
)

// What docs/ci.md promises about the jobs of this program.
const (
	mostFalse  = 0.05 // share of the jobs of an unchanged service that fail
	leastFound = 0.90 // share of the jobs of a worse service that fail
)

// report is what the jobs showed.
type report struct {
	options *options
	began   time.Time
	took    time.Duration
	jobs    []job
}

// of returns the judged jobs of a kind, and how many of them failed for its reason.
func (r *report) of(k kind) (judged []job, found uint64) {
	for _, j := range r.jobs {
		if j.kind.name == k.name && j.judged {
			judged = append(judged, j)
			if j.found() {
				found++
			}
		}
	}
	return judged, found
}

// broken reports whether a promise was not kept.
func (r *report) broken() bool {
	for _, k := range kinds {
		judged, found := r.of(k)
		share := float64(found) / float64(max(len(judged), 1))
		if k.path == "" && share > mostFalse || k.path != "" && share < leastFound {
			return true
		}
	}
	return false
}

func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprint(&b, "| service | jobs | found worse | share | 95 % interval | failed requests, median | response p99, median |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, k := range kinds {
		judged, found := r.of(k)
		lo, hi := results.Interval(found, uint64(len(judged)), 0.95)
		fmt.Fprintf(&b, "| %s | %d | %d | %s | %s to %s | %s | %s |\n", r.describe(k), len(judged), found,
			percent(float64(found)/float64(max(len(judged), 1))), percent(lo), percent(hi),
			results.FormatPercent(middle(judged, func(j job) float64 { return j.failed })), results.FormatSeconds(middle(judged, func(j job) float64 { return j.p99 })))
	}
	invalid, unjudged := 0, 0
	for _, j := range r.jobs {
		invalid += j.invalid
		if !j.judged {
			unjudged++
		}
	}
	o := r.options
	fmt.Fprintf(&b, "\nMeasured on %s with %d cores, %s/%s, %d jobs at a time: jobs of %v at %d requests a second, each with the newest %d baselines; seed %d; %v in all. ",
		r.began.UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, o.atOnce, o.duration, o.rate, baselines, o.seed, r.took.Round(time.Second))
	fmt.Fprintf(&b, "%s invalid and made again; %s not judged.\n", was(invalid, "run"), was(unjudged, "job"))
	return b.String()
}

func was(n int, what string) string {
	if n == 1 {
		return "1 " + what + " was"
	}
	return fmt.Sprintf("%d %ss were", n, what)
}

// describe says in words how the service differs in the jobs of k.
func (r *report) describe(k kind) string {
	switch o := r.options; k.path {
	case "failures.rate":
		return fmt.Sprintf("%.3g %% of requests fail instead of %.3g %%", (o.service.fails+o.fails)*100, o.service.fails*100)
	case "response.p99":
		return fmt.Sprintf("all delays %+.3g %%", (o.slower-1)*100)
	}
	return "the same: false alarms"
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", share*100) }

func middle(jobs []job, of func(job) float64) float64 {
	if len(jobs) == 0 {
		return 0
	}
	var all []float64
	for _, j := range jobs {
		all = append(all, of(j))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// The table stands between these lines of a document.
const (
	begin = "<!-- jobs -->\n"
	end   = "<!-- /jobs -->\n"
)

// placeIn puts the table into a document, between its marks.
func (r *report) placeIn(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(data), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return fmt.Errorf("%s has no place for the table; add these lines:\n%s%s", path, begin, end)
	}
	return os.WriteFile(path, []byte(before+begin+"\n"+r.markdown()+"\n"+end+after), 0o644)
}
