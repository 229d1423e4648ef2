package external

import (
	"context"
	"errors"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/results"
)

// Command is how a driver is started.
type Command struct {
	Name string   // as it was asked for, for texts
	Argv []string // the program and its arguments
	Dir  string   // where it runs; "": here
	Env  []string // NAME=value, added to this process's environment
}

// ParseCommand splits a command as a shell would: at blanks, with '...', "..." and \ .
// Nothing is expanded. The error says what is wrong with the quotes.
func ParseCommand(text string) (Command, error) { return Command{}, errNotYet }

var errNotYet = errors.New("not yet")

// Driver is a driver's process.
type Driver struct{}

// Start starts a driver in a process group of its own, and waits at most 20 s for its
// hello. The process ends with this one.
func Start(ctx context.Context, c Command) (*Driver, error) { return nil, errNotYet }

// Hello returns what the driver said of itself.
func (d *Driver) Hello() Hello { return Hello{} }

// Configure makes the driver close its client and make a new one, and sets its clock
// beside ours. A config that it does not take is a *RefusedError.
func (d *Driver) Configure(ctx context.Context, c Config) error { return errNotYet }

// WarmUp lets the driver send requests to a server of its own on loopback.
func (d *Driver) WarmUp(ctx context.Context, w WarmUp) (WarmedUp, error) {
	return WarmedUp{}, errNotYet
}

// Stderr returns the last lines that the driver wrote to stderr.
func (d *Driver) Stderr() string { return "" }

// Close says bye, and ends the process group if it has not ended within 5 s.
func (d *Driver) Close() error { return nil }

// EngineConfig is what an Engine is made of.
type EngineConfig struct {
	Driver   *Driver            // configured
	Requests []*dialers.Request // Exchange.Target chooses one
	Timeout  time.Duration      // of an exchange from due to done; 0: none
	Witness  Witness            // nil: nobody looks
}

// Engine performs exchanges through a driver. It is a generator.Engine.
type Engine struct {
	// Tracer, if set before Begin, is called for each change to a connection that the
	// witness saw, when its exchange is over.
	Tracer func(dialers.TraceEvent)
}

// NewEngine returns an Engine. The error says that the machine has no descriptor left.
func NewEngine(c EngineConfig) (*Engine, error) { return nil, errNotYet }

// Begin implements generator.Engine.
func (e *Engine) Begin(ctx context.Context, epoch time.Time, over func(*results.Exchange)) {}

// Start implements generator.Engine.
func (e *Engine) Start(x *results.Exchange) {}

// Wait implements generator.Engine.
func (e *Engine) Wait(until time.Duration) {}

// Wake implements generator.Engine.
func (e *Engine) Wake() {}

// Broken is closed when the driver has ended, or was ended because of a fault: nothing
// more can be measured.
func (e *Engine) Broken() <-chan struct{} { return nil }

// Stats returns the gauges and counts that are known: the Witness's if it is a Counter,
// else the connections that it named; idle, leased and pending from the driver's gauges.
func (e *Engine) Stats() dialers.Stats { return dialers.Stats{} }

// Fill sets run.Connections, run.Pool and run.Driver.
func (e *Engine) Fill(run *results.Run) {}

// Report says what was seen of the driver: lags, faults, disagreements, re-sends.
func (e *Engine) Report() results.DriverSeen { return results.DriverSeen{} }

// Close releases what the Engine holds. It does not close the Driver. Every exchange
// must be over.
func (e *Engine) Close() {}
