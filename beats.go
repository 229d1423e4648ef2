package kabench

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/kabench/kabench/collectors"
	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
	"github.com/kabench/kabench/results/timings"
)

// silence is how old the newest beat of an agent may be for its gauges and rates to count.
// An agent that was not heard of for longer may have ended.
const silence = 3 * time.Second

// fleetBeats adds up what agents say while they send: for Options.Progress, Options.Live,
// Options.Standing and Options.Failure, and to stop the run when a condition of abort_when is met.
type fleetBeats struct {
	f      *fleetRun
	abort  *aborter
	latest chan Progress
	stands chan Standing
	once   sync.Once      // closes latest and stands
	shows  sync.WaitGroup // the goroutine that calls Options.Progress
	tells  sync.WaitGroup // the goroutine that calls Options.Standing

	// Owned by the goroutine that calls take.
	agents []heard
	peaks  collectors.SocketsSeen
	start  time.Time
}

// heard is what one agent has said.
type heard struct {
	beat *Beat     // the newest; nil: none yet
	at   time.Time // when it came
}

func newFleetBeats(f *fleetRun) *fleetBeats {
	b := &fleetBeats{f: f, abort: newAborter(f.plan), latest: make(chan Progress, 1), stands: make(chan Standing, 1), agents: make([]heard, f.opts.Fleet.Size())}
	if f.opts.Progress != nil {
		b.shows.Go(func() {
			for p := range b.latest {
				f.opts.Progress(p)
			}
		})
	}
	b.tells.Go(func() {
		for s := range b.stands {
			f.opts.Standing(s)
		}
	})
	return b
}

// close says that there are no more beats, and wait waits for the last call of
// Options.Progress.
func (b *fleetBeats) close() {
	b.once.Do(func() {
		close(b.latest)
		close(b.stands)
	})
}

func (b *fleetBeats) wait() {
	b.close()
	b.shows.Wait()
	b.tells.Wait()
}

// end makes the last call of Options.Standing.
func (b *fleetBeats) end() {
	if b.f.opts.Standing == nil {
		return
	}
	b.close()
	b.tells.Wait()
	doc, sample := b.f.doc, b.sample(time.Now())
	b.f.opts.Standing(b.withTarget(&doc, sample, true))
}

// standing is how the run stands.
func (b *fleetBeats) standing(elapsed time.Duration, sample results.Sample) Standing {
	known, doc := &b.f.doc, b.soFar(elapsed-b.f.profile.Load.WarmUp, nil)
	doc.Schema, doc.Version, doc.Name, doc.Start = known.Schema, known.Version, known.Name, known.Start
	_, doc.Sockets.PortsAvailable = b.sockets(time.Now())
	return b.withTarget(doc, sample, false)
}

func (b *fleetBeats) withTarget(doc *results.Run, sample results.Sample, over bool) Standing {
	s := Standing{Run: doc, Timings: b.timings(), Sample: &sample, Over: over}
	to := &b.f.profile.Target
	if b.f.target != nil {
		s.Server, s.Method = common(b.f.target.Requests)
	} else if request, err := dialers.NewRequest(to.Method, to.URL, nil, nil); err == nil && to.File == "" {
		s.Server, s.Method = common([]*dialers.Request{request})
	}
	return s
}

// timings adds up the newest timings of the agents.
func (b *fleetBeats) timings() *timings.Timings {
	sum := &timings.Timings{}
	for _, a := range b.agents {
		if a.beat != nil {
			sum.Merge(a.beat.Timings)
		}
	}
	return sum
}

// begin notes the start of the run.
func (b *fleetBeats) begin(start time.Time) { b.start = start }

// take takes the newest beat of each agent.
func (b *fleetBeats) take(beats []*Beat) {
	now, news := time.Now(), false
	for i, beat := range beats[:min(len(beats), len(b.agents))] {
		a := &b.agents[i]
		if beat == nil || a.beat != nil && beat.Progress.Elapsed <= a.beat.Progress.Elapsed {
			continue
		}
		if beat.Timings.Check() != nil {
			beat.Timings = nil // it cannot be; what is missing is said at the end
		}
		b.show(beat)
		a.beat, a.at, news = beat, now, true
	}
	sample := b.sample(now)
	if sample.Sockets != nil {
		b.peaks.Add(sample.Sockets)
	}
	if b.f.begun && news {
		b.f.opts.Live.Sample(sample)
	}
	if elapsed, known := b.elapsed(now); known {
		b.abort.check(b.f.plan, elapsed, b.sending(), b.soFar)
		if b.f.opts.Standing != nil {
			put(b.stands, b.standing(elapsed, sample))
		}
	}
	if p := b.progress(now); b.f.opts.Progress != nil && !b.start.IsZero() && (news || b.sending() || p.InFlight > 0) {
		put(b.latest, p) // after the last news the collection of the results is shown
	}
}

// show shows the exchanges of a beat.
func (b *fleetBeats) show(beat *Beat) {
	if !b.f.begun && b.f.opts.Failure == nil {
		return
	}
	for e, err := range record.ReadLines(beat.Exchanges) {
		if err != nil {
			return // a page misses them; the results do not come from beats
		}
		if b.f.opts.Failure != nil {
			failures(b.f.opts.Failure).Observe(e)
		}
		if b.f.begun {
			b.f.opts.Live.Observe(e)
		}
	}
	if missed, can := b.f.opts.Live.(interface{ Missed(n uint64) }); can {
		missed.Missed(beat.LeftOut)
	}
}

// fresh yields the newest beats that are not too old, with their agents' indices.
func (b *fleetBeats) fresh(now time.Time) func(yield func(int, *Beat) bool) {
	return func(yield func(int, *Beat) bool) {
		for i, a := range b.agents {
			if a.beat != nil && now.Sub(a.at) <= silence && !yield(i, a.beat) {
				return
			}
		}
	}
}

// elapsed is how far the agents are on average. It is false as long as one that may still
// beat has not.
func (b *fleetBeats) elapsed(now time.Time) (mean time.Duration, known bool) {
	heard := 0
	for _, a := range b.agents {
		if a.beat != nil {
			heard++
			mean += a.beat.Progress.Elapsed
		}
	}
	if heard == 0 || heard < len(b.agents) && now.Sub(b.start) < 2*silence {
		return 0, false
	}
	return mean / time.Duration(heard), true
}

// sending reports whether an agent will start more requests.
func (b *fleetBeats) sending() bool {
	for _, a := range b.agents {
		if a.beat != nil && a.beat.Sending {
			return true
		}
	}
	return false
}

// soFar is the document so far, for an aborter.
func (b *fleetBeats) soFar(measured time.Duration, _ []string) *results.Run {
	var tally results.Tally
	var stats dialers.Stats
	var driver *results.DriverSeen
	for _, a := range b.agents {
		if a.beat == nil {
			continue
		}
		if a.beat.Tally != nil {
			tally.Merge(a.beat.Tally)
		}
		stats.Merge(a.beat.Stats)
		driver = tellsBoth(driver, a.beat.Driver)
	}
	doc := &results.Run{Profile: b.f.kept.Profile, Sockets: b.peaks.Peaks(), Driver: driver}
	tally.Fill(doc, measured)
	stats.Fill(doc)
	return doc
}

// tellsBoth says which figures both drivers tell; nil is no driver.
func tellsBoth(a, b *results.DriverSeen) *results.DriverSeen {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	return &results.DriverSeen{
		Client: a.Client, Looked: a.Looked && b.Looked, Counted: a.Counted && b.Counted,
		Gauges: slices.DeleteFunc(slices.Clone(a.Gauges), func(g string) bool { return !slices.Contains(b.Gauges, g) }),
	}
}

// sample adds up the newest samples of the agents.
func (b *fleetBeats) sample(now time.Time) results.Sample {
	sum := results.Sample{T: now.Sub(b.start).Seconds()}
	for _, a := range b.agents {
		if a.beat != nil {
			sum.AddTotals(&a.beat.Sample)
		}
	}
	for _, beat := range b.fresh(now) {
		sum.AddGauges(&beat.Sample)
	}
	sum.Sockets, _ = b.sockets(now)
	return sum
}

// sockets adds up the agents' latest looks at the sockets, and their local ports. Agents of
// one network see each other's: the largest number counts. nil: nobody has looked.
func (b *fleetBeats) sockets(now time.Time) (sum *results.SocketSample, ports int) {
	type place struct {
		sockets results.SocketSample
		ports   int
	}
	places := map[any]*place{}
	for i, beat := range b.fresh(now) {
		p := &beat.Progress
		if p.Sockets == nil {
			continue
		}
		at := places[b.network(i, beat)]
		if at == nil {
			at = &place{sockets: results.SocketSample{Client: map[string]int{}}}
			places[b.network(i, beat)] = at
		}
		at.ports = max(at.ports, p.Ports)
		at.sockets.PortsUsed = max(at.sockets.PortsUsed, p.Sockets.PortsUsed)
		raise(at.sockets.Client, p.Sockets.Client)
		if p.Sockets.Server != nil {
			if at.sockets.Server == nil {
				at.sockets.Server = map[string]int{}
			}
			raise(at.sockets.Server, p.Sockets.Server)
		}
	}
	for _, at := range places {
		ports += at.ports
		if sum == nil {
			sum = &results.SocketSample{Client: map[string]int{}}
		}
		sum.PortsUsed += at.sockets.PortsUsed
		add(sum.Client, at.sockets.Client)
		if at.sockets.Server != nil {
			if sum.Server == nil {
				sum.Server = map[string]int{}
			}
			add(sum.Server, at.sockets.Server)
		}
	}
	return sum, ports
}

// network tells agents with networks of their own apart.
func (b *fleetBeats) network(i int, beat *Beat) any {
	switch {
	case beat.Network != "":
		return beat.Network
	case b.f.opts.Fleet.Local():
		return ""
	}
	return i
}

// raise sets each value of to that is below that of from.
func raise(to, from map[string]int) {
	for state, n := range from {
		to[state] = max(to[state], n)
	}
}

// add adds the values of from to those of to.
func add(to, from map[string]int) {
	for state, n := range from {
		to[state] += n
	}
}

// progress adds up how far the agents have come.
func (b *fleetBeats) progress(now time.Time) Progress {
	load := b.f.profile.Load
	sum := Progress{
		Elapsed: max(now.Sub(b.start), 0), Total: load.WarmUp + load.Duration, WarmUp: load.WarmUp,
		MaxConns: pool.NoCap, PendingMax: pool.NoCap,
	}
	if load.Duration == 0 {
		sum.Total = 0 // it ends with its last request
	}
	for _, a := range b.agents {
		if a.beat == nil {
			continue
		}
		t := &a.beat.Progress.Totals
		sum.Totals.Due += t.Due
		sum.Totals.Started += t.Started
		sum.Totals.OK += t.OK
		sum.Totals.Failed += t.Failed
		sum.Totals.Errors += t.Errors
		for phase, n := range t.Phases {
			sum.Totals.Phases[phase] += n
		}
		sum.Pool.Opened += a.beat.Progress.Pool.Opened
		sum.MaxConns, sum.PendingMax = a.beat.Progress.MaxConns, a.beat.Progress.PendingMax // as many for each agent
	}
	for _, beat := range b.fresh(now) {
		one := &beat.Progress
		sum.InFlight += one.InFlight
		sum.Buffered += one.Buffered
		sum.Offered += one.Offered
		sum.Achieved += one.Achieved
		sum.Throughput += one.Throughput
		sum.Pool.Leased += one.Pool.Leased
		sum.Pool.Idle += one.Pool.Idle
		sum.Pool.Dialing += one.Pool.Dialing
		sum.Pool.Pending += one.Pool.Pending
		if one.Times != nil { // percentiles cannot be added, but the latest agent is the latest of all
			if sum.Times == nil {
				sum.Times = &TimesSoFar{}
			}
			sum.Times.Lag = max(sum.Times.Lag, one.Times.Lag)
		}
	}
	for _, bound := range []*int{&sum.MaxConns, &sum.PendingMax} {
		if *bound != pool.NoCap {
			*bound *= len(b.agents)
		}
	}
	sum.Sockets, sum.Ports = b.sockets(now)
	return sum
}
