package text

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/results"
)

// long is a sentence of many words, as a profile or a server may have it.
var long = strings.Repeat("word ", 60) + "end"

// headlines are the headlines of documents of every kind and state.
func headlines() map[string]Headline {
	all := map[string]Headline{}
	for name, change := range map[string]func(*results.Run){
		"all well": nil, "failures": withFailures,
		"met": func(r *results.Run) {
			r.Expect = []results.Expectation{{Path: "failures", Want: "0", Seen: "0", Met: true}}
		},
		"not met": func(r *results.Run) {
			withFailures(r)
			r.Expect = []results.Expectation{{Path: "failures", Want: "0", Seen: "104"}, {Path: long, Want: long, Seen: long}}
		},
		"unknown": func(r *results.Run) {
			r.Expect = []results.Expectation{{Path: "failures", Want: "0", Seen: "0", Met: true}, {Path: "pool.peak_pending", Want: "<= 3", Why: "this client does not tell", Unknown: true}}
		},
		"forecast": func(r *results.Run) {
			withFailures(r)
			r.Forecast = &results.Simulation{
				Seconds: 4 * 3600, Seed: 1, Spans: 4,
				Figures: []results.SimulatedCount{{Path: "failures", Mean: 624, Low: 510, High: 757}, {Path: "connections.opened", Mean: 0, Low: 0, High: 22.1}},
				First:   &results.SimulatedTime{Mean: 138, Low: 114, High: 169},
			}
			r.Expect = []results.Expectation{{Path: "failures", Want: ">= 5", Seen: "104", Met: true}}
		},
		"invalid": func(r *results.Run) {
			r.Valid, r.Invalid = false, []string{"kabench fell behind: 1 % of requests started at least 83.1 ms late (load.max_lag is 50ms). Up to 113/s was on time. Lower load.rate or free up CPU", "and more"}
		},
		"no request": func(r *results.Run) {
			r.Valid, r.Invalid = false, []string{"no request was due: raise load.duration or load.rate"}
		},
		"no reason":   func(r *results.Run) { r.Valid = false },
		"long reason": func(r *results.Run) { r.Valid, r.Invalid = false, []string{long} },
		"long advice": func(r *results.Run) { r.Valid, r.Invalid = false, []string{"Why. Lower " + long} },
		"no blanks":   func(r *results.Run) { r.Valid, r.Invalid = false, []string{strings.Repeat("x", 3000)} },
		"cut off":     func(r *results.Run) { r.Complete = false },
		"interrupted": func(r *results.Run) { r.Interrupted = true },
		"stopped": func(r *results.Run) {
			r.Interrupted, r.Stopped = true, &results.Stopped{Path: "failures", When: "> 3", Seen: "4", At: 2}
		},
		"lost": func(r *results.Run) {
			r.Outcomes = []results.Outcome{{Phase: results.PhaseSchedule, Cause: results.CauseAgentLost, Count: 500}}
			r.Counts.Due = 1540
			r.Counts.Dropped = 500
		},
		"own document": func(r *results.Run) { r.Complete, r.Valid = false, false },
		"errors": func(r *results.Run) {
			r.Statuses = map[string]uint64{"200": 1000, "503": 40}
			r.ErrorAnswers = results.CountErrorAnswers(r.Statuses)
		},
		"nothing": func(r *results.Run) { *r = results.Run{Schema: results.Schema, Complete: true, Valid: true} },
	} {
		run := headlineRun(change)
		if name != "own document" {
			run.Schema = results.Schema
		}
		all["run, "+name] = HeadlineOfRun(run)
	}
	happened := "126 of 1001 requests failed, all before_response/fin on reused connections that had been idle for 997 ms in the median: the server's timer had run out.\nSet idle_timeout below the server's: with pool.idle_timeout 500ms none of 1001 requests failed."
	ill := func(r *results.Run) {
		r.Schema, r.Valid, r.Invalid = results.Schema, false, []string{"kabench fell behind. Lower load.rate or free up CPU"}
	}
	slow := headlineRun(func(r *results.Run) {
		r.Latency = map[string]results.Quantiles{results.LatencyResponse: {Count: 1040, P50: 0.25}}
		r.Expect = []results.Expectation{{Path: "response.p50"}}
	})
	quick := headlineRun(func(r *results.Run) {
		r.Latency = map[string]results.Quantiles{results.LatencyResponse: {Count: 1040, P50: 0.05}}
	})
	remedy := func(run *results.Run, cleared bool) []results.RemedyRun {
		return []results.RemedyRun{{Remedy: "let go first", Change: map[string]string{"pool.idle_timeout": "500ms"}, Cleared: cleared, Run: run}}
	}
	for name, r := range map[string]*results.Reproduction{
		"reproduced":     {Reproduced: true, IncidentRun: headlineRun(withFailures), RemedyRuns: remedy(headlineRun(nil), true), Verdict: strings.Replace(happened, "126 of 1001", "104 of 1040", 1)},
		"long story":     {Reproduced: true, IncidentRun: headlineRun(withFailures), RemedyRuns: remedy(headlineRun(nil), true), Verdict: "104 of 1040 requests failed: " + long},
		"no story":       {Reproduced: true, IncidentRun: headlineRun(withFailures), RemedyRuns: remedy(headlineRun(nil), true)},
		"no failures":    {Reproduced: true, IncidentRun: slow, RemedyRuns: remedy(quick, true), Verdict: "None of 1040 requests failed: each waited for a connection.\nSet it."},
		"no remedy":      {Reproduced: true, IncidentRun: headlineRun(withFailures), Verdict: happened},
		"not reproduced": {IncidentRun: headlineRun(nil), Verdict: "Not reproduced: none of 1040 requests failed; expected failures >= 5 (seen: 0)."},
		"not cleared":    {IncidentRun: headlineRun(withFailures), RemedyRuns: remedy(headlineRun(withFailures), false), Verdict: happened},
		"not judged":     {IncidentRun: headlineRun(ill), Verdict: "Not judged, because the incident's run is invalid: " + long},
		"bad remedy":     {IncidentRun: headlineRun(withFailures), RemedyRuns: remedy(headlineRun(ill), false), Verdict: happened},
		"nothing":        {},
	} {
		all["reproduction, "+name] = HeadlineOfReproduction(r)
	}
	for name, c := range map[string]*results.Comparison{
		"found": pools(), "long": {Verdict: long, Arms: []results.Arm{{Name: "a", Runs: 1}, {Name: "b", Runs: 1}}, Pairs: []results.Pair{{A: "a", B: "b"}}},
		"interrupted": {Interrupted: true, Seed: 1, Repeats: 2, Verdict: "So.", Arms: []results.Arm{{Name: "a", Runs: 1}, {Name: "b"}}},
		"invalid":     {Verdict: "No run is valid, so nothing was compared.", Arms: []results.Arm{{Name: "a"}, {Name: "b"}}, Pairs: []results.Pair{{A: "a", B: "b"}}, Runs: []results.ComparedRun{{Arm: "a", Excluded: "invalid: kabench fell behind. Lower load.rate or free up CPU"}}},
		"one left":    {Verdict: "c has no run.", Arms: []results.Arm{{Name: "a", Runs: 1}, {Name: "b", Runs: 1}, {Name: "c"}}, Pairs: []results.Pair{{A: "a", B: "b"}, {A: "a", B: "c"}}, Runs: []results.ComparedRun{{Arm: "c", Excluded: "it left no results"}}},
		"nothing":     {},
	} {
		all["comparison, "+name] = HeadlineOfComparison(c)
	}
	return all
}

// pools is a comparison in which b fails less than a, is slower, and opens more connections.
func pools() *results.Comparison {
	known := func(unit results.Unit, v float64) results.Measure {
		return results.Measure{Unit: unit, Known: true, Value: v}
	}
	measures := func(rate, p99, opened float64) map[string]results.Measure {
		return map[string]results.Measure{
			results.MeasureFailureRate: known(results.UnitRatio, rate), results.MeasureResponse + ".p99": known(results.UnitSeconds, p99), results.MeasureOpened: known(results.UnitCount, opened),
			results.MeasurePending: known(results.UnitCount, opened),
		}
	}
	return &results.Comparison{
		Verdict: "pools/b.yaml fails least. It costs.", Confidence: 0.95,
		Arms: []results.Arm{{Name: "pools/a.yaml", Runs: 3, Measures: measures(0.093, 0.05, 100)}, {Name: "pools/b.yaml", Runs: 3, Measures: measures(0.03, 0.06, 170)}, {Name: "pools/c.yaml", Runs: 3, Measures: measures(0, 0.05, 50)}},
		Pairs: []results.Pair{
			{A: "pools/a.yaml", B: "pools/b.yaml", Tests: []results.Test{
				{Measure: results.MeasureFailureRate, Unit: results.UnitRatio, Difference: -0.063, Low: -0.0707, High: -0.0508, Bounded: true, Differs: true},
				{Measure: results.MeasureResponse + ".p99", Unit: results.UnitSeconds, Difference: 0.01, Differs: true},
				{Measure: results.MeasureOpened, Unit: results.UnitCount, Difference: 70, Low: 50, High: 90, Bounded: true, Differs: true},
			}},
			{A: "pools/a.yaml", B: "pools/c.yaml", Tests: []results.Test{
				{Measure: results.MeasureFailureRate, Unit: results.UnitRatio, Difference: -0.093, Low: -0.1, High: -0.08, Bounded: true, Differs: true},
				{Measure: results.MeasureOpened, Unit: results.UnitCount, Difference: -50, Low: -120, High: -10, Bounded: true, Differs: true},
			}},
		},
	}
}

// A short answer has at most ShortWords words, whatever the documents say, and there is one.
func TestShortAnswers(t *testing.T) {
	for name, h := range headlines() {
		if n := words(h.Short) + words(h.Do); n == 0 || n > ShortWords || h.Short == "" {
			t.Errorf("%s: %d words: %q, %q", name, n, h.Short, h.Do)
		}
		if len(h.Short) > ShortWords*2*longestWord {
			t.Errorf("%s: %d bytes", name, len(h.Short))
		}
		if h.Outcome == "" || h.Tone == "" || len(h.Figures) < 3 && name != "comparison, nothing" {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

func TestShortAnswersSay(t *testing.T) {
	all := headlines()
	for name, want := range map[string][3]string{ // outcome, short, do
		"run, all well":                {"Measured", "None of 1040 requests failed; half were answered within 51.7 ms, and 99 in 100 within 53.8 ms.", ""},
		"run, met":                     {"Expectations met", "None of 1040 requests failed; half were answered within 51.7 ms, and 99 in 100 within 53.8 ms.", ""},
		"run, not met":                 {"Expectations not met", "104 of 1040 requests failed: 102 of them before_response / fin on reused connections, idle for 996 ms in the median. Expected failures 0, seen 104.", ""},
		"run, unknown":                 {"Not judged", "None of 1040 requests failed; half were answered within 51.7 ms, and 99 in 100 within 53.8 ms. Expected pool.peak_pending <= 3, which was not judged: this client does not tell.", ""},
		"run, forecast":                {"Forecast", "This is a forecast, and no request was sent: 4 hours were played. 104 of 1040 requests failed: 102 of them before_response / fin on reused connections, idle for 996 ms in the median. First failure: once in 2.3 minutes.", ""},
		"run, invalid":                 {"Invalid", "The figures do not count: kabench fell behind: 1 % of requests started at least 83.1 ms late (load.max_lag is 50ms). Up to 113/s was on time.", "Lower load.rate or free up CPU."},
		"run, no request":              {"Invalid", "The figures do not count: no request was due.", "Raise load.duration or load.rate."},
		"run, no reason":               {"Invalid", "The figures do not count: no reason was recorded.", "Remove the reason, and run it again."},
		"run, cut off":                 {"Cut off", "The run was cut off; this is what was recorded until then. None of 1040 requests failed; half were answered within 51.7 ms, and 99 in 100 within 53.8 ms.", "Run it again for an answer."},
		"run, stopped":                 {"Stopped early", "Stopped by abort_when after 2.00 s: failures > 3, seen 4. None of 1040 requests failed; half were answered within 51.7 ms, and 99 in 100 within 53.8 ms.", ""},
		"run, own document":            {"Not judged", "A program filled this document by itself, so nothing was judged. None of 1040 requests failed; half were answered within 51.7 ms, and 99 in 100 within 53.8 ms.", ""},
		"reproduction, reproduced":     {"Reproduced", "104 of 1040 requests failed: the server's timer had run out. With pool.idle_timeout 500ms none of 1040 failed.", ""},
		"reproduction, no story":       {"Reproduced", "104 of 1040 requests failed: 102 of them before_response / fin on reused connections, idle for 996 ms in the median. With pool.idle_timeout 500ms none of 1040 failed.", ""},
		"reproduction, no failures":    {"Reproduced", "Each waited for a connection. With pool.idle_timeout 500ms response.p50 is 50.0 ms instead of 250 ms.", ""},
		"reproduction, not reproduced": {"Not reproduced", "Not reproduced: none of 1040 requests failed; expected failures >= 5 (seen: 0).", ""},
		"reproduction, not judged":     {"Not judged", "The incident's run is invalid. The figures do not count: kabench fell behind.", "Lower load.rate or free up CPU."},
		"reproduction, bad remedy":     {"Not judged", "The run of the remedy “let go first” is invalid: kabench fell behind.", "Lower load.rate or free up CPU."},
		"comparison, found":            {"Difference found", "b.yaml fails least. b.yaml fails 3.1 times less often than a.yaml [2.2, 4.2], is 1.2 times slower at p99 and opens 1.7 times as many connections [1.5, 1.9]. It costs.", ""},
		"comparison, invalid":          {"Invalid", "No run is valid, so nothing was compared. The first reason: kabench fell behind.", "Lower load.rate or free up CPU."},
		"comparison, one left":         {"Not all compared", "c has no run. The first reason: it left no results.", "Remove the reason, and compare again."},
		"comparison, long":             {"No difference found", strings.TrimSpace(strings.Repeat("word ", ShortWords)) + "…", ""},
	} {
		h, found := all[name]
		if got := [3]string{h.Outcome, h.Short, h.Do}; !found || got != want {
			t.Errorf("%s (-want +got):\n%s", name, cmp.Diff(want, got))
		}
	}
}

// A remedy that sets nothing is called by its name.
func TestRemedyThatSetsNothing(t *testing.T) {
	says := clearedBy(headlineRun(withFailures), &results.RemedyRun{Remedy: "another server", Run: headlineRun(nil)})
	if want := "With the remedy “another server” none of 1040 failed."; says != want {
		t.Errorf("%q, want %q", says, want)
	}
}

// What stands on the page stands in the terminal's report.
func TestOutcomesAgree(t *testing.T) {
	var b bytes.Buffer
	c := pools()
	if err := RenderComparison(&b, c); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(b.String()), " ")
	for _, want := range append(SummaryOfComparison(c), strings.ToUpper(HeadlineOfComparison(c).Outcome)) {
		if !strings.Contains(text, want) {
			t.Errorf("the report has no %q:\n%s", want, b.String())
		}
	}
	for _, r := range []*results.Reproduction{{Reproduced: true, IncidentRun: headlineRun(nil)}, {IncidentRun: headlineRun(nil)}, {}} {
		b.Reset()
		if err := RenderReproduction(&b, r); err != nil {
			t.Fatal(err)
		}
		if want := strings.ToUpper(HeadlineOfReproduction(r).Outcome); !strings.Contains(b.String(), "\n"+want+"\n") {
			t.Errorf("the report has no %q:\n%s", want, b.String())
		}
	}
}

func TestSummaryOfComparison(t *testing.T) {
	want := []string{
		"b.yaml fails 3.1 times less often than a.yaml [2.2, 4.2], is 1.2 times slower at p99 and opens 1.7 times as many connections [1.5, 1.9].",
		"c.yaml never fails (9.30 % with a.yaml) and opens 2.0 times fewer connections than a.yaml [at least 1.1].",
	}
	if diff := cmp.Diff(want, SummaryOfComparison(pools())); diff != "" {
		t.Error(diff)
	}
	for _, tt := range []struct {
		test results.Test
		a, b float64
		want phrase
	}{
		{results.Test{Measure: results.MeasureFailureRate, Unit: results.UnitRatio, Difference: 0.1}, 0, 0.1, phrase{text: "fails (10.0 %; never with x)"}},
		{results.Test{Measure: results.MeasureFailureRate, Unit: results.UnitRatio, Difference: 0.1}, 0.1, 0.2, phrase{"fails 2.0 times more often", "than", ""}},
		{results.Test{Measure: results.MeasureDropped, Unit: results.UnitRatio, Difference: -0.1}, 0.1, 0, phrase{text: "never drops a request (10.0 % with x)"}},
		{results.Test{Measure: results.MeasureDropped, Unit: results.UnitRatio, Difference: -0.1}, 0.2, 0.1, phrase{"drops requests 2.0 times less often", "than", ""}},
		{results.Test{Measure: results.MeasureResponse + ".p999", Unit: results.UnitSeconds, Difference: -0.1, Low: -0.11, High: -0.09, Bounded: true}, 0.12, 0.02, phrase{"is 6.0 times faster at p99.9", "than", "[4.0, 12]"}},
		{results.Test{Measure: results.MeasurePending, Unit: results.UnitCount, Difference: 5}, 0, 5, phrase{text: "has a higher pending peak (5 instead of 0)"}},
		{results.Test{Measure: results.MeasurePending, Unit: results.UnitCount, Difference: 0, Effect: -0.9}, 5, 5, phrase{text: "has a lower pending peak (5 instead of 5)"}},
		{results.Test{Measure: results.MeasureCPU, Unit: results.UnitSeconds, Difference: 1}, 1, 2, phrase{"has a CPU per request 2.0 times higher", "than", ""}},
		{results.Test{Measure: results.MeasureCPU, Unit: results.UnitSeconds, Difference: -1}, 3, 2, phrase{"has a CPU per request 1.5 times lower", "than", ""}},
	} {
		if got := phraseOf(&tt.test, tt.a, tt.b, "x"); got != tt.want {
			t.Errorf("%s, %v and %v: %+v, want %+v", tt.test.Measure, tt.a, tt.b, got, tt.want)
		}
	}
	if factors(0, math.Inf(1), true) != "" || shortFactor(132.4) != "132" || shortFactor(0.5) != "0.50" {
		t.Error("factors")
	}
	if SummaryOfComparison(&results.Comparison{Pairs: []results.Pair{{A: "a", B: "b", Tests: []results.Test{{Measure: "x", Differs: true}}}}}) != nil {
		t.Error("a summary of arms that are not there")
	}
}

func TestMainMeasure(t *testing.T) {
	c := pools()
	if got := MainMeasure(c); got != results.MeasureFailureRate {
		t.Error(got)
	}
	c.Pairs[0].Tests, c.Pairs[1].Tests = c.Pairs[0].Tests[2:], nil
	if got := MainMeasure(c); got != results.MeasureOpened {
		t.Error(got)
	}
	c.Pairs = nil
	if got := MainMeasure(c); got != results.MeasureFailureRate { // of two arms above 0
		t.Error(got)
	}
	for i := range c.Arms {
		c.Arms[i].Measures[results.MeasureFailureRate] = results.Measure{Known: true}
	}
	if got := MainMeasure(c); got != results.MeasureResponse+".p99" {
		t.Error(got)
	}
	if got := MainMeasure(&results.Comparison{}); got != "" {
		t.Error(got)
	}
}

func TestArmNames(t *testing.T) {
	for _, tt := range []struct{ names, want []string }{
		{[]string{"a", "b"}, []string{"a", "b"}},
		{[]string{"pools/x/a.yaml", "pools/x/b.yaml", "pools/c.yaml"}, []string{"x/a.yaml", "x/b.yaml", "c.yaml"}},
		{[]string{"idle_timeout=0 lease_order=fifo", "idle_timeout=3s lease_order=fifo"}, []string{"idle_timeout=0", "idle_timeout=3s"}},
		{[]string{"a b", "a"}, []string{"a b", "a"}},     // the second would be empty
		{[]string{"a b", "b a"}, []string{"a b", "b a"}}, // both would be
		{[]string{"one"}, []string{"one"}},
		{[]string{"/a/", "/a/b"}, []string{"/a/", "/a/b"}},
	} {
		c := &results.Comparison{}
		for _, name := range tt.names {
			c.Arms = append(c.Arms, results.Arm{Name: name})
		}
		if diff := cmp.Diff(tt.want, ArmNames(c, 26)); diff != "" {
			t.Errorf("%q: %s", tt.names, diff)
		}
	}
	long := &results.Comparison{Arms: []results.Arm{{Name: strings.Repeat("x", 50) + "1"}, {Name: strings.Repeat("x", 50) + "2"}}}
	if names := ArmNames(long, 20); len([]rune(names[0])) > 20 || names[0] == names[1] {
		t.Errorf("%q", names)
	}
	if names := ArmNames(&results.Comparison{}, 20); len(names) != 0 {
		t.Errorf("%q", names)
	}
}

func TestAskedOfRun(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	run := &results.Run{
		Version: "v1", Command: "kabench run steady", Start: start, End: start.Add(18 * time.Second), Complete: true, Valid: true,
		Host: results.Host{OS: "linux", Arch: "amd64", Kernel: "6.18", CPUs: 2, GoVersion: "go1.26"},
		Profile: []byte(`{"client":"policy","load":{"rate":"400/s","arrivals":{"process":"burst","on":"250ms","off":"1s"},"duration":"12s","warm_up":"5s","max_in_flight":1000},
			"pool":{"max_conns":50,"idle_timeout":"4s","max_lifetime":"0s","lease_order":"lifo"},"target":{"method":"GET","lab":{"delay":"40ms","idle_timeout":"1s"},"link":{"delay":"5ms"},"proxies":[{}]},"network":{}}`),
	}
	want := []Fact{
		{"command", "kabench run steady"},
		{"target", "GET to kabench's own server (delay 40ms, idle_timeout 1s) through kabench's own proxy over a link (delay 5ms each way) in a private network"},
		{"load", "400/s, burst arrivals (off 1s, on 250ms), at most 1000 in flight"},
		{"pool", "no preset, at most 50 connections, idle_timeout 4s, lease_order lifo"},
		{"duration", "12s, after 5s of warm-up"}, {"date", "2026-03-01 12:00:00 UTC"},
		{"machine", "linux amd64 6.18, 2 cores, go1.26"}, {"version", "kabench v1"},
	}
	if diff := cmp.Diff(want, AskedOfRun(run)); diff != "" {
		t.Error(diff)
	}
	run.Preset = &results.Preset{Name: "okhttp", Changed: []results.PresetChange{{Path: "pool.max_idle", Preset: "5", Run: "9"}}}
	run.Interrupted = true
	r := &results.Reproduction{IncidentRun: run, RemedyRuns: []results.RemedyRun{{Remedy: "a", Change: map[string]string{"pool.max_idle": "1"}}, {Remedy: "b", Change: map[string]string{"pool.max_idle": "2"}}}}
	facts := fmt.Sprint(AskedOfReproduction(r))
	for _, want := range []string{"{pool okhttp, but max_idle 9 (preset: 5)} {remedies pool.max_idle = 1; pool.max_idle = 2}", "{duration ended after 18s of 17s}"} {
		if !strings.Contains(facts, want) {
			t.Errorf("%s has no %s", facts, want)
		}
	}
	c := &results.Comparison{Version: "v2", Repeats: 1, Arms: []results.Arm{{Name: "a"}, {Name: "b"}}}
	if got := fmt.Sprint(AskedOfComparison(c, run)); !strings.Contains(got, "in flight} {compared a, b; 1 run each} {duration") || strings.Contains(got, "{pool ") {
		t.Error(got)
	}
	if diff := cmp.Diff([]Fact{{"compared", "a, b; 1 run each"}, {"version", "kabench v2"}}, AskedOfComparison(c, nil)); diff != "" {
		t.Error(diff)
	}
	for profile, want := range map[string]string{
		`{"client":"stock","pool":{}}`: "[{pool Go's http.Transport, unchanged}]", `{"target":{"file":"r.http"},"load":{"rate":"5/s","arrivals":"poisson","count":7}}`: "[{target requests of r.http} {load 5/s, poisson arrivals, 7 requests}]",
		`{"target":{"url":"http://h/a","method":"PUT"},"load":{"rate":"5/s","arrivals":{"process":"x"}}}`: "[{target PUT http://h/a} {load 5/s, x arrivals}]", ``: "[]",
	} {
		if got := fmt.Sprint(AskedOfRun(&results.Run{Complete: true, Profile: []byte(profile)})); got != want {
			t.Errorf("%s: %s, want %s", profile, got, want)
		}
	}
	if AskedOfRun(nil) != nil {
		t.Error("facts of no run")
	}
}
