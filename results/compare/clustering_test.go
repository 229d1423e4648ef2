package compare

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

const recorded = 4000

// recordedRun is a run that was recorded, read back.
func recordedRun(t *testing.T, fails func(i int) bool) Run {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run")
	recordTo(t, path, fails)
	return reopened(t, path)
}

// recordTo writes a run of exchanges over ten seconds; fails says which failed.
func recordTo(t *testing.T, path string, fails func(i int) bool) {
	t.Helper()
	w, err := record.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Unix(0, 0)
	doc := &results.Run{Name: "quick", Complete: true, Valid: true, Start: start, End: start.Add(10 * time.Second)}
	if err := w.Begin(doc); err != nil {
		t.Fatal(err)
	}
	doc.Counts = results.Counts{Due: recorded, Started: recorded}
	for i := range recorded {
		var e results.Exchange
		e.Reset(uint64(i), time.Duration(i)*10*time.Second/recorded)
		e.Start, e.Leased, e.Done, e.Use, e.Conn, e.Attempts = e.Due, e.Due, e.Due+time.Millisecond, i+1, 1, 1
		e.Phase = results.PhaseDone
		if fails(i) {
			e.Phase, e.Cause, e.Err = results.PhaseBeforeResponse, results.CauseFIN, errors.New("EOF")
			doc.Counts.Failed++
		}
		w.Observe(&e)
	}
	doc.Counts.OK = recorded - doc.Counts.Failed
	doc.Connections.Opened = 1
	if n := doc.Counts.Failed; n > 0 {
		doc.Outcomes = []results.Outcome{{Phase: results.PhaseBeforeResponse, Cause: results.CauseFIN, Reused: true, Count: n}}
	}
	if err := w.Close(doc); err != nil {
		t.Fatal(err)
	}
}

func reopened(t *testing.T, path string) Run {
	t.Helper()
	dir, err := record.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := dir.Run()
	if err != nil {
		t.Fatal(err)
	}
	return Run{Doc: doc, Dir: dir}
}

// held is the judged comparison of a's runs and b's.
func held(t *testing.T, a, b []Run) *results.Comparison {
	t.Helper()
	c := &results.Comparison{Confidence: 0.95, Arms: []results.Arm{{Name: "a"}, {Name: "b"}}}
	for range a {
		c.Runs = append(c.Runs, results.ComparedRun{Arm: "a"})
	}
	for range b {
		c.Runs = append(c.Runs, results.ComparedRun{Arm: "b"})
	}
	judged(t, c, append(append([]Run{}, a...), b...))
	return c
}

// Failures that come in a few large groups say less than as many that come alone.
func TestGroupsWithinARun(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	alone := recordedRun(t, func(int) bool { return r.Float64() < 0.01 })
	group := recordedRun(t, func(i int) bool { return i >= 1000 && i < 1040 })
	none := recordedRun(t, func(int) bool { return false })

	scattered := find(&held(t, []Run{alone}, []Run{none}).Pairs[0], results.MeasureFailureRate)
	grouped := find(&held(t, []Run{group}, []Run{none}).Pairs[0], results.MeasureFailureRate)
	if !scattered.Differs || scattered.Method != methodFisher || strings.Contains(scattered.Why, "clustered") {
		t.Errorf("failures alone: %+v", scattered)
	}
	if grouped.Differs || !strings.Contains(grouped.Why, "clustered") {
		t.Errorf("one group of failures: %+v", grouped)
	}
	// The interval tells the same.
	a := held(t, []Run{alone}, []Run{group}).Arms
	if x, y := a[0].Measures[results.MeasureFailureRate], a[1].Measures[results.MeasureFailureRate]; y.High-y.Low < 2*(x.High-x.Low) {
		t.Errorf("alone %+v, in a group %+v", x, y)
	}
}

// A record that is torn leaves open whether failures come in groups, and says so.
func TestTornRecord(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	path := filepath.Join(t.TempDir(), "torn")
	recordTo(t, path, func(int) bool { return r.Float64() < 0.05 })
	none := recordedRun(t, func(int) bool { return false })
	file := filepath.Join(path, "exchanges.ndjson.zst")
	info, err := os.Stat(file)
	if err == nil {
		err = os.Truncate(file, info.Size()-5)
	}
	if err != nil {
		t.Fatal(err)
	}
	test := find(&held(t, []Run{reopened(t, path)}, []Run{none}).Pairs[0], results.MeasureFailureRate)
	if !test.Differs || !strings.Contains(test.Why, "no whole record") {
		t.Errorf("%+v", test)
	}
}

// A moment at which every run fails, as of a cron job, is a rhythm and not a cluster:
// a difference of a third is detected, because this does not vary from run to run.
func TestSharedRhythmIsNoCluster(t *testing.T) {
	runs := func(failures int) (list []Run) {
		for i := range 5 {
			n := failures + i%3 - 1 // within a percent or so
			list = append(list, recordedRun(t, func(i int) bool { return i >= 2000 && i < 2000+n }))
		}
		return list
	}
	test := find(&held(t, runs(30), runs(90)).Pairs[0], results.MeasureFailureRate)
	if !test.Differs || test.P > 1e-4 {
		t.Errorf("30 against 90 failures at one moment of each run: %+v", test)
	}
	// The same failures at a moment of its own in each run may be one event each.
	r := rand.New(rand.NewPCG(8, 8))
	scattered := func(failures int) (list []Run) {
		for range 5 {
			at := r.IntN(recorded - failures)
			list = append(list, recordedRun(t, func(i int) bool { return i >= at && i < at+failures }))
		}
		return list
	}
	if test := find(&held(t, scattered(30), scattered(90)).Pairs[0], results.MeasureFailureRate); test.Differs {
		t.Errorf("five clusters against five: %+v", test)
	}
}
