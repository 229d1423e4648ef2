// Package fleet has several agents send the requests of one run together: a controller finds
// them, compares their clocks with its own, gives each its share, starts all at one moment,
// and collects their results.
//
// The controller and the agents exchange small JSON messages over core NATS. Results travel
// as parcels, on a connection of their own, after the run. Until the controller has confirmed
// a parcel's hash, the agent's directory is the only copy that counts.
package fleet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/fleet/broker"
)

// Config says which agents a Controller has, and where they meet.
type Config struct {
	Agents int  // how many a run has
	Local  bool // the controller starts them, on this machine
	// Listen is where the embedded broker listens, HOST:PORT or :PORT; "": there is none, and
	// agents meet at Broker.
	Listen      string
	Broker      string              // URL of a broker that is another program
	Credentials *broker.Credentials // nil: none
	// CredentialsPath is the file they come from, for a controller that takes up the run.
	CredentialsPath string
	Wait            time.Duration // for the agents to come; 0: DefaultWait
	Version         string        // of kabench
	Program         Program       // kabench, which local agents run
	// InRun keeps the broker's store in the directory of the run, so that another process
	// can take the run up. Without it, as for several runs with the same agents, it is
	// temporary.
	InRun bool
	// Say, if set, gets a line for people about things that happen.
	Say   func(line string)
	Clock Clock // nil: SystemClock. It is for tests.

	dial    func(context.Context) (bus, carrier, error) // for tests: no broker is started
	resumed *state                                      // of a run that another process has begun
}

// DefaultWait is how long a controller waits for its agents.
const DefaultWait = 60 * time.Second

// MostAgents is how many agents a run can have.
const MostAgents = 1000

// Controller finds agents and has them make runs. It is a kabench.Fleet.
type Controller struct {
	Config
	instance string
	clock    Clock
	one      sync.Mutex // held while a run goes on

	mu      sync.Mutex
	roster  *roster       // guarded by mu
	run     *sending      // guarded by mu: the run that goes on; nil: none
	changed chan struct{} // something has happened that the run may wait for

	// What open has opened.
	opened  bool
	bus     bus
	carrier carrier
	broker  *broker.Broker
	scratch string // a temporary directory; "": none
	url     string // where agents reach the broker
	// agentsPath is the file with the credentials of local agents; "": CredentialsPath.
	agentsPath string
	hold       *holdBroker
	locals     []*local
	lock       *flock.Flock // of the directory of the run
	missing    bool         // a run lacks results
}

// New returns a controller, and an error if the configuration cannot work. A broker that is
// another program is asked at once, so that what is wrong with it is known before anything
// is opened. Close it after use.
func New(ctx context.Context, c Config) (*Controller, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	f := &Controller{Config: c, instance: rand.Text(), clock: c.Clock, changed: make(chan struct{}, 1), roster: newRoster(c.Version, c.Agents)}
	if f.clock == nil {
		f.clock = SystemClock()
	}
	if f.Wait == 0 {
		f.Wait = DefaultWait
	}
	if c.Broker == "" {
		return f, nil
	}
	f.url = c.Broker
	if err := f.connect(ctx); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (c Config) validate() error {
	switch {
	case c.Agents < 1 || c.Agents > MostAgents:
		return fmt.Errorf("--agents %d: want 1 to %d", c.Agents, MostAgents)
	case c.resumed != nil:
		return nil
	case c.Local && (c.Broker != "" || c.Listen != ""):
		return errors.New("--agents local:N starts its agents and their broker itself; leave out --listen and --broker, or write --agents N")
	case c.Broker != "" && c.Listen != "":
		return errors.New("--listen starts a broker, and --broker uses one that runs; give one of them")
	case !c.Local && c.Broker == "" && c.Listen == "":
		return fmt.Errorf("--agents %d: the agents need a place to meet; add --listen :4222 to start a broker here, --broker nats://HOST:4222 to use one that runs, or write --agents local:%d to start the agents on this machine", c.Agents, c.Agents)
	case c.Listen != "":
		return c.validListen()
	}
	return nil
}

// localListen is where the broker of local agents listens.
const localListen = "127.0.0.1:0"

func (c Config) validListen() error {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil || !isPort(port) {
		return fmt.Errorf("--listen %s: want HOST:PORT or :PORT", c.Listen)
	}
	ip := net.ParseIP(host)
	if c.Credentials == nil && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("--listen %s: anyone who reaches this address could join the fleet. Make credentials with 'kabench fleet credentials DIR --host NAME' and give --credentials DIR/controller.cred, or listen on 127.0.0.1", c.Listen)
	}
	return nil
}

// Size implements kabench.Fleet.
func (c *Controller) Size() int { return c.Agents }

// Local implements kabench.Fleet.
func (c *Controller) Local() bool { return c.Config.Local }

// open opens the broker, once. dir is the directory of the first run.
func (c *Controller) open(ctx context.Context, dir string) error {
	if c.opened {
		return nil
	}
	if c.Broker == "" && c.dial == nil {
		store := filepath.Join(dir, dirBroker)
		if !c.InRun {
			var err error
			if c.scratch, err = os.MkdirTemp("", "kabench-fleet-"); err != nil {
				return err
			}
			store = c.scratch
		}
		var err error
		if c.Config.Local && c.Credentials == nil {
			if c.Credentials, c.agentsPath, err = localCredentials(store); err != nil {
				return err
			}
		}
		log, up := c.log()
		c.broker, err = broker.Start(broker.Config{Listen: c.listen(), Dir: store, Credentials: c.Credentials, Log: log})
		if err != nil {
			return fmt.Errorf("--listen %s: %w", c.listen(), err)
		}
		up()
		c.url = c.broker.URL()
	}
	if c.bus == nil {
		if err := c.connect(ctx); err != nil {
			return err
		}
	}
	c.opened = true
	return nil
}

func (c *Controller) listen() string {
	if c.Listen == "" {
		return localListen
	}
	return c.Listen
}

// connect connects to the broker and begins to answer agents.
func (c *Controller) connect(ctx context.Context) (err error) {
	connect := c.dial
	if connect == nil {
		connect = func(ctx context.Context) (bus, carrier, error) {
			return dial(ctx, c.url, c.Credentials, "kabench controller", 0, func(why string) { c.sayf("waiting: %s", why) })
		}
	}
	if c.bus, c.carrier, err = connect(ctx); err != nil {
		if c.Broker != "" {
			err = fmt.Errorf("--broker: %w", err)
		}
		return err
	}
	if b, isNATS := c.bus.(natsBus); isNATS && c.Broker != "" {
		if c.hold, err = takeBroker(ctx, b.nc, c.claim(), holdFor, func() {
			c.sayf("this controller was silent for %v, and another one has taken its place at the broker: the agents now belong to that one, so end this one", holdFor)
		}); err != nil {
			return err
		}
	}
	return c.serve()
}

// serve begins to answer agents.
func (c *Controller) serve() error {
	for subject, f := range map[string]func([]byte) []byte{
		subjectClock: func([]byte) []byte {
			answer, _ := encode(clockAnswer{c.instance, c.clock.Now()})
			return answer
		},
		subjectHello: func(data []byte) []byte {
			if c.isToTakeUp() {
				return nil // what it wants is not known yet; agents ask again
			}
			return answering(c.hello)(data)
		},
		subjectDelivered: answering(c.delivered),
		subjectBeat: func(data []byte) []byte {
			if b, err := decode[beat](data); err == nil {
				c.beat(b)
			}
			return nil
		},
		subjectStatus: answering(func(struct{}) ControllerStatus { return c.status() }),
	} {
		if err := c.bus.serve(subject, f); err != nil {
			return err
		}
	}
	_ = c.bus.publish(subjectRollCall, []byte("{}")) // agents that wait need not wait longer; if it is lost, they ask anyway
	return nil
}

// answering turns a function of messages into one of bytes.
func answering[Q, A any](f func(Q) A) func([]byte) []byte {
	return func(data []byte) []byte {
		q, err := decode[Q](data)
		if err != nil {
			return nil
		}
		answer, err := encode(f(q))
		if err != nil {
			return nil
		}
		return answer
	}
}

// hello answers an agent that asks to take part.
func (c *Controller) hello(h hello) welcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer wake(c.changed)
	now := time.Now()
	w := welcome{Controller: c.instance}
	if !h.Only {
		w.Refused = c.roster.hello(h, now)
	}
	if c.run != nil {
		w.Deliver, w.Forget = c.run.offered(h, now)
	}
	w.Forget = append(w.Forget, c.abandoned(h)...)
	return w
}

// isToTakeUp reports whether a run of another controller must be taken up, and is not yet.
func (c *Controller) isToTakeUp() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.resumed != nil && c.run == nil
}

// abandoned lists the runs that an agent has prepared for a controller that has ended before
// their start. Nobody takes them up. The caller holds mu.
func (c *Controller) abandoned(h hello) (runs []string) {
	own := ""
	switch {
	case c.run != nil && c.run.state != nil:
		own = c.run.state.Run
	case c.resumed != nil:
		own = c.resumed.Run
	}
	for _, held := range h.Holds {
		if (held.Stage == stagePreparing || held.Stage == stageReady) && held.Run != own {
			runs = append(runs, held.Run)
		}
	}
	return runs
}

func (c *Controller) beat(b beat) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer wake(c.changed)
	now := time.Now()
	c.roster.beat(b, now)
	if c.run != nil {
		c.run.hears(b, now)
	}
}

func (c *Controller) delivered(d delivered) parcelState {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer wake(c.changed)
	if c.run == nil {
		return parcelState{State: parcelUnknown}
	}
	return c.run.has(d)
}

func (c *Controller) status() ControllerStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	host, _ := os.Hostname()
	s := ControllerStatus{Host: host, PID: os.Getpid(), Version: c.Version, Want: c.Agents, Phase: "waiting for agents"}
	if c.run != nil && c.run.state != nil {
		s.Run, s.Dir, s.Phase = c.run.state.Run, c.run.job.Out, c.run.state.Phase
	}
	return s
}

func (c *Controller) sayf(format string, args ...any) {
	if c.Say != nil {
		c.Say(fmt.Sprintf(format, args...))
	}
}

// Send implements kabench.Fleet.
func (c *Controller) Send(ctx context.Context, job kabench.FleetJob) ([]kabench.FleetPart, error) {
	c.one.Lock()
	defer c.one.Unlock()
	if err := os.MkdirAll(filepath.Join(job.Out, dirAgents), 0o755); err != nil {
		return nil, &kabench.InputError{Err: fmt.Errorf("the results cannot be written: %w", err)}
	}
	s := &sending{Controller: c, job: job, moments: moments{back: time.Now(), began: time.Now()}}
	if s.job.Preparing == nil {
		s.job.Preparing = func(string) {}
	}
	parts, err := s.send(ctx)
	if err != nil {
		s.clear()
		if !errors.Is(err, kabench.ErrInterrupted) {
			err = &kabench.InputError{Err: err}
		}
	}
	return parts, err
}

// Close ends the local agents and the broker. What agents have not delivered stays with them.
func (c *Controller) Close() {
	c.dismiss()
	if c.hold != nil {
		c.hold.release()
	}
	if c.bus != nil {
		c.bus.close()
		c.carrier.close()
	}
	if c.broker != nil {
		c.broker.Close()
	}
	if c.scratch != "" {
		_ = os.RemoveAll(c.scratch)
	}
	if c.lock == nil {
		return
	}
	dir := filepath.Dir(c.lock.Path())
	if c.broker != nil && c.InRun && !c.missing {
		_ = os.RemoveAll(filepath.Join(dir, dirBroker)) // everything in it is here, or nothing was sent
	}
	c.unlock()
	_ = os.Remove(dir) // if it is empty: nothing was sent
}

// unlock lets others have the directory of the run.
func (c *Controller) unlock() {
	_ = os.Remove(c.lock.Path())
	_ = c.lock.Unlock()
}
