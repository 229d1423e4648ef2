package record

import (
	"testing"
	"time"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
)

// The spans of a record add up to the counts of the document.
func TestSpansOfARecord(t *testing.T) {
	w, dir := create(t)
	must(t, w.Begin(begun()))
	list := mixed(500)
	for _, e := range list {
		w.Observe(e)
	}
	run := filled(tallied(list), time.Second)
	run.Start, run.End = begun().Start, begun().Start.Add(time.Second)
	must(t, w.Close(run))
	d, err := Open(dir)
	must(t, err)
	before := uint64(0)
	for _, o := range run.Outcomes {
		if o.Failed() && o.Phase == results.PhaseBeforeResponse {
			before += o.Count
		}
	}
	for path, want := range map[string][2]uint64{
		"failures":                 {run.Counts.Failed, run.Counts.Started},
		"failures.before_response": {before, run.Counts.Started},
		"error_answers":            {run.ErrorAnswers.Sum(), run.Counts.OK},
		"response.p50":             {0, run.Counts.OK},
	} {
		var k, n uint64
		for _, s := range d.SpansOf(run, expect.EventAt(path, time.Hour)) {
			k, n = k+s.K, n+s.N
		}
		if k != want[0] || n != want[1] {
			t.Errorf("%s: %d of %d, want %v", path, k, n, want)
		}
	}
	if expect.EventAt("counts.dropped", 0) != nil {
		t.Error("drops are told from single exchanges")
	}
}
