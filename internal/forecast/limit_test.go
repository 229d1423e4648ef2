package forecast

import (
	"testing"
	"time"

	"github.com/kabench/kabench/results"
)

// overload offers 100/s to a server that bears 40/s: 4 threads of 100 ms.
const overload = `
load: {rate: 100/s, arrivals: poisson, duration: 10s, timeout: 1m}
target: {lab: {threads: 4, delay: 100ms}}
`

// limitOf plays one span, and returns what the limit was.
func limitOf(t *testing.T, lasts time.Duration, limit string) *results.LimitSeen {
	t.Helper()
	n, err := factsFor(t, overload, "load.limit="+limit).play(span{seed: 1, counts: lasts, own: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return n.limit
}

// Under the same overload gradient2 climbs for as long as it lasts, and aimd and vegas settle.
func TestGradient2ClimbsAndOthersSettle(t *testing.T) {
	const gradient2 = "{algorithm: gradient2, initial: 8, min: 4, max: 1000, window: 1s}"
	last := 8
	for _, lasts := range []time.Duration{time.Minute, 5 * time.Minute, 20 * time.Minute} {
		got := limitOf(t, lasts, gradient2)
		if got.Final <= last || got.Final < got.Highest-2 {
			t.Errorf("gradient2 after %v: %+v, want more than %d, and the highest at the end", lasts, *got, last)
		}
		last = got.Final
	}
	if last < 100 {
		t.Errorf("gradient2 is at %d after 20 minutes, want 100 at least for a server that bears 4", last)
	}
	for name, limit := range map[string]string{
		"aimd":  "{algorithm: aimd, initial: 8, min: 4, max: 1000, window: 1s, timeout: 300ms}",
		"vegas": "{algorithm: vegas, initial: 4, max: 1000, window: 1s}",
	} {
		if got := limitOf(t, 20*time.Minute, limit); got.Highest > 30 {
			t.Errorf("%s: %+v, want it to stay at 30 or below", name, *got)
		}
	}
}

// The limit is in the document. More than an hour is played in one piece, because the limit
// remembers.
func TestForecastTellsTheLimit(t *testing.T) {
	run := document(t, Options{For: 10 * time.Second, Requests: 1}, overload, "load.limit=aimd")
	want := results.LimitSeen{Algorithm: "aimd", Initial: 20, Lowest: 20, Highest: 200, Final: 200}
	if run.Limit == nil || *run.Limit != want || !run.Counts.Balance() {
		t.Errorf("%+v, want %+v; %+v", run.Limit, want, run.Counts)
	}
	if run := document(t, Options{For: time.Second, Requests: 1}, overload); run.Limit != nil {
		t.Errorf("a fixed limit is told: %+v", *run.Limit)
	}
	for limit, spans := range map[string]int{"fixed": 2, "vegas": 1} {
		if list := factsFor(t, overload, "load.limit="+limit).spansOf(&Options{For: 2 * time.Hour}); len(list) != spans {
			t.Errorf("%s: two hours in %d spans, want %d", limit, len(list), spans)
		}
	}
}
