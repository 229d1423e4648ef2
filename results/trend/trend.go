// Package trend orders runs of one question by time, and finds where their failure rate
// or their response times changed.
package trend

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/compare"
	"github.com/kabench/kabench/results/record"
)

// Point is a run in a trend.
type Point struct {
	Question string    `json:"question"` // the same for runs that asked the same
	Setting  string    `json:"setting"`  // the same for repeats of one setting
	Name     string    `json:"name"`     // of the profile
	Asks     string    `json:"asks,omitempty"`
	Arm      string    `json:"arm,omitempty"` // incident, or the name of the remedy or arm; "": the run stands alone
	Start    time.Time `json:"start"`
	Commit   string    `json:"commit,omitempty"`
	Version  string    `json:"version"`        // of kabench
	Machine  string    `json:"machine"`        // its system, kernel and number of CPUs
	Link     string    `json:"link,omitempty"` // where its report is

	Started uint64  `json:"started"`
	Failed  uint64  `json:"failed"`
	P99     float64 `json:"p99"` // response time of requests that are ok, in seconds; 0: none was ok
	// P99Low and P99High are the 95 % interval of P99, by order statistics of the
	// requests of this run; both 0: unknown.
	P99Low  float64 `json:"p99_low,omitempty"`
	P99High float64 `json:"p99_high,omitempty"`
	// Unfit says why the run is shown and not used: "is invalid"; "": it is used.
	Unfit string `json:"unfit,omitempty"`
}

// Rate is the failure rate of p, with its exact 95 % interval.
func (p *Point) Rate() (rate, low, high float64) {
	low, high = results.Interval(p.Failed, p.Started, 0.95)
	return float64(p.Failed) / float64(max(p.Started, 1)), low, high
}

// At is when p was made, for people.
func (p *Point) At() string { return p.Start.UTC().Format("2006-01-02 15:04") }

// Points returns the runs of k, with link as their report. A run that did not begin,
// or whose profile cannot be read, is left out, with a note.
func Points(k *record.Archive, link string) (points []Point, notes []string) {
	for i := range k.Runs {
		r := &k.Runs[i]
		if r.Run != nil && r.Run.Forecast != nil {
			notes = append(notes, fmt.Sprintf("%s is in no trend: it was forecast, and a trend is made of runs", cmp.Or(r.Name, r.Run.Name)))
		}
		if r.Run == nil || r.Run.Start.IsZero() {
			continue
		}
		question, setting, err := compare.Question(r.Run)
		if err != nil {
			notes = append(notes, fmt.Sprintf("%s is in no trend: %v", cmp.Or(r.Name, "a run"), err))
			continue
		}
		run, q := r.Run, r.Run.Latency[results.LatencyResponse]
		p := Point{
			Question: question, Setting: setting, Name: run.Name, Asks: run.Question, Start: run.Start.UTC(),
			Version: run.Version, Machine: machine(run.Host), Link: link,
			Started: run.Counts.Started, Failed: run.Counts.Failed, P99: q.P99, Unfit: unfit(run),
		}
		if k.Kind() != record.KindRun {
			p.Arm = r.Name
		}
		if commitForm.MatchString(run.Host.Commit) {
			p.Commit = run.Host.Commit
		}
		if r.Excluded != "" && p.Unfit == "" {
			p.Unfit = "was left out of its comparison"
		}
		if r.Dir != nil && q.Count > 0 {
			p.P99Low, p.P99High = p99Interval(r.Dir, results.SetupOf(run).WarmUp)
		}
		points = append(points, p)
	}
	return points, notes
}

// commitForm is the form of the id of a commit.
var commitForm = regexp.MustCompile(`^[0-9a-f]{7,64}$`)

// unfit says why run is not used; "" if it is. A run that was stopped early had another
// length than the others.
func unfit(run *results.Run) string {
	switch {
	case run.Unfit() != "":
		return run.Unfit()
	case run.Stopped != nil:
		return "was stopped by abort_when"
	case run.Counts.Started == 0:
		return "started no request"
	}
	return ""
}

func machine(h results.Host) string {
	return strings.Join(strings.Fields(fmt.Sprintf("%s %s %s, %d CPUs", h.OS, h.Kernel, h.Arch, h.CPUs)), " ")
}

// Names of the figures of a Change.
const (
	Failures = "failures"
	P99      = "response p99"
)

// Change is where the level of a figure changed.
type Change struct {
	Figure string  `json:"figure"`
	At     int     `json:"at"`     // index in Points of the first run of the new level
	Before float64 `json:"before"` // the level: of failures, the rate of all runs together; of times, their median
	After  float64 `json:"after"`
	Runs   [2]int  `json:"runs"` // how many runs each level has
	P      float64 `json:"p"`
	Worse  bool    `json:"worse"`
	// Also are other things that changed at that run, and may be the cause: the version of
	// kabench, the machine.
	Also []string `json:"also,omitempty"`
}

// Series is the runs of one question with one setting, the oldest first.
type Series struct {
	Name    string   `json:"name"`
	Asks    string   `json:"asks,omitempty"`
	Arm     string   `json:"arm,omitempty"`
	Points  []Point  `json:"points"`
	Used    int      `json:"used"` // of Points, those that are fit
	Changes []Change `json:"changes"`
}

// Key is the question of s.
func (s *Series) Key() string { return s.Points[0].Question }

// Few reports whether s has too few runs for a change to be found.
func (s *Series) Few() bool { return s.Used < 2*Fewest }

// Of sorts points into series. The series of a question are next to each other, those with
// the most runs first. A point that is there twice counts once.
func Of(points []Point) []Series {
	points = slices.Clone(points)
	slices.SortStableFunc(points, func(a, b Point) int {
		return cmp.Or(cmp.Compare(a.Question, b.Question), cmp.Compare(a.Setting, b.Setting), a.Start.Compare(b.Start))
	})
	var all []Series
	for i, p := range points {
		if i == 0 || p.Question != points[i-1].Question || p.Setting != points[i-1].Setting {
			all = append(all, Series{Changes: []Change{}})
		}
		s := &all[len(all)-1]
		if n := len(s.Points); n > 0 && s.Points[n-1].Start.Equal(p.Start) {
			continue
		}
		s.Points = append(s.Points, p)
		s.Name, s.Asks, s.Arm = p.Name, p.Asks, p.Arm // as the newest has them
		if p.Unfit == "" {
			s.Used++
		}
	}
	for i := range all {
		all[i].find()
	}
	slices.SortStableFunc(all, func(a, b Series) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Key(), b.Key()), cmp.Compare(len(b.Points), len(a.Points)), cmp.Compare(a.Arm, b.Arm))
	})
	return all
}

// find finds the changes of s.
func (s *Series) find() {
	at := make([]int, 0, s.Used) // indices of the points that are used
	for i := range s.Points {
		if s.Points[i].Unfit == "" {
			at = append(at, i)
		}
	}
	rates := make([]float64, len(at))
	var times []float64
	var timed []int
	for n, i := range at {
		rates[n], _, _ = s.Points[i].Rate()
		if p := &s.Points[i]; p.P99 > 0 {
			times, timed = append(times, math.Log(p.P99)), append(timed, i) // times vary by a factor
		}
	}
	s.add(Failures, rates, at, func(part []int) float64 {
		var failed, started uint64
		for _, i := range part {
			failed, started = failed+s.Points[i].Failed, started+s.Points[i].Started
		}
		return float64(failed) / float64(started)
	})
	s.add(P99, times, timed, func(part []int) float64 {
		var list []float64
		for _, i := range part {
			list = append(list, s.Points[i].P99)
		}
		return median(list)
	})
	slices.SortStableFunc(s.Changes, func(a, b Change) int { return cmp.Compare(a.At, b.At) })
}

// add adds the changes of a figure. at has the index of the point of each value, and level
// computes the level of some points.
func (s *Series) add(figure string, values []float64, at []int, level func(part []int) float64) {
	shifts := Changes(values)
	for n, shift := range shifts {
		from, to := 0, len(values)
		if n > 0 {
			from = shifts[n-1].At
		}
		if n+1 < len(shifts) {
			to = shifts[n+1].At
		}
		c := Change{
			Figure: figure, At: at[shift.At], P: shift.P, Before: level(at[from:shift.At]), After: level(at[shift.At:to]),
			Runs: [2]int{shift.At - from, to - shift.At},
		}
		c.Worse = c.After > c.Before
		before, now := &s.Points[at[shift.At-1]], &s.Points[c.At]
		if before.Version != now.Version {
			c.Also = append(c.Also, fmt.Sprintf("kabench %s instead of %s", now.Version, before.Version))
		}
		if before.Machine != now.Machine {
			c.Also = append(c.Also, fmt.Sprintf("another machine: %s instead of %s", now.Machine, before.Machine))
		}
		s.Changes = append(s.Changes, c)
	}
}
