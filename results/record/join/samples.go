package join

import (
	"iter"
	"math"

	"github.com/kabench/kabench/results"
)

const (
	// period is the time between two joined samples, as between those of an agent, in
	// seconds.
	period = 0.1
	// socketPeriod is the least time between two joined samples with sockets.
	socketPeriod = 0.45
	// maxAge is how old an agent's latest sample may be for its gauges to count. An agent
	// that is short of CPU takes no samples for a moment, and its connections stay open.
	maxAge = 2.0
	// maxSocketAge is the same for the sockets: counting many takes long, and is done
	// rarely then.
	maxSocketAge = 10.0
	// afterEnd is for how long the gauges of an agent's last sample count.
	afterEnd = 1.5 * period
)

// Source are the samples of one agent.
type Source struct {
	Network string // agents of one network see each other's sockets; "": not known, so that it is taken for one of its own
	Samples iter.Seq[results.Sample]
}

// Peaks are the largest values of joined samples.
type Peaks struct {
	Pool       results.PoolPeaks
	MaxOpen    int // connections
	Goroutines int
	OpenFiles  int
	Sockets    results.Sockets // without its facts about ports
}

func (p *Peaks) add(s *results.Sample) {
	p.Pool.PeakLeased = max(p.Pool.PeakLeased, s.Leased)
	p.Pool.PeakIdle = max(p.Pool.PeakIdle, s.Idle)
	p.Pool.PeakDialing = max(p.Pool.PeakDialing, s.Dialing)
	p.Pool.PeakPending = max(p.Pool.PeakPending, s.Pending)
	p.MaxOpen = max(p.MaxOpen, s.Leased+s.Idle)
	p.Goroutines = max(p.Goroutines, s.Goroutines)
	p.OpenFiles = max(p.OpenFiles, s.OpenFiles)
	if s.Sockets != nil {
		p.Sockets.Add(s.Sockets)
	}
}

// Samples joins the samples of agents. A joined sample is of a whole tenth of a second
// and adds each agent's latest one. An agent that has ended counts with its running
// totals, and without gauges. missing returns how many arrivals of lost agents were due
// until a moment, in seconds since the start of the run: they are added to the requests
// that were due. yield gets the samples in order, and returns false to end.
func Samples(sources []Source, missing func(until float64) uint64, yield func(results.Sample) bool) Peaks {
	streams := make([]*stream, len(sources))
	for i, s := range sources {
		next, stop := iter.Pull(s.Samples)
		defer stop()
		streams[i] = &stream{network: s.Network, next: next}
		streams[i].pull()
	}
	var peaks Peaks
	for t, sockets := 0.0, math.Inf(-1); ; {
		first, more := earliest(streams)
		if !more {
			return peaks
		}
		// A rounded tick may be a little before the sample that it is for.
		t = max(math.Ceil((first-1e-6)/period)*period, first, t)
		fresh := false
		for _, s := range streams {
			fresh = s.advance(t) || fresh
		}
		joined := add(streams, t)
		joined.Due += missing(t)
		if fresh && t-sockets >= socketPeriod {
			joined.Sockets, sockets = addSockets(streams, t), t
		}
		peaks.add(&joined)
		if !yield(joined) {
			return peaks
		}
	}
}

// stream is how far the samples of one agent have been read.
type stream struct {
	network string
	next    func() (results.Sample, bool)

	ahead   results.Sample // the first sample that is not read yet
	more    bool           // ahead is one
	latest  results.Sample
	sockets *results.SocketSample // the latest
	at      float64               // when sockets were counted
}

func (s *stream) pull() { s.ahead, s.more = s.next() }

// advance reads the samples until t, and reports whether one of them has sockets.
func (s *stream) advance(t float64) (sockets bool) {
	for s.more && s.ahead.T <= t {
		s.latest = s.ahead
		if s.latest.Sockets != nil {
			s.sockets, s.at, sockets = s.latest.Sockets, s.latest.T, true
		}
		s.pull()
	}
	return sockets
}

// live reports whether the gauges of the latest sample count at t.
func (s *stream) live(t float64) bool {
	age := t - s.latest.T
	return age <= maxAge && (s.more || age <= afterEnd)
}

// earliest is the time of the first sample that is not read yet.
func earliest(streams []*stream) (t float64, more bool) {
	t = math.Inf(1)
	for _, s := range streams {
		if s.more {
			t, more = min(t, s.ahead.T), true
		}
	}
	return t, more
}

// add is the joined sample at t, without sockets.
func add(streams []*stream, t float64) results.Sample {
	sum := results.Sample{T: math.Round(t*1e6) / 1e6}
	for _, s := range streams {
		sum.AddTotals(&s.latest)
		if s.live(t) {
			sum.AddGauges(&s.latest)
		}
	}
	return sum
}

// addSockets is the joined count of sockets at t; nil if no agent has a recent one.
func addSockets(streams []*stream, t float64) *results.SocketSample {
	networks := newNetworks[*results.SocketSample]()
	for _, s := range streams {
		if s.sockets != nil && s.live(t) && t-s.at <= maxSocketAge {
			networks.add(s.network, s.sockets)
		}
	}
	if len(networks.all) == 0 {
		return nil
	}
	sum := &results.SocketSample{Client: map[string]int{}}
	for _, seen := range networks.all {
		ports := 0
		clients, servers := map[string]int{}, map[string]int(nil)
		for _, s := range seen {
			ports = max(ports, s.PortsUsed)
			largest(clients, s.Client)
			if s.Server != nil {
				if servers == nil {
					servers = map[string]int{}
				}
				largest(servers, s.Server)
			}
		}
		sum.PortsUsed += ports
		addAll(sum.Client, clients)
		if servers != nil {
			if sum.Server == nil {
				sum.Server = map[string]int{}
			}
			addAll(sum.Server, servers)
		}
	}
	return sum
}

// networks are values of agents, by the network of each.
type networks[T any] struct {
	all   [][]T
	index map[string]int
}

func newNetworks[T any]() *networks[T] { return &networks[T]{index: map[string]int{}} }

func (n *networks[T]) add(network string, value T) {
	i, known := n.index[network]
	if !known || network == "" {
		i = len(n.all)
		n.all, n.index[network] = append(n.all, nil), i
	}
	n.all[i] = append(n.all[i], value)
}

// has reports whether a value of the network was added.
func (n *networks[T]) has(network string) bool {
	_, known := n.index[network]
	return known && network != ""
}

// largest raises the values of to to those of from.
func largest[N int | uint64](to, from map[string]N) {
	for name, n := range from {
		to[name] = max(to[name], n)
	}
}

func addAll[N int | uint64](to, from map[string]N) {
	for name, n := range from {
		to[name] += n
	}
}
