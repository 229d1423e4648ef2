package collectors

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/results"
)

// How often a Sampler looks. If a look at the sockets takes long, the next one waits for
// costFactor times that time, so that looks take at most a quarter of a percent of one
// core; 10,000 requests a second take about a quarter of a core. The wait is at most
// mostSocketWait, because a state that lasts for less than that may never be seen, or
// fullCostFactor times the look if that is longer: a hundredth of a core, which a look of
// 10 ms takes. An urgent look waits for urgentFactor times the last one, a twentieth.
const (
	samplePeriod   = 100 * time.Millisecond
	socketPeriod   = 500 * time.Millisecond
	filesPeriod    = time.Second
	costFactor     = 400
	mostSocketWait = time.Second
	fullCostFactor = 100
	urgentFactor   = 20
)

// Gauges are the pool's at one moment.
type Gauges struct {
	Leased, Idle, Dialing, Pending int
	Opened                         uint64 // connections opened since the start
}

// Sources are what a Sampler looks at. It calls the functions from its own goroutine; they
// must not wait for traffic.
type Sources struct {
	Pool   func() Gauges
	Load   func() (inFlight, buffered int) // of the generator
	Totals func() Totals                   // of the Recorder

	// Which sockets to count. An unspecified address stands for the loopback address
	// of its family, which is where a connection to it goes.
	Remotes []netip.AddrPort // where connections go
	Servers []netip.AddrPort // where the server accepts, if not there; only if on this machine
	Except  []netip.AddrPort // our ends of connections that are not the run's
	// ServerSide count the sockets of the server's side by their state, each in a
	// network namespace that is not this one; Servers is empty then.
	ServerSide []func() (map[string]int, error)
	// Until is when the last sample counts sockets, after the epoch; 0: at the end. Other
	// processes of this machine may close theirs to the same target then.
	Until time.Duration
	// LocalAddrs is the number of source addresses that connections are bound to, each
	// with its own ports; 0: the kernel chooses one.
	LocalAddrs int

	// Hosts read the kernel's counters of other network namespaces, by the names of
	// their hosts.
	Hosts map[string]func() (map[string]uint64, error)

	// Sink takes each sample, in order. It is not called again after its first error.
	Sink func(results.Sample) error

	// Urgent asks for a look at the sockets between two samples; Looked takes it. Nil:
	// there are no such looks.
	Urgent <-chan struct{}
	Looked func(*results.SocketSample)
}

// Sampler takes 10 samples a second from a goroutine of its own, 2 of them with the
// sockets, or fewer where there are many sockets. Whatever it cannot see is missing from
// the sample, and the run says why.
type Sampler struct {
	src   Sources
	epoch time.Time

	started  bool
	stopOnce sync.Once
	stop     chan struct{}
	done     chan struct{} // closed when the goroutine is over

	// Owned by the goroutine until it is over.
	sockets                *sockets
	process                process
	machine                machine
	kernel                 kernel // read by Start and Stop
	hosts                  map[string]*kernel
	dueSoFar, startedSoFar uint64
	sinkErr                error
}

// NewSampler opens what a Sampler looks at, and counts the sockets once, so that those of
// earlier runs are known. If sockets cannot be seen, Fill says why. Stop it after use.
func NewSampler(src Sources) *Sampler {
	watcher, err := host.NewSocketWatcher(host.Watch{Remotes: src.Remotes, Servers: src.Servers, Except: src.Except})
	if err != nil {
		return newSampler(src, &sockets{why: err.Error()})
	}
	return newSampler(src, &sockets{count: watcher.Count, servers: src.ServerSide, close: watcher.Close})
}

func newSampler(src Sources, s *sockets) *Sampler {
	if first := s.look(); first != nil {
		s.before = first.Client[host.TimeWait.String()]
	}
	return &Sampler{src: src, sockets: s, stop: make(chan struct{}), done: make(chan struct{})}
}

// Start begins to sample. The stamps of the run are offsets from epoch. Call Start once,
// before Stop, and both in the network namespace whose kernel counters are wanted.
func (s *Sampler) Start(epoch time.Time) {
	s.started, s.epoch = true, epoch
	s.process.begin(time.Now())
	s.machine.begin(epoch)
	s.kernel.begin()
	s.hosts = make(map[string]*kernel, len(s.src.Hosts))
	for name, read := range s.src.Hosts {
		s.hosts[name] = &kernel{read: read}
		s.hosts[name].begin()
	}
	go s.loop()
}

// Stop takes the last sample, if Start was called, and closes what NewSampler opened. It
// returns the first error of the sink. It may be called more than once.
func (s *Sampler) Stop() error {
	s.stopOnce.Do(func() {
		s.kernel.end()
		for _, k := range s.hosts {
			k.end()
		}
		close(s.stop)
		if !s.started {
			s.sockets.release()
			close(s.done)
		}
	})
	<-s.done
	return s.sinkErr
}

func (s *Sampler) loop() {
	defer close(s.done)
	defer s.sockets.release()
	ticker := time.NewTicker(samplePeriod)
	defer ticker.Stop()
	var socketsDue, filesDue due
	urgent := s.src.Urgent
	var again <-chan time.Time // when urgent is read again
	for {
		select {
		case <-urgent:
			if seen := s.sockets.look(); seen != nil {
				s.src.Looked(seen)
			}
			urgent, again = nil, time.After(urgentFactor*s.sockets.took)
		case <-again:
			urgent, again = s.src.Urgent, nil
		case <-ticker.C:
			lookAtSockets := socketsDue.now(socketPeriod)
			s.sample(lookAtSockets, filesDue.now(filesPeriod))
			if lookAtSockets {
				socketsDue.notWithin(s.sockets.pause())
			}
			s.machine.look(false)
		case <-s.stop:
			s.sample(true, true)
			s.machine.look(true)
			return
		}
	}
}

// sample looks at everything, and at sockets and files if told to.
func (s *Sampler) sample(lookAtSockets, lookAtFiles bool) {
	// In this order, an exchange that ends in between is missing until the next sample;
	// in the other order it would be counted twice. An exchange that has given its slot
	// back and is not observed yet is missing too, so a running total may seem to fall.
	// Then it keeps its value.
	totals := s.src.Totals()
	inFlight, buffered := s.src.Load()
	pool := s.src.Pool()
	now := time.Now()
	cpu := s.process.look(now, lookAtFiles)
	s.dueSoFar = max(s.dueSoFar, totals.Due+uint64(inFlight)+uint64(buffered))
	s.startedSoFar = max(s.startedSoFar, totals.Started+uint64(inFlight))
	sample := results.Sample{
		T: now.Sub(s.epoch).Seconds(), InFlight: inFlight, Buffered: buffered,
		Leased: pool.Leased, Idle: pool.Idle, Dialing: pool.Dialing, Pending: pool.Pending, Opened: pool.Opened,
		Due: s.dueSoFar, Started: s.startedSoFar, OK: totals.OK, Failed: totals.Failed,
		CPU: cpu, Goroutines: s.process.goroutines, OpenFiles: s.process.files,
	}
	if lookAtSockets && (s.src.Until == 0 || now.Sub(s.epoch) <= s.src.Until) {
		sample.Sockets = s.sockets.look()
	}
	if s.sinkErr == nil {
		s.sinkErr = s.src.Sink(sample)
	}
}

// KernelSoFar is run.Kernel as Fill would set it now, without the hosts. Call it after Start.
func (s *Sampler) KernelSoFar() results.Kernel { return s.kernel.soFar() }

// Fill sets run.Sockets, run.Kernel and run.Instrument, and warns if there were sockets in
// TIME_WAIT before the run. Call it after Stop. The cost per exchange needs run.Counts.
func (s *Sampler) Fill(run *results.Run) {
	run.Sockets = s.sockets.peaks
	run.Sockets.Why = s.sockets.why
	run.Sockets.Available = s.sockets.why == ""
	if ports, err := host.Ports(); err == nil {
		run.Sockets.PortsAvailable = ports.Available() * max(s.src.LocalAddrs, 1)
	}
	if n := s.sockets.before; n > 0 {
		run.Warnings = append(run.Warnings, fmt.Sprintf(
			"%d sockets to the target were in TIME_WAIT before the run began and are counted in its figures; wait a minute between runs to leave them out", n))
	}
	run.Kernel = s.kernel.counted()
	for name, k := range s.hosts {
		of := k.counted()
		if !of.Available {
			run.Warnings = append(run.Warnings, fmt.Sprintf("the kernel's counters of the host %s could not be read: %s", name, of.Why))
			continue
		}
		if run.Kernel.Hosts == nil {
			run.Kernel.Hosts = map[string]map[string]uint64{}
		}
		run.Kernel.Hosts[name] = of.Counters
	}
	run.Instrument = s.process.instrument()
	s.machine.fill(&run.Instrument)
	run.Instrument.SetCPUPerExchange(run.Counts)
}

// Saturated reports whether the machine was saturated in the run's second of
// that number, counted from 0. Call it after Stop.
func (s *Sampler) Saturated(second int) bool { return s.machine.saturated(second) }

// due is when something that is not part of every sample is done next.
type due struct{ next time.Time }

// now reports whether it is time, and if so sets the next time one period later. A little
// early counts as on time, because samples are never exactly one period apart.
func (d *due) now(period time.Duration) bool {
	t := time.Now()
	if t.Add(samplePeriod / 10).Before(d.next) {
		return false
	}
	d.next = t.Add(period)
	return true
}

// notWithin delays the next time until wait from now, if it is earlier.
func (d *due) notWithin(wait time.Duration) {
	if t := time.Now().Add(wait); t.After(d.next) {
		d.next = t
	}
}
