package results

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTallyAccounts(t *testing.T) {
	warm := done(1)
	warm.WarmUp = true
	warmDrop := dropped(2)
	warmDrop.WarmUp = true
	waited := done(3)
	waited.Buffered, waited.Start = 40*time.Microsecond, waited.Start+40*time.Microsecond
	resent := done(4)
	resent.Attempts = 3
	unavailable := done(5)
	unavailable.Status = 503
	run := filled(tallied([]*Exchange{
		warm, warmDrop, waited, resent, unavailable, done(25), stale(6), stale(7), refused(8), dropped(9), aborted(10),
	}), 2*time.Second)

	want := Counts{Due: 9, Started: 8, Dropped: 1, OK: 4, Failed: 3, Unfinished: 1, Waited: 1, WarmUp: 2}
	if diff := cmp.Diff(want, run.Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if !run.Counts.Balance() {
		t.Error("the accounts do not balance")
	}
	if run.Attempts != 9 {
		t.Errorf("attempts = %d, want 9: eight started, one of them without a connection and one sent three times", run.Attempts)
	}
	if diff := cmp.Diff(map[string]uint64{"200": 3, "503": 1}, run.Statuses); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Reuse{Fresh: 3, Reused: 4, NoConnection: 1}, run.Reuse); diff != "" {
		t.Errorf("reuse (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Rate{Offered: 4.5, Achieved: 4, Throughput: 2}, run.Rate); diff != "" {
		t.Errorf("rate (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Outcome{
		{Phase: PhaseDone, Count: 3},
		{Phase: PhaseDone, Reused: true, Count: 1},
		{Phase: PhaseBeforeResponse, Cause: CauseFIN, Reused: true, Count: 2, Example: errEOF.Error()},
		{Phase: PhaseAcquire, Cause: CauseQueueFull, Count: 1, Example: "pending queue is full (max 32)"},
		{Phase: PhaseBeforeResponse, Cause: CauseAborted, Reused: true, Count: 1},
		{Phase: PhaseSchedule, Cause: CauseDropped, Count: 1},
	}, run.Outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

func TestTallyLatency(t *testing.T) {
	run := filled(tallied([]*Exchange{done(0), done(1), stale(2), refused(3), dropped(4), aborted(5)}), time.Second)
	counts := func(m map[string]Quantiles) map[string]uint64 {
		n := map[string]uint64{}
		for name, q := range m {
			if q.Count > 0 {
				n[name] = q.Count
			}
		}
		return n
	}
	if diff := cmp.Diff(map[string]uint64{
		"response": 2, "service": 2, "lag": 5, "acquire": 2, "write_headers": 2,
		"before_response": 2, "response_headers": 2, "during_response": 2,
	}, counts(run.Latency)); diff != "" {
		t.Errorf("of ok (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]uint64{
		"response": 2, "service": 2, "acquire": 2, "write_headers": 1, "before_response": 1,
	}, counts(run.FailedLatency)); diff != "" {
		t.Errorf("of failed (-want +got):\n%s", diff)
	}
	// Both exchanges that are ok are the first on their connections.
	if f, r := counts(run.LatencyFresh), counts(run.LatencyReused); f["response"] != 2 || f["lag"] != 0 || len(r) != 0 {
		t.Errorf("of ok: on fresh connections %v, on reused ones %v", f, r)
	}
	if got := run.Latency["response"]; got.Min != 0.003 || got.P50 != 0.003 || got.Max != 0.003 || got.Mean != 0.003 {
		t.Errorf("response = %+v, want 3 ms throughout", got)
	}
	if got := run.Latency["lag"]; got.Max != 0.0001 {
		t.Errorf("lag = %+v, want the refused one's 100 µs as max", got)
	}
	if q := run.IdleAtFailure; q == nil || q.Count != 1 || q.P50 != 0.998 {
		t.Errorf("idle at failure = %+v, want one of 998 ms", q)
	}
}

func TestTallyOverflow(t *testing.T) {
	slow := done(0)
	slow.Done = slow.Due + 90*time.Second
	q := filled(tallied([]*Exchange{slow, done(1)}), time.Second).Latency["response"]
	if q.Count != 2 || q.Overflow != 1 || q.Max != 90 {
		t.Errorf("got %+v, want two, one of them beyond the histogram, and the true maximum", q)
	}
	if q.P999 < 59.9 || q.P999 > 60.1 {
		t.Errorf("p999 = %v, want it clamped to 60 s", q.P999)
	}
}

func TestTallyEmpty(t *testing.T) {
	run := filled(&Tally{}, 0)
	if run.IdleAtFailure != nil || len(run.Outcomes) != 0 || run.Latency[LatencyResponse] != (Quantiles{}) || run.Rate != (Rate{}) {
		t.Errorf("an empty tally shows something: %+v", run)
	}
	for p := PhaseAcquire; p < PhaseDone; p++ {
		if _, found := run.Latency[p.String()]; !found {
			t.Errorf("latency has no entry for %v", p)
		}
	}
}

// TestTallyResends: an exchange was sent again once for each of its tries. It counts as
// fresh or reused by the last attempt that had a connection.
func TestTallyResends(t *testing.T) {
	hidden := done(12) // attempts of the stock client that the policy did not ask for
	hidden.Attempts = 3
	warm := resent(13)
	warm.WarmUp = true
	onFresh := resentInVain(14)
	onFresh.Tries[1].Use = 1
	given := resent(15)
	given.Phase, given.Cause, given.Status, given.Twice = PhaseBeforeResponse, CauseAborted, 0, false
	run := filled(tallied([]*Exchange{done(3), resent(10), resentInVain(11), hidden, warm, onFresh, given, refused(16)}), time.Second)
	want := Resends{Count: 6, Exchanges: 4, Rescued: 1, MaybeTwice: 1, Causes: []ResendCause{
		{Phase: PhaseBeforeResponse, Cause: CauseFIN, Reused: true, Count: 3},
		{Phase: PhaseBeforeResponse, Cause: CauseRST, Reused: true, Count: 2},
		{Phase: PhaseBeforeResponse, Cause: CauseFIN, Count: 1},
	}}
	if diff := cmp.Diff(want, run.Resends); diff != "" {
		t.Errorf("resends (-want +got):\n%s", diff)
	}
	if run.Attempts != 12 {
		t.Errorf("attempts = %d, want 12: one, three hidden ones, and two of each that was sent again", run.Attempts)
	}
	if diff := cmp.Diff(Reuse{Fresh: 4, Reused: 2, NoConnection: 1}, run.Reuse); diff != "" {
		t.Errorf("reuse (-want +got):\n%s", diff)
	}
	if !run.Counts.Balance() {
		t.Error("the accounts do not balance")
	}
}

func TestUnasked(t *testing.T) {
	hidden := done(1)
	hidden.Attempts = 3
	for _, tt := range []struct {
		name string
		list []*Exchange
		want uint64
	}{
		{"plain", []*Exchange{done(0), refused(2)}, 0},
		{"the transport's", []*Exchange{done(0), hidden}, 2},
		{"the policy's", []*Exchange{done(0), resent(1)}, 0},
		{"the policy's, of which one got no connection", []*Exchange{resentInVain(0)}, 0},
	} {
		if got := filled(tallied(tt.list), time.Second).Unasked(); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// TestPhasesOfTheLastAttempt: no phase contains the time of the earlier attempts.
func TestPhasesOfTheLastAttempt(t *testing.T) {
	us := time.Microsecond
	for _, tt := range []struct {
		name string
		e    *Exchange
		want map[Phase]time.Duration
	}{
		{"answered", resent(7), map[Phase]time.Duration{
			PhaseAcquire: 10 * us, PhaseConnect: 40 * us, PhaseWriteHeaders: 50 * us, PhaseBeforeResponse: 2750 * us,
			PhaseResponseHeaders: 50 * us, PhaseDuringResponse: 50 * us,
		}},
		{"in vain", resentInVain(8), map[Phase]time.Duration{PhaseConnect: ms}},
	} {
		got := map[Phase]time.Duration{}
		for phase, d := range tt.e.Phases() {
			got[phase] += d
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestTallyMergeIsAddingAll(t *testing.T) {
	list := append(mixed(1000), resent(1000), resent(1001), resentInVain(1002), resent(1003))
	var shards [3]Tally
	for i, e := range list {
		shards[i%3].Add(e)
	}
	var merged Tally
	for i := range shards {
		merged.Merge(&shards[i])
	}
	opts := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-12 }) // the sums add up in another order
	if diff := cmp.Diff(filled(tallied(list), time.Second), filled(&merged, time.Second), opts); diff != "" {
		t.Errorf("(-all in one +merged):\n%s", diff)
	}
}

func TestErrorTextIsShortAndValid(t *testing.T) {
	for _, text := range []string{"short", string(make([]byte, 1000)), "\xff\xfe bad bytes", repeat("é", 150), repeat("x", 199) + "é"} {
		got := ErrorText(errors.New(text))
		if len(got) > maxErrorText {
			t.Errorf("%q: %d bytes", text, len(got))
		}
		for _, r := range got {
			if r == '\uFFFD' {
				t.Errorf("%q: cut within a character", text)
			}
		}
	}
}

func repeat(s string, n int) string {
	out := ""
	for range n {
		out += s
	}
	return out
}

func BenchmarkTallyAdd(b *testing.B) {
	b.ReportAllocs()
	var t Tally
	e := done(25)
	for b.Loop() {
		t.Add(e)
	}
}
