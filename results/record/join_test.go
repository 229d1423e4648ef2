package record

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/results"
)

// fate is what happens to an agent of a test.
type fate int

const (
	whole     fate = iota // it sends its share, and its run ends in order
	killed                // its process is gone after a part of its share, and the end of its record is torn
	gone                  // nothing of its run survives
	untallied             // its tally.json is missing
	stopped               // its run ends in order, early
	numFates
)

// step is the time between two arrivals.
const step = 2500 * time.Microsecond

// schedule is n arrivals.
func schedule(n int) func(yield func(time.Duration) bool) {
	return func(yield func(time.Duration) bool) {
		for i := range n {
			if !yield(time.Duration(i) * step) {
				return
			}
		}
	}
}

// fleet is a run of several agents as a test makes it.
type fleet struct {
	t       *testing.T
	dir     string
	oneIn   uint64
	warmUp  time.Duration
	all     []*results.Exchange // of the whole schedule, as they would end
	targets []string
	parts   []Part
}

// anyExchange is a random exchange; its times are whole µs, as a record has them.
func anyExchange(r *rand.Rand, seq uint64) *results.Exchange {
	kinds := []func(uint64) *results.Exchange{done, done, done, stale, looked, resent, resentInVain, refused, dropped, aborted}
	e := kinds[r.IntN(len(kinds))](seq)
	longer := time.Duration(math.Exp(r.Float64()*13)) * time.Microsecond // up to 0.44 s
	for _, stamp := range []*time.Duration{&e.FirstByte, &e.GotHeaders, &e.Done} {
		if *stamp != results.Never {
			*stamp += longer
		}
	}
	e.Target = int(seq % 3)
	return e
}

func newFleet(t *testing.T, r *rand.Rand, arrivals int, warmUp time.Duration) *fleet {
	f := &fleet{t: t, dir: t.TempDir(), oneIn: 1, warmUp: warmUp, targets: []string{"GET a", "GET b", "GET a"}}
	for seq := range uint64(arrivals) {
		e := anyExchange(r, seq)
		e.WarmUp = e.Due < warmUp
		f.all = append(f.all, e)
	}
	return f
}

// run makes the runs of the agents, in the time of a bubble.
func (f *fleet) run(fates []fate) {
	for i, fate := range fates {
		dir := filepath.Join(f.dir, "agents", fmt.Sprint(i))
		agent := results.Agent{Index: i, Name: string(rune('a' + i)), Network: "net"}
		if fate == killed || fate == gone {
			agent.Lost = &results.AgentLost{Why: "it was not heard of any more", At: 1}
		}
		f.parts = append(f.parts, Part{Agent: agent, Dir: dir})
	}
	synctest.Test(f.t, func(t *testing.T) {
		for i, fate := range fates {
			go f.agent(t, i, len(fates), fate)
		}
		synctest.Wait()
		time.Sleep(time.Hour)
	})
	for i, fate := range fates {
		record := filepath.Join(f.parts[i].Dir, fileExchanges)
		switch fate {
		case killed:
			info, err := os.Stat(record)
			must(f.t, err)
			must(f.t, os.Truncate(record, info.Size()-9))
			connections := filepath.Join(f.parts[i].Dir, fileConnections)
			info, err = os.Stat(connections)
			must(f.t, err)
			must(f.t, os.Truncate(connections, info.Size()-9))
		case gone:
			f.parts[i].Dir = ""
		}
	}
}

// agent makes the run of one agent.
func (f *fleet) agent(t *testing.T, index, of int, fate fate) {
	w, err := Create(f.parts[index].Dir)
	must(t, err)
	w.SuccessesOneIn = f.oneIn
	doc := begun()
	doc.Profile = []byte(`{"name":"idle-race","load":{"max_lag":"50ms"}}`)
	must(t, w.WriteProfile([]byte("name: idle-race\n")))
	must(t, w.Begin(doc))
	sums := Sums{Tally: &results.Tally{}, Targets: results.NewByTarget(f.targets), AtPeerClose: &results.Durations{}}
	interval := results.NewHistogram()
	epoch, ended, tenth := time.Now(), len(f.all), 0
	if fate != whole && fate != untallied {
		ended = len(f.all) * (index + 2) / (of + 3)
	}
	for _, e := range f.all[:ended] {
		if int(e.Seq)%of != index {
			continue
		}
		time.Sleep(time.Until(epoch.Add(e.Due)))
		w.Observe(e)
		end := endOf(e.Seq + 1) // each exchange had a connection of its own
		w.ObserveEnd(&end)
		sums.Tally.Add(e)
		sums.Targets.Observe(e)
		sums.Seconds.Add(e, 1, 50*ms)
		sums.AtPeerClose.Add(e.Idle)
		if e.Start != results.Never {
			must(t, interval.RecordValue(results.Micros(max(e.Lag(), 0))))
		}
		if n := int(e.Due / (100 * ms)); n > tenth {
			counts := sums.Tally.Counts()
			must(t, w.Sample(results.Sample{T: e.Due.Seconds(), Leased: index + 1, Idle: 2, Goroutines: 10, Due: counts.Due + counts.WarmUp,
				Sockets: &results.SocketSample{Client: map[string]int{"TIME_WAIT": 5 + index}, PortsUsed: 7}}))
			if n/10 > tenth/10 {
				must(t, w.WriteInterval(results.LatencyLag, time.Duration(n/10-1)*time.Second, time.Duration(n/10)*time.Second, interval))
				interval.Reset()
			}
			tenth = n
		}
	}
	if fate == killed {
		w.Abort()
		return
	}
	if fate != untallied {
		must(t, w.WriteTally(sums))
	}
	doc.Complete, doc.Valid, doc.Interrupted = true, true, fate == stopped
	doc.End = doc.Start.Add(time.Duration(ended) * step)
	doc.Connections = results.Connections{Opened: 10, ClosedByPeer: 3, MaxOpen: 4, Evictions: map[string]uint64{"expired": 2}}
	doc.Pool = results.PoolPeaks{PeakLeased: index + 1, PeakIdle: 3}
	doc.Sockets = results.Sockets{Available: true, TimeWaitPeak: 5 + index, PortsUsedPeak: 7, PortsAvailable: 1000}
	doc.Kernel = results.Kernel{Available: true, Counters: map[string]uint64{"OutRsts": uint64(index)}}
	sums.Tally.Fill(doc, time.Second)
	must(t, w.Close(doc))
}

func (f *fleet) join() *Joined {
	f.t.Helper()
	length := time.Duration(len(f.all)) * step
	j, err := Join(filepath.Join(f.dir, "out"), f.parts, schedule(len(f.all)), f.warmUp, length-f.warmUp)
	must(f.t, err)
	must(f.t, j.Close(j.Run))
	return j
}

// survived are the exchanges that a record has, or that end as agent_lost.
func (f *fleet) survived() []*results.Exchange {
	have := map[uint64]bool{}
	for _, p := range f.parts {
		if p.Dir == "" {
			continue
		}
		d, err := Open(p.Dir)
		must(f.t, err)
		for e, err := range d.Exchanges() {
			if err != nil {
				break
			}
			have[e.Seq] = true
		}
	}
	list := slices.Clone(f.all)
	for i, e := range list {
		if !have[e.Seq] {
			lost := &results.Exchange{}
			lost.Reset(e.Seq, e.Due)
			lost.WarmUp, lost.Cause = e.WarmUp, results.CauseAgentLost
			list[i] = lost
		}
	}
	return list
}

// sameSums allows for the order in which a float sum was made, and for the example of an
// outcome, which is any one's.
var sameSums = cmp.Options{
	cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(math.Abs(a), math.Abs(b)) }),
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Example" }, cmp.Ignore()),
}

// A joined run has each arrival exactly once, whatever happened to its agents, and its
// figures are those of one run of all its exchanges.
func TestJoin(t *testing.T) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 15))
		f := newFleet(t, r, 800+r.IntN(800), time.Duration(r.IntN(2))*800*ms)
		fates := make([]fate, 1+r.IntN(5))
		for i := range fates[1:] { // one whole agent at least
			fates[i+1] = fate(r.IntN(int(numFates)))
		}
		f.run(fates)
		got := f.join()
		list := f.survived()
		one, length := &results.Run{}, time.Duration(len(f.all))*step
		tallied(list).Fill(one, length-f.warmUp)
		targets, seconds := results.NewByTarget(f.targets), results.Seconds{}
		for _, e := range list {
			targets.Observe(e)
			seconds.Add(e, 1, 50*ms)
		}
		targets.Fill(one)
		one.Instrument.Schedule = seconds.Kept(length)
		joined := &results.Run{
			Counts: got.Run.Counts, Attempts: got.Run.Attempts, Resends: got.Run.Resends, Statuses: got.Run.Statuses, ErrorAnswers: got.Run.ErrorAnswers,
			FailedStatuses: got.Run.FailedStatuses, Outcomes: got.Run.Outcomes, Latency: got.Run.Latency, LatencyFresh: got.Run.LatencyFresh,
			LatencyReused: got.Run.LatencyReused, FailedLatency: got.Run.FailedLatency, IdleAtFailure: got.Run.IdleAtFailure, Rate: got.Run.Rate,
			Reuse: got.Run.Reuse, Targets: got.Run.Targets, Idle: results.Idle{AtLease: got.Run.Idle.AtLease, Longest: one.Idle.Longest},
			Instrument: results.Instrument{Schedule: got.Run.Instrument.Schedule},
		}
		if diff := cmp.Diff(one, joined, sameSums); diff != "" {
			t.Errorf("seed %d, fates %v: (-one run +joined):\n%s", seed, fates, diff)
		}
		if !got.Run.Counts.Balance() || got.Run.Counts.Due+got.Run.Counts.WarmUp != uint64(len(f.all)) {
			t.Errorf("seed %d, fates %v: %d arrivals, and the counts are %+v", seed, fates, len(f.all), got.Run.Counts)
		}
		want, seen, lines := map[uint64]results.Exchange{}, read(t, filepath.Join(f.dir, "out")), 0
		d, err := Open(filepath.Join(f.dir, "out"))
		must(t, err)
		for range d.Exchanges() {
			lines++
		}
		for _, e := range list {
			want[e.Seq] = *e
		}
		if diff := cmp.Diff(want, seen, sameExchange); diff != "" {
			t.Errorf("seed %d, fates %v: record (-want +got):\n%s", seed, fates, diff)
		}
		f.checkEnds(got.Run, fates)
		if lines != len(f.all) || got.Run.Recording.Written != uint64(len(f.all)) || len(got.Run.Agents) != len(fates) {
			t.Errorf("seed %d, fates %v: %d lines, recording %+v, %d agents", seed, fates, lines, got.Run.Recording, len(got.Run.Agents))
		}
		f.checkAgents(got.Run, list, fates)
	}
}

// checkEnds checks that the joined record has the ends of connections that the agents' records
// have, each once.
func (f *fleet) checkEnds(run *results.Run, fates []fate) {
	f.t.Helper()
	want := map[uint64]int{}
	written := uint64(0)
	for i, p := range f.parts {
		if p.Dir == "" {
			continue
		}
		list, err := endsIn(f.t, p.Dir)
		if (err != nil) != (fates[i] == killed) {
			f.t.Errorf("fates %v: agent %d: %v", fates, i, err)
		}
		if fates[i] != killed {
			written += uint64(len(list))
		}
		for _, e := range list {
			want[e.Conn]++
		}
	}
	got := map[uint64]int{}
	list, err := endsIn(f.t, filepath.Join(f.dir, "out"))
	must(f.t, err)
	for _, e := range list {
		got[e.Conn]++
	}
	if diff := cmp.Diff(want, got); diff != "" || run.Recording.Connections.Written < written {
		f.t.Errorf("fates %v: %+v, ends of connections (-agents +joined):\n%s", fates, run.Recording.Connections, diff)
	}
}

// checkAgents compares what the document says about the agents with what happened.
func (f *fleet) checkAgents(run *results.Run, list []*results.Exchange, fates []fate) {
	f.t.Helper()
	for i, a := range run.Agents {
		missing := uint64(0)
		for _, e := range list {
			if int(e.Seq)%len(fates) == i && e.Cause == results.CauseAgentLost {
				missing++
			}
		}
		switch {
		case (a.Lost != nil) != (missing > 0) || a.Lost != nil && a.Lost.Arrivals != missing:
			f.t.Errorf("fates %v: agent %d has lost %+v, and %d are missing", fates, i, a.Lost, missing)
		case missing > 0 && !slices.ContainsFunc(run.Warnings, func(w string) bool { return strings.Contains(w, a.Name+" (") && strings.Contains(w, "agent_lost") }):
			f.t.Errorf("fates %v: no warning says that agent %d was lost: %q", fates, i, run.Warnings)
		}
	}
}

// Join may be called again: it leaves the same files, also when it was killed before.
func TestJoinAgain(t *testing.T) {
	f := newFleet(t, rand.New(rand.NewPCG(1, 2)), 1000, 0)
	f.run([]fate{whole, killed, untallied})
	out := filepath.Join(f.dir, "out")
	contents := func() map[string]string {
		files := map[string]string{}
		entries, err := os.ReadDir(out)
		must(t, err)
		for _, e := range entries {
			text, err := os.ReadFile(filepath.Join(out, e.Name()))
			must(t, err)
			files[e.Name()] = string(text)
		}
		return files
	}
	f.join()
	first := contents()
	must(t, os.Remove(filepath.Join(out, fileRun)))
	must(t, os.WriteFile(filepath.Join(out, fileExchanges+joining), []byte("half"), 0o644))
	must(t, os.WriteFile(filepath.Join(out, fileSamples), []byte("{"), 0o644))
	f.join()
	if diff := cmp.Diff(first, contents()); diff != "" {
		t.Errorf("(-first +again):\n%s", diff)
	}
}

// An agent that comes back after its run was joined without it is joined too, with what
// the joined record has of the others.
func TestJoinWhenALostAgentIsBack(t *testing.T) {
	f := newFleet(t, rand.New(rand.NewPCG(11, 12)), 1500, 100*ms)
	f.run([]fate{whole, whole, killed, whole})
	back := f.parts[1].Dir
	f.parts[1].Dir, f.parts[1].Agent.Lost = "", &results.AgentLost{Why: "its network is away"}
	before := f.join().Run
	if lost := before.Agents[1].Lost; lost == nil || lost.Arrivals != 375 {
		t.Errorf("lost %+v, want all of its share", lost)
	}
	f.parts[1].Dir = back
	want := f.survived()
	for _, p := range f.parts {
		if p.Dir != back {
			must(t, DropExchanges(p.Dir))
		}
	}
	f.parts[1].Agent.Lost = nil
	run, one := f.join().Run, &results.Run{}
	tallied(want).Fill(one, 1500*step-100*ms)
	if diff := cmp.Diff(one.Counts, run.Counts); diff != "" || run.Agents[1].Lost != nil {
		t.Errorf("lost %+v, counts (-want +got):\n%s", run.Agents[1].Lost, diff)
	}
	exchanges := map[uint64]results.Exchange{}
	for _, e := range want {
		exchanges[e.Seq] = *e
	}
	if diff := cmp.Diff(exchanges, read(t, filepath.Join(f.dir, "out")), sameExchange); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	// A joined record that does not have all of them is no replacement.
	record := filepath.Join(f.dir, "out", fileExchanges)
	info, err := os.Stat(record)
	must(t, err)
	must(t, os.Truncate(record, info.Size()/2))
	if _, err := Join(filepath.Join(f.dir, "out"), f.parts, schedule(1500), 0, time.Second); err == nil || !strings.Contains(err.Error(), "its record is missing") {
		t.Errorf("half a record: %v", err)
	}
}

// Of a killed agent whose record has only some successes, what was due after its last
// line is lost, and the others stand for those that were left out.
func TestJoinOfSampledRecords(t *testing.T) {
	f := newFleet(t, rand.New(rand.NewPCG(3, 4)), 4000, 0)
	for i := range f.all {
		f.all[i] = done(uint64(i))
	}
	f.oneIn = 4
	f.run([]fate{whole, killed})
	run := f.join().Run
	lost := run.Agents[1].Lost
	d, err := Open(f.parts[1].Dir)
	must(t, err)
	lines, last := uint64(0), time.Duration(0)
	for e, err := range d.Exchanges() {
		if err != nil {
			break
		}
		lines, last = lines+1, max(last, e.Done) // lines are roughly in order
	}
	missing := uint64(0)
	for seq := 1; seq < len(f.all); seq += 2 {
		if f.all[seq].Due > last {
			missing++
		}
	}
	if lost == nil || lost.Arrivals != missing || missing == 0 {
		t.Errorf("lost %+v, want %d arrivals", lost, missing)
	}
	if want := uint64(len(f.all)/2) + 4*lines; run.Counts.OK != want || !run.Counts.Balance() {
		t.Errorf("%d were ok, want %d for %d lines: %+v", run.Counts.OK, want, lines, run.Counts)
	}
	if text := strings.Join(run.Warnings, "\n"); !strings.Contains(text, "one success in 4") || !strings.Contains(text, "estimates") {
		t.Errorf("no warning about the estimate: %s", text)
	}
	if run.Recording.SuccessesOneIn != 4 {
		t.Errorf("recording %+v", run.Recording)
	}
}

// Whatever is wrong inside of a killed agent's record, what is counted is what is copied.
func TestJoinOfDamagedRecords(t *testing.T) {
	for _, damage := range []string{"a bit", "a line", "another's exchange", "twice"} {
		f := newFleet(t, rand.New(rand.NewPCG(5, 6)), 2000, 0)
		f.run([]fate{whole, killed})
		path := filepath.Join(f.parts[1].Dir, fileExchanges)
		record, err := os.ReadFile(path)
		must(t, err)
		size := 0 // of the first frame
		for frame := range frames(strings.NewReader(string(record))) {
			size = len(frame)
			break
		}
		lines := map[string][]byte{
			"a line":             append(appendLine(nil, done(1999)), "no line\n"...),
			"another's exchange": append(appendLine(nil, done(1999)), appendLine(nil, done(1998))...),
			"twice":              append(appendLine(nil, done(1999)), appendLine(nil, done(1999))...),
		}
		if text, made := lines[damage]; made {
			all, err := createAppend(filepath.Join(t.TempDir(), "x"), &growing{})
			must(t, err)
			w, err := newFrameWriter(all)
			must(t, err)
			w.add(text)
			must(t, w.close())
			frame, err := os.ReadFile(all.file.Name())
			must(t, err)
			must(t, all.close())
			record = slices.Concat(record[:size], frame, record[size:])
		} else {
			record[size+size/2] ^= 4
		}
		must(t, os.WriteFile(path, record, 0o644))
		run, seen := f.join().Run, map[uint64]int{}
		d, err := Open(filepath.Join(f.dir, "out"))
		must(t, err)
		all := &results.Tally{}
		for e, err := range d.Exchanges() {
			must(t, err)
			seen[e.Seq]++
			all.Add(e)
		}
		for seq := range uint64(len(f.all)) {
			if seen[seq] != 1 {
				t.Errorf("%s: exchange %d is there %d times", damage, seq, seen[seq])
				break
			}
		}
		if diff := cmp.Diff(all.Counts(), run.Counts); diff != "" || run.Recording.Written != uint64(len(f.all)) {
			t.Errorf("%s: (-record +counts):\n%s", damage, diff)
		}
	}
}

// A run that was stopped as a whole has no lost agents: what was not due any more is not
// missing.
func TestJoinOfAStoppedRun(t *testing.T) {
	f := newFleet(t, rand.New(rand.NewPCG(7, 8)), 1000, 0)
	f.run([]fate{stopped, stopped})
	run := f.join().Run
	if !run.Interrupted || run.Agents[0].Lost != nil || run.Agents[1].Lost != nil || run.Counts.Due == uint64(len(f.all)) {
		t.Errorf("interrupted %v, lost %v and %v, %d of %d were due", run.Interrupted, run.Agents[0].Lost, run.Agents[1].Lost, run.Counts.Due, len(f.all))
	}
}

func TestJoinRefuses(t *testing.T) {
	f := newFleet(t, rand.New(rand.NewPCG(9, 10)), 400, 0)
	f.run([]fate{whole, whole})
	fails := func(say string, parts ...Part) {
		t.Helper()
		if _, err := Join(filepath.Join(f.dir, "out"), parts, schedule(400), 0, time.Second); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%v; want %q", err, say)
		}
	}
	fails("nothing survived", Part{Agent: results.Agent{Index: 0}}, Part{Agent: results.Agent{Index: 1}})
	fails("have the index 0", f.parts[0], f.parts[0])
	fails("the index 2", f.parts[0], Part{Agent: results.Agent{Index: 2}})
	must(t, os.Remove(filepath.Join(f.parts[1].Dir, fileExchanges)))
	fails("agent b (1): its record of exchanges cannot be read", f.parts...)
	must(t, os.WriteFile(filepath.Join(f.parts[1].Dir, fileRun), []byte("{"), 0o644))
	fails("agent b (1)", f.parts...)
}

// An agent that was killed has opened as many connections as its own count says, and their
// numbers in the whole run are several times as high.
func TestConnectionsOfAKilledAgent(t *testing.T) {
	f := newFleet(t, rand.New(rand.NewPCG(21, 22)), 900, 0)
	const of = 3
	for _, e := range f.all { // 12 connections for each agent
		if e.Conn > 0 {
			e.Conn = e.Seq/of%12*of + e.Seq%of + 1
		}
		for i := range e.Tries {
			e.Tries[i].Conn = e.Conn
		}
	}
	f.run([]fate{whole, killed, whole})
	run := f.join().Run
	if got := run.Agents[1].Connections.Opened; got != 12 {
		t.Errorf("the killed agent has opened %d connections, want 12", got)
	}
	if run.Connections.Opened != 10+12+10 {
		t.Errorf("all have opened %d", run.Connections.Opened)
	}
}
