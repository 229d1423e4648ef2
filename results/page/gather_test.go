package page

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
	"github.com/kabench/kabench/results/text"
)

// total adds up what was counted in spans.
func total(list []uint32) (n uint64) {
	for _, v := range list {
		n += uint64(v)
	}
	return n
}

// save writes a run to a new directory of this name.
func (s synthetic) save(t *testing.T, name string) string {
	dir := filepath.Join(t.TempDir(), name)
	s.write(t, dir)
	return dir
}

func TestGatherARun(t *testing.T) {
	s := synthetic{30_000, 400}
	d, err := Gather(s.save(t, "run"))
	must(t, err)
	if d.Kind != KindRun || d.Title != "synthetic" || d.Question == "" || len(d.Headline.Figures) != 3 || len(d.Notes) != 0 || len(d.Runs) != 1 {
		t.Fatalf("%+v", d)
	}
	r := d.Runs[0]
	failed := total(r.Flow.Failed["before_response / fin"])
	if due, started, ok := total(r.Flow.Due), total(r.Flow.Started), total(r.Flow.OK); due != s.n || started != s.n || failed == 0 || ok+failed != s.n {
		t.Errorf("due %d, started %d, ok %d, failed %d of %d", due, started, ok, failed, s.n)
	}
	if n := len(r.Flow.Due); n > maxSpans || float64(n)*r.Flow.Step < 75 {
		t.Errorf("%d spans of %v s", n, r.Flow.Step)
	}
	if last := r.Response[len(r.Response)-1]; last.Seconds < 0.06 || last.Percentile < 99.99 {
		t.Errorf("the last percentile is %v", last)
	}
	if mid := r.Response[5]; mid.Percentile != 50 || mid.Seconds < 0.004 || mid.Seconds > 0.006 {
		t.Errorf("the median is %v", mid)
	}
	var cells int64
	for _, c := range slices.Concat(r.Heat.Cells, r.Heat.Failed) {
		cells += c[2]
		if low, high := c[1]-1, c[1]; low >= 0 && r.Heat.Rows[low] >= r.Heat.Rows[high] {
			t.Fatalf("rows %v", r.Heat.Rows)
		}
	}
	if uint64(cells) != s.n {
		t.Errorf("%d exchanges in the heat map, want %d", cells, s.n)
	}
	if r.Pool.MaxConns != 50 || r.Pool.PendingMax != 32 || len(r.Pool.T) == 0 || r.Sockets.PortsAvailable != 28232 || r.Sockets.TimeWaitServer == nil || r.Lifelines.IdleTimeout != 1 {
		t.Errorf("pool %+v, sockets %+v", r.Pool, r.Sockets)
	}
	l := r.Lifelines
	if l.Connections != 600 || l.Failing != failed || l.LeftOut+uint64(len(l.Lanes)) != 600 || !l.Lanes[0].Exchanges[len(l.Lanes[0].Exchanges)-1].Failed {
		t.Errorf("%d lanes, failing %d of %d, %d left out", len(l.Lanes), l.Failing, failed, l.LeftOut)
	}
}

// Data does not grow with the length of a run, and a page of an hour is small.
func TestDataIsBounded(t *testing.T) {
	size := func(s synthetic, every uint64) (encoded, page int) {
		g := NewGatherer("run", s.doc())
		var e results.Exchange
		for seq := uint64(0); seq < s.n; seq += every {
			s.exchange(&e, seq)
			if seq%7 == 0 { // on a new connection each, that fails
				e.Conn, e.Use, e.Phase, e.Cause, e.Err = seq+1_000_000, 1, results.PhaseDuringResponse, results.CauseTruncated, errEOF
			}
			g.Observe(&e)
		}
		for i := range int(s.n / s.rate * 10) {
			g.Sample(s.sample(i))
		}
		if n := len(g.lives.young) + len(g.lives.old); n > 2*maxRemembered {
			t.Errorf("%d connections are remembered", n)
		}
		if n := len(g.lives.kept); n > maxPinned+maxFailedLanes+maxOtherLanes {
			t.Errorf("%d connections are kept", n)
		}
		d := g.Data()
		text, err := json.Marshal(d)
		must(t, err)
		var b bytes.Buffer
		must(t, Write(&b, d))
		return len(text), b.Len()
	}
	_, hour := size(synthetic{1_440_000, 400}, 3)
	if hour > 2_000_000 {
		t.Errorf("a page of an hour has %d bytes", hour)
	}
	short, _ := size(synthetic{400_000, 400}, 1)
	if long, _ := size(synthetic{40_000_000, 400}, 100); float64(long) > 1.5*float64(short) {
		t.Errorf("%d bytes of data after a hundred times as long, %d before", long, short)
	}
}

func TestGatherWhatIsBroken(t *testing.T) {
	s := synthetic{2000, 400}
	torn := func(name string, cut int64) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, name)
			info, err := os.Stat(path)
			must(t, err)
			must(t, os.Truncate(path, info.Size()-cut))
		}
	}
	remove := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, name))) }
	}
	write := func(name, text string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)) }
	}
	for _, tt := range []struct {
		name   string
		spoil  func(*testing.T, string)
		note   string // in a report that is still made
		refuse string // or why none is
	}{
		{"torn record", torn("exchanges.ndjson.zst", 20), "the last part of the file is incomplete", ""},
		{"torn samples", torn("samples.ndjson", 3), "the last part of the file is incomplete; the", ""},
		{"no samples", remove("samples.ndjson"), "no samples were recorded", ""},
		{"no record", remove("exchanges.ndjson.zst"), "no exchanges were recorded", ""},
		{"bad evidence", write("evidence.json", "{"), "the packets of its failures are missing", ""},
		{"newer", write("run.json", `{"schema":"kabench.run/v2"}`), "", "made by a newer kabench"},
		{"newer comparison", write("comparison.json", `{"schema":"kabench.comparison/v2"}`), "", "made by a newer kabench"},
		{"newer reproduction", write("reproduction.json", `{"schema":"kabench.reproduction/v2"}`), "", "made by a newer kabench"},
		{"nothing", func(t *testing.T, dir string) { must(t, os.RemoveAll(dir)); must(t, os.Mkdir(dir, 0o755)) }, "", "not a run directory"},
		{"not there", func(t *testing.T, dir string) { must(t, os.RemoveAll(dir)) }, "", "there is no such directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := s.save(t, "run")
			tt.spoil(t, dir)
			d, err := Gather(dir)
			if tt.refuse != "" {
				if err == nil || !strings.Contains(err.Error(), tt.refuse) {
					t.Errorf("%v, want %q", err, tt.refuse)
				}
				return
			}
			must(t, err)
			if !strings.Contains(strings.Join(d.Notes, "\n"), tt.note) {
				t.Errorf("notes %q, want %q", d.Notes, tt.note)
			}
			must(t, Write(&bytes.Buffer{}, d))
		})
	}
}

// A run that was cut off has a report, and so has one without a success.
func TestGatherCutOffAndZeroSuccesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	w, err := record.Create(dir)
	must(t, err)
	s := synthetic{50, 400}
	must(t, w.Begin(s.doc()))
	var e results.Exchange
	for seq := range s.n {
		e.Reset(seq, time.Duration(seq)*ms)
		e.Start, e.Done, e.Phase, e.Cause, e.Err = e.Due, e.Due+ms, results.PhaseConnect, results.CauseRefused, errors.New("connection refused")
		w.Observe(&e)
	}
	for w.Recording().Written < s.n {
		time.Sleep(ms)
	}
	w.Abort()
	d, err := Gather(dir)
	must(t, err)
	r := d.Runs[0]
	if d.Headline.Good || !strings.HasPrefix(d.Headline.Answer, "Not one of 50 requests succeeded: all connect / refused.") || !strings.Contains(d.Headline.Answer, "cut off") {
		t.Errorf("%+v", d.Headline)
	}
	if len(r.Response) != 0 || total(r.Flow.Failed["connect / refused"]) != 50 || len(r.Lifelines.Lanes) != 1 || r.Lifelines.Lanes[0].Conn != 0 {
		t.Errorf("%+v", r.Lifelines)
	}
	must(t, Write(&bytes.Buffer{}, d))
}

func TestGatherSeveral(t *testing.T) {
	a, b := synthetic{400, 400}.save(t, "a"), synthetic{800, 400}.save(t, "b")
	d, err := Gather(a, b)
	must(t, err)
	if len(d.Runs) != 2 || d.Title != "a, b" || d.Question != "How long does a report take?" || len(d.Headline.Figures) != 2 || !strings.Contains(d.Notes[0], "by more than chance") {
		t.Errorf("%+v", d)
	}
	dir, err := record.Open(b)
	must(t, err)
	doc, err := dir.Run()
	must(t, err)
	doc.Question = "Another?"
	var text bytes.Buffer
	must(t, record.EncodeRun(&text, doc))
	must(t, os.WriteFile(filepath.Join(b, "run.json"), text.Bytes(), 0o644))
	d, err = Gather(a, b)
	must(t, err)
	if !strings.Contains(d.Notes[0], "different questions") || d.Question != "Several runs side by side" {
		t.Errorf("%q, %q", d.Question, d.Notes)
	}
	other := synthetic{400, 400}.save(t, "a")
	d, err = Gather(a, other)
	must(t, err)
	if d.Runs[0].Name == d.Runs[1].Name || d.Runs[1].Name != filepath.ToSlash(other) {
		t.Errorf("%q and %q", d.Runs[0].Name, d.Runs[1].Name)
	}
	// A directory of runs stands for them.
	d, err = Gather(filepath.Dir(a))
	must(t, err)
	if len(d.Runs) != 1 {
		t.Errorf("%d runs", len(d.Runs))
	}
}

func TestGatherAReproduction(t *testing.T) {
	s := synthetic{400, 400}
	dir := t.TempDir()
	s.write(t, filepath.Join(dir, "incident"))
	must(t, record.SaveReproduction(dir, &results.Reproduction{
		Incident: "race", Question: "Why?", Reproduced: true, Verdict: "So.", IncidentRun: s.doc(),
		RemedyRuns: []results.RemedyRun{{Remedy: "gone", Cleared: true, Run: s.doc(), Settings: []results.ClientSetting{{Client: "undici", Text: "new Agent()"}}}, {Remedy: "not run"}},
	}))
	d, err := Gather(dir)
	must(t, err)
	if len(d.Spelled) != 1 || d.Spelled[0].Remedy != "gone" || d.Spelled[0].Settings[0].Client != "undici" {
		t.Errorf("in the words of clients: %+v", d.Spelled)
	}
	if d.Kind != KindReproduction || d.Title != "race" || d.Headline.Answer != "So." || len(d.Runs) != 2 || total(d.Runs[0].Flow.Due) != 400 || len(d.Runs[1].Flow.Due) != 0 {
		t.Errorf("%+v", d)
	}
	if notes := strings.Join(d.Notes, "\n"); !strings.Contains(notes, "gone: ") || !strings.Contains(notes, "“not run” was not run") {
		t.Errorf("notes %q", notes)
	}
}

func TestGatherAComparison(t *testing.T) {
	s := synthetic{400, 400}
	dir := t.TempDir()
	s.write(t, filepath.Join(dir, "1-a"))
	measure := map[string]results.Measure{results.MeasureFailureRate: {Unit: results.UnitRatio, Known: true, Value: 0.1, Per: []float64{0.1}}}
	must(t, record.SaveComparison(dir, &results.Comparison{
		Name: "pools", Question: "Which?", Verdict: "a.", Confidence: 0.95,
		Arms: []results.Arm{{Name: "a", Runs: 1, Measures: measure}, {Name: "b", Runs: 1, Measures: measure}, {Name: "c", Excluded: 1}},
		Runs: []results.ComparedRun{{Arm: "a", Block: 1, Dir: "1-a"}, {Arm: "b", Block: 1, Dir: "2-b"}, {Arm: "c", Block: 1, Dir: "3-c", Excluded: "it lagged"}},
	}))
	d, err := Gather(dir)
	must(t, err)
	if d.Kind != KindComparison || d.Title != "pools" || len(d.Runs) != 1 || d.Runs[0].Name != "a" || d.Comparison == nil || d.Measures[0] != [2]string{"failures.rate", "failure rate"} {
		t.Errorf("%+v", d)
	}
	notes := strings.Join(d.Notes, "\n")
	for _, want := range []string{"A run of c, in block 1, was left out: it lagged", "b: its run cannot be drawn", "c has no valid run"} {
		if !strings.Contains(notes, want) {
			t.Errorf("notes %q, want %q", notes, want)
		}
	}
}

// What was sent again is on the connections of all its attempts, and a record of
// some successes stands for all.
func TestGathererAttemptsAndSampling(t *testing.T) {
	doc := synthetic{1, 1}.doc()
	doc.Recording.SuccessesOneIn = 10
	g := NewGatherer("run", doc)
	var e results.Exchange
	s := synthetic{1, 400}
	s.exchange(&e, 0)
	g.Observe(&e)
	s.exchange(&e, 1)
	e.Done, e.Phase, e.Cause = e.Due+ms, results.PhaseBeforeResponse, results.CauseRST
	e.Again()
	e.Leased, e.Conn, e.Use, e.Done, e.Phase = e.Due+ms, 9, 1, e.Due+2*ms, results.PhaseDone
	g.Observe(&e)
	r := g.Run()
	if ok, due := total(r.Flow.OK), total(r.Flow.Due); ok != 11 || due != 11 || len(r.Flow.Failed) != 0 {
		t.Errorf("ok %d, due %d, failed %v; want 10 for one success and 1 for the other", ok, due, r.Flow.Failed)
	}
	if len(r.Lifelines.Lanes) != 3 {
		t.Fatalf("%+v", r.Lifelines.Lanes)
	}
	first := r.Lifelines.Lanes[0]
	if stay := first.Exchanges[0]; first.Conn != 2 || !stay.Failed || stay.Outcome != "before_response / rst, made again" || !strings.Contains(strings.Join(stay.Facts, "\n"), "attempt 1 on connection 2") {
		t.Errorf("%+v", first)
	}
	if first.How != "ended by an RST in the phase before_response" {
		t.Errorf("it ended: %s", first.How)
	}
}

// What a page shows does not depend on when it was asked before.
func TestGathererIsAskedTwice(t *testing.T) {
	s := synthetic{5000, 400}
	g, asked := NewGatherer("run", s.doc()), NewGatherer("run", s.doc())
	var e results.Exchange
	for seq := range s.n {
		s.exchange(&e, seq)
		g.Observe(&e)
		asked.Observe(&e)
		if seq%1000 == 0 {
			asked.Run()
		}
	}
	if !reflect.DeepEqual(g.Run(), asked.Run()) {
		t.Error("asking for the data changed it")
	}
}

func TestManyBesideEachOther(t *testing.T) {
	d := &Data{Headline: text.Headline{Good: true}}
	for i, failed := range []uint64{0, 1, 0, 50, 2} {
		doc := synthetic{100, 100}.doc()
		doc.Counts.Failed, doc.Counts.OK = failed, 100-failed
		doc.Valid = i != 2
		d.Runs = append(d.Runs, Run{Name: string(rune('a' + i)), Doc: doc})
	}
	d.headOfSeveral()
	if want := "Requests failed in 3 of 5 runs; most in d: 50 of 100 requests failed"; !strings.HasPrefix(d.Headline.Answer, want) || !strings.Contains(d.Headline.Answer, "Invalid runs: 1") || strings.Contains(d.Headline.Answer, "a: ") {
		t.Errorf("%q", d.Headline.Answer)
	}
	if d.Title != "5 runs" || len(d.Headline.Figures) != 3 || !strings.HasSuffix(d.Headline.Figures[0].Label, ", d") || d.Headline.Good {
		t.Errorf("%q, %+v", d.Title, d.Headline)
	}
	if d.Runs[0].Name != "a" {
		t.Error("the runs are in another order")
	}
}

// A connection that was shown for a while, and gave way to others, has all its
// exchanges when one fails on it later.
func TestLifelinesRememberWhatGaveWay(t *testing.T) {
	const conns, uses = 500, 4
	g := NewGatherer("run", synthetic{1, 400}.doc())
	var e results.Exchange
	for i := range uint64(conns * uses) {
		synthetic{1, 400}.exchange(&e, i)
		e.Conn, e.Use, e.Phase, e.Cause = i%conns+1, int(i/conns)+1, results.PhaseDone, results.CauseNone
		if e.Use == uses {
			e.Phase, e.Cause = results.PhaseBeforeResponse, results.CauseFIN
		}
		g.Observe(&e)
	}
	lanes := g.Run().Lifelines.Lanes
	if len(lanes) < maxFailedLanes {
		t.Fatalf("%d lanes", len(lanes))
	}
	for _, lane := range lanes {
		if len(lane.Exchanges) != uses || lane.Exchanges[0].Use != 1 {
			t.Errorf("connection %d has %d of its %d exchanges", lane.Conn, len(lane.Exchanges), uses)
		}
	}
}

// Failures that never had a connection are shown from the whole run.
func TestLifelinesOfNoConnection(t *testing.T) {
	g := NewGatherer("run", synthetic{1, 400}.doc())
	var e results.Exchange
	const n = 10_000
	for seq := range uint64(n) {
		e.Reset(seq, time.Duration(seq)*10*ms)
		e.Start, e.Done, e.Phase, e.Cause = e.Due, e.Due+ms, results.PhaseConnect, results.CausePortExhausted
		if seq == n/2 {
			e.Cause = results.CauseRefused
		}
		g.Observe(&e)
	}
	stays := g.Run().Lifelines.Lanes[0].Exchanges
	halves, kinds := [2]int{}, map[string]int{}
	for i, s := range stays {
		halves[s.Seq/(n/2)]++
		kinds[s.Outcome]++
		if i > 0 && s.Leased < stays[i-1].Leased {
			t.Errorf("request %d is after a later one", s.Seq)
		}
	}
	if len(stays) != maxOfKind+1+maxUnconnected || kinds["connect / refused"] != 1 || stays[0].Seq != 0 || halves[0] < 8 || halves[1] < 8 {
		t.Errorf("%d are shown, %v of the halves of the run, %v", len(stays), halves, kinds)
	}
}

// A run without a record has empty lists: the program in the page would stop at a
// null.
func TestNothingRecordedHasNoNull(t *testing.T) {
	doc := &results.Run{Schema: results.Schema, Name: "empty"}
	r := NewGatherer("run", doc).Run()
	r.Doc = nil
	text, err := json.Marshal(r)
	must(t, err)
	if strings.Contains(strings.Replace(string(text), `"doc":null`, "", 1), "null") {
		t.Errorf("%s", text)
	}
}

// The numbers of connections of several agents have gaps: how many there were is not the
// highest number.
func TestConnectionsOfAgentsAreCounted(t *testing.T) {
	doc := synthetic{100, 100}.doc()
	doc.Connections.Opened = 5
	doc.Agents = make([]results.Agent, 50)
	finished, live := NewGatherer("run", doc), NewLiveGatherer("run", doc)
	var e results.Exchange
	for seq := range uint64(100) {
		synthetic{100, 100}.exchange(&e, seq)
		e.Conn, e.Use = seq%5*50+1, int(seq/5)+1 // one agent of 50 has done it all
		finished.Observe(&e)
		live.Observe(&e)
	}
	for name, r := range map[string]Run{"finished": finished.Run(), "live": live.Run()} {
		if r.Lifelines.Connections != 5 || r.Lifelines.LeftOut != 0 || r.Doc.Connections.Opened != 5 {
			t.Errorf("%s: %d connections, %d not shown, %d opened", name, r.Lifelines.Connections, r.Lifelines.LeftOut, r.Doc.Connections.Opened)
		}
	}
}
