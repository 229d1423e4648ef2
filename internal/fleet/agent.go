package fleet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/fleet/broker"
	"github.com/kabench/kabench/internal/fleet/machine"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// Agent sends its shares of runs that a controller orders. Set its fields, then call Run.
type Agent struct {
	URL         string              // of the broker
	Credentials *broker.Credentials // nil: none
	Name        string              // "": DefaultName
	Version     string              // of kabench
	Dir         string              // where runs are kept until the controller has them
	Allowed     Allowed             // what it may send to
	// Keep keeps the agent's own copy of the results after the controller has them.
	Keep bool
	// Once ends the agent after it has delivered the results of one run.
	Once bool
	// DeliverOnly takes part in no run: the agent delivers what an earlier process has left
	// in Dir, and ends.
	DeliverOnly bool
	// Patience is how long an agent that sends nothing waits for a controller; then it ends,
	// and what it has stays in Dir. 0: for ever.
	Patience time.Duration
	// BytesPerSecond is the most that the agent delivers results with; 0: no limit.
	BytesPerSecond int64
	// Stop, when closed, ends the agent in order: no more requests, those in flight may
	// finish, and the results are delivered. The end of Run's context gives both up.
	Stop <-chan struct{}
	// Say, if set, gets a line for people about each thing that happens.
	Say func(line string)
	// Clock is the clock it measures with and starts by; nil: SystemClock. It is for tests.
	Clock Clock
	// MakeRun is kabench.Run; nil: that. It is for tests.
	MakeRun func(context.Context, *profiles.Profile, kabench.Options) (*results.Run, error)

	dial func(context.Context) (bus, carrier, error) // for tests
	crew atomic.Pointer[crew]                        // while Run runs
}

// WaitsFor names what the agent would wait for if it were stopped now; "": nothing.
func (a *Agent) WaitsFor() string {
	c := a.crew.Load()
	if c == nil {
		return ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch s := c.share; {
	case s == nil || s.Stage == stageFailed:
		return ""
	case s.Stage == stageSending:
		return "requests in flight"
	case s.underWay():
		return "the run to be given up"
	}
	return "the results to be delivered"
}

// ErrNoController is returned by Agent.Run when its patience was over.
var ErrNoController = errors.New("no controller was heard of; the results of runs that nobody has taken are kept")

// crew is an Agent that runs.
type crew struct {
	*Agent
	identity
	keep    *keep
	bus     bus
	carrier carrier
	clock   Clock
	ctx     context.Context // of Run
	work    sync.WaitGroup
	end     context.CancelCauseFunc

	mu      sync.Mutex
	offsets offsets           // guarded by mu
	share   *share            // guarded by mu: the run it is at; nil: none
	kept    []holding         // guarded by mu: runs of earlier processes
	giving  map[string]func() // guarded by mu: runs that are being delivered, and what ends that
	contact time.Time         // guarded by mu: when a controller was last heard of
	refused string            // guarded by mu: why the controller does not take it
	taken   bool              // guarded by mu: a controller has taken it
	leaving bool              // guarded by mu: it ends when nothing is left to do

	beating, asking chan struct{} // beat, and say hello, now
}

// Run takes part in runs until ctx ends, or as the fields of Agent say. The error says in
// one sentence why it could not.
func (a *Agent) Run(ctx context.Context) error {
	c, err := a.newCrew()
	if err != nil {
		return err
	}
	defer c.keep.close()
	a.crew.Store(c)
	defer a.crew.Store(nil)
	ctx, c.end = context.WithCancelCause(ctx)
	defer c.end(nil)
	c.ctx = ctx
	if there, err := c.connect(ctx); !there {
		return err
	}
	defer c.bus.close()
	defer c.carrier.close()
	defer c.work.Wait()
	defer c.end(nil)
	if err := c.serve(); err != nil {
		return err
	}
	c.work.Go(c.measureClock)
	c.work.Go(func() { c.every(beatEvery, c.beating, c.beat) })
	c.work.Go(func() { c.every(helloEvery, c.asking, c.hello) })
	select {
	case <-ctx.Done():
	case <-a.Stop:
		c.leave()
		<-ctx.Done()
	}
	c.abandon()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, errDone) {
		return cause
	}
	return nil
}

const (
	beatEvery  = time.Second
	helloEvery = 2 * time.Second
	// orphaned is how long an agent that waits for the start of a run stays prepared without
	// a word from the controller.
	orphaned = 60 * time.Second
)

// errDone ends an agent that has nothing more to do.
var errDone = errors.New("done")

func (a *Agent) newCrew() (*crew, error) {
	c := &crew{Agent: a, clock: a.Clock, giving: map[string]func(){}, contact: time.Now(), beating: make(chan struct{}, 1), asking: make(chan struct{}, 1)}
	if c.clock == nil {
		c.clock = SystemClock()
	}
	name := a.Name
	if name == "" {
		name = DefaultName()
	}
	if err := CheckName(name); err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	c.identity = identity{
		Protocol: protocol, Name: name, Instance: rand.Text(), Version: a.Version, Host: host, PID: os.Getpid(),
		Network: machine.Network(), CPUs: runtime.GOMAXPROCS(0), Allowed: a.Allowed.Strings(),
	}
	var err error
	if c.keep, err = openKeep(a.Dir); err != nil {
		return nil, err
	}
	if c.kept, err = c.keep.found(); err != nil {
		c.keep.close()
		return nil, err
	}
	if a.DeliverOnly && len(c.kept) == 0 {
		c.keep.close()
		return nil, fmt.Errorf("%s holds no results that wait to be delivered", a.Dir)
	}
	return c, nil
}

// connect connects to the broker. A broker that is not there yet may come. It reports false
// without an error if the agent was stopped before.
func (c *crew) connect(ctx context.Context) (bool, error) {
	ctx, stopped := context.WithCancel(ctx)
	defer stopped()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-c.Stop:
			stopped()
		case <-done:
		}
	}()
	connect := c.dial
	if connect == nil {
		connect = func(ctx context.Context) (bus, carrier, error) {
			return dial(ctx, c.URL, c.Credentials, c.identity.Name, c.BytesPerSecond, func(why string) { c.sayf("waiting: %s", why) })
		}
	}
	said := ""
	for {
		var err error
		if c.bus, c.carrier, err = connect(ctx); err == nil {
			return true, nil
		}
		if ctx.Err() != nil {
			return false, nil
		}
		if !mayCome(err) {
			return false, err
		}
		if said != err.Error() {
			said = err.Error()
			c.sayf("waiting: %s", said)
		}
		if c.impatient() {
			return false, fmt.Errorf("%w (%w)", ErrNoController, err)
		}
		if !sleep(ctx, time.Second) {
			return false, nil
		}
	}
}

// mayCome reports whether it is worth trying again after an error of Dial.
func mayCome(err error) bool {
	known, ok := errors.AsType[*broker.Error](err)
	return ok && known.Kind == broker.Unreachable
}

// impatient reports whether the agent has waited for a controller for so long that it ends.
func (c *crew) impatient() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	busy := c.share != nil && c.share.underWay()
	return c.Patience > 0 && !busy && time.Since(c.contact) > c.Patience
}

// deliverWithin is how long an agent that is to end goes on trying to deliver its results.
const deliverWithin = 20 * time.Second

// leave ends the agent as soon as what it is at is over.
func (c *crew) leave() {
	c.mu.Lock()
	c.leaving = true
	s := c.share
	switch {
	case s == nil || s.Stage == stageFailed:
		c.end(errDone)
	case s.Stage == stageSending && !s.stopped:
		s.Halted, s.Why = true, "a signal ended the agent"
	}
	c.mu.Unlock()
	if s == nil {
		return
	}
	s.halt()
	select {
	case <-s.over:
	case <-c.ctx.Done():
	}
	if sleep(c.ctx, deliverWithin) {
		c.end(fmt.Errorf("no controller has taken the results; they stay in %s, and 'kabench agent --deliver %s' delivers them", c.Dir, c.Dir))
	}
}

// every calls f now, then each period, and when it is woken, until the agent ends.
func (c *crew) every(period time.Duration, woken <-chan struct{}, f func()) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		f()
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
		case <-woken:
		}
	}
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// heard notes that there is a controller.
func (c *crew) heard() {
	c.mu.Lock()
	c.contact = time.Now()
	c.mu.Unlock()
}

func (c *crew) sayf(format string, args ...any) {
	if c.Say != nil {
		c.Say(fmt.Sprintf(format, args...))
	}
}

// sleep waits; false if ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
