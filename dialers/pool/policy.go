package pool

import (
	"encoding"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Policy is what a pool promises. It is the `pool:` section of a profile: the
// yaml names are the field names there and in --set.
//
// Start from [Default]: the zero Policy is legal but keeps no idle connection
// and lets nobody wait. Durations of 0 mean off.
type Policy struct {
	// MaxConns caps connections per origin, dialing, leased and idle together;
	// 0: no cap.
	MaxConns int `yaml:"max_conns"`
	// MaxIdle caps idle connections per origin; at the cap the newcomer is
	// closed. -1: no cap; 0: no keep-alive at all.
	MaxIdle int `yaml:"max_idle"`
	// PendingMax bounds the queue of requests waiting for a connection, per
	// origin; -1: no bound; 0: fail at once.
	PendingMax int `yaml:"pending_max"`
	// PendingTimeout bounds the wait from queueing to allotment. The dial is
	// not part of it.
	PendingTimeout time.Duration `yaml:"pending_timeout"`
	// LeaseOrder chooses among idle connections.
	LeaseOrder Order `yaml:"lease_order"`
	// IdleTimeout is how long a connection may be idle.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// Expiry says when IdleTimeout and MaxLifetime are looked at. Empty means
	// they never are.
	Expiry Expiry `yaml:"expiry"`
	// SweepEvery is the period of the sweep, when Expiry contains it.
	SweepEvery time.Duration `yaml:"sweep_every"`
	// Liveness says how a connection that died while idle is noticed.
	Liveness Liveness `yaml:"liveness"`
	// ProbeAfter is the idle time from which Liveness probe looks at a
	// connection before leasing it.
	ProbeAfter time.Duration `yaml:"probe_after"`
	// Reap says when a connection whose death was noticed by Liveness events
	// leaves the pool's accounts.
	Reap Reap `yaml:"reap"`
	// MaxLifetime is how old a connection may get. It never ends an exchange:
	// it is looked at when the connection is idle or given back.
	MaxLifetime time.Duration `yaml:"max_lifetime"`
	// MaxRequests is how many exchanges one connection may carry; 0: no limit.
	MaxRequests int `yaml:"max_requests"`
	// ConnectTimeout bounds resolving, connecting and the TLS handshake
	// together.
	ConnectTimeout time.Duration `yaml:"connect_timeout"`
	// ResponseTimeout bounds the time from the request's last byte written to
	// the response's last byte read.
	ResponseTimeout time.Duration `yaml:"response_timeout"`
}

// Default is the common model's default policy: no caps, an unbounded queue,
// LIFO, connections kept for ever, deaths noticed as they happen.
func Default() Policy {
	return Policy{MaxIdle: -1, PendingMax: -1, LeaseOrder: LIFO, Expiry: ExpireAtLease, Liveness: Events, Reap: ReapAtEvent}
}

// Validate returns every complaint about p, joined, each beginning with the
// name of the field; nil when there is none. It changes nothing.
func (p Policy) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	atLeast := func(name string, v, low int, meaning string) {
		if v < low {
			bad("%s: %d is below %d (%s)", name, v, low, meaning)
		}
	}
	atLeast("max_conns", p.MaxConns, 0, "0 means no cap")
	atLeast("max_idle", p.MaxIdle, -1, "-1 means no cap, 0 no keep-alive")
	atLeast("pending_max", p.PendingMax, -1, "-1 means no bound, 0 fail at once")
	atLeast("max_requests", p.MaxRequests, 0, "0 means no limit")
	for _, d := range []struct {
		name string
		v    time.Duration
	}{
		{"pending_timeout", p.PendingTimeout}, {"idle_timeout", p.IdleTimeout}, {"sweep_every", p.SweepEvery},
		{"probe_after", p.ProbeAfter}, {"max_lifetime", p.MaxLifetime},
		{"connect_timeout", p.ConnectTimeout}, {"response_timeout", p.ResponseTimeout},
	} {
		if d.v < 0 {
			bad("%s: %v is negative (0 means off)", d.name, d.v)
		}
	}
	if p.Expiry&ExpireBySweep != 0 && p.SweepEvery == 0 {
		bad("sweep_every: expiry contains sweep, but no period is set; set sweep_every, for example to 30s")
	}
	if p.Expiry&ExpireBySweep == 0 && p.SweepEvery > 0 {
		bad("sweep_every: has no effect, because expiry does not contain sweep; add sweep to expiry or remove it")
	}
	if p.IdleTimeout > 0 && p.Expiry&^ExpireAtRelease == 0 {
		bad("idle_timeout: has no effect, because expiry is %v and a connection is looked at only when it is not idle; add lease, timer or sweep to expiry", p.Expiry)
	}
	if p.MaxLifetime > 0 && p.Expiry == 0 {
		bad("max_lifetime: has no effect, because expiry is empty; add lease, release, timer or sweep to expiry")
	}
	if p.PendingTimeout > 0 && p.PendingMax == 0 {
		bad("pending_timeout: has no effect, because pending_max is 0 and nobody waits; raise pending_max or remove it")
	}
	if p.ProbeAfter > 0 && p.Liveness != Probe {
		bad("probe_after: has no effect, because liveness is %v; set liveness: probe or remove it", p.Liveness)
	}
	if p.Reap == ReapAtLease && p.Liveness != Events {
		bad("reap: has no effect, because liveness is %v; set liveness: events or remove it", p.Liveness)
	}
	return errors.Join(errs...)
}

// Order is the order in which idle connections are leased.
type Order uint8

// The lease orders. FIFO and LIFO go by the time of the last release.
const (
	LIFO     Order = iota // the one released last: a few hot connections, the rest expire
	FIFO                  // the one released first: all connections age together
	FirstFit              // the one created first
)

// Liveness says how a connection that the peer closed while idle is noticed.
type Liveness uint8

const (
	Events Liveness = iota // the FIN or RST is noticed when it arrives
	Probe                  // by a non-blocking read at lease, if idle for ProbeAfter or longer
	None                   // never: the next request finds out
)

// Reap says when a connection noticed dead by events stops being counted.
type Reap uint8

const (
	ReapAtEvent Reap = iota // at once
	ReapAtLease             // when it is next met at lease, release or sweep
)

// Expiry is the set of moments at which idle_timeout and max_lifetime are
// looked at.
type Expiry uint8

const (
	ExpireAtLease   Expiry = 1 << iota // when a connection is about to be leased
	ExpireAtRelease                    // when a connection is given back
	ExpireByTimer                      // by a timer per connection
	ExpireBySweep                      // by a pass over the idle connections every SweepEvery
)

var (
	orderNames    = []string{"lifo", "fifo", "first_fit"}
	livenessNames = []string{"events", "probe", "none"}
	reapNames     = []string{"event", "lease"}
	expiryNames   = []string{"lease", "release", "timer", "sweep"}

	_ encoding.TextUnmarshaler = (*Order)(nil)
)

func (o Order) String() string    { return nameOf(orderNames, int(o)) }
func (l Liveness) String() string { return nameOf(livenessNames, int(l)) }
func (r Reap) String() string     { return nameOf(reapNames, int(r)) }

func (e Expiry) String() string { return "[" + strings.Join(e.Names(), ", ") + "]" }

// Names lists the moments in e.
func (e Expiry) Names() []string {
	names := []string{}
	for i, name := range expiryNames {
		if e&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// ParseExpiry is the set of the named moments.
func ParseExpiry(names []string) (Expiry, error) {
	var e Expiry
	for _, name := range names {
		i, err := indexOf(expiryNames, []byte(name))
		if err != nil {
			return 0, err
		}
		e |= 1 << i
	}
	return e, nil
}

func (o Order) MarshalText() ([]byte, error)    { return []byte(o.String()), nil }
func (l Liveness) MarshalText() ([]byte, error) { return []byte(l.String()), nil }
func (r Reap) MarshalText() ([]byte, error)     { return []byte(r.String()), nil }

func (o *Order) UnmarshalText(text []byte) error {
	i, err := indexOf(orderNames, text)
	*o = Order(i)
	return err
}

func (l *Liveness) UnmarshalText(text []byte) error {
	i, err := indexOf(livenessNames, text)
	*l = Liveness(i)
	return err
}

func (r *Reap) UnmarshalText(text []byte) error {
	i, err := indexOf(reapNames, text)
	*r = Reap(i)
	return err
}

func nameOf(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("unknown(%d)", i)
}

func indexOf(names []string, text []byte) (int, error) {
	for i, name := range names {
		if string(text) == name {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%q is none of %s", text, strings.Join(names, ", "))
}

// MarshalYAML writes e as a list of names.
func (e Expiry) MarshalYAML() (any, error) { return e.Names(), nil }

// UnmarshalYAML reads a list of names, or one name.
func (e *Expiry) UnmarshalYAML(decode func(any) error) error {
	var names []string
	if err := decode(&names); err != nil {
		var name string
		if decode(&name) != nil {
			return err
		}
		names = []string{name}
	}
	parsed, err := ParseExpiry(names)
	if err == nil {
		*e = parsed
	}
	return err
}
