package join

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/results"
)

// Part is an agent and what its run left.
type Part struct {
	Agent results.Agent
	Run   *results.Run // nil: nothing survived
}

// Name is how sentences name an agent: its name, and its index.
func Name(a *results.Agent) string { return fmt.Sprintf("%s (%d)", cmp.Or(a.Name, "agent"), a.Index) }

// Fill sets the figures of the agent that are those of its own run.
func (p *Part) Fill() {
	a, run := &p.Agent, p.Run
	if run == nil {
		a.Valid, a.Invalid, a.Warnings = false, []string{"nothing of its run survived"}, []string{}
		a.Connections.Evictions = map[string]uint64{}
		return
	}
	a.Version, a.Host, a.Start = cmp.Or(run.Version, a.Version), run.Host, run.Start
	a.Valid, a.Invalid, a.Warnings = run.Valid, run.Invalid, append([]string{}, run.Warnings...)
	a.Counts, a.Lag, a.Connections, a.Pool = run.Counts, run.Latency[results.LatencyLag], run.Connections, run.Pool
	a.Instrument, a.Recording = run.Instrument, run.Recording
	if a.Connections.Evictions == nil {
		a.Connections.Evictions = map[string]uint64{}
	}
}

// Figures is the document of the run that parts are together, as far as it follows from
// their documents and the peaks of the joined samples. At least one part must have a Run.
func Figures(parts []Part, peaks Peaks) *results.Run {
	j := &joiner{peaks: peaks, run: &results.Run{Schema: results.Schema}}
	for i := range parts {
		j.agents = append(j.agents, &parts[i].Agent)
		if parts[i].Run != nil {
			j.known = append(j.known, &parts[i])
		}
	}
	j.head()
	j.connections()
	j.sockets()
	j.kernel()
	j.instrument()
	j.recording()
	j.ports()
	j.times()
	j.drivers()
	j.says()
	return j.run
}

type joiner struct {
	run    *results.Run
	agents []*results.Agent
	known  []*Part // those with a Run
	peaks  Peaks
	odd    []string // warnings
}

// head sets what all agents share, and when the run began and ended, by the
// controller's clock.
func (j *joiner) head() {
	d, first := j.run, j.known[0].Run
	d.Version, d.Name, d.Question, d.Profile, d.Host, d.Preset = first.Version, first.Name, first.Question, first.Profile, first.Host, first.Preset
	stopped := true
	for _, p := range j.known {
		offset := seconds(p.Agent.Clock.Offset + p.Agent.Clock.Skew)
		if start := p.Run.Start.Add(-offset); d.Start.IsZero() || start.Before(d.Start) {
			d.Start = start
		}
		if end := p.Run.End.Add(-offset); end.After(d.End) {
			d.End = end
		}
		d.Complete = d.Complete || p.Run.Complete
		if p.Agent.Lost == nil {
			stopped = stopped && p.Run.Interrupted
		}
		if b := p.Run.Before; b != nil {
			if d.Before == nil {
				d.Before = &results.Before{}
			}
			d.Before.Connections += b.Connections
			d.Before.TLS += b.TLS
			d.Before.Reset += b.Reset
		}
		d.Idle.Longest = max(d.Idle.Longest, p.Run.Idle.Longest)
	}
	d.Interrupted = stopped && slices.ContainsFunc(j.known, func(p *Part) bool { return p.Agent.Lost == nil })
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// connections adds the counts of connections, and takes the peaks from the joined
// samples, within what the agents' own peaks allow.
func (j *joiner) connections() {
	sum := results.Connections{Evictions: map[string]uint64{}}
	var open, pending, leased, idle, dialing bounds
	j.run.Limit = nil
	for _, p := range j.known {
		c := &p.Run.Connections
		sum.Opened += c.Opened
		sum.ClosedByUs += c.ClosedByUs
		sum.ClosedByPeer += c.ClosedByPeer
		sum.Reset += c.Reset
		sum.Unknown += c.Unknown
		sum.NotifiedUs += c.NotifiedUs
		sum.NotifiedPeer += c.NotifiedPeer
		sum.TLSResumed += c.TLSResumed
		sum.Leaked += c.Leaked
		addAll(sum.Evictions, c.Evictions)
		open.add(c.MaxOpen)
		j.addLimit(p.Run.Limit)
		pool := &p.Run.Pool
		pending.add(pool.PeakPending)
		leased.add(pool.PeakLeased)
		idle.add(pool.PeakIdle)
		dialing.add(pool.PeakDialing)
	}
	sum.MaxOpen = open.around(j.peaks.MaxOpen)
	j.run.Connections = sum
	j.run.Pool = results.PoolPeaks{
		PeakPending: pending.around(j.peaks.Pool.PeakPending), PeakLeased: leased.around(j.peaks.Pool.PeakLeased),
		PeakIdle: idle.around(j.peaks.Pool.PeakIdle), PeakDialing: dialing.around(j.peaks.Pool.PeakDialing),
	}
}

// addLimit adds an agent's adaptive limit.
func (j *joiner) addLimit(l *results.LimitSeen) {
	switch sum := j.run.Limit; {
	case l == nil:
	case sum == nil:
		first := *l
		j.run.Limit = &first
	default:
		sum.Initial, sum.Lowest, sum.Highest, sum.Final = sum.Initial+l.Initial, sum.Lowest+l.Lowest, sum.Highest+l.Highest, sum.Final+l.Final
	}
}

// bounds are what the agents' own peaks say about the peak of their sum: it is not below
// the largest of them, and not above all of them together.
type bounds struct{ low, high int }

func (b *bounds) add(peak int) { b.low, b.high = max(b.low, peak), b.high+peak }

func (b bounds) around(joined int) int { return min(max(joined, b.low), b.high) }

// sockets takes the peaks of the joined samples, and within a network the largest.
func (j *joiner) sockets() {
	var without []string
	networks := newNetworks[*results.Sockets]()
	for _, p := range j.known {
		s := &p.Run.Sockets
		if !s.Available {
			if s.Why != "" {
				without = append(without, Name(&p.Agent)+": "+s.Why)
			}
			continue
		}
		networks.add(p.Agent.Network, s)
	}
	sum := &j.run.Sockets
	sum.Available, sum.Why = len(networks.all) > 0, strings.Join(without, "; ")
	var wait, server, established, closeWait, ports bounds
	for _, seen := range networks.all {
		var one results.Sockets
		for _, s := range seen {
			one.TimeWaitPeak = max(one.TimeWaitPeak, s.TimeWaitPeak)
			one.TimeWaitServer = max(one.TimeWaitServer, s.TimeWaitServer)
			one.EstablishedPeak = max(one.EstablishedPeak, s.EstablishedPeak)
			one.CloseWaitPeak = max(one.CloseWaitPeak, s.CloseWaitPeak)
			one.PortsUsedPeak = max(one.PortsUsedPeak, s.PortsUsedPeak)
			one.PortsAvailable = max(one.PortsAvailable, s.PortsAvailable)
			sum.ServerSide = sum.ServerSide || s.ServerSide
		}
		wait.add(one.TimeWaitPeak)
		server.add(one.TimeWaitServer)
		established.add(one.EstablishedPeak)
		closeWait.add(one.CloseWaitPeak)
		ports.add(one.PortsUsedPeak)
		sum.PortsAvailable += one.PortsAvailable
	}
	seen := j.peaks.Sockets
	sum.TimeWaitPeak, sum.TimeWaitServer = wait.around(seen.TimeWaitPeak), server.around(seen.TimeWaitServer)
	sum.EstablishedPeak, sum.CloseWaitPeak = established.around(seen.EstablishedPeak), closeWait.around(seen.CloseWaitPeak)
	sum.PortsUsedPeak = ports.around(seen.PortsUsedPeak)
}

// kernel adds the counters of the networks. Each agent of a network sees all of them.
func (j *joiner) kernel() {
	sum := &j.run.Kernel
	var without []string
	networks := newNetworks[map[string]uint64]()
	for _, p := range j.known {
		if k := &p.Run.Kernel; k.Available {
			networks.add(p.Agent.Network, k.Counters)
		} else if k.Why != "" {
			without = append(without, Name(&p.Agent)+": "+k.Why)
		}
	}
	sum.Available, sum.Why, sum.Counters = len(networks.all) > 0, strings.Join(without, "; "), map[string]uint64{}
	for _, seen := range networks.all {
		one := map[string]uint64{}
		for _, counters := range seen {
			largest(one, counters)
		}
		addAll(sum.Counters, one)
	}
	for _, p := range j.known {
		if k := &p.Run.Kernel; sum.Available && !k.Available && !networks.has(p.Agent.Network) {
			j.odd = append(j.odd, fmt.Sprintf("what the kernel of %s counted is not known, and not in the sums: %s", Name(&p.Agent), cmp.Or(k.Why, "it was not read")))
		}
	}
}

// recording adds what the records contain.
func (j *joiner) recording() {
	sum := results.Recording{SuccessesOneIn: 1}
	var stopped []string
	for _, p := range j.known {
		r := &p.Run.Recording
		sum.Written += r.Written
		sum.LeftOut += r.LeftOut
		sum.Lost += r.Lost
		if c := r.Connections; c != nil {
			if sum.Connections == nil {
				sum.Connections = &results.RecordedConnections{}
			}
			sum.Connections.Written += c.Written
			sum.Connections.LeftOut += c.LeftOut
			sum.Connections.Lost += c.Lost
		}
		sum.SuccessesOneIn = max(sum.SuccessesOneIn, r.SuccessesOneIn)
		if r.Error != "" {
			stopped = append(stopped, "agent "+Name(&p.Agent)+": "+r.Error)
		}
	}
	sum.Error = strings.Join(stopped, "; ")
	j.run.Recording = sum
}

// ports joins when the local ports ran out: the first agent's and the last one's.
func (j *joiner) ports() {
	for _, p := range j.known {
		one := p.Run.Ports
		if one == nil {
			continue
		}
		if j.run.Ports == nil {
			j.run.Ports = &results.Ports{}
		}
		sum := j.run.Ports
		sum.Predicted, sum.FirstFail = earlier(sum.Predicted, one.Predicted), earlier(sum.FirstFail, one.FirstFail)
		sum.LastFail, sum.Back = max(sum.LastFail, one.LastFail), earlier(sum.Back, one.Back)
		sum.Recovered += one.Recovered
	}
}

// times joins when requests failed. Waves of several agents are not put together.
func (j *joiner) times() {
	for _, p := range j.known {
		one := p.Run.Times
		if one == nil {
			continue
		}
		if j.run.Times == nil {
			j.run.Times = &results.Times{}
		}
		sum := j.run.Times
		sum.FirstFailure, sum.LastFailure = earlier(sum.FirstFailure, one.FirstFailure), max(sum.LastFailure, one.LastFailure)
		sum.FreshPeak = max(sum.FreshPeak, one.FreshPeak)
	}
}

// earlier is the smaller of two times. 0 means that there is none.
func earlier(a, b float64) float64 {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// says gathers why agents' runs are invalid, and their warnings. A sentence that is true
// of several agents is written once.
func (j *joiner) says() {
	var invalid, warnings sentences
	for _, p := range j.known {
		if p.Agent.Lost == nil || p.Agent.Counts.Due > 0 { // one that was lost before it measured spoils nothing
			invalid.add(&p.Agent, p.Agent.Invalid)
		}
		warnings.add(&p.Agent, p.Agent.Warnings)
	}
	j.run.Invalid = invalid.texts(len(j.agents))
	j.run.Warnings = append(j.odd, warnings.texts(len(j.agents))...)
}

// sentences are texts about agents.
type sentences struct {
	order []string
	of    map[string][]string // the names of the agents, by the text
}

func (s *sentences) add(a *results.Agent, texts []string) {
	if s.of == nil {
		s.of = map[string][]string{}
	}
	for _, text := range texts {
		if s.of[text] == nil {
			s.order = append(s.order, text)
		}
		if !slices.Contains(s.of[text], Name(a)) {
			s.of[text] = append(s.of[text], Name(a))
		}
	}
}

// texts are the sentences, each with the agents that it is about.
func (s *sentences) texts(agents int) (texts []string) {
	for _, text := range s.order {
		who := "agent " + s.of[text][0]
		switch n := len(s.of[text]); {
		case n > 1 && n == agents:
			who = "each agent"
		case n > 1:
			who = "agents " + strings.Join(s.of[text], ", ")
		}
		texts = append(texts, who+": "+text)
	}
	return texts
}
