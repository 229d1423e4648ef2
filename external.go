package kabench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/dialers/external"
	"github.com/kabench/kabench/dialers/external/drivers"
	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/target"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/settings"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/redact"
)

// gaugesEvery is how often a driver reports its gauges: as often as samples are taken.
const gaugesEvery = 100 * time.Millisecond

// outsider is the real client of a run: its driver, started, warmed up and configured before
// the run's clock begins.
type outsider struct {
	driver  *external.Driver
	config  external.Config
	lacks   []string // fields of the pool that the client has no setting for
	notes   []string // warnings of the run
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
// an *InputError, or ErrInterrupted when stop was closed meanwhile. Undo it with close.
func startOutsider(ctx context.Context, p *profiles.Profile, t *target.Target, stop <-chan struct{}) (_ *outsider, err error) {
	ctx, cancel := untilStopped(ctx, stop)
	defer cancel()
	o := &outsider{}
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
	if o.driver, err = external.Start(ctx, command); err != nil {
		return nil, err
	}
	if err := o.settle(p, entry); err != nil {
		return nil, err
	}
	o.config.Timeout, o.config.Insecure, o.config.Gauges = p.Load.Timeout, p.Target.Lab != nil || p.Target.TLS.Insecure, gaugesEvery
	if err := o.configure(ctx, p); err != nil {
		return nil, err
	}
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

// configure gives the driver its config. A refused setting is named by its place.
func (o *outsider) configure(ctx context.Context, p *profiles.Profile) error {
	err := o.driver.Configure(ctx, o.config)
	refused, is := errors.AsType[*external.RefusedError](err)
	if !is || refused.Setting == "" {
		return err
	}
	if _, own := p.Driver.Settings[refused.Setting]; own {
		return fmt.Errorf("driver.settings.%s: %w", refused.Setting, err)
	}
	hello := o.driver.Hello()
	if s, found := hello.Setting(refused.Setting); found && s.Pool != "" {
		return fmt.Errorf("%s%w; set another value with --set pool.%s=... or --set driver.%s=...", saidAt(p, s.Pool), err, s.Pool, s.Name)
	}
	return err
}

// settle decides what the driver's client is to be set to: what p's pool says, as far as the
// client has settings for it, and then what p says in the client's own words. The error
// names a field that the user has set and the client lacks.
func (o *outsider) settle(p *profiles.Profile, entry drivers.Entry) error {
	hello := o.driver.Hello()
	d := settings.Driver{Client: hello.Client, Has: availableIn(hello)}
	given, err := fromPool(d, p, slices.Contains(entry.Preset, p.Preset))
	if err != nil {
		return err
	}
	o.lacks, o.notes = given.lacks, given.notes
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(p.Driver.Settings)) {
		value, err := d.Value(name, p.Driver.Settings[name])
		if err != nil {
			errs = append(errs, fmt.Errorf("driver.settings.%s: %w", name, err))
			continue
		}
		given.values[name] = value
	}
	o.config.Settings = given.values
	return errors.Join(errs...)
}

// availableIn lists the settings of a client as results have them.
func availableIn(h external.Hello) []results.DriverSetting {
	list := make([]results.DriverSetting, len(h.Settings))
	for i, s := range h.Settings {
		list[i] = results.DriverSetting{Name: s.Name, Kind: string(s.Kind), Default: s.Default, Pool: s.Pool, Values: s.Values, Words: s.Words}
	}
	return list
}

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
	engine, err := external.NewEngine(external.EngineConfig{Driver: o.driver, Requests: t.Requests, Timeout: p.Load.Timeout, Witness: o.witness.witness()})
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

// describe sets what is known of the driver before the run, without what looks like a
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

// mapped is what a driver's client gets of a profile's pool.
type mapped struct {
	values map[string]any // by the client's own names
	lacks  []string       // paths of fields that it has no setting for
	notes  []string       // warnings about them
}

// fromPool finds the client's settings for the fields of p's pool that say something: those
// that were given, and those that differ from the default policy. The default policy says
// nothing by itself: with it the client keeps its own defaults. A field that the user has
// set and that the client lacks is an error. One that the incident has set, or that comes
// with a preset, is a warning, unless the preset is the client's own.
func fromPool(d settings.Driver, p *profiles.Profile, own bool) (m mapped, err error) {
	m.values = map[string]any{}
	var errs []error
	var byFile, byPreset []string
	for _, field := range settings.Fields() {
		path := "pool." + field
		place, given := p.Given[path]
		if !given && settings.Same(p.Pool, pool.Default(), field) {
			continue
		}
		s, value, err := d.OfPool(p.Pool, field)
		var none *settings.NoSettingError
		switch {
		case err == nil:
			if _, twice := m.values[s.Name]; !twice { // two fields, one setting: the first of the pool's fields says it
				m.values[s.Name] = value
			}
			continue
		case place.Usual:
			continue // the default policy's value, in a file that has every field
		}
		m.lacks = append(m.lacks, path)
		switch {
		case given && place.Mine:
			errs = append(errs, fmt.Errorf("%s%w", saidAt(p, field), err))
		case !errors.As(err, &none):
			m.notes = append(m.notes, err.Error()+"; the client's own default stands")
		case given || p.Preset == "":
			byFile = append(byFile, path)
		default:
			byPreset = append(byPreset, path)
		}
	}
	if len(byFile) > 0 {
		m.notes = append(m.notes, fmt.Sprintf("%s has no setting for %s, which %s sets; its own behaviour stands", d.Client, strings.Join(byFile, ", "), p.Name))
	}
	if len(byPreset) > 0 && !own {
		m.notes = append(m.notes, fmt.Sprintf("%s has no setting for what the preset %s says of %s; its own behaviour stands", d.Client, p.Preset, strings.Join(byPreset, ", ")))
	}
	return m, errors.Join(errs...)
}

// saidAt is the beginning of a complaint about a field of p's pool: where it was set, if
// that is known, and its path, unless the place is a flag that names it.
func saidAt(p *profiles.Profile, field string) string {
	path := "pool." + field
	switch place := p.Given[path].Text; {
	case place == "":
		return path + ": "
	case strings.HasPrefix(place, "--set "+path+"="):
		return place + ": "
	default:
		return place + ": " + path + ": "
	}
}
