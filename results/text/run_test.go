package text

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// golden compares got with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		must(t, os.MkdirAll("testdata", 0o755))
		must(t, os.WriteFile(path, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", path, diff)
	}
}

func TestRenderRun(t *testing.T) {
	calm := filled(tallied([]*results.Exchange{done(0), done(1), done(2)}), 7500*time.Microsecond)
	calm.Complete, calm.Valid = true, true
	invalid := rendered()
	invalid.Valid, invalid.Invalid = false, []string{"the generator lagged: p99 of lag is 80.0 ms, above 50.0 ms (load.max_lag)"}
	invalid.Counts.Started++
	invalid.Counts.Waited, invalid.Counts.WarmUp, invalid.Attempts = 3, 200, 999
	invalid.Sockets, invalid.Lab = results.Sockets{Why: "sock_diag is Linux only"}, nil
	invalid.Recording = results.Recording{SuccessesOneIn: 10, Lost: 40, Error: "writing exchanges.ndjson.zst: no space left on device"}
	invalid.Interrupted = true
	again := rendered()
	again.Attempts, again.Expect = 1033, nil
	again.Resends = results.Resends{Count: 52, Exchanges: 50, Rescued: 49, MaybeTwice: 3, Causes: []results.ResendCause{
		{Phase: results.PhaseBeforeResponse, Cause: results.CauseFIN, Reused: true, Count: 40},
		{Phase: results.PhaseBeforeResponse, Cause: results.CauseRST, Reused: true, Count: 5},
		{Phase: results.PhaseWriteHeaders, Cause: results.CausePipe, Reused: true, Count: 3},
		{Phase: results.PhaseBeforeResponse, Cause: results.CauseFIN, Count: 2},
		{Phase: results.PhaseDuringResponse, Cause: results.CauseTruncated, Count: 2},
	}}
	cut := rendered()
	cut.Complete, cut.Expect = false, nil
	cut.Sockets.ServerSide = false
	counted := rendered()
	counted.Outcomes = append(counted.Outcomes, results.Outcome{Phase: results.PhaseBeforeResponse, Cause: results.CauseTimeout, Reused: true, Count: 3})
	counted.Outcomes = slices.Clone(counted.Outcomes)
	counted.Outcomes[1].Looked, counted.Outcomes[1].Stale = 20, 3
	counted.Kernel = results.Kernel{Available: true, Counters: map[string]uint64{"TCPAbortOnData": 18, "OutRsts": 2, "TCPTimeouts": 0, "RetransSegs": 0, "TW": 40, "ListenDrops": 5}}
	counted.Expect = expect.Check(counted, map[string]string{"kernel.TCPAbortOnData": "> 0", "kernel.TWKilled": "0"})
	for name, run := range map[string]*results.Run{
		"run.txt": rendered(), "run_calm.txt": calm, "run_invalid.txt": invalid, "run_cut_off.txt": cut, "run_empty.txt": {}, "run_resent.txt": again, "run_kernel.txt": counted,
	} {
		var b bytes.Buffer
		must(t, RenderRun(&b, run))
		golden(t, name, b.String())
	}
}

func TestRenderReproduction(t *testing.T) {
	clear := func(name string) results.RemedyRun {
		run := filled(tallied([]*results.Exchange{done(0), done(11), done(25)}), 7500*time.Microsecond)
		run.Valid, run.Complete = true, true
		run.Connections = results.Connections{Opened: 61, ClosedByUs: 61, Evictions: map[string]uint64{"expired": 51, "shutdown": 10}}
		run.Sockets = results.Sockets{Available: true, TimeWaitPeak: 51}
		return results.RemedyRun{Remedy: name, Change: map[string]string{"pool.idle_timeout": "800ms", "pool.expiry": "[lease]"}, Cleared: true, Run: run}
	}
	r := &results.Reproduction{
		Incident: "idle-race", Question: begun().Question, Reproduced: true, IncidentRun: rendered(),
		RemedyRuns: []results.RemedyRun{clear("idle-timeout-below")},
		Verdict: "The server closed idle connections after 1 s; 20 requests were written while its FIN was on the way, and each died before any response.\n" +
			"Set pool.idle_timeout below the server's keep-alive timeout by more than a round trip.",
	}
	r.IncidentRun.Expect = nil
	r.RemedyRuns[0].Settings = []results.ClientSetting{
		{Client: "reactor-netty", Path: "pool.idle_timeout", Value: "800ms", In: "Java", Text: `ConnectionProvider.builder("pool").maxIdleTime(Duration.ofMillis(800))`,
			Versions: "Reactor Netty 0.9.5 and later", Source: "ConnectionProvider.java", Note: "a connection is checked when it is leased and released"},
		{Client: "reactor-netty", Path: "pool.idle_timeout", Value: "800ms", In: "a system property", Text: "-Dreactor.netty.pool.maxIdleTime=800", Versions: "Reactor Netty 0.9.5 and later", Unchecked: true},
		{Client: "reactor-netty", Path: "pool.expiry", Value: "[lease]", In: "Java", Instead: "Reactor Netty always checks at lease"},
	}
	var b bytes.Buffer
	must(t, RenderReproduction(&b, r))
	golden(t, "reproduction.txt", b.String())

	failed := clear("lifetime")
	tally := tallied([]*results.Exchange{done(0), resent(1), resent(2), resentInVain(3)})
	tally.Fill(failed.Run, 10*ms)
	failed.Cleared, failed.Change = false, nil
	failed.Expect = expect.Check(failed.Run, map[string]string{"counts.ok": "> 1000", "lab.requests": "> 0"})
	r.Reproduced, r.RemedyRuns = false, append(r.RemedyRuns, failed, clear("three"))
	b.Reset()
	must(t, RenderReproduction(&b, r))
	golden(t, "reproduction_failed.txt", b.String())
}

func TestRenderedTextIsNarrow(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txt")
	must(t, err)
	for _, name := range names {
		text, err := os.ReadFile(name)
		must(t, err)
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSuffix(line, "\n")
			if n := len([]rune(line)); n > textWidth {
				t.Errorf("%s: %d columns: %s", name, n, line)
			}
			if strings.TrimRight(line, " ") != line {
				t.Errorf("%s: ends in blanks: %q", name, line)
			}
		}
	}
}

// terminal is a terminal with this number of columns.
type terminal struct {
	strings.Builder
	columns int
}

func (t *terminal) Columns() int { return t.columns }

// Whatever a report says, and in whatever script, it fits the terminal; and in a
// narrow one it says no less.
func TestReportsFitTheTerminal(t *testing.T) {
	run := rendered()
	run.Name, run.Question = "주문-서비스", strings.Repeat("얼마나 많은 요청이 실패하는가 ", 8)
	run.Outcomes = slices.Clone(run.Outcomes)
	run.Outcomes[1].Example = strings.Repeat("a-word-without-end", 20)
	rep := reproduced()
	for range 3 {
		more := rep.RemedyRuns[0]
		more.Remedy = "시간제한-" + strings.Repeat("길게", 8)
		rep.RemedyRuns = append(rep.RemedyRuns, more)
	}
	c := compared()
	for i := range 9 {
		arm := c.Arms[1]
		arm.Name = fmt.Sprintf("대기시간=%ds", i)
		c.Arms = append(c.Arms, arm)
	}
	figure := regexp.MustCompile(`[0-9.]+ (µs|ms|s|%)`)
	for name, render := range map[string]func(io.Writer) error{
		"run":      func(w io.Writer) error { return RenderRun(w, run) },
		"incident": func(w io.Writer) error { return RenderReproduction(w, rep) },
		"arms":     func(w io.Writer) error { return RenderComparison(w, c) },
	} {
		figures := map[string]bool{}
		for _, columns := range []int{200, 140, 100, 80, 72, 60} {
			w := &terminal{columns: columns}
			must(t, render(w))
			widest := 0
			for line := range strings.Lines(w.String()) {
				widest = max(widest, layout.Columns(strings.TrimSuffix(line, "\n")))
			}
			if widest > columns {
				t.Errorf("%s takes %d columns of %d:\n%s", name, widest, columns, w)
			}
			text := strings.Join(strings.Fields(w.String()), " ")
			for _, f := range figure.FindAllString(text, -1) {
				if columns == 200 {
					figures[f] = true
				}
			}
			for f := range figures {
				if !strings.Contains(text, f) {
					t.Errorf("%s in %d columns lacks %s", name, columns, f)
				}
			}
		}
		if len(figures) < 5 {
			t.Errorf("%s has the figures %v only", name, figures)
		}
	}
}

type brokenPipe struct{}

var errBroken = errors.New("broken pipe")

func (brokenPipe) Write([]byte) (int, error) { return 0, errBroken }

func TestRenderReportsWriteErrors(t *testing.T) {
	if err := RenderRun(brokenPipe{}, rendered()); !errors.Is(err, errBroken) {
		t.Errorf("RenderRun: %v", err)
	}
	if err := RenderReproduction(brokenPipe{}, &results.Reproduction{}); !errors.Is(err, errBroken) {
		t.Errorf("RenderReproduction: %v", err)
	}
}

// A reproduction that was interrupted, or spoiled, says nothing about the
// incident, and its headline must not.
func TestRenderReproductionNotJudged(t *testing.T) {
	for name, change := range map[string]func(*results.Run){
		"interrupted": func(r *results.Run) { r.Interrupted = true },
		"invalid":     func(r *results.Run) { r.Valid = false },
	} {
		run := &results.Run{Valid: true}
		change(run)
		for _, rep := range []*results.Reproduction{
			{IncidentRun: run},
			{IncidentRun: &results.Run{Valid: true}, RemedyRuns: []results.RemedyRun{{Remedy: "r", Run: run}}},
		} {
			var b strings.Builder
			if err := RenderReproduction(&b, rep); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(b.String(), "\nNOT JUDGED\n") {
				t.Errorf("%s:\n%s", name, b.String())
			}
		}
	}
}

func TestRenderSaysWhatWasHeld(t *testing.T) {
	d, p, off := 0.312, 1e-9, 0.0004
	near, chance := 0.13, 0.01
	for _, tc := range []struct {
		in   results.Instrument
		want []string
	}{
		{results.Instrument{Schedule: results.ScheduleKept{Seconds: 9, Held: 9, HeldRate: 400, Through: 390}}, nil},
		{results.Instrument{Schedule: results.ScheduleKept{Seconds: 9, Held: 4, HeldRate: 12345, Through: 8000, Overload: results.OverloadMachine}},
			[]string{"Held       4 of 9 whole seconds without a drop or too much lag, at most 12345/s; 8000/s got through (overloaded: the machine)"}},
		{results.Instrument{Schedule: results.ScheduleKept{Seconds: 9, Through: 8000, Overload: results.OverloadTarget}},
			[]string{"0 of 9 whole seconds without a drop or too much lag; 8000/s got through (overloaded: the target or pool)"}},
		{results.Instrument{Arrivals: results.Arrivals{Law: "poisson", Verdict: results.ArrivalsMisfit, Count: 70, Distance: &d, P: &p}},
			[]string{"Arrivals   poisson, as asked for: NO (D 0.312, p 1e-09, 70 values)"}},
		{results.Instrument{Arrivals: results.Arrivals{Law: "poisson", Verdict: results.ArrivalsFit, Count: 70, Distance: &near, P: &p}},
			[]string{"Arrivals   poisson, as asked for: nearly (D 0.130, p 1e-09, 70 values)"}},
		{results.Instrument{Arrivals: results.Arrivals{Law: "poisson", Verdict: results.ArrivalsFit, Count: 70, Distance: &d, P: &chance}},
			[]string{"Arrivals   poisson, as asked for: yes (D 0.312, p 0.01, 70 values)"}},
		{results.Instrument{Arrivals: results.Arrivals{Law: "constant", Verdict: results.ArrivalsFit, Count: 70, OffP99: &off}},
			[]string{"Arrivals   constant, as asked for: yes (gaps off by 400 µs at p99, 70 values)"}},
		{results.Instrument{Arrivals: results.Arrivals{Law: "ramp", Verdict: results.ArrivalsNotTested, Why: "x"}}, nil},
	} {
		var b strings.Builder
		must(t, RenderRun(&b, &results.Run{Valid: true, Complete: true, Instrument: tc.in}))
		text := b.String()
		for _, want := range tc.want {
			if !strings.Contains(strings.Join(strings.Fields(text), " "), strings.Join(strings.Fields(want), " ")) {
				t.Errorf("want %q in\n%s", want, text)
			}
		}
		if tc.want == nil && (strings.Contains(text, "Held") || strings.Contains(text, "Arrivals")) {
			t.Errorf("nothing to say, and said:\n%s", text)
		}
	}
}

// Requests that were given up are no successes: a report must not say that none of
// them failed.
func TestNothingCameToAnEnd(t *testing.T) {
	for _, test := range []struct {
		counts results.Counts
		text   string
		figure string
	}{
		{results.Counts{Due: 39, Started: 39, Unfinished: 39}, "None of 39 started came to an end", unknown},
		{results.Counts{Due: 39, Started: 39, OK: 30, Unfinished: 9}, "No failures in 30 that came to an end (95 % interval 0.00 % to 11.6 %)", "0.00 %"},
		{results.Counts{Due: 39, Started: 39, OK: 39}, "No failures in 39 started", "0.00 %"},
		{results.Counts{}, "No failures in 0 started", unknown},
	} {
		run := &results.Run{Name: "n", Complete: true, Valid: true, Interrupted: true, Counts: test.counts}
		var b strings.Builder
		if err := RenderRun(&b, run); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), test.text) {
			t.Errorf("want %q in\n%s", test.text, &b)
		}
		if f := HeadlineOfRun(run).Figures[0]; f.Value != test.figure {
			t.Errorf("%+v: the figure is %+v", test.counts, f)
		}
	}
}

// What a server or a file made of a text does nothing to a terminal.
func TestRenderedTextsAreHarmless(t *testing.T) {
	run := dated()
	run.Name = "n\x1b]0;x\a"
	run.Outcomes[0].Example = "said \x1b[31mred\u009b2J"
	run.Warnings = append(run.Warnings, "a\x1b[1mb\u202ec")
	rep := reproduced()
	rep.Verdict, rep.IncidentRun = "v\x1b[2J", run
	for name, render := range map[string]func(io.Writer) error{
		"run":      func(w io.Writer) error { return RenderRun(w, run) },
		"incident": func(w io.Writer) error { return RenderReproduction(w, rep) },
	} {
		var b bytes.Buffer
		must(t, render(&b))
		if i := strings.IndexFunc(b.String(), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%s: %q is in it", name, b.String()[i:min(i+20, b.Len())])
		}
	}
}

// A run that was cut off has a warning of its record already.
func TestCutOffRunSaysOnceThatItsRecordStopped(t *testing.T) {
	const why = "the record stopped before the run did"
	run := dated()
	run.Complete, run.Recording.Error, run.Recording.Lost = false, "no space left on device", 7
	run.Warnings = append(run.Warnings, why+", with at least 7 exchanges missing (no space left on device): counts, outcomes and latencies end there")
	var b strings.Builder
	must(t, RenderRun(&b, run))
	if n := strings.Count(strings.Join(strings.Fields(b.String()), " "), "no space left on device"); n != 1 {
		t.Errorf("it says %d times, and not once, that the record stopped:\n%s", n, &b)
	}
}
