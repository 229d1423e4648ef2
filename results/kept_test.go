package results

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// dated is rendered with when and where it was made.
func dated() *Run {
	run := rendered()
	run.Start, run.Host = begun().Start, begun().Host
	run.End = run.Start.Add(time.Second)
	return run
}

// keptRun is a run as OpenKept gives it, of a document alone.
func keptRun(run *Run) *Kept {
	return &Kept{Run: run, Runs: []KeptRun{{Name: run.Name, Run: run}}}
}

// reproduced is an incident with packets of a failure, and a remedy.
func reproduced() *Reproduction {
	incident, remedy := dated(), dated()
	incident.Packets = &Packets{Failures: []Evidence{{
		Seq: 49, Conn: 3, Use: 7, Phase: PhaseBeforeResponse, Cause: CauseFIN, Client: "10.1.0.1:40000", Server: "10.1.0.2:80", By: "server", How: "fin", Earlier: 12,
		Rows: []EvidenceRow{
			{At: 0.1225, Note: "exchange 49 is due"},
			{At: 0.123, From: "client", To: "server", Flags: "P.", Seq: 721, Len: 120},
			{At: 0.128, From: "server", To: "client", Flags: "F.", Seq: 2040},
		},
	}}}
	remedy.Expect = CheckExpectations(remedy, map[string]string{"failures": "0"})
	return &Reproduction{
		Incident: "idle-race", Question: begun().Question, Reproduced: true, IncidentRun: incident, Verdict: "It raced.\nSet it below the server's.",
		RemedyRuns: []RemedyRun{{Remedy: "shorter", Change: map[string]string{"pool.idle_timeout": "800ms"}, Cleared: true, Run: remedy}},
	}
}

// keep writes a reproduction with its runs, as `kabench reproduce` does.
func keep(t testing.TB, r *Reproduction) string {
	t.Helper()
	dir := t.TempDir()
	for name, run := range map[string]*Run{"incident": r.IncidentRun, "remedy-1": r.RemedyRuns[0].Run} {
		w, err := Create(filepath.Join(dir, name))
		must(t, err)
		must(t, w.Begin(run))
		for _, e := range mixed(200) {
			w.Observe(e)
		}
		for i := range 10 {
			n := uint64(i)
			must(t, w.Sample(Sample{T: float64(i) / 10, Leased: i % 3, Idle: 10 - i%3, OK: 20 * n, Failed: n * n, Sockets: &SocketSample{Client: map[string]int{"TIME_WAIT": 2 * i}}}))
		}
		must(t, w.Close(run))
	}
	must(t, SaveReproduction(dir, r))
	return dir
}

// keepCompared writes a comparison with its runs.
func keepCompared(t testing.TB, c *Comparison) string {
	t.Helper()
	dir := t.TempDir()
	for i, r := range c.Runs {
		run := dated()
		run.Profile = []byte(`{"name":"quick","client":"policy","load":{"rate":"400/s"},"pool":{"idle_timeout":"` + strings.TrimPrefix(r.Arm, "idle_timeout=") + `","expiry":["lease","sweep"]}}`)
		q := run.Latency[LatencyResponse]
		q.P99 *= 1 + float64(i)/100
		run.Latency[LatencyResponse] = q
		run.Valid = r.Excluded == ""
		if !run.Valid {
			run.Invalid = []string{r.Excluded}
		}
		w, err := Create(filepath.Join(dir, r.Dir))
		must(t, err)
		must(t, w.Begin(run))
		must(t, w.Close(run))
	}
	must(t, SaveComparison(dir, c))
	return dir
}

func TestOpenKept(t *testing.T) {
	incident := keep(t, reproduced())
	compared := keepCompared(t, compared())
	alone := t.TempDir()
	must(t, os.Rename(filepath.Join(incident, "remedy-1"), filepath.Join(alone, "one")))
	for _, tt := range []struct {
		dir, kind string
		runs      int
		records   int
	}{
		{incident, KindIncident, 2, 1}, // the remedy's record has been moved away; its document is in the incident's
		{filepath.Join(incident, "incident"), KindRun, 1, 1},
		{compared, KindComparison, 4, 4},
		{alone, KindRun, 1, 1},
	} {
		k, err := OpenKept(tt.dir)
		must(t, err)
		records := 0
		for _, r := range k.Runs {
			if r.Dir != nil {
				records++
			}
		}
		if k.Kind() != tt.kind || len(k.Runs) != tt.runs || records != tt.records || k.Title() == "" || k.Start().IsZero() {
			t.Errorf("%s: a %s, %d runs, %d with a record; want %+v", tt.dir, k.Kind(), len(k.Runs), records, tt)
		}
	}
	must(t, os.RemoveAll(filepath.Join(compared, "02-idle_timeout-3s")))
	k, err := OpenKept(compared)
	must(t, err)
	if len(k.Runs) != 3 || len(k.Notes) != 1 || !strings.Contains(k.Notes[0], "a run of idle_timeout=3s is left out") {
		t.Errorf("%d runs, notes %q, want the missing one named", len(k.Runs), k.Notes)
	}
}

func TestOpenKeptRefuses(t *testing.T) {
	newer := t.TempDir()
	must(t, os.WriteFile(filepath.Join(newer, fileComparison), []byte(`{"schema":"kabench.comparison/v2"}`), 0o644))
	newerRun := t.TempDir()
	must(t, os.WriteFile(filepath.Join(newerRun, fileRun), []byte(`{"schema":"kabench.run/v2"}`), 0o644))
	file := filepath.Join(newer, fileComparison)
	several := t.TempDir()
	for _, name := range []string{"a", "b"} {
		must(t, os.Mkdir(filepath.Join(several, name), 0o755))
		must(t, writeDocument(filepath.Join(several, name), fileRun, dated()))
	}
	for _, tt := range []struct{ path, say string }{
		{newer, "made by a newer kabench"},
		{newerRun, "made by a newer kabench"},
		{file, "not a directory"},
		{filepath.Join(newer, "none"), "there is no such directory"},
		{t.TempDir(), "not a run directory"},
		{several, "holds several runs; name one"},
	} {
		_, err := OpenKept(tt.path)
		if err == nil || !strings.Contains(err.Error(), tt.say) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", tt.path, err, tt.say)
		}
	}
}

// TestExportsOfLittle: what has nothing to show is exported all the same, or
// refused in a sentence.
func TestExportsOfLittle(t *testing.T) {
	nothing, err := decodeRun([]byte(`{"schema":"kabench.run/v1"}`))
	must(t, err)
	empty := keptRun(nothing)
	none := keptRun(dated())
	none.Run.Counts.OK, none.Run.Latency = 0, map[string]Quantiles{}
	for name, k := range map[string]*Kept{"empty": empty, "zero successes": none} {
		must(t, RenderMarkdown(io.Discard, k))
		_, err := ExportJUnit(io.Discard, k)
		must(t, err)
		_, err = ExportRunsCSV(io.Discard, k)
		must(t, err)
		if _, err := ExportBench(io.Discard, k); (err != nil) != (name == "empty") {
			t.Errorf("%s as a benchmark: %v", name, err)
		} else if err != nil && !strings.Contains(err.Error(), "there is no run to export: a run of run is left out: it is invalid") {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir := keep(t, reproduced())
	must(t, os.Remove(filepath.Join(dir, "incident", "samples.ndjson")))
	k, err := OpenKept(dir)
	must(t, err)
	var b strings.Builder
	must(t, RenderMarkdown(&b, k))
	if !strings.Contains(b.String(), "the samples of incident") {
		t.Errorf("missing samples are not told:\n%s", b.String())
	}
}
