package forecast

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
)

// ofLog makes a profile whose arrivals are those of a log of three hours, one each two
// seconds, with a silence of a second more each tenth.
func ofLog(t *testing.T, sets ...string) (*profiles.Profile, []time.Duration) {
	t.Helper()
	var log strings.Builder
	var due []time.Duration
	for i, at := 0, time.Duration(0); at < 3*time.Hour; i++ {
		due = append(due, at)
		fmt.Fprintf(&log, "{\"ts\":%d}\n", 1_700_000_000_000+at.Milliseconds())
		if at += 2001 * time.Millisecond; i%10 == 9 {
			at += time.Second
		}
	}
	path := filepath.Join(t.TempDir(), "access.json")
	if err := os.WriteFile(path, []byte(log.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := profiles.Load("", nil, append([]string{"target.lab={idle_timeout: 2500ms}", "load.trace=" + path}, sets...))
	if err != nil {
		t.Fatal(err)
	}
	return p, due
}

// spansFor divides a forecast of that length.
func spansFor(t *testing.T, p *profiles.Profile, lasts time.Duration) []span {
	t.Helper()
	o := Options{For: lasts, Seed: 1}
	f, err := factsOf(p, &o)
	if err != nil {
		t.Fatal(err)
	}
	return f.spansOf(&o)
}

// As long as the log lasts, its own times are played, each once; a short forecast plays them
// again and again.
func TestForecastPlaysTheTimesOfTheLog(t *testing.T) {
	p, due := ofLog(t, "load.warm_up=10m")
	const warmUp, lasts = 10 * time.Minute, 150 * time.Minute
	var got []time.Duration
	begin := time.Duration(warmUp)
	spans := spansFor(t, p, lasts)
	for _, s := range spans {
		for at := range s.arrivals {
			if at >= s.warmUp && at < s.warmUp+s.counts {
				got = append(got, begin+at-s.warmUp)
			}
		}
		begin += s.counts
	}
	from, _ := slices.BinarySearch(due, warmUp)
	to, _ := slices.BinarySearch(due, warmUp+lasts)
	if !slices.Equal(got, due[from:to]) || len(spans) < 2 {
		t.Errorf("%d spans play %d requests, want %d", len(spans), len(got), to-from)
	}
	short := spansFor(t, p, 20*time.Minute)
	if !short[0].own || len(short) < fewRuns || !slices.Equal(slices.Collect(short[3].arrivals), due) {
		t.Errorf("%d runs of 20 minutes do not play the log", len(short))
	}
}

// Gaps of 3 s are longer than the server keeps connections, and gaps of 2 s are not. So each
// tenth request opens a connection, in what is played beyond the log as well.
func TestForecastLongerThanTheLog(t *testing.T) {
	p, _ := ofLog(t)
	r, err := Run(t.Context(), p, Options{For: 48 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	run, err := r.Document(p, "test")
	if err != nil {
		t.Fatal(err)
	}
	rate := float64(run.Counts.Started) / (48 * 3600)
	if want := 10 / 21.01; rate < want*0.99 || rate > want*1.01 {
		t.Errorf("%.4f requests a second, want %.4f", rate, want)
	}
	if share := float64(run.Connections.Opened) / float64(run.Counts.Started); share < 0.09 || share > 0.12 {
		t.Errorf("%.3f connections a request, want 0.1 and those at the borders of blocks", share)
	}
	if a := run.Instrument.Arrivals; a.Law != "trace" || a.Verdict != results.ArrivalsNotTested || a.Trace == nil || a.Trace.Log < 5000 {
		t.Errorf("arrivals: %+v", a)
	}
	if !strings.Contains(run.Forecast.LeftOut[0], "The log lasts 3h0m") {
		t.Errorf("left out: %q", run.Forecast.LeftOut)
	}
}
