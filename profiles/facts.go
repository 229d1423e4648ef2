package profiles

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/kabench/kabench/profiles/network"
	"github.com/kabench/kabench/profiles/script"
)

// ServerFacts describes a server or a load balancer that kabench does not configure:
// the sections `server:` and `via:` of a profile. A field that is 0 or false is not
// known.
type ServerFacts struct {
	// IdleTimeout is how long it keeps an idle connection; a load balancer, on both
	// sides. It may close up to IdleEarly sooner.
	IdleTimeout time.Duration `yaml:"idle_timeout,omitempty"`
	IdleEarly   time.Duration `yaml:"idle_early,omitempty"`
	// IdleForEver says that it never closes an idle connection. An IdleTimeout of 0 only
	// means that the timeout is not known.
	IdleForEver bool `yaml:"idle_for_ever,omitempty"`
	// Hint is the time that it announces as `Keep-Alive: timeout=`.
	Hint time.Duration `yaml:"hint,omitempty"`
	// UpstreamIdle is how long a load balancer or proxy keeps an idle connection to its
	// servers, if that is not IdleTimeout.
	UpstreamIdle time.Duration `yaml:"upstream_idle,omitempty"`
	// Silent says that it forgets an idle connection without closing it, as NATs,
	// firewalls and layer-4 balancers do. The client's connections then end at the
	// server.
	Silent bool `yaml:"silent,omitempty"`
	// PassesOn says that it passes connections on, so that they end at the server as with
	// Silent, but resets or closes idle ones.
	PassesOn bool `yaml:"passes_on,omitempty"`
	// AtExpiry says how it ends or forgets an idle connection.
	AtExpiry script.Expiry `yaml:"at_expiry,omitempty"`
	// Ports is how many connections to one destination it gives ports to at a time, for
	// all clients together or for each. After a connection has ended, its port stays taken
	// for PortReuse.
	Ports     int              `yaml:"ports,omitempty"`
	PortsPer  network.PortsPer `yaml:"ports_per,omitempty"`
	PortReuse time.Duration    `yaml:"port_reuse,omitempty"`
	// Table is how many connections it can remember.
	Table int `yaml:"table,omitempty"`
	// KeepAlive is the period of the TCP keep-alive probes that it sends itself on the
	// connections that end at it.
	KeepAlive time.Duration `yaml:"keep_alive,omitempty"`
	// Drain is how long a server goes on after the signal to stop. Propagation is how long
	// a load balancer may still send new connections or requests to a server that was taken
	// out. ScaleOut is within what time a server that was added must have its share.
	Drain       time.Duration `yaml:"drain,omitempty"`
	Propagation time.Duration `yaml:"propagation,omitempty"`
	ScaleOut    time.Duration `yaml:"scale_out,omitempty"`
	// MaxRequests and MaxLifetime end a connection. With Unannounced, the last response
	// has no `Connection: close`.
	MaxRequests int           `yaml:"max_requests,omitempty"`
	MaxLifetime time.Duration `yaml:"max_lifetime,omitempty"`
	Unannounced bool          `yaml:"unannounced,omitempty"`
	// MaxConnections and Threads are per worker; Workers is the number of workers (0:
	// one). Backlog is the length of the listener's queue.
	MaxConnections int `yaml:"max_connections,omitempty"`
	Threads        int `yaml:"threads,omitempty"`
	Workers        int `yaml:"workers,omitempty"`
	Backlog        int `yaml:"backlog,omitempty"`
	// Delay is the mean time from request to response.
	Delay time.Duration `yaml:"delay,omitempty"`
}

// Validate returns every complaint about f, joined, or nil. Each begins with the name
// of the field.
func (f ServerFacts) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, d := range []struct {
		field string
		v     time.Duration
	}{
		{"idle_timeout", f.IdleTimeout}, {"idle_early", f.IdleEarly}, {"hint", f.Hint},
		{"max_lifetime", f.MaxLifetime}, {"delay", f.Delay}, {"upstream_idle", f.UpstreamIdle}, {"port_reuse", f.PortReuse},
		{"keep_alive", f.KeepAlive}, {"drain", f.Drain}, {"propagation", f.Propagation}, {"scale_out", f.ScaleOut},
	} {
		if d.v < 0 {
			bad("%s: %v is negative (0 means not known)", d.field, d.v)
		}
	}
	for _, n := range []struct {
		field string
		v     int
	}{
		{"max_requests", f.MaxRequests}, {"max_connections", f.MaxConnections},
		{"threads", f.Threads}, {"workers", f.Workers}, {"backlog", f.Backlog},
		{"ports", f.Ports}, {"table", f.Table},
	} {
		if n.v < 0 {
			bad("%s: %d is negative (0 means not known)", n.field, n.v)
		}
	}
	if f.IdleForEver && f.IdleTimeout > 0 {
		bad("idle_for_ever: contradicts idle_timeout (%v); remove one", f.IdleTimeout)
	}
	if f.IdleEarly > 0 && f.IdleEarly >= f.IdleTimeout {
		bad("idle_early: %v is not below idle_timeout (%v)", f.IdleEarly, f.IdleTimeout)
	}
	if f.Unannounced && f.MaxRequests == 0 && f.MaxLifetime == 0 {
		bad("unannounced: has no effect without max_requests or max_lifetime; set one or remove it")
	}
	return errors.Join(append(errs, f.validateWay()...)...)
}

// validateWay looks at what only a device on the way has.
func (f ServerFacts) validateWay() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case !f.AtExpiry.Known():
		bad("at_expiry: %v", f.AtExpiry)
	case f.AtExpiry.Silent() && !f.Silent:
		bad("at_expiry: %v is silent; set silent: true", f.AtExpiry)
	case f.Silent && f.AtExpiry != script.ExpiryUnknown && !f.AtExpiry.Silent():
		bad("at_expiry: %v contradicts silent; remove one", f.AtExpiry)
	}
	if f.UpstreamIdle > 0 && f.EndsBehind() {
		bad("upstream_idle: contradicts silent and passes_on: it has no connections of its own to the servers; remove one")
	}
	if f.Ports == 0 && (f.PortReuse > 0 || f.PortsPer != network.PortsPerDestination) {
		bad("ports: port_reuse and ports_per have no effect without it; set ports or remove them")
	}
	return errs
}

// Take copies the facts that a server's script gives; fields that the script leaves at
// 0 keep their values. It leaves out a hint that the server sends only to clients that
// ask for one.
func (f *ServerFacts) Take(c script.Server) {
	if c.IdleTimeout > 0 {
		f.IdleTimeout, f.IdleForEver = c.IdleTimeout, false
	}
	if c.MaxRequests > 0 {
		f.MaxRequests, f.Unannounced = c.MaxRequests, c.Unannounced
	}
	if c.SayClose || c.UntilClose {
		f.MaxRequests, f.Unannounced = 1, false
	}
	if d := meanDelay(c.Delay); d > 0 {
		f.Delay = d
	}
	f.MaxConnections, f.Threads, f.Backlog = cmp.Or(c.MaxConnections, f.MaxConnections), cmp.Or(c.Threads, f.Threads), cmp.Or(c.Backlog, f.Backlog)
	if c.Fault == script.ResetOnIdle && f.AtExpiry == script.ExpiryUnknown {
		f.AtExpiry = script.Reset
	}
	if hint := HintTimeout(c.Hint); hint > 0 && !c.HintIfAsked {
		f.Hint = hint
	}
}

// HintTimeout returns the timeout in a Keep-Alive header; 0 if there is none.
func HintTimeout(header string) time.Duration {
	seconds := hintSeconds.FindStringSubmatch(header)
	if seconds == nil {
		return 0
	}
	n, _ := strconv.Atoi(seconds[1]) // the pattern bounds it
	return time.Duration(n) * time.Second
}

var hintSeconds = regexp.MustCompile(`(?i)\btimeout=([0-9]{1,9})\b`)

// EndsBehind reports whether a connection through it ends at the server.
func (f ServerFacts) EndsBehind() bool { return f.Silent || f.PassesOn }

// meanDelay is the mean of a delay.
func meanDelay(d script.Delay) time.Duration {
	if d.Form == script.Uniform {
		return d.A/2 + d.B/2
	}
	return d.A
}
