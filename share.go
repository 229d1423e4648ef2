package kabench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/target"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
	"github.com/kabench/kabench/results/timings"
)

// Share makes a run one agent's part of a run on several: it sends the arrivals Index,
// Index+Of, … of the schedule, with their numbers, and numbers its connections likewise, so
// that no two agents have the same.
//
// The profile's target must not be one that kabench serves itself, and its load must have a
// seed. Options.Out is needed, because the results of the agents are joined from there. The
// run is judged, but expect and abort_when are about the whole run, and not checked.
type Share struct {
	Index, Of int // 0 <= Index < Of
	// Await is called when everything is ready to send. It returns the moment at which the
	// schedule begins, which must be at least 50 ms ahead.
	Await func(context.Context) (time.Time, error)
	// Beat, if set, is called about once a second and at the end, by one goroutine. A slow
	// Beat misses some calls, except the last, and does not delay the run.
	Beat func(Beat)
	// Looked says, if it is not nil, that the target accepts connections from this machine.
	// It has the ends, on this machine, of the connections by which that was found out.
	// Otherwise the agent opens such a connection itself.
	Looked []netip.AddrPort
	// Follow puts exchanges into the beats, for a page that shows the run.
	Follow bool
	// Timings puts timings into the beats.
	Timings bool
}

// Beat is how far an agent has come, so that the run can be shown and stopped. The results
// do not come from beats.
type Beat struct {
	Progress Progress       `json:"progress"`
	Tally    *results.Tally `json:"tally"` // so far: counts, and the latencies that abort_when asks for
	Stats    dialers.Stats  `json:"stats"`
	Sample   results.Sample `json:"sample"`            // the newest; the zero Sample before the first
	Sending  bool           `json:"sending,omitempty"` // more requests will be started
	// Driver says which figures a real client's driver tells; nil: the client is another.
	Driver *results.DriverSeen `json:"driver,omitempty"`
	// Exchanges are lines of the record, if they were asked for: those that ended since the
	// last beat, at most maxFollowed of them, and how many are left out.
	Exchanges []byte `json:"exchanges,omitempty"`
	LeftOut   uint64 `json:"left_out,omitempty"`
	// Timings are so far, if they were asked for.
	Timings *timings.Timings `json:"timings,omitempty"`
	// Network is the agent's, as results.Agent has it. A Fleet may set it; without it,
	// agents that are not local to each other are taken to have networks of their own.
	Network string `json:"network,omitempty"`
}

// maxFollowed is how many exchanges a beat has at most. A line takes about 200 bytes.
const maxFollowed = 2000

// fits complains about what a share of a run of p cannot do.
func (s *Share) fits(p *profiles.Profile, opts Options) error {
	switch t := p.Target; {
	case s == nil:
		return nil
	case s.Of < 1 || s.Index < 0 || s.Index >= s.Of:
		return inputErrorf("share: there is no agent %d of %d: Index is counted from 0 and below Of", s.Index, s.Of)
	case s.Await == nil:
		return inputErrorf("share: Await is not set, so that nothing says when the agents begin")
	case p.Load.Seed == 0:
		return inputErrorf("share: load.seed is 0: without a seed the agents would send different schedules")
	case opts.Out == "" || opts.Bare:
		return inputErrorf("share: the results of agents are joined from their directories: set Out, and do not set Bare")
	case p.Network != nil || t.Lab != nil || t.Link != nil || len(t.Proxies) > 0:
		return inputErrorf("share: each agent would have a network, a server or a link of its own: give a target that all agents reach")
	case opts.Trace != nil:
		return inputErrorf("share: the connections of several agents cannot be traced: do not set Trace")
	}
	return nil
}

// agents is the number of agents that the schedule is dealt to.
func (s *Share) agents() int {
	if s == nil {
		return 1
	}
	return s.Of
}

// part is the share of the schedule.
func (s *Share) part() generator.Share {
	if s == nil {
		return generator.Share{}
	}
	return generator.Share{Index: s.Index, Of: s.Of}
}

// number gives the connections of e the numbers that they have in the whole run.
func (s *Share) number(e *results.Exchange) {
	if s == nil {
		return
	}
	e.Conn = s.inWhole(e.Conn)
	for i := range e.Tries {
		e.Tries[i].Conn = s.inWhole(e.Tries[i].Conn)
	}
}

// inWhole returns the number that the agent's connection own has in the whole run; 0 is
// none, and without a share it is the same.
func (s *Share) inWhole(own uint64) uint64 {
	if s == nil || own == 0 {
		return own
	}
	return (own-1)*uint64(s.Of) + uint64(s.Index) + 1
}

// own is the reverse of inWhole.
func (s *Share) own(inWhole uint64) uint64 {
	if s == nil || inWhole == 0 {
		return inWhole
	}
	return (inWhole-1)/uint64(s.Of) + 1
}

// await returns when the run begins, by this process's monotonic clock.
func (s *Share) await(ctx context.Context, stop <-chan struct{}) (time.Time, error) {
	limited, cancel := untilStopped(ctx, stop)
	defer cancel()
	agreed, err := s.Await(limited)
	if err != nil {
		if limited.Err() != nil {
			return agreed, ErrInterrupted
		}
		return agreed, err
	}
	now := time.Now()
	ahead := agreed.Sub(now)
	if ahead < lead {
		return agreed, fmt.Errorf("the agreed start was only %v ahead for this agent: it must be at least %v; agree on a later start", ahead.Round(time.Microsecond), lead)
	}
	if monotonic := agreed != agreed.Round(0); monotonic {
		return agreed, nil
	}
	return now.Add(ahead), nil
}

// wait lets the time pass until shortly before start, so that nothing is sampled long before
// the run. It returns early when the run is to stop.
func (s *Share) wait(ctx context.Context, start time.Time, stop <-chan struct{}) {
	if s == nil {
		return
	}
	timer := time.NewTimer(time.Until(start) - lead)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-stop:
	case <-ctx.Done():
	}
}

// until is when a share of p's run stops to count sockets: at the end of the schedule, which
// all agents have. Those that are done close their connections after it, and agents of one
// machine see that. 0: there are no other agents.
func (s *Share) until(p *plan) (end time.Duration) {
	load := p.profile.Load
	switch {
	case s == nil:
		return 0
	case load.Count == 0:
		return load.WarmUp + load.Duration
	}
	for due := range p.schedule {
		end = due
	}
	return max(end, 1)
}

// beat is how far r has come, without the exchanges.
func (r *run) beat(p Progress) Beat {
	b := Beat{
		Progress: p, Tally: r.watch.recorder.Glance(r.watch.abort.latencies), Stats: r.traffic.client.Stats(), Sending: r.traffic.open.Sending(),
	}
	if s := r.watch.latest.Load(); s != nil {
		b.Sample = *s
	}
	if r.share.Timings {
		b.Timings = r.watch.meter.Timings()
	}
	if outside, ok := r.traffic.client.(*externalClient); ok {
		var doc results.Run
		outside.Fill(&doc)
		b.Driver = &results.DriverSeen{Client: doc.Driver.Client, Gauges: doc.Driver.Gauges, Looked: doc.Driver.Looked, Counted: doc.Driver.Counted}
	}
	return b
}

// follower keeps the exchanges of a share for the next beat.
type follower struct {
	mu      sync.Mutex
	lines   []byte // guarded by mu
	n       int    // lines; guarded by mu
	leftOut uint64 // guarded by mu
}

// Observe keeps e as a line. It does not keep e itself.
func (f *follower) Observe(e *results.Exchange) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n == maxFollowed {
		f.leftOut++
		return
	}
	f.n++
	f.lines = record.AppendLine(f.lines, e)
}

// take returns what was kept since the last call.
func (f *follower) take() (lines []byte, leftOut uint64) {
	if f == nil {
		return nil, 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	lines, leftOut = f.lines, f.leftOut
	f.lines, f.n, f.leftOut = nil, 0, 0
	return lines, leftOut
}

// sums are the figures of the share in a form in which the controller can add them to the
// others'.
func (r *run) sums() record.Sums {
	w := r.watch
	sums := record.Sums{
		Tally: w.recorder.Tally(), Targets: w.byTarget,
		Seconds: w.schedule.Seconds(r.profile.Load.WarmUp+r.measured(), r.traffic.sampler.Saturated),
	}
	switch c := r.traffic.client.(type) {
	case *dialers.Client:
		sums.AtPeerClose = c.Idles().AtPeerClose
	case *externalClient:
		sums.AtPeerClose, sums.Driver = r.outsider.witness.atClose, c.Times()
	}
	return sums
}

// divisible says why a run cannot be divided among agents, and what to do; nil if it can.
func divisible(p *plan, opts Options) error {
	n, to := opts.Fleet.Size(), &p.profile.Target
	switch local := opts.Fleet.Local(); {
	case n < 1:
		return errors.New("a fleet of no agents cannot send anything: ask for at least one")
	case opts.Share != nil:
		return errors.New("an agent cannot divide its share among others")
	case opts.Bare:
		return errors.New("the results of agents are joined from what they record, so a run on agents cannot do without recording: leave --agents or --no-instruments out")
	case opts.Trace != nil:
		return errors.New("connections are traced in the process that has them, and the agents have them: leave --agents or --trace out")
	case p.profile.Network != nil:
		return fmt.Errorf("%s has a private network, which lives in one process and cannot be divided among agents: leave --agents out, or choose a profile without network", p.profile.Name)
	case len(p.profile.Events) > 0:
		return errors.New("the events of a run come in one process, and agents are others: leave --agents or events out")
	case target.Serves(p.profile) && !local:
		return errors.New("kabench serves this target, or the link in front of it, on this machine's loopback, which agents elsewhere do not reach: give a server that they reach with target.url (--set target.lab=null --set target.link=null), or use --agents local:N")
	case to.TLS.CertFile != "":
		return errors.New("private keys are not sent to agents, so they cannot show the certificate of target.tls.cert_file: remove it, or leave --agents out")
	case to.Link != nil && to.File != "":
		return errors.New("the requests of target.file cannot be sent through target.link by agents: remove one of them, or leave --agents out")
	case len(to.SourceAddresses) > 0 && !local:
		return errors.New("target.source_addresses are addresses of one machine, and the agents may be on others: remove them; each agent has the ports of its own machine")
	}
	if p.profile.Client == profiles.ClientExternal && opts.Fleet.Local() {
		if _, _, err := driverCommand(p.profile); err != nil {
			return err
		}
	}
	return enough(p, n)
}

// enough complains if there is an agent that would have no request that counts.
func enough(p *plan, agents int) error {
	counted := 0
	for due := range p.schedule {
		if due >= p.profile.Load.WarmUp {
			if counted++; counted == agents {
				return nil
			}
		}
	}
	return fmt.Errorf("the schedule has %d requests after the warm-up, which are too few for %d agents: raise load.count, load.duration or load.rate, or use fewer agents", counted, agents)
}

// length is how much of the schedule a run has walked.
type length struct {
	schedule generator.Schedule // what was due until the run ended
	measured time.Duration      // without the warm-up
}

// length is how long the run of the agents was: what the schedule says, or up to the moment
// when the last of them stopped early.
func (f *fleetRun) length(parts []FleetPart) length {
	load := f.profile.Load
	if stopped, early := stoppedAt(parts); early {
		end := load.WarmUp + stopped
		return length{func(yield func(time.Duration) bool) {
			for due := range f.schedule {
				if due > end || !yield(due) {
					return
				}
			}
		}, stopped}
	}
	whole := length{f.schedule, load.Duration}
	if load.Count == 0 {
		return whole
	}
	last, counted := time.Duration(0), uint64(0)
	for due := range f.schedule {
		if last = due; due >= load.WarmUp {
			counted++
		}
	}
	if counted == load.Count { // ended by its last request, and each stands for the gap that follows it
		whole.measured = max(last-load.WarmUp, 0) + time.Duration(float64(time.Second)/load.MeanRate())
	}
	return whole
}

// stoppedAt returns for how long, after the warm-up, requests were due in a run that all its
// agents have stopped early; lost agents aside. It is false if one has sent its whole share.
func stoppedAt(parts []FleetPart) (measured time.Duration, early bool) {
	for _, p := range parts {
		if p.Agent.Lost != nil || p.Dir == "" {
			continue
		}
		dir, err := record.Open(p.Dir)
		if err != nil {
			continue
		}
		run, err := dir.Run()
		if err != nil || !run.Complete {
			continue
		}
		if !run.Interrupted {
			return 0, false
		}
		early = true
		if run.Rate.Offered > 0 {
			measured = max(measured, time.Duration(float64(run.Counts.Due)/run.Rate.Offered*float64(time.Second)))
		}
	}
	return measured, early
}
