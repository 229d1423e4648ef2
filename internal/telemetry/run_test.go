package telemetry

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/timings"
)

// standing is that of a run that has some of everything.
func standing(name string) kabench.Standing {
	var t timings.Timings
	for i, phase := range []results.Phase{results.PhaseDone, results.PhaseBeforeResponse} {
		var e results.Exchange
		e.Reset(uint64(i), 0)
		e.Start, e.Done, e.Phase, e.Cause = 0, time.Millisecond, phase, []results.Cause{results.CauseNone, results.CauseFIN}[i]
		t.Add(&e)
	}
	t.Lives = &timings.Histogram{}
	return kabench.Standing{
		Run: &results.Run{
			Name: name, Version: "v", Start: time.Unix(1_700_000_000, 0), Valid: true,
			Counts:      results.Counts{Due: 3, Started: 2, Dropped: 1, OK: 1, Failed: 1},
			Outcomes:    []results.Outcome{{Phase: results.PhaseDone, Count: 1}, {Phase: results.PhaseBeforeResponse, Cause: results.CauseFIN, Reused: true, Count: 1}},
			Statuses:    map[string]uint64{"200": 1},
			Connections: results.Connections{Opened: 2, Evictions: map[string]uint64{"expired": 2}},
			Kernel:      results.Kernel{Available: true, Counters: map[string]uint64{"TW": 1}, Hosts: map[string]map[string]uint64{"server": {"TW": 2}}},
			Resends:     results.Resends{Count: 1, Causes: []results.ResendCause{{Phase: results.PhaseBeforeResponse, Cause: results.CauseRST, Count: 1}}},
		},
		Timings: &t, Sample: &results.Sample{Leased: 1, Idle: 2, Sockets: &results.SocketSample{Client: map[string]int{"TIME_WAIT": 4}, PortsUsed: 5}},
		Over: true, Server: "127.0.0.1:80", Method: "BREW",
	}
}

// Names follow OpenTelemetry's rules, no two series are the same, and each metric says what
// it is.
func TestMetricsAreWellFormed(t *testing.T) {
	book := NewBook()
	for _, run := range []string{"a", "b"} {
		book.Next(run)
		book.Stand(standing("profile"))
	}
	names, series := map[string]bool{}, map[string]bool{}
	for _, m := range book.Metrics() {
		if names[m.PrometheusName()] || m.Help == "" || !strings.HasSuffix(m.Help, ".") {
			t.Errorf("%s: twice, or without a sentence: %q", m.Name, m.Help)
		}
		names[m.PrometheusName()] = true
		for _, p := range m.Points {
			key := m.Name
			for _, l := range p.Labels {
				key += " " + l.Name + "=" + l.Value
			}
			if series[key] || !strings.Contains(key, " kabench.run=") || !slices.IsSortedFunc(p.Labels, func(a, b Label) int { return strings.Compare(a.Name, b.Name) }) {
				t.Errorf("%s", key)
			}
			if series[key] = true; (p.Histogram != nil) != (m.Kind == Histogram) {
				t.Errorf("%s: %v", key, p.Histogram)
			}
		}
	}
	for _, name := range []string{
		"http_client_request_duration_seconds", "http_client_open_connections", "http_client_connection_duration_seconds", "http_client_active_requests",
		"kabench_exchanges_due_total", "kabench_run_start_time_seconds", "kabench_kernel_events_total", "kabench_lag_seconds",
	} {
		if !names[name] {
			t.Errorf("%s is missing", name)
		}
	}
	for _, key := range []string{
		"http.client.request.duration error.type=before_response/fin http.request.method=_OTHER kabench.run=a server.address=127.0.0.1 server.port=80",
		"http.client.open_connections http.connection.state=idle kabench.run=b server.address=127.0.0.1 server.port=80",
		"kabench.sockets kabench.run=a kabench.side=client kabench.state=TIME_WAIT",
	} {
		if !series[key] {
			t.Errorf("%s is missing", key)
		}
	}
}

// docs/telemetry.md describes every metric and every label.
func TestDocsNameEveryMetric(t *testing.T) {
	text, err := os.ReadFile("../../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	s := standing("a")
	for _, m := range Of("a", &s) {
		if !strings.Contains(string(text), "`"+m.PrometheusName()+"`") {
			t.Errorf("%s is not described", m.PrometheusName())
		}
		for _, p := range m.Points {
			for _, l := range p.Labels {
				if !strings.Contains(string(text), "`"+PrometheusLabel(l.Name)+"`") {
					t.Errorf("%s: the label %s is not described", m.PrometheusName(), PrometheusLabel(l.Name))
				}
			}
		}
	}
}

// A Book shows a bounded number of runs, and says what histograms lack.
func TestBook(t *testing.T) {
	book := NewBook()
	if len(book.Metrics()) != 0 || !book.Started().IsZero() || book.Missing() != "" {
		t.Error("there is something before the first run")
	}
	for range maxRuns + 5 {
		book.Next("")
		book.Stand(standing("profile"))
		book.Stand(standing("profile"))
	}
	if n := len(book.entries()); n != maxRuns || book.Missing() != "" || book.Failed() != maxRuns {
		t.Errorf("%d runs, %s", n, book.Missing())
	}
	lacking := standing("x")
	lacking.Timings = &timings.Timings{}
	book.Stand(lacking)
	if !strings.Contains(book.Missing(), "of x have 0 of 2 exchanges") {
		t.Error(book.Missing())
	}
}

func TestErrorType(t *testing.T) {
	for want, got := range map[string]string{
		"before_response/fin": ErrorType(results.PhaseBeforeResponse, results.CauseFIN, 0), "503": ErrorType(results.PhaseDone, results.CauseNone, 503),
		"": ErrorType(results.PhaseDone, results.CauseNone, 399), "during_response/truncated": ErrorType(results.PhaseDuringResponse, results.CauseTruncated, 500),
	} {
		if got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}

// Whatever a text holds, as a label it is short, valid and on one line.
func FuzzPrintable(f *testing.F) {
	f.Add("a\n\x00\x1b\xff\u202e")
	f.Add(strings.Repeat("語", 100))
	f.Fuzz(func(t *testing.T, text string) {
		got := Printable(text)
		if len(got) > MaxLabel || !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' }) || Printable(got) != got {
			t.Errorf("%q becomes %q", text, got)
		}
	})
}
