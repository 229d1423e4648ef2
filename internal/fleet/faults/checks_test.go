package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// schedule is every due time of the site's profile, as one machine computes and records it: in
// whole microseconds.
func (s *site) schedule() []time.Duration {
	s.t.Helper()
	p, err := profiles.Load(s.profile, must(os.ReadFile(s.profile)), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	all, err := p.Load.Schedule()
	if err != nil {
		s.t.Fatal(err)
	}
	var list []time.Duration
	for due := range p.Load.Bound(all) {
		list = append(list, time.Duration(results.Micros(due))*time.Microsecond)
	}
	return list
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// document is the run.json of the site's run.
func (s *site) document() *results.Run {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.out, "run.json"))
	if err != nil {
		s.t.Fatal(err)
	}
	run, err := record.DecodeRun(data)
	if err != nil {
		s.t.Fatal(err)
	}
	return run
}

// check checks the result of a run: it has every arrival of the schedule once; each exchange
// that a disk has, as it is there; and nothing else, except what was dropped because its
// agent was lost.
func (s *site) check(w *witness) (run *results.Run, all records) {
	s.t.Helper()
	run, all = s.document(), read(s.t, s.out)
	want := s.schedule()
	all.whole(s.t, len(want))
	if got := all.dues(); !slices.Equal(got, want) {
		s.t.Error("the due times are not those of one machine")
	}
	s.sameAsDisks(w, all)
	s.balances(run, all)
	percentiles(s.t, run, all)
	return run, all
}

// sameAsDisks compares the result with what the agents wrote.
func (s *site) sameAsDisks(w *witness, all records) {
	s.t.Helper()
	disks := records{}
	for dir, kept := range w.kept() {
		held := read(s.t, kept)
		all.holds(s.t, held, dir)
		for seq, e := range held {
			if _, twice := disks[seq]; twice {
				s.t.Errorf("exchange %d is on two disks", seq)
			}
			disks[seq] = e
		}
	}
	invented := 0
	for seq, e := range all {
		if _, held := disks[seq]; !held && e.Cause != results.CauseAgentLost {
			invented++
		}
	}
	s.t.Logf("%d of %d exchanges are on the disks of %d agents' runs", len(disks), len(all), len(w.kept()))
	if invented > 0 {
		s.t.Errorf("%d exchanges of the result are on no disk, and were not dropped for a lost agent", invented)
	}
}

// balances checks the accounts of a document.
func (s *site) balances(run *results.Run, all records) {
	s.t.Helper()
	if !run.Counts.Balance() || run.Counts.Due != uint64(len(all)) {
		s.t.Errorf("%+v of %d exchanges", run.Counts, len(all))
	}
	if len(run.Agents) != s.n {
		s.t.Fatalf("%d agents in the document, want %d", len(run.Agents), s.n)
	}
	lost := uint64(0)
	for i, a := range run.Agents {
		if a.Index != i || a.Name != fmt.Sprintf("agent-%d", i) {
			s.t.Errorf("place %d: %d %s", i, a.Index, a.Name)
		}
		if a.Lost != nil {
			lost += a.Lost.Arrivals
			if says := strings.Join(append(run.Warnings, run.Invalid...), " "); a.Lost.Arrivals > 0 && !strings.Contains(says, a.Name) {
				s.t.Errorf("%s was lost with %d arrivals, and the run only says: %s", a.Name, a.Lost.Arrivals, says)
			}
			if share := float64(a.Lost.Arrivals) / float64(len(all)); !near(share, a.Lost.Share, 1e-9) {
				s.t.Errorf("%s: %d of %d arrivals were lost, and the share is %v", a.Name, a.Lost.Arrivals, len(all), a.Lost.Share)
			}
		}
	}
	if n := all.lost(); lost != uint64(n) || run.Counts.Dropped < lost {
		s.t.Errorf("the agents' lost arrivals are %d, the record has %d, and %d were dropped", lost, n, run.Counts.Dropped)
	}
	if run.Valid && !slices.ContainsFunc(run.Agents, func(a results.Agent) bool { return a.Lost != nil }) {
		for _, a := range run.Agents {
			if !a.Valid {
				s.t.Errorf("the run is valid, and %s is not: %v", a.Name, a.Invalid)
			}
		}
	}
}

func near(a, b, within float64) bool { return a-b <= within && b-a <= within }

// percentiles checks that a document's figures are those over all records: by the counts of
// a new tally, and by sorting the times. HdrHistogram keeps three digits.
func percentiles(t *testing.T, run *results.Run, all records) {
	t.Helper()
	var tally results.Tally
	times := map[string][]float64{}
	for _, e := range all {
		tally.Add(&e)
		if e.OK() {
			times[results.LatencyResponse] = append(times[results.LatencyResponse], e.ResponseTime().Seconds())
			times[results.LatencyService] = append(times[results.LatencyService], e.ServiceTime().Seconds())
		}
		if e.Start != results.Never {
			times[results.LatencyLag] = append(times[results.LatencyLag], e.Lag().Seconds())
		}
	}
	if got := tally.Counts(); got != run.Counts {
		t.Errorf("counts %+v; over all records %+v", run.Counts, got)
	}
	for name, list := range times {
		slices.Sort(list)
		q := run.Latency[name]
		if q.Count != uint64(len(list)) {
			t.Errorf("%s: %d values, want %d", name, q.Count, len(list))
			continue
		}
		for _, p := range []struct{ share, got float64 }{{0.5, q.P50}, {0.9, q.P90}, {0.99, q.P99}, {0.999, q.P999}, {1, q.Max}} {
			want := list[max(int(p.share*float64(len(list))+0.5), 1)-1]
			if !near(p.got, want, want*0.002+2e-6) {
				t.Errorf("%s: the quantile %v is %v s; over all records it is %v s", name, p.share, p.got, want)
			}
		}
	}
}
