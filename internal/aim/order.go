package aim

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// Order says what to reproduce, where, and what it may cost.
type Order struct {
	Incident *profiles.Profile // of the library
	URL      string            // of the target
	Server   profiles.ServerPreset
	Pool     string   // a preset or a file; "": the incident's own pool
	Sets     []string // path=value, as --set; they come last
	// Here says that the target is on this machine, so that kabench may put its own link
	// before it.
	Here bool
	// LinkDelay is the link's delay in each direction: 0 for no link, nil for
	// DefaultLinkDelay if the target is Here.
	LinkDelay *time.Duration
	// OneClient says that a real client sends the requests. There are no copies of it.
	OneClient bool
	// Agents is how many agents send the requests; below 2, this process does. The copies of
	// the pool are dealt out to them, the same number to each.
	Agents      int
	AllowUnsafe bool // requests may have a method that changes something
	Ports       int  // ephemeral ports of this machine; 0: Linux's default
	// Late is how late this machine woke, each time after Nap; nil: not measured.
	Late   []time.Duration
	Budget Budget
}

// Budget limits what is sent. A field that is 0 has the default.
type Budget struct {
	Time        time.Duration // of all runs, the remedies' included
	Requests    int           // of one run
	Connections int           // side by side
}

// The defaults of Budget and Order. DefaultTime is raised if one wait for the server's
// timer takes longer.
const (
	DefaultTime        = 150 * time.Second
	DefaultRequests    = 5000
	DefaultConnections = 1000
	DefaultLinkDelay   = 5 * time.Millisecond
)

// wanted is the number of failures to aim at: enough for a comparison with a remedy, and
// no more than that.
const wanted = 20

// hopeless is a mean below which no request is sent, because a run would show nothing.
const hopeless = 0.5

// Hopeless reports whether a run would not show the incident, so that none should be made.
func Hopeless(f *results.Forecast) bool { return f.Mean < hopeless }

// Plan aims o's incident at its server. It returns the profile to reproduce, with its
// remedies, and what to expect. If the forecast is Hopeless the profile is not fit to be
// run. The error says what is wrong with the order.
func Plan(o Order) (*profiles.Profile, *results.Forecast, error) {
	aimed, err := adaptationOf(o.Incident.Name)
	if err != nil {
		return nil, nil, err
	}
	a := &aiming{order: o, adaptation: aimed, server: ServerOf(o.Server)}
	a.server.Late = o.Late
	a.order.Budget = o.Budget.filled(a.server)
	if a.profile, err = a.base(); err != nil {
		return nil, nil, err
	}
	if o.Agents > 1 && o.OneClient {
		return nil, nil, fmt.Errorf("the requests are aimed for one real client, and %d agents have one each; use one agent (--agents 1), or leave --agents out", o.Agents)
	}
	if err := aimed.at(a); err != nil {
		return nil, nil, err
	}
	if n := a.profile.Pool.Shards; o.Agents > 1 && n%o.Agents != 0 {
		return nil, nil, fmt.Errorf("pool.shards: %d copies of the pool cannot be dealt out to %d agents; set a multiple of %d, or leave it out", n, o.Agents, o.Agents)
	}
	if n := a.profile.Pool.Shards; o.OneClient && n > 1 {
		return nil, nil, fmt.Errorf("%s at this target takes %d clients with little traffic each, and a driver is one client; leave out the driver, and --pool NAME sends it through copies of the client's preset", o.Incident.Name, n)
	}
	a.withinBudget()
	a.finish()
	a.given()
	if err := a.profile.Validate(); err != nil {
		return nil, nil, err
	}
	return a.profile, a.forecast(), nil
}

// filled returns b with the defaults. A wait for the server's timer must fit into the
// time of one run of two.
func (b Budget) filled(s Server) Budget {
	if b.Time == 0 {
		b.Time = max(DefaultTime, 3*(s.Idle.Max+5*time.Second)) // three runs at most
	}
	if b.Requests == 0 {
		b.Requests = DefaultRequests
	}
	if b.Connections == 0 {
		b.Connections = DefaultConnections
	}
	return b
}

// aiming is an order being carried out.
type aiming struct {
	order      Order
	adaptation adaptation
	server     Server
	profile    *profiles.Profile
	figure     figure
	estimate   estimate
	more       int  // remedies besides the one of the idle timer
	behind     bool // the server is behind a load balancer, whose pool decides
	reason     reason
	seconds    float64 // how long the remedies' runs take together
	requests   uint64  // how many requests the remedies' runs send together
}

// base returns the profile without the load, the expectations and the remedies.
func (a *aiming) base() (*profiles.Profile, error) {
	o, own := a.order, a.order.Incident
	p := profiles.Default()
	p.Name, p.Question, p.Source, p.Says = own.Name, own.Question, own.Source, own.Says
	if a.adaptation.says != (profiles.Says{}) {
		p.Says = a.adaptation.says
	}
	p.Scale = "Timers and rates are set from what was measured of the target"
	p.Load.Seed = newSeed()
	p.Load.MaxLag = 100 * time.Millisecond
	p.Pool, p.Preset = own.Pool, own.Preset
	p.Pool.Shards = 0 // of the library's incident, for its own server
	if o.Agents > 1 {
		p.Pool.Shards = o.Agents // one each, at least
	}
	p.Target.URL = o.URL
	p.Server = facts(o.Server)
	if delay := a.linkDelay(); delay > 0 {
		p.Target.Link = &script.Link{Delay: delay}
	}
	if o.Pool != "" {
		if err := profiles.Set(&p, "pool", o.Pool); err != nil {
			return nil, err
		}
	}
	for _, change := range a.adaptation.set {
		if err := set(&p, change); err != nil {
			return nil, err
		}
	}
	if err := a.applySets(&p); err != nil {
		return nil, err
	}
	if !o.AllowUnsafe && !safe(p.Target.Method) {
		return nil, fmt.Errorf("target.method: %s may change something on the server; add --allow-unsafe if it may be sent many times, or leave the method out (GET)", p.Target.Method)
	}
	return &p, nil
}

// given notes which fields of the pool the incident and the user have set, so that a real
// client is known not to have them.
func (a *aiming) given() {
	places := map[string]profiles.Place{}
	note := func(changes []string, p profiles.Place) {
		for _, change := range changes {
			if path, _, _ := strings.Cut(change, "="); strings.HasPrefix(path, "pool.") {
				if p.Mine {
					p.Text = "--set " + change
				}
				places[path] = p
			}
		}
	}
	note(a.adaptation.set, profiles.Place{Text: a.profile.Name})
	note(a.order.Sets, profiles.Place{Mine: true})
	a.profile.Given = places
}

// newSeed draws a seed of the load. It is recorded, so that the same schedule is played and
// run.
func newSeed() uint64 { return rand.Uint64()>>11 | 1 }

// linkDelay is the delay of kabench's link; 0: there is none.
func (a *aiming) linkDelay() time.Duration {
	switch {
	case a.order.LinkDelay != nil:
		return *a.order.LinkDelay
	case a.order.Here:
		return DefaultLinkDelay
	}
	return 0
}

// facts returns what p says about its server, with the measured timer.
func facts(p profiles.ServerPreset) profiles.ServerFacts {
	f := p.Facts
	f.Take(p.Lab)
	if m := p.Measured; m != nil && m.Closes > 0 {
		f.IdleTimeout, f.IdleEarly, f.IdleForEver = round(m.IdleMedian), max(m.IdleMedian-m.IdleMin, 0), false
	}
	return f
}

func (a *aiming) applySets(p *profiles.Profile) error {
	for _, change := range a.order.Sets {
		if err := set(p, change); err != nil {
			return err
		}
	}
	return nil
}

// set applies path=value.
func set(p *profiles.Profile, change string) error {
	path, value, found := strings.Cut(change, "=")
	if !found || path == "" {
		return fmt.Errorf("--set %s: write a field and its value: --set path=value", change)
	}
	return profiles.Set(p, path, value)
}

// isSet reports whether the user has set a field, or one within it.
func (a *aiming) isSet(path string) bool {
	for _, change := range a.order.Sets {
		name, _, _ := strings.Cut(change, "=")
		if name == path || strings.HasPrefix(name, path+".") || strings.HasPrefix(path, name+".") {
			return true
		}
	}
	return false
}

// try plays the profile a few times with a change, and the user's sets after it.
func (a *aiming) try(change func(*profiles.Profile), runs int) (*profiles.Profile, estimate, error) {
	p := a.profile.Clone()
	change(p)
	if err := a.applySets(p); err != nil {
		return nil, estimate{}, err
	}
	if err := errors.Join(p.Load.Validate(), p.Pool.Validate()); err != nil {
		return nil, estimate{}, err
	}
	if err := a.limit(p); err != nil {
		return nil, estimate{}, err
	}
	e, err := expect(a.model(p), a.server, a.figure, runs)
	return p, e, err
}

// limit ends p's load before it sends more requests than the budget has, unless the user
// has chosen the load: the silences are drawn, so a shape has a few requests more or less.
// A load that is much too large is left as it is, and given up later.
func (a *aiming) limit(p *profiles.Profile) error {
	if a.isSet("load") {
		return nil
	}
	schedule, err := p.Load.Schedule()
	if err != nil {
		return err
	}
	n, most, end := 0, a.order.Budget.Requests, time.Duration(0)
	for at := range schedule {
		if n++; n == most+1 {
			end = at
		}
	}
	if n > most && n <= most+most/4 {
		p.Load.Duration = end
	}
	return nil
}

// perRun is the time that one of the runs may take.
func (a *aiming) perRun(remedies int) time.Duration {
	return a.order.Budget.Time / time.Duration(1+remedies)
}

// withinBudget gives up a run that takes more than the user allows.
func (a *aiming) withinBudget() {
	runs, b := 1+len(a.profile.Remedies), a.order.Budget
	takes, most := a.profile.Sending(), a.perRun(runs-1)
	requests := int(math.Ceil(a.estimate.meanOf(func(c Counts) int { return c.Started })))
	connections := int(math.Ceil(a.estimate.meanOf(func(c Counts) int { return c.MaxOpen })))
	over := reason{name: ReasonBudget}
	switch {
	case a.reason.name != "" && a.estimate.mean < hopeless: // nothing is sent anyway
		return
	case takes > most+most/20:
		over.why = fmt.Sprintf("a run takes %v, and --budget-time %v leaves %v for each of %d runs", takes.Round(time.Second), b.Time, most.Round(time.Second), runs)
		over.takes = fmt.Sprintf("--budget-time %v", (time.Duration(runs)*takes).Round(time.Second)+time.Second)
	case requests > b.Requests:
		over.why = fmt.Sprintf("a run sends %d requests, and --max-requests allows %d", requests, b.Requests)
		over.takes = fmt.Sprintf("--max-requests %d", requests)
	case connections > b.Connections:
		over.why = fmt.Sprintf("a run needs %d connections side by side, and --max-connections allows %d", connections, b.Connections)
		over.takes = fmt.Sprintf("--max-connections %d", connections)
	default:
		return
	}
	a.estimate.mean, a.estimate.low, a.estimate.high = 0, 0, 0
	a.reason = over
}

// finish adds what the remedies' runs take, and the forecast.
func (a *aiming) finish() {
	p := a.profile
	p.Forecast = &profiles.Forecast{Path: a.figure.path, Mean: float64(int(100*a.estimate.mean+0.5)) / 100, Low: a.estimate.low, High: a.estimate.high, IdleFrom: a.server.Idle.Min, IdleTo: a.server.Idle.Max}
	for _, r := range p.Remedies {
		if changed, err := p.With(r); err == nil {
			a.seconds += changed.Sending().Seconds()
			a.requests += due(changed)
		}
	}
}

// due is how many requests p sends.
func due(p *profiles.Profile) (n uint64) {
	schedule, err := p.Load.Schedule()
	if err != nil {
		return 0
	}
	for range schedule {
		n++
	}
	return n
}

// forecast returns what to expect of the incident's run.
func (a *aiming) forecast() *results.Forecast {
	p := a.profile
	requests := uint64(a.estimate.meanOf(func(c Counts) int { return c.Started }) + 0.5)
	f := &results.Forecast{
		Path: a.figure.path, Mean: p.Forecast.Mean, Low: a.estimate.low, High: a.estimate.high,
		Requests: requests, Connections: uint64(a.estimate.meanOf(func(c Counts) int { return c.MaxOpen }) + 0.5),
		Seconds: p.Sending().Seconds(), Runs: 1 + len(p.Remedies), Reason: a.reason.name, Why: a.reason.why, Takes: a.reason.takes,
		Disturbed: disturbed(a.server),
	}
	f.IdleFrom, f.IdleTo = p.Forecast.IdleFrom.Seconds(), p.Forecast.IdleTo.Seconds()
	if len(a.estimate.runs) > 0 {
		f.AllSeconds, f.AllRequests = f.Seconds+a.seconds, f.Requests+a.requests
	}
	if p.Target.Link != nil {
		f.LinkDelay = p.Target.Link.Delay.Seconds()
	}
	return f
}

// round returns d with about three digits, so that people can read it.
func round(d time.Duration) time.Duration {
	for _, unit := range []time.Duration{time.Second, 100 * time.Millisecond, 10 * time.Millisecond, time.Millisecond, 100 * time.Microsecond} {
		if d >= 100*unit {
			return d.Round(unit)
		}
	}
	return d.Round(10 * time.Microsecond)
}
