package cli

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/kabench/kabench/internal/aim"
	"github.com/kabench/kabench/internal/consent"
	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/poll"
	"github.com/kabench/kabench/internal/secrets"
	"github.com/kabench/kabench/internal/target"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// Aiming is what is needed to aim an incident at a server that is not kabench's own.
type Aiming struct {
	Target      string // URL
	Pool        string // preset or file; "": the incident's own
	Sets        []string
	LinkDelay   time.Duration // of kabench's own link before the target; below 0: the default
	Budget      aim.Budget
	AllowUnsafe bool
	IMay        bool
	Agents      int // that send the requests; below 2: this process does

	flags     *pflag.FlagSet
	oneClient bool // a real client sends the requests
}

// napping is how often this machine's lateness is measured before an aim: that takes a
// second, or more on a busy machine.
const napping = 500

// Flags adds the flags of an aim, except --set.
func (o *Aiming) Flags(f *pflag.FlagSet) {
	f.StringVar(&o.Target, "target", "", "URL of a server of your own to reproduce the incident on ('kabench incidents' marks those that take one)")
	f.StringVar(&o.Pool, "pool", "", "with --target: pool preset or YAML file of your client (default: the incident's own pool)")
	o.LimitFlags(f)
	IMayFlag(f, &o.IMay)
}

// LimitFlags adds the flags that say what an aim may send, and how.
func (o *Aiming) LimitFlags(f *pflag.FlagSet) {
	o.flags = f
	f.DurationVar(&o.LinkDelay, "link-delay", -1, "delay of kabench's own link before a target on this machine, in each direction (default "+aim.DefaultLinkDelay.String()+"; 0: no link)")
	f.DurationVar(&o.Budget.Time, "budget-time", 0, "how long all runs together may take (default "+aim.DefaultTime.String()+", or what one wait for the server's timer takes)")
	f.IntVar(&o.Budget.Requests, "max-requests", 0, fmt.Sprintf("how many requests one run may send (default %d)", aim.DefaultRequests))
	f.IntVar(&o.Budget.Connections, "max-connections", 0, fmt.Sprintf("how many connections may be open side by side (default %d)", aim.DefaultConnections))
	f.BoolVar(&o.AllowUnsafe, "allow-unsafe", false, "requests may have a method that changes something on the server, such as POST")
	f.Lookup("link-delay").DefValue = "0" // the text of the flag says the default
}

// Check refuses flags that cannot be.
func (o *Aiming) Check() error {
	below := func(flag string, zero bool) bool { return zero && o.flags != nil && o.flags.Changed(flag) }
	switch {
	case o.Budget.Time < 0, below("budget-time", o.Budget.Time == 0):
		return fmt.Errorf("--budget-time %v: want a time above 0, for example 2m", o.Budget.Time)
	case o.Budget.Requests < 0, below("max-requests", o.Budget.Requests == 0):
		return fmt.Errorf("--max-requests %d: want at least 1", o.Budget.Requests)
	case o.Budget.Connections < 0, below("max-connections", o.Budget.Connections == 0):
		return fmt.Errorf("--max-connections %d: want at least 1", o.Budget.Connections)
	case below("link-delay", o.LinkDelay < 0):
		return fmt.Errorf("--link-delay %v: want 0 (no link) to 1m", o.LinkDelay)
	case o.LinkDelay > time.Minute:
		return fmt.Errorf("--link-delay %v: want at most 1m", o.LinkDelay)
	}
	return nil
}

// CheckSets refuses a pool and fields that cannot be, before anything is sent.
func (o *Aiming) CheckSets() error {
	sets := []string{"target.url=" + o.Target}
	if o.Pool != "" {
		sets = append(sets, "pool="+o.Pool)
	}
	_, err := profiles.LoadToCheck(append(sets, o.Sets...))
	return o.InFlags(err)
}

// InFlags makes a complaint about a value name the flag that set the value.
func (o *Aiming) InFlags(err error) error {
	return InFlags(err, Given{"pool", o.Pool, "--pool"}, Given{"target.url", o.Target, "--target"})
}

// TakesTarget reports whether an incident can be aimed at a target. If not, why says why,
// as the end of a sentence.
func TakesTarget(incident string) (takes bool, why string) { return aim.Takes(incident) }

// CheckIncident returns an error that says why an incident cannot be aimed at a target; nil
// if it can.
func CheckIncident(incident string) error {
	if takes, why := aim.Takes(incident); !takes {
		return fmt.Errorf("%s cannot be aimed at a target: %s", incident, why)
	}
	return nil
}

// Aimed is an incident that is ready to be reproduced on a server.
type Aimed struct {
	Profile  *profiles.Profile
	Forecast *results.Forecast
	Agents   int // as Aiming.Agents
}

// Plan aims an incident of the library at the target, whose measurement server is. It
// sends nothing. The error is a *consent.Refusal if the target may not be loaded.
func (o *Aiming) Plan(ctx context.Context, incident string, server profiles.ServerPreset) (Aimed, error) {
	late, err := poll.Lateness(napping, aim.Nap)
	if err != nil {
		return Aimed{}, err
	}
	return o.plan(ctx, incident, server, late)
}

// plan is Plan on a machine whose timers are that late.
func (o *Aiming) plan(ctx context.Context, incident string, server profiles.ServerPreset, late []time.Duration) (Aimed, error) {
	if err := CheckIncident(incident); err != nil {
		return Aimed{}, err
	}
	p, err := profiles.Open(incident, nil)
	if err != nil {
		return Aimed{}, err
	}
	addrs, err := o.addresses(ctx)
	if err != nil {
		return Aimed{}, err
	}
	order := aim.Order{
		Incident: p, URL: o.Target, Server: server, Pool: o.Pool, Sets: o.Sets, AllowUnsafe: o.AllowUnsafe, Budget: o.Budget, Late: late, OneClient: o.oneClient, Agents: o.Agents,
		Here: !slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !consent.Here(a) }),
	}
	if ports, err := host.Ports(); err == nil {
		order.Ports = ports.Available()
	}
	if order.Budget.Connections == 0 {
		order.Budget.Connections = affordable()
	}
	if o.LinkDelay >= 0 {
		if !order.Here && o.LinkDelay > 0 {
			return Aimed{}, fmt.Errorf("--link-delay %v: %s is not on this machine, so its own round trip is there already; leave the flag out", o.LinkDelay, o.Target)
		}
		order.LinkDelay = &o.LinkDelay
	}
	planned, forecast, err := aim.Plan(order)
	if err != nil {
		return Aimed{}, profiles.WithoutSecrets(err, append(slices.Clone(o.Sets), o.Target)...)
	}
	forecast.Preset = o.playedFor(planned)
	if !o.IMay {
		sends := fmt.Sprintf("%d requests in %d runs, on up to %d connections", forecast.AllRequests, forecast.Runs, forecast.Connections)
		err = consent.Check(hostOf(o.Target), addrs, sends)
	}
	return Aimed{planned, forecast, o.Agents}, err
}

// Possible returns what is wrong with the order however the server behaves, so that it is
// found before the server is measured. It sends nothing.
func (o *Aiming) Possible(ctx context.Context, incident string) error {
	any := *o
	any.IMay = true // asked for with the measurement
	_, err := any.plan(ctx, incident, profiles.ServerPreset{
		Facts:    profiles.ServerFacts{Hint: 5 * time.Second},
		Measured: &profiles.Measured{URL: o.Target, Closes: 1, IdleMin: 5 * time.Second, IdleMedian: 5 * time.Second, IdleMax: 5 * time.Second},
	}, nil)
	return err
}

// affordable is how many connections this process may have open, each with two further
// sockets of the link, if that is less than the default; 0 otherwise.
func affordable() int {
	soft, _, err := host.OpenFileLimit()
	if n := (int64(min(soft, 1<<30)) - 200) / 3; err == nil && n < aim.DefaultConnections {
		return int(max(n, 10))
	}
	return 0
}

// addresses finds the addresses of the target.
func (o *Aiming) addresses(ctx context.Context) ([]netip.Addr, error) {
	p := profiles.Default()
	p.Target.URL = o.Target
	if _, err := profiles.Requests(&p); err != nil {
		return nil, profiles.WithoutSecrets(fmt.Errorf("--target: %w", err), o.Target)
	}
	var list []netip.Addr
	for _, a := range target.Addresses(ctx, &p) {
		list = append(list, a.Addr())
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("--target: the name %s has no address; check its spelling", hostOf(o.Target))
	}
	return list, nil
}

// Shown is the target without secrets.
func (o *Aiming) Shown() string { return secrets.RedactURL(o.Target) }

func hostOf(target string) string {
	if u, err := url.Parse(target); err == nil {
		return u.Hostname()
	}
	return target
}

// OtherServer warns if a file with a measured server is about another server than the target.
func (s *Streams) OtherServer(file string, server profiles.ServerPreset, target string) {
	if server.Measured == nil || server.Measured.URL == "" || sameServer(server.Measured.URL, target) {
		return
	}
	p := profiles.Default()
	p.Target.URL = target
	fmt.Fprintf(s.Err, "kabench: %s was measured at %s, and the target is %s; if they are not the same server, probe the target\n", file, server.Measured.URL, profiles.Redact(p).Target.URL)
}

// sameServer reports whether two URLs have the same scheme, host and port. The names of the
// loopback are all the same host.
func sameServer(a, b string) bool {
	server := func(text string) string {
		u, err := url.Parse(text)
		if err != nil {
			return text
		}
		name, port := strings.ToLower(u.Hostname()), u.Port()
		if addr, err := netip.ParseAddr(name); name == "localhost" || err == nil && addr.IsLoopback() {
			name = "localhost"
		}
		if port == "" {
			port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
		}
		return u.Scheme + "://" + name + ":" + port
	}
	return server(a) == server(b)
}

// KeptIncident says where an aimed incident was kept, and what is missing in the file.
func (s *Streams) KeptIncident(file string, p *profiles.Profile, iMay bool) {
	note := ""
	if iMay {
		file += " --" + consent.Flag
	}
	if redacted := profiles.Redact(*p); !reflect.DeepEqual(redacted.Target, p.Target) {
		note = "; secrets are blanked in it, so give them with --set"
	}
	fmt.Fprintf(s.Err, "to run it again: kabench reproduce %s%s\n", file, note)
}

// Hopeless reports whether no run should be made, because it would show nothing.
func (a Aimed) Hopeless() bool { return aim.Hopeless(a.Forecast) }

// Print says in words what will be sent and what is expected.
func (a Aimed) Print(w io.Writer) error {
	f := a.Forecast
	name := a.Profile.Name + " at " + profiles.Redact(*a.Profile).Target.URL
	if f.AllRequests == 0 { // nothing was simulated, so there are no numbers
		return layout.Print(w, fmt.Sprintf("%s: there is nothing to send\n  %s\n  it would take %s\n", name, f.Why, f.Takes), 0)
	}
	text := fmt.Sprintf("%s: %s (%s)\n", name, f, f.Path)
	text += fmt.Sprintf("  %s, about %s and %d requests in all, at most %d connections side by side\n",
		results.FormatCount(uint64(f.Runs), "run"), results.FormatSeconds(f.AllSeconds), f.AllRequests, f.Connections)
	if n := a.Profile.Pool.Shards; n > 1 {
		agents := ""
		if a.Agents > 1 {
			agents = fmt.Sprintf(", %d in each of %d agents", n/a.Agents, a.Agents)
		}
		text += fmt.Sprintf("  through %d copies of the pool%s, as that many clients with little traffic each\n", n, agents)
	}
	if f.Preset != "" {
		text += fmt.Sprintf("  computed for the preset %s; the real client sends the requests\n", f.Preset)
	}
	if f.LinkDelay > 0 {
		text += fmt.Sprintf("  kabench puts its own link before the target, with a delay of %s in each direction (--link-delay 0: none)\n", results.FormatSeconds(f.LinkDelay))
	}
	if f.Disturbed != "" {
		text += "  " + f.Disturbed + "\n"
	}
	if f.Reason != "" {
		text += fmt.Sprintf("  few or none are expected: %s\n  it would take %s\n", f.Why, f.Takes)
	}
	return layout.Print(w, text, 0)
}
