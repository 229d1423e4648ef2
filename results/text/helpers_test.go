package text

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
	"github.com/kabench/kabench/results/record"
)

// compared is a small comparison: two arms, two runs of each, one excluded.
func compared() *results.Comparison {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return &results.Comparison{
		Version: "v1.2.3", Name: "quick", Question: "which?", Start: start, End: start.Add(time.Minute),
		Seed: 7, Repeats: 2, Confidence: 0.95,
		Axes: []results.Axis{{Path: "pool.idle_timeout", Values: []string{"0", "3s"}}},
		Arms: []results.Arm{
			{Name: "idle_timeout=0", Change: map[string]string{"pool.idle_timeout": "0"}, Runs: 2, Measures: map[string]results.Measure{
				results.MeasureFailureRate:                          {Unit: results.UnitRatio, Known: true, Value: 0.1, Bounded: true, Low: 0.08, High: 0.12, Per: []float64{0.1, 0.1}},
				results.MeasureFailureRate + ".before_response.fin": {Unit: results.UnitRatio, Known: true, Value: 0.1, Bounded: true, Low: 0.08, High: 0.12, Per: []float64{0.1, 0.1}},
				results.MeasureResponse + ".p99":                    {Unit: results.UnitSeconds, Known: true, Value: 0.05, Per: []float64{0.05, 0.05}, Why: "two runs are too few for an interval"},
			}},
			{Name: "idle_timeout=3s", Change: map[string]string{"pool.idle_timeout": "3s"}, Runs: 1, Excluded: 1, Measures: map[string]results.Measure{
				results.MeasureFailureRate: {Unit: results.UnitRatio, Known: true, Bounded: true, High: 0.003, Per: []float64{0}},
			}},
		},
		Runs: []results.ComparedRun{
			{Arm: "idle_timeout=0", Block: 1, Dir: "01-idle_timeout-0"},
			{Arm: "idle_timeout=3s", Block: 1, Dir: "02-idle_timeout-3s", CoolDown: &results.CoolDown{Seconds: 1.5}},
			{Arm: "idle_timeout=3s", Block: 2, Dir: "03-idle_timeout-3s", Excluded: "lag p99 of 9 ms is above 2 ms", CoolDown: &results.CoolDown{Seconds: 20, TimeWait: 12, Limited: true}},
			{Arm: "idle_timeout=0", Block: 2, Dir: "04-idle_timeout-0"},
		},
		Pairs: []results.Pair{{A: "idle_timeout=0", B: "idle_timeout=3s", Verdict: "It helps.", Tests: []results.Test{
			{Measure: results.MeasureFailureRate, Unit: results.UnitRatio, Method: "Fisher's exact test", Difference: -0.1, Effect: 0.01, EffectName: "odds ratio", P: 1e-9, PAdjusted: 2e-9, Differs: true},
		}}},
		Warnings: []string{"one is odd"}, Verdict: "Set it.",
	}
}

// aRun is a run in which every path has a value.
func aRun() *results.Run {
	run := filled(tallied(append(mixed(1000), aborted(1001))), 2500*ms)
	run.Complete, run.Valid = true, true
	run.Connections = results.Connections{Opened: 30, ClosedByUs: 12, ClosedByPeer: 17, Reset: 1, MaxOpen: 10,
		Evictions: map[string]uint64{"expired": 12, "peer_closed": 17, "reset": 1}}
	run.Pool = results.PoolPeaks{PeakPending: 4, PeakLeased: 10, PeakIdle: 10, PeakDialing: 3}
	run.Sockets = results.Sockets{Available: true, TimeWaitPeak: 12, TimeWaitServer: 17, ServerSide: true, EstablishedPeak: 10,
		PortsUsedPeak: 22, PortsAvailable: 28232}
	run.Lab = &results.LabSeen{Connections: 30, Requests: 990, ClosedIdle: 17, ClosedFirst: 18, ClientClosed: 12}
	return run
}

const ms = time.Millisecond

// done is an exchange that succeeded: due every 2.5 ms, started 50 µs late, with a
// response after 3 ms, on one of ten connections.
func done(seq uint64) *results.Exchange {
	e := &results.Exchange{}
	due := time.Duration(seq) * 2500 * time.Microsecond
	e.Reset(seq, due)
	e.Start = due + 50*time.Microsecond
	e.Leased = due + 60*time.Microsecond
	e.WroteHeaders = due + 90*time.Microsecond
	e.Wrote = e.WroteHeaders
	e.FirstByte = due + 2900*time.Microsecond
	e.GotHeaders = due + 2950*time.Microsecond
	e.Done = due + 3*ms
	e.Conn, e.Use = seq%10+1, int(seq/10)+1
	if e.Use > 1 {
		e.Idle, e.Age = 22*ms, 25*ms*time.Duration(e.Use-1)
	}
	e.Attempts, e.Phase, e.Status, e.BytesOut, e.BytesIn = 1, results.PhaseDone, 200, 120, 340
	return e
}

var errEOF = errors.New(`read tcp 127.0.0.1:40211->127.0.0.1:80: "EOF"`)

// stale is an exchange that met the peer's FIN.
func stale(seq uint64) *results.Exchange {
	e := done(seq)
	e.FirstByte, e.GotHeaders = results.Never, results.Never
	e.Done = e.Due + 5*ms
	e.Use, e.Idle, e.Age = 7, 998*ms, 3*time.Second
	e.Phase, e.Cause, e.Status, e.BytesIn, e.Err = results.PhaseBeforeResponse, results.CauseFIN, 0, 0, errEOF
	return e
}

// resent is a POST that met the peer's RST and got its response on a fresh connection.
func resent(seq uint64) *results.Exchange {
	e := stale(seq)
	e.Phase, e.Cause, e.Done = results.PhaseBeforeResponse, results.CauseRST, e.Due+2050*time.Microsecond
	e.Again()
	e.Twice = true
	e.Leased, e.Connected = e.Due+2060*time.Microsecond, e.Due+2100*time.Microsecond
	e.WroteHeaders = e.Due + 2150*time.Microsecond
	e.Wrote = e.WroteHeaders
	e.FirstByte, e.GotHeaders, e.Done = e.Due+4900*time.Microsecond, e.Due+4950*time.Microsecond, e.Due+5*ms
	e.Conn, e.Use, e.Attempts, e.Phase, e.Status, e.BytesOut, e.BytesIn = 11, 1, 2, results.PhaseDone, 200, 240, 340
	return e
}

// resentInVain is an exchange whose attempts all failed: two met the peer's FIN, and
// the third got no connection.
func resentInVain(seq uint64) *results.Exchange {
	e := stale(seq)
	e.Again()
	e.Leased, e.Conn, e.Use, e.Idle = e.Due+5*ms, 4, 2, ms
	e.Phase, e.Cause, e.Done, e.Err = results.PhaseBeforeResponse, results.CauseFIN, e.Due+6*ms, errEOF
	e.Again()
	e.Attempts, e.Done, e.Phase, e.Cause, e.Err = 2, e.Due+7*ms, results.PhaseConnect, results.CauseRefused, errors.New("connection refused")
	return e
}

// refused is an exchange that got no connection.
func refused(seq uint64) *results.Exchange {
	e := &results.Exchange{}
	e.Reset(seq, time.Duration(seq)*2500*time.Microsecond)
	e.Start = e.Due + 100*time.Microsecond
	e.Done = e.Start + 20*time.Microsecond
	e.Phase, e.Cause, e.Err = results.PhaseAcquire, results.CauseQueueFull, errors.New("pending queue is full (max 32)")
	return e
}

func dropped(seq uint64) *results.Exchange {
	e := &results.Exchange{}
	e.Reset(seq, time.Duration(seq)*2500*time.Microsecond)
	e.Cause = results.CauseDropped
	return e
}

func aborted(seq uint64) *results.Exchange {
	e := done(seq)
	e.FirstByte, e.GotHeaders, e.Phase, e.Cause, e.Status, e.BytesIn = results.Never, results.Never, results.PhaseBeforeResponse, results.CauseAborted, 0, 0
	return e
}

// mixed is the exchanges of a short run: n successes, and some of every other kind.
func mixed(n int) []*results.Exchange {
	var list []*results.Exchange
	for seq := range uint64(n) {
		switch {
		case seq%50 == 49:
			list = append(list, stale(seq))
		case seq%100 == 10:
			list = append(list, dropped(seq))
		case seq%100 == 20:
			list = append(list, refused(seq))
		case seq%100 == 30:
			e := done(seq)
			e.Status = 503
			list = append(list, e)
		default:
			list = append(list, done(seq))
		}
	}
	return list
}

// begun is a run's document as it is when the run begins.
func begun() *results.Run {
	return &results.Run{
		Version: "v0.1.0", Name: "idle-race", Question: "How many requests meet a connection the server is closing?",
		Start:   time.Date(2026, 3, 1, 12, 0, 0, 123e6, time.UTC),
		Profile: []byte(`{"name":"idle-race","load":{"rate":"400/s","duration":"1m0s","warm_up":"0s","max_lag":"50ms"},"target":{"url":"http://127.0.0.1:8080/","method":"POST"}}`),
		Host:    results.Host{OS: "linux", Arch: "amd64", Kernel: "6.1", CPUs: 2, GoVersion: "go1.26"},
	}
}

// must ends the test on an error that occurs only if the test itself is wrong.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// dated is rendered with when and where it was made.
func dated() *results.Run {
	run := rendered()
	run.Start, run.Host = begun().Start, begun().Host
	run.End = run.Start.Add(time.Second)
	return run
}

// archiveOf is run as OpenArchive returns it for a document without other files.
func archiveOf(run *results.Run) *record.Archive {
	return &record.Archive{Run: run, Runs: []record.ArchivedRun{{Name: run.Name, Run: run}}}
}

// reproduced is an incident with packets of a failure, and a remedy.
func reproduced() *results.Reproduction {
	incident, remedy := dated(), dated()
	incident.Packets = &results.Packets{Failures: []results.Evidence{{
		Seq: 49, Conn: 3, Use: 7, Phase: results.PhaseBeforeResponse, Cause: results.CauseFIN, Client: "10.1.0.1:40000", Server: "10.1.0.2:80", By: "server", How: "fin", Earlier: 12,
		Rows: []results.EvidenceRow{
			{At: 0.1225, Note: "exchange 49 is due"},
			{At: 0.123, From: "client", To: "server", Flags: "P.", Seq: 721, Len: 120},
			{At: 0.128, From: "server", To: "client", Flags: "F.", Seq: 2040},
		},
	}}}
	remedy.Expect = expect.Check(remedy, map[string]string{"failures": "0"})
	return &results.Reproduction{
		Incident: "idle-race", Question: begun().Question, Reproduced: true, IncidentRun: incident, Verdict: "It raced.\nSet it below the server's.",
		RemedyRuns: []results.RemedyRun{{Remedy: "shorter", Change: map[string]string{"pool.idle_timeout": "800ms"}, Cleared: true, Run: remedy, Settings: []results.ClientSetting{
			{Client: "undici", Path: "pool.idle_timeout", Value: "800ms", In: "JavaScript", Text: "new Agent({ keepAliveTimeout: 800 })", Versions: "undici 3.2 and later"},
			{Client: "requests", Path: "pool.idle_timeout", Value: "800ms", In: "Python", Instead: "requests has no idle timeout", Versions: "requests 2.34"},
		}}},
	}
}

// keep writes a reproduction with its runs, as `kabench reproduce` does.
func keep(t testing.TB, r *results.Reproduction) string {
	t.Helper()
	dir := t.TempDir()
	for name, run := range map[string]*results.Run{"incident": r.IncidentRun, "remedy-1": r.RemedyRuns[0].Run} {
		w, err := record.Create(filepath.Join(dir, name))
		must(t, err)
		must(t, w.Begin(run))
		for _, e := range mixed(200) {
			w.Observe(e)
		}
		for i := range 10 {
			n := uint64(i)
			must(t, w.Sample(results.Sample{T: float64(i) / 10, Leased: i % 3, Idle: 10 - i%3, OK: 20 * n, Failed: n * n, Sockets: &results.SocketSample{Client: map[string]int{"TIME_WAIT": 2 * i}}}))
		}
		must(t, w.Close(run))
	}
	must(t, record.SaveReproduction(dir, r))
	return dir
}

// keepCompared writes a comparison with its runs.
func keepCompared(t testing.TB, c *results.Comparison) string {
	t.Helper()
	dir := t.TempDir()
	for i, r := range c.Runs {
		run := dated()
		run.Profile = []byte(`{"name":"quick","client":"policy","load":{"rate":"400/s"},"pool":{"idle_timeout":"` + strings.TrimPrefix(r.Arm, "idle_timeout=") + `","expiry":["lease","sweep"]}}`)
		q := run.Latency[results.LatencyResponse]
		q.P99 *= 1 + float64(i)/100
		run.Latency[results.LatencyResponse] = q
		run.Valid = r.Excluded == ""
		if !run.Valid {
			run.Invalid = []string{r.Excluded}
		}
		w, err := record.Create(filepath.Join(dir, r.Dir))
		must(t, err)
		must(t, w.Begin(run))
		must(t, w.Close(run))
	}
	must(t, record.SaveComparison(dir, c))
	return dir
}

var hostile = []string{
	"<script>alert(1)</script>", "</code></pre><img src=x onerror=alert(1)>", "a | b | c", "x\n\n# heading\n\n```\ncode\n~~~\n", "````\n<b>", "|\n|-|\n",
	"[click](https://evil.example)", "![x](//evil.example/x.png)", "https://evil.example www.evil.example mailto:a@evil.example a@evil.example", "@everyone `@here`",
	"&lt;script&gt; &#60;b&#62; &copy;", "**bold** __bold__ *it* _it_ ~~gone~~ $x$", "1. one", "- one", "+ one", "> quote", "=== ", "\\", "\\`", "`` ` ``", "<!-- -->", "<https://evil.example>", "[x]: https://evil.example",
	"\x00\x1b[31mred\u202egnp.exe\u2066", "\u2028\u2029", "\xff\xfe", "- [ ] task", "\t\tcode", "    code", "HTTP://EVIL.example", "xmpp:a@b.example", "ftp://evil.example",
}

// incidentArchive is r as OpenArchive gives it, of a document alone.
func incidentArchive(r *results.Reproduction) *record.Archive {
	k := &record.Archive{Reproduction: r, Runs: []record.ArchivedRun{{Name: "incident", Run: r.IncidentRun}}}
	for _, remedy := range r.RemedyRuns {
		k.Runs = append(k.Runs, record.ArchivedRun{Name: remedy.Remedy, Change: remedy.Change, Run: remedy.Run})
	}
	return k
}

// rendered is aRun with its name, question and expectations.
func rendered() *results.Run {
	run := aRun()
	run.Version, run.Name, run.Question = "v0.1.0", "idle-race", begun().Question
	run.Expect = expect.Check(run, map[string]string{"failures.before_response": "> 0", "failures.no_connection": "0", "tls.p99": "< 5ms"})
	run.Warnings = []string{"the server and kabench shared this machine's two CPUs, so the server's share is in the instrument's figures: put the server elsewhere"}
	run.Recording = results.Recording{Written: 1000, SuccessesOneIn: 1}
	return run
}

func tallied(list []*results.Exchange) *results.Tally {
	t := &results.Tally{}
	for _, e := range list {
		t.Add(e)
	}
	return t
}

func filled(t *results.Tally, measured time.Duration) *results.Run {
	run := &results.Run{}
	t.Fill(run, measured)
	return run
}
