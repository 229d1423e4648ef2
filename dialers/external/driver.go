package external

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"time"

	"github.com/kabench/kabench/dialers/external/process"
	"github.com/kabench/kabench/results"
)

// Driver is a driver's process.
type Driver struct {
	command  Command
	hello    Hello
	warmed   *results.DriverWarmUp // nil: not yet
	base     time.Time             // our clock's zero for this driver
	process  *process.Process
	limits   limits
	clock    clock
	faults   faults
	settings map[string]any // of the last Configure, as sent
	replies  chan frame     // hello, ready, refused and bye
	synced   chan struct{}  // a clock's response came
	over     chan struct{}  // nothing more will be read

	mu       sync.Mutex
	receiver receiver        // guarded by mu; nil: nobody expects anything
	pings    []time.Duration // guarded by mu: when the clocks were sent that have no response
	closing  bool            // guarded by mu: Close was called
	drained  bool            // guarded by mu: the receiver knows that it has ended
	why      string          // guarded by mu: why it ended, as a clause; "": it has not, or was closed
}

// receiver gets what a driver does, on the goroutine that reads its frames.
type receiver interface {
	done(a *answer, came time.Duration) (asked bool) // asked: it had been sent
	gauges(values map[string]float64)
	ended(why string)
}

// limits are how long a driver may take. docs/drivers.md says them.
type limits struct {
	hello  time.Duration // a JVM starts, on a busy machine
	config time.Duration
	clock  time.Duration // how long a clock may have no response
	read   time.Duration // how long frames may wait unread
	bye    time.Duration
	term   time.Duration // from SIGTERM to SIGKILL
}

var usual = limits{
	hello: 20 * time.Second, config: 20 * time.Second, clock: 10 * time.Second, read: 5 * time.Second,
	bye: 5 * time.Second, term: time.Second,
}

// syncs is how many times the clock is asked when a driver is configured. The best response
// counts.
const syncs = 25

// Start starts a driver in a process group of its own, and waits at most 20 s for its
// hello. The process ends with this one.
func Start(ctx context.Context, c Command) (*Driver, error) { return start(ctx, c, usual) }

func start(ctx context.Context, c Command, l limits) (*Driver, error) {
	d := &Driver{command: c, limits: l, base: time.Now(), replies: make(chan frame, 4), synced: make(chan struct{}, 1), over: make(chan struct{})}
	var err error
	if d.process, err = process.Run(process.Command{Argv: c.Argv, Dir: c.Dir, Env: c.Env, Stderr: c.Stderr}); err != nil {
		if errors.Is(err, exec.ErrNotFound) && c.Install != "" {
			err = fmt.Errorf("%w; on Debian: %s", err, c.Install)
		}
		return nil, fmt.Errorf("the driver %s did not start: %w", c.String(), err)
	}
	go d.read()
	f, err := d.await(ctx, d.limits.hello, "say hello", "hello")
	if err == nil {
		d.hello = f.Hello
		err = d.hello.check()
	}
	if err != nil {
		d.give()
		return nil, fmt.Errorf("the driver %s %w", c.String(), err)
	}
	return d, nil
}

// give ends the process without a word.
func (d *Driver) give() {
	d.mu.Lock()
	d.closing = true
	d.mu.Unlock()
	d.process.End(d.limits.term)
	<-d.over
}

// await waits for a frame of one of the types. The error is what to say after the
// driver's name.
func (d *Driver) await(ctx context.Context, most time.Duration, what string, types ...string) (frame, error) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	for {
		select {
		case f := <-d.replies:
			for _, t := range types {
				if f.Type == t {
					return f, nil
				}
			}
		case <-d.over:
			return frame{}, fmt.Errorf("did not %s: it %s", what, d.ended())
		case <-timer.C:
			return frame{}, fmt.Errorf("did not %s within %v%s", what, most, d.process.LastWords())
		case <-ctx.Done():
			return frame{}, fmt.Errorf("did not %s: %w", what, context.Cause(ctx))
		}
	}
}

// Hello returns how the driver described itself.
func (d *Driver) Hello() Hello { return d.hello }

// Name returns what the driver was asked for as.
func (d *Driver) Name() string { return d.command.String() }

// Stderr returns the last lines that the driver wrote to stderr.
func (d *Driver) Stderr() string { return d.process.Stderr() }

// Configure makes the driver close its client and make a new one, and sets its clock
// beside ours. A config that it does not take is a *RefusedError.
func (d *Driver) Configure(ctx context.Context, c Config) error {
	frame, err := encodeConfig(c)
	if err != nil {
		return fmt.Errorf("the settings of the driver %s: %w", d.Name(), err)
	}
	for len(d.replies) > 0 {
		<-d.replies
	}
	if err := d.process.In.Send(frame); err != nil {
		return fmt.Errorf("the driver %s does not read its config: %w", d.Name(), d.broken(err))
	}
	f, err := d.await(ctx, d.limits.config, "respond to its config", "ready", "refused")
	if err != nil {
		return fmt.Errorf("the driver %s %w", d.Name(), err)
	}
	if f.Type == "refused" {
		return &RefusedError{Driver: d.Name(), Setting: f.Setting, Text: f.Text}
	}
	d.settings = map[string]any{}
	for name, value := range c.Settings {
		if of, ok := value.(time.Duration); ok {
			value = milliseconds(of)
		}
		d.settings[name] = value
	}
	return d.sync(ctx)
}

// sync sets the driver's clock beside ours.
func (d *Driver) sync(ctx context.Context) error {
	d.clock.reset()
	for i := range syncs {
		select {
		case <-d.synced:
		default:
		}
		d.ping()
		timer := time.NewTimer(d.limits.clock)
		select {
		case <-d.synced:
		case <-timer.C:
			return fmt.Errorf("the driver %s did not respond to clock within %v", d.Name(), d.limits.clock)
		case <-d.over:
			return fmt.Errorf("the driver %s %s", d.Name(), d.ended())
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		timer.Stop()
		if i == 0 {
			d.clock.settled()
		}
	}
	d.clock.settled()
	return nil
}

// ping asks for the driver's time.
func (d *Driver) ping() {
	d.mu.Lock()
	d.pings = append(d.pings, time.Since(d.base))
	d.mu.Unlock()
	_ = d.process.In.Send(clockFrame) // what is wrong with the pipe, the next dispatch or the reader learns
}

// unanswered is for how long the oldest clock has had no response.
func (d *Driver) unanswered(now time.Time) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.pings) == 0 {
		return 0
	}
	return now.Sub(d.base) - d.pings[0]
}

// receive makes r the receiver; nil: nobody is.
func (d *Driver) receive(r receiver) {
	d.mu.Lock()
	d.receiver = r
	ended := d.drained
	d.mu.Unlock()
	if ended && r != nil {
		r.ended(d.ended())
	}
}

// fail notes a fault after which a driver is of no use, and ends it.
func (d *Driver) fail(what Fault, text string) {
	d.mu.Lock()
	first := d.why == "" && !d.closing
	if first {
		d.why = text
	}
	d.mu.Unlock()
	if first {
		d.faults.add(what, text)
		d.process.Kill()
	}
}

// ended is why the driver has ended, as a clause after its name.
func (d *Driver) ended() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.why == "" {
		return "was closed"
	}
	return d.why
}

// broken is why the driver has ended if it has, or is about to; else err.
func (d *Driver) broken(err error) error {
	timer := time.NewTimer(process.Leftover)
	defer timer.Stop()
	select {
	case <-d.over:
		return errors.New("it " + d.ended())
	case <-timer.C:
		return err
	}
}

// Close says bye, and ends the process group if it has not ended within 5 s. The error
// says that it had to be ended, or with which code it ended.
func (d *Driver) Close() error {
	d.mu.Lock()
	again := d.closing
	had := d.why != ""
	d.closing = true
	d.mu.Unlock()
	if again || had {
		d.process.End(d.limits.term)
		<-d.over
		return nil
	}
	_ = d.process.In.Send(byeFrame)
	intime := d.process.Within(d.limits.bye)
	if !intime {
		d.process.End(d.limits.term)
	}
	<-d.over
	switch {
	case !intime:
		return fmt.Errorf("the driver %s did not end within %v of bye, and was ended", d.Name(), d.limits.bye)
	case d.process.Err != nil:
		return fmt.Errorf("the driver %s %s", d.Name(), d.process.How())
	}
	return nil
}
