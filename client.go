package kabench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/dialers/external"
	"github.com/kabench/kabench/dialers/external/drivers"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/poll"
	"github.com/kabench/kabench/internal/target"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/redact"
)

// client performs the exchanges and counts its connections.
type client interface {
	generator.Engine
	Stats() dialers.Stats
	Fill(*results.Run)
	Close()
}

// makeClient makes p's client of t. real is its driver, if it is a real client.
// ended gets the ends of connections, except those of a real client, which are known when it
// is closed.
func makeClient(p *profiles.Profile, t *target.Target, real *outsider, trace func(dialers.TraceEvent), ended func(*results.ConnectionEnd)) (client, error) {
	if real != nil {
		return newExternalClient(p, t, real, trace)
	}
	if p.Client != profiles.ClientStock {
		c, err := dialers.NewClient(dialers.Config{Policy: p.Pool, Dialer: t.Dialer, Requests: t.Requests, Timeout: p.Load.Timeout, LeakEvery: p.Load.LeakEvery})
		if err != nil {
			return nil, err
		}
		c.Tracer, c.Ended = trace, ended
		return c, nil
	}
	poller, err := poll.New()
	if err != nil {
		return nil, err
	}
	stock := dialers.NewStock(t.Dialer, t.Requests, p.Load.Timeout)
	stock.Tracer, stock.Ended = trace, ended
	return &stockClient{generator.Each{Doer: stock, Clock: &exactClock{poller, make([]poll.Event, poll.MaxEvents)}}, stock, poller}, nil
}

// stockClient is dialers.Stock with a goroutine for each exchange, as net/http
// wants it.
type stockClient struct {
	generator.Each
	*dialers.Stock
	poller *poll.Poller
}

// Begin implements generator.Engine.
func (c *stockClient) Begin(ctx context.Context, epoch time.Time, over func(*results.Exchange)) {
	c.Stock.Begin(epoch)
	c.Each.Begin(ctx, epoch, over)
}

func (c *stockClient) Close() {
	c.Stock.Close()
	c.poller.Close()
}

// exactClock is a Poller that waits for the time and for no sockets.
type exactClock struct {
	*poll.Poller
	room []poll.Event
}

func (c *exactClock) Wait(d time.Duration) { c.Poller.Wait(c.room, d) }

// gaugesEvery is how often a driver reports its gauges: as often as samples are taken.
const gaugesEvery = 100 * time.Millisecond

// outsider is the real client of a run: its driver, started, warmed up and configured before
// the run's clock begins.
type outsider struct {
	driver  *external.Driver
	config  external.Config
	fields  map[string]string // by a setting of the client, the field of the pool that says it
	lacks   []string          // fields of the pool that the client has no setting or no value for
	notes   []string          // warnings of the run
	witness sight
}

// driverCommand finds out how p's driver is started.
func driverCommand(p *profiles.Profile) (external.Command, drivers.Entry, error) {
	d := p.Driver
	if d.Command != "" {
		c, err := external.ParseCommand(d.Command)
		c.Name = profiles.Redact(*p).Driver.Command
		if err != nil {
			return c, drivers.Entry{}, fmt.Errorf("driver.command: %w", err)
		}
		return c, drivers.Entry{}, nil
	}
	entry, err := drivers.Find(d.Name)
	if err != nil {
		return external.Command{}, entry, fmt.Errorf("driver.name: %w (a program of your own is given as a command, with a slash or a space: ./%s)", err, d.Name)
	}
	c, built := entry.Built()
	if !built {
		return c, entry, fmt.Errorf("the driver %s is not built; run 'kabench driver build %s'", d.Name, d.Name)
	}
	return c, entry, nil
}

// startOutsider starts p's driver and makes its client ready for t's requests. The error is
// an *InputError, or ErrInterrupted when opts.Stop was closed meanwhile. Undo it with close.
func startOutsider(ctx context.Context, p *profiles.Profile, t *target.Target, opts Options) (_ *outsider, err error) {
	ctx, cancel := untilStopped(ctx, opts.Stop)
	defer cancel()
	o := &outsider{}
	say := func(what string) {
		if opts.Preparing != nil {
			opts.Preparing(what)
		}
	}
	defer func() {
		switch {
		case err == nil:
			return
		case ctx.Err() != nil:
			err = ErrInterrupted
		default:
			err = &InputError{t.Secrets.Error(err)}
		}
		o.close()
	}()
	command, entry, err := driverCommand(p)
	if err != nil {
		return nil, err
	}
	say("the driver " + command.Name + " is starting")
	if o.driver, err = external.Start(ctx, command); err != nil {
		return nil, err
	}
	if err := o.settle(p, entry); err != nil {
		return nil, err
	}
	o.config.Timeout, o.config.Insecure, o.config.Gauges = p.Load.Timeout, p.Target.Lab != nil || p.Target.TLS.Insecure, gaugesEvery
	o.config.Origins = originsOf(t)
	if note := bodyNote(p, o.driver.Hello().Client); note != "" {
		o.notes = append(o.notes, note)
	}
	if err := o.configure(ctx, p); err != nil {
		return nil, err
	}
	say(fmt.Sprintf("%s is warming up: %d requests to a server of kabench's own, in at most %v", o.driver.Hello().Client, external.WarmUpRequests, external.WarmUpTime))
	if _, err = o.driver.WarmUp(ctx, external.WarmUp{}); err != nil {
		return nil, err
	}
	if err := o.configure(ctx, p); err != nil { // a client that has sent nothing
		return nil, err
	}
	if err := o.witness.open(p, t); err != nil {
		o.notes = append(o.notes, err.Error())
	}
	return o, nil
}

// close ends the driver, and looking at its connections.
func (o *outsider) close() {
	if o == nil {
		return
	}
	o.end()
	o.witness.close()
}

// end ends the driver and its process group.
func (o *outsider) end() {
	if o.driver != nil {
		_ = o.driver.Close() // the run is over; what the driver did in it has been noted
	}
}

// mostExchanges is more than a run has. Each run numbers its requests from a multiple of
// it that was drawn by chance, and their X-Request-Id has at most 20 digits.
const mostExchanges = 1e12

// externalClient performs the exchanges of a run through the driver.
type externalClient struct {
	*external.Engine
	outsider *outsider
	secrets  *redact.Secrets

	mu           sync.Mutex
	leased, idle int // guarded by mu; the largest numbers that were seen
}

// newExternalClient makes p's client of t.
func newExternalClient(p *profiles.Profile, t *target.Target, o *outsider, trace func(dialers.TraceEvent)) (client, error) {
	engine, err := external.NewEngine(external.EngineConfig{
		Driver: o.driver, Requests: t.Requests, Timeout: p.Load.Timeout, Witness: o.witness.witness(), FirstID: (1 + rand.Uint64N(1e7)) * mostExchanges,
	})
	if err != nil {
		return nil, err
	}
	engine.Tracer = trace
	return &externalClient{Engine: engine, outsider: o, secrets: t.Secrets}, nil
}

// Stats implements client. Where nobody counts the peaks, they are those of the samples.
func (c *externalClient) Stats() dialers.Stats {
	s := c.Engine.Stats()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leased, c.idle = max(c.leased, s.Leased, s.PeakLeased), max(c.idle, s.Idle, s.PeakIdle)
	s.PeakLeased, s.PeakIdle = c.leased, c.idle
	return s
}

// Fill implements client.
func (c *externalClient) Fill(run *results.Run) {
	c.Stats().Fill(run)
	seen := c.Report()
	seen.Counted = c.outsider.witness.packets != nil
	c.outsider.describe(&seen)
	blank := func(texts ...*string) {
		for _, text := range texts {
			*text = c.secrets.Blank(*text)
		}
	}
	for i := range seen.Errors {
		e := &seen.Errors[i]
		blank(&e.Class, &e.Text, &e.Differ)
		for k := range e.Causes {
			blank(&e.Causes[k].Class, &e.Causes[k].Text)
		}
	}
	for i := range seen.Faults {
		blank(&seen.Faults[i].Example)
	}
	blank(&seen.Ended)
	run.Driver = &seen
}

// describe sets what is known about the driver before the run, without what looks like a
// credential.
func (o *outsider) describe(d *results.DriverSeen) {
	hello := o.driver.Hello()
	d.Name, d.Driver, d.Client, d.Version, d.Runtime = o.driver.Name(), hello.Driver, hello.Client, hello.Version, hello.Runtime
	d.Available, d.Lacks, d.Gauges = availableIn(hello), append([]string{}, o.lacks...), append([]string{}, hello.Gauges...)
	d.Settings = map[string]any{}
	for name, value := range o.config.Settings {
		switch v := value.(type) {
		case time.Duration:
			d.Settings[name] = v.Seconds() * 1000
		case string:
			d.Settings[name] = profiles.RedactChange(map[string]string{"driver." + name: v})["driver."+name]
		default:
			d.Settings[name] = value
		}
	}
}

// Close implements client. The driver ends with it, so that its idle connections are closed.
func (c *externalClient) Close() {
	c.Engine.Close()
	c.outsider.end()
}

// brokenOf returns what is closed when a real client has ended, so that nothing more can be
// measured; nil for another client.
func brokenOf(c client) <-chan struct{} {
	if real, is := c.(*externalClient); is {
		return real.Broken()
	}
	return nil
}

// originsOf lists where requests to t go, each once.
func originsOf(t *target.Target) (list []string) {
	for _, r := range t.Requests {
		if origin := r.Origin().String(); !slices.Contains(list, origin) {
			list = append(list, origin)
		}
	}
	return list
}

// bodyNote is a warning about the bodies that p's requests have: a driver gets only their
// length. "" if there is nothing to say.
func bodyNote(p *profiles.Profile, client string) string {
	requests, err := p.Target.Requests()
	if err != nil || p.Target.BodySize > 0 { // of a size, it has no text
		return ""
	}
	for _, r := range requests {
		if strings.Trim(string(r.Body), "x") != "" {
			return client + " sends bodies of the same length that consist of the letter x, because a driver does not get the text of a body"
		}
	}
	return ""
}
