package page

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/results"
)

// failing makes e a failure with this text that ended at at.
func failing(e *results.Exchange, seq uint64, at time.Duration, text string) {
	e.Reset(seq, at-ms)
	e.Start, e.Done, e.Phase, e.Cause = at-ms, at, results.PhaseBeforeResponse, results.CauseRST
	if text != "" {
		e.Err = errors.New(text)
	}
}

// Failures that differ only in the client's port have one row; failures on no, new and
// used connections are told apart.
func TestErrorRows(t *testing.T) {
	c := newErrorCounts()
	var e results.Exchange
	for i, use := range []int{2, 1, 3, 0} {
		failing(&e, uint64(i), time.Duration(i+1)*time.Second, fmt.Sprintf("read tcp 10.0.0.1:%d->10.0.0.2:80: reset", 40000+i))
		if e.Use = use; use > 0 {
			e.Conn = uint64(i + 1)
		}
		c.add(&e)
	}
	failing(&e, 9, 9*time.Second, "")
	c.add(&e)
	e.WarmUp = true
	c.add(&e)
	doc := &results.Run{Outcomes: []results.Outcome{
		{Phase: results.PhaseDone, Count: 90}, {Phase: results.PhaseSchedule, Cause: results.CauseDropped, Count: 7},
		{Phase: results.PhaseBeforeResponse, Cause: results.CauseRST, Reused: true, Count: 4}, {Phase: results.PhaseBeforeResponse, Cause: results.CauseRST, Count: 4},
		{Phase: results.PhaseConnect, Cause: results.CauseRefused, Count: 2},
	}}
	want := Errors{WarmUp: 1, Rows: []ErrorRow{
		{Phase: results.PhaseBeforeResponse, Cause: results.CauseRST, Text: "read tcp 10.0.0.1:*->10.0.0.2:80: reset", Count: 4, Fresh: 1, Reused: 2, First: 1, Last: 4},
		{Phase: results.PhaseBeforeResponse, Cause: results.CauseRST, Count: 3, First: -1, Last: -1, Rest: "not recorded"},
		{Phase: results.PhaseConnect, Cause: results.CauseRefused, Count: 2, First: -1, Last: -1, Rest: "not recorded"},
		{Phase: results.PhaseBeforeResponse, Cause: results.CauseRST, Count: 1, First: 9, Last: 9},
	}}
	if diff := cmp.Diff(want, c.data(doc)); diff != "" {
		t.Error(diff)
	}
}

func TestWithoutPort(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "",
		"EOF":                               "EOF",
		"read tcp [::1]:4711->[::1]:80: x":  "read tcp [::1]:*->[::1]:80: x",
		"a->b":                              "a->b",
		"12->b":                             "12->b",
		"->":                                "->",
		"read 1.2.3.4:5->1.2.3.4:6->7: EOF": "read 1.2.3.4:*->1.2.3.4:6->7: EOF",
	} {
		if got := string(withoutPort(nil, text)); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// However many texts a server invents, the rows are bounded and count all failures.
func TestErrorRowsAreBounded(t *testing.T) {
	c := newErrorCounts()
	var e results.Exchange
	const n = 20_000
	for seq := range uint64(n) {
		failing(&e, seq, time.Duration(seq+1)*ms, fmt.Sprintf("invented %d", seq))
		c.add(&e)
	}
	d := c.data(&results.Run{})
	count := uint64(0)
	for _, row := range d.Rows {
		count += row.Count
	}
	if len(d.Rows) != maxTexts+1 || d.Texts != maxTexts || count != n || d.Rows[0].Rest != "other texts" || d.Rows[0].Last != n/1000 {
		t.Errorf("%d rows, %d texts, %d failures, first %+v", len(d.Rows), d.Texts, count, d.Rows[0])
	}
}

// The percentiles of each span are those of its responses, also after spans were joined
// and when one response stands for several.
func TestPercentileLines(t *testing.T) {
	h := newHeat(8)
	var all [][]time.Duration
	const step = 200 * ms // after spans were joined
	for i := range 1500 {
		due := time.Duration(i) * ms
		took := time.Duration(hash(uint64(i))%1000+1) * 100 * time.Microsecond
		at := int(due / step)
		if at == len(all) {
			all = append(all, nil)
		}
		if at == 3 {
			continue // nothing was ok
		}
		h.add(due, took, 10)
		all[at] = append(all[at], took)
		if i%10 == 0 {
			h.fail(due, 2*time.Second)
		}
	}
	d := h.data()
	if d.Step != step.Seconds() || len(d.Lines.P50) != len(all) {
		t.Fatalf("%d spans of %v s, want %d", len(d.Lines.P50), d.Step, len(all))
	}
	for at, times := range all {
		slices.Sort(times)
		for name, line := range map[string]struct {
			seen []float64
			p    float64
		}{"p50": {d.Lines.P50, 0.5}, "p90": {d.Lines.P90, 0.9}, "p99": {d.Lines.P99, 0.99}, "max": {d.Lines.Max, 1}} {
			want := 0.0
			if len(times) > 0 {
				want = times[int(math.Ceil(line.p*float64(len(times))))-1].Seconds()
			}
			if math.Abs(line.seen[at]-want) > 0.013*want {
				t.Errorf("%s of span %d is %v, want %v", name, at, line.seen[at], want)
			}
		}
	}
	ok, failed := int64(0), int64(0)
	for _, c := range d.Cells {
		ok += c[2]
	}
	for _, c := range d.Failed {
		failed += c[2]
		if upper := d.Rows[c[1]]; upper < 2 || upper > 2.25 {
			t.Errorf("a failure after 2 s is in the row up to %v s", upper)
		}
	}
	if ok != 13_000 || failed != 130 {
		t.Errorf("%d ok, %d failed; want 13000 and 130", ok, failed)
	}
}
