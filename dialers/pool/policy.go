package pool

import (
	"errors"
	"fmt"
	"time"
)

// Policy is what a pool promises. Its parameters are those in which the pools of
// real HTTP clients differ. It is the `pool:` section of a profile: the yaml names
// are the field names there and in --set.
//
// Start from [Default]: the zero Policy allows no connection, and Validate refuses
// it. A cap of [NoCap] is none; in YAML it is -1 or the word none. Durations of 0
// mean off.
type Policy struct {
	// MaxConns caps connections per key: dialing, leased and idle together, or
	// as CapCounts says; NoCap or at least 1.
	MaxConns int `yaml:"max_conns" none:"-1" old:"0"`
	// MaxIdle caps idle connections per key; at the cap the newcomer is
	// closed. 0: no keep-alive at all.
	MaxIdle int `yaml:"max_idle" none:"-1"`
	// PendingMax bounds the queue of requests waiting for a connection, per
	// key; 0: fail at once.
	PendingMax int `yaml:"pending_max" none:"-1"`
	// PendingTimeout bounds the time in the queue. The time of a dial is not part
	// of it.
	PendingTimeout time.Duration `yaml:"pending_timeout"`
	// LateBind lets a request whose own dial is under way take a connection
	// that comes free first; the dial then feeds the pool.
	LateBind bool `yaml:"late_bind"`
	// LeaseOrder chooses among idle connections.
	LeaseOrder Order `yaml:"lease_order"`
	// Slots keeps the place of a connection that has ended in LeaseOrder. The request
	// whose turn it is there dials, although other connections may be idle.
	Slots bool `yaml:"slots,omitempty"`
	// IdleTimeout is how long a connection may be idle.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// Expiry says when IdleTimeout and MaxLifetime are checked. Empty means never.
	Expiry Expiry `yaml:"expiry"`
	// SweepEvery is the period of the sweep, when Expiry contains it.
	SweepEvery time.Duration `yaml:"sweep_every"`
	// ServerHint says what a response's `Keep-Alive: timeout=N` does to
	// IdleTimeout on its connection. N less HintMargin counts, at most HintCap
	// if that is set; when nothing is left the connection is not kept.
	ServerHint Hint          `yaml:"server_hint"`
	HintMargin time.Duration `yaml:"hint_margin"`
	HintCap    time.Duration `yaml:"hint_cap"`
	// HintIfKeepAlive reads the hint only in a response that says `Connection:
	// keep-alive` as well.
	HintIfKeepAlive bool `yaml:"hint_if_keep_alive,omitempty"`
	// HTTP10 says when a connection is kept after a response of HTTP/1.0.
	HTTP10 HTTP10 `yaml:"http10,omitempty"`
	// Liveness says how a connection that died while idle is noticed.
	Liveness Liveness `yaml:"liveness"`
	// ProbeAfter is the idle time from which Liveness probe looks at a
	// connection before leasing it.
	ProbeAfter time.Duration `yaml:"probe_after"`
	// ProbeUnsafeOnly makes no probe for GET requests.
	ProbeUnsafeOnly bool `yaml:"probe_unsafe_only"`
	// Reap says until when a connection that Liveness events has found dead is
	// counted.
	Reap Reap `yaml:"reap"`
	// Unasked says what happens to bytes that come on an idle connection, such as a 408
	// before the server closes. It is for Liveness events.
	Unasked Unasked `yaml:"unasked,omitempty"`
	// Resend are the rules under which a request is sent again after a failed
	// attempt. The first that fits decides.
	Resend []ResendRule `yaml:"resend"`
	// ResendBudget bounds what Resend sends again, in percent of the requests: each adds so
	// much to a budget, which begins with 10 re-sends and never holds more; 0: no bound.
	ResendBudget int `yaml:"resend_budget,omitempty"`
	// ResendElse is what the caller of a reused connection sees when no rule
	// fits.
	ResendElse ResendElse `yaml:"resend_else"`
	// OnWriteError says whether a response is read that came before the request
	// could be written to its end. It is for Liveness probe and none: with events,
	// what comes is read while the request is still being written.
	OnWriteError OnWriteError `yaml:"on_write_error,omitempty"`
	// ConnectTimeout bounds resolving, connecting and the TLS handshake
	// together.
	ConnectTimeout time.Duration `yaml:"connect_timeout"`
	// ResponseTimeout bounds the response, by ResponseClock: the time from the
	// request's last byte written to the response's last byte read, or the gap
	// between two reads.
	ResponseTimeout time.Duration `yaml:"response_timeout"`
	ResponseClock   Clock         `yaml:"response_clock"`

	// MaxLifetime is how old a connection may get. It never ends an exchange: it
	// is checked when the connection is idle or given back.
	MaxLifetime time.Duration `yaml:"max_lifetime"`
	// LifetimeJitter, in percent, draws each connection's lifetime from
	// [MaxLifetime x (1 - LifetimeJitter/100), MaxLifetime].
	LifetimeJitter int `yaml:"lifetime_jitter"`
	// MaxRequests is how many exchanges one connection may carry; NoCap or at
	// least 1.
	MaxRequests int `yaml:"max_requests" none:"-1" old:"0"`
	// MaxConnsAll caps connections over all keys, as MaxConns does per key.
	MaxConnsAll int `yaml:"max_conns_all" none:"-1" old:"0"`
	// MakeRoom closes, at MaxConnsAll, the least recently used idle connection
	// of another key instead of waiting.
	MakeRoom bool `yaml:"make_room"`
	// MaxIdleAll caps idle connections over all keys; at the cap the longest
	// idle is closed.
	MaxIdleAll int `yaml:"max_idle_all" none:"-1"`
	// CapCounts says whether idle connections use up MaxConns and MaxConnsAll.
	CapCounts CapCounts `yaml:"cap_counts"`
	// DialFail says who gets the error of a failed dial.
	DialFail DialFail `yaml:"dial_fail"`
	// Shards is how many independent copies of the whole pool there are; a
	// request is bound to one before it leases. 0 and 1: one.
	Shards int `yaml:"shards"`
	// Key says what has a sub-pool of its own.
	Key Key `yaml:"key"`
}

// ResendRule has a request sent again after a failed attempt, when all of its
// conditions hold.
type ResendRule struct {
	// On says whether the failed attempt must have been on a reused connection.
	On On `yaml:"on"`
	// After is how far the attempt had come.
	After After `yaml:"after"`
	// CutBy is how the peer ended the connection.
	CutBy CutBy `yaml:"cut_by,omitempty"`
	// Methods are the methods it applies to: all, idempotent (GET HEAD OPTIONS
	// TRACE PUT DELETE), safe (GET HEAD OPTIONS TRACE), bodyless (those
	// without a body), or a list of methods; "!POST LOCK" is all except those.
	Methods Methods `yaml:"methods"`
	// Max is how many times; 0: until an attempt on a fresh connection fails.
	Max int `yaml:"max"`
	// Path is where the next attempt goes: the pool, or a fresh connection.
	Path Path `yaml:"path"`
	// ThenFresh is how many attempts more there are after the first that failed on
	// a fresh connection, if one on a reused connection had failed before. It is for
	// Max 0.
	ThenFresh int `yaml:"then_fresh,omitempty"`
}

// NoCap is the value of a cap that is absent: of MaxConns, MaxConnsAll, MaxIdle,
// MaxIdleAll, PendingMax and MaxRequests.
const NoCap = -1

// Default returns the default policy: no caps, an unbounded queue, LIFO,
// connections kept for ever, the peer's close noticed when it arrives.
func Default() Policy {
	return Policy{
		MaxConns: NoCap, MaxConnsAll: NoCap, MaxIdle: NoCap, MaxIdleAll: NoCap, PendingMax: NoCap, MaxRequests: NoCap,
		LeaseOrder: LIFO, Expiry: ExpireAtLease, Liveness: Events, Reap: ReapAtEvent,
	}
}

// Validate returns every complaint about p, joined, each beginning with the
// name of the field; nil when there is none. It changes nothing.
func (p Policy) Validate() error {
	v := &complaints{}
	for _, c := range []struct {
		field      string
		v, least   int
		ofTheLeast string
	}{
		{"max_conns", p.MaxConns, 1, ""},
		{"max_idle", p.MaxIdle, 0, "; 0 means no keep-alive"},
		{"pending_max", p.PendingMax, 0, "; 0 means fail at once"},
		{"max_requests", p.MaxRequests, 1, ""},
		{"max_conns_all", p.MaxConnsAll, 1, ""},
		{"max_idle_all", p.MaxIdleAll, 0, ""},
	} {
		if c.v != NoCap && c.v < c.least {
			v.bad("%s: %d is below %d (write none, or -1, for no cap%s)", c.field, c.v, c.least, c.ofTheLeast)
		}
	}
	v.atLeast("shards", p.Shards, 0, "0 and 1 mean one pool")
	for _, d := range []struct {
		field string
		v     time.Duration
	}{
		{"pending_timeout", p.PendingTimeout}, {"idle_timeout", p.IdleTimeout}, {"sweep_every", p.SweepEvery},
		{"hint_margin", p.HintMargin}, {"hint_cap", p.HintCap}, {"probe_after", p.ProbeAfter},
		{"max_lifetime", p.MaxLifetime}, {"connect_timeout", p.ConnectTimeout}, {"response_timeout", p.ResponseTimeout},
	} {
		if d.v < 0 {
			v.bad("%s: %v is negative (0 means off)", d.field, d.v)
		}
	}
	if p.LifetimeJitter < 0 || p.LifetimeJitter > 100 {
		v.bad("lifetime_jitter: %d is no percentage between 0 and 100", p.LifetimeJitter)
	}
	if p.ResendBudget < 0 || p.ResendBudget > 100 {
		v.bad("resend_budget: %d is no percentage between 0 and 100", p.ResendBudget)
	}
	p.contradictions(v)
	for i, r := range p.Resend {
		if r.After == 0 {
			v.bad("resend.%d.after: is empty, so the rule never holds; name some of unsent, eof, rst, status, headers, body, timeout", i)
		}
		if r.After&AfterTimeout != 0 && p.ResponseTimeout == 0 {
			v.bad("resend.%d.after: timeout never comes, because response_timeout is off; set response_timeout or remove it", i)
		}
		if err := r.Methods.check(); err != nil {
			v.bad("resend.%d.methods: %w", i, err)
		}
		v.atLeast(fmt.Sprintf("resend.%d.max", i), r.Max, 0, "0 means until an attempt on a fresh connection fails")
		v.atLeast(fmt.Sprintf("resend.%d.then_fresh", i), r.ThenFresh, 0, "0 means none")
		if r.ThenFresh > 0 && r.Max > 0 {
			v.bad("resend.%d.then_fresh: has no effect, because max is %d; set max: 0 or remove it", i, r.Max)
		}
	}
	return errors.Join(v.errs...)
}

// contradictions complains about settings that have no effect beside others.
func (p Policy) contradictions(v *complaints) {
	hint := p.ServerHint != HintIgnore
	for _, c := range []struct {
		field  string
		set    bool
		works  bool
		reason string
	}{
		{"sweep_every", p.SweepEvery > 0, p.Expiry&ExpireBySweep != 0, "expiry does not contain sweep; add sweep to expiry or remove it"},
		{"idle_timeout", p.IdleTimeout > 0, p.Expiry&^ExpireAtRelease != 0, "expiry is " + p.Expiry.String() + " and a connection is looked at only when it is not idle; add lease, timer or sweep to expiry"},
		{"max_lifetime", p.MaxLifetime > 0, p.Expiry != 0, "expiry is empty; add lease, release, timer or sweep to expiry"},
		{"lifetime_jitter", p.LifetimeJitter > 0, p.MaxLifetime > 0, "max_lifetime is off; set max_lifetime or remove it"},
		{"pending_timeout", p.PendingTimeout > 0, p.PendingMax != 0, "pending_max is 0 and nobody waits; raise pending_max or remove it"},
		{"server_hint", hint && p.ServerHint != HintDrop, p.Expiry&^ExpireAtRelease != 0, "expiry is " + p.Expiry.String() + ", so no idle time is looked at; add lease, timer or sweep to expiry"},
		{"hint_margin", p.HintMargin > 0, hint, "server_hint is ignore; set server_hint: min or replace, or remove it"},
		{"hint_cap", p.HintCap > 0, hint, "server_hint is ignore; set server_hint: min or replace, or remove it"},
		{"hint_if_keep_alive", p.HintIfKeepAlive, hint, "server_hint is ignore; set server_hint: min or replace, or remove it"},
		{"probe_after", p.ProbeAfter > 0, p.Liveness == Probe, "liveness is " + p.Liveness.String() + "; set liveness: probe or remove it"},
		{"probe_unsafe_only", p.ProbeUnsafeOnly, p.Liveness == Probe, "liveness is " + p.Liveness.String() + "; set liveness: probe or remove it"},
		{"reap", p.Reap == ReapAtLease, p.Liveness == Events, "liveness is " + p.Liveness.String() + "; set liveness: events or remove it"},
		{"unasked", p.Unasked != UnaskedClose, p.Liveness == Events, "liveness is " + p.Liveness.String() + ", and nothing is read while a connection is idle; set liveness: events or remove it"},
		{"make_room", p.MakeRoom, p.MaxConnsAll > 0, "max_conns_all is off, and there is nothing to make room in; set max_conns_all or remove it"},
		{"on_write_error", p.OnWriteError != ReadAtWriteError, p.Liveness != Events, "with liveness: events a response is read as it comes; set liveness: probe or none, or remove it"},
		{"resend_budget", p.ResendBudget > 0, len(p.Resend) > 0, "resend has no rules; add one or remove it"},
		{"response_clock", p.ResponseClock == ClockGap, p.ResponseTimeout > 0, "response_timeout is off; set response_timeout or remove it"},
	} {
		if c.set && !c.works {
			v.bad("%s: has no effect, because %s", c.field, c.reason)
		}
	}
	if p.Expiry&ExpireBySweep != 0 && p.SweepEvery == 0 {
		v.bad("sweep_every: expiry contains sweep, but no period is set; set sweep_every, for example to 30s")
	}
}

// complaints collects what is wrong.
type complaints struct{ errs []error }

func (c *complaints) bad(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

func (c *complaints) atLeast(field string, v, low int, meaning string) {
	if v < low {
		c.bad("%s: %d is below %d (%s)", field, v, low, meaning)
	}
}
