package pool

import (
	"strings"

	"github.com/kabench/kabench/internal/enum"
)

// Order is the order in which idle connections are leased.
type Order uint8

// The lease orders. FIFO and LIFO use the time of the last release.
const (
	LIFO     Order = iota // the one released last: a few hot connections, the rest expire
	FIFO                  // the one released first: all connections age together
	FirstFit              // the one created first
	LastFit               // the one created last
)

// Liveness says how the pool notices that the peer has closed an idle connection.
type Liveness uint8

const (
	Events Liveness = iota // the FIN or RST is noticed when it arrives
	Probe                  // by a non-blocking read at lease, if idle for ProbeAfter or longer
	None                   // never: the next request finds out
)

// Reap says until when a connection that events has found dead is counted.
type Reap uint8

const (
	ReapAtEvent Reap = iota // no longer
	ReapAtLease             // until it is next met at lease, release or sweep
)

// Hint says what to do with the timeout a server announces in `Keep-Alive:`.
type Hint uint8

const (
	HintIgnore  Hint = iota
	HintMin          // it lowers idle_timeout
	HintReplace      // it takes the place of idle_timeout
	HintDrop         // it is ignored, unless it leaves no time: then the connection is not kept
)

// HTTP10 says when a connection is kept after a response of HTTP/1.0, which ends
// it unless both sides ask to keep it (RFC 9112, section 9.3).
type HTTP10 uint8

const (
	HTTP10Ask   HTTP10 = iota // if the response says `Connection: keep-alive`
	HTTP10Keep                // unless the response says `Connection: close`, as with HTTP/1.1
	HTTP10Never               // never
)

// Clock says what response_timeout measures.
type Clock uint8

const (
	ClockTotal Clock = iota // from the request's last byte to the response's last
	ClockGap                // between two reads
)

// CapCounts says what uses up max_conns and max_conns_all.
type CapCounts uint8

const (
	CountAll    CapCounts = iota // dialing, leased and idle connections
	CountLeased                  // leased ones and dials, not idle ones
)

// DialFail says who gets the error of a failed dial.
type DialFail uint8

const (
	FailOwn        DialFail = iota // the request that asked for it, if it still waits
	FailAllPending                 // every request that waits for the same key
)

// ResendElse is what a caller sees when a reused connection fails it and no
// resend rule fits.
type ResendElse uint8

const (
	ElseError  ResendElse = iota // the failure
	ElseHangup                   // its own connection closes without a response, and without a reason
)

// OnWriteError is what a client does when a request cannot be written to its
// end.
type OnWriteError uint8

const (
	ReadAtWriteError OnWriteError = iota // it reads what the server may have said before it closed
	StopAtWriteError                     // it gives up, and never sees a response that has come
)

// Unasked is what a client does with bytes that come on an idle connection.
type Unasked uint8

const (
	UnaskedClose Unasked = iota // it closes the connection
	UnaskedDrop                 // it throws them away and keeps the connection
)

// Key says what has a sub-pool of its own.
type Key uint8

const (
	ByOrigin  Key = iota // scheme, host name and port
	ByAddress            // the address that the name stands for, and port
)

// On is the kind of connection that a resend rule applies to.
type On uint8

const (
	OnReused On = iota // the attempt was on a connection that had served before
	OnAny
)

// CutBy is how the peer ended the connection of the failed attempt.
type CutBy uint8

const (
	CutByAny CutBy = iota
	CutByFIN       // or by a close_notify
	CutByRST
)

// Path is where a request is sent again.
type Path uint8

const (
	PathPool  Path = iota // any connection the pool gives
	PathFresh             // a new connection
)

// Expiry is the set of moments at which idle_timeout and max_lifetime are
// checked.
type Expiry uint8

const (
	ExpireAtLease   Expiry = 1 << iota // when a connection is about to be leased
	ExpireAtRelease                    // when a connection is given back
	ExpireByTimer                      // by a timer per connection
	ExpireBySweep                      // by a pass over the idle connections every SweepEvery
)

// After is the set of points at which an attempt may have failed.
type After uint8

const (
	AfterUnsent  After = 1 << iota // no byte of the request was written
	AfterEOF                       // written, FIN or close_notify, no byte of a response
	AfterRST                       // written, reset, no byte of a response
	AfterStatus                    // the response had begun, and its status line was not complete
	AfterHeaders                   // the status line was complete, the head was not
	AfterBody                      // the response's head was complete
	AfterTimeout                   // written, and the response was not complete after response_timeout

	// AfterPartial is the response's head begun. Its name, partial, is read wherever
	// names of this set are, and written as the two.
	AfterPartial = AfterStatus | AfterHeaders
)

// Methods are the methods that a resend rule applies to: "all", "idempotent", "safe",
// "bodyless", methods by name ("GET HEAD"), or all except those ("!POST LOCK").
// "safe+key" is safe, and whatever carries an Idempotency-Key or
// X-Idempotency-Key header.
type Methods string

var (
	orderNames        = enum.Names[Order]{"lifo", "fifo", "first_fit", "last_fit"}
	livenessNames     = enum.Names[Liveness]{"events", "probe", "none"}
	reapNames         = enum.Names[Reap]{"event", "lease"}
	hintNames         = enum.Names[Hint]{"ignore", "min", "replace", "drop"}
	http10Names       = enum.Names[HTTP10]{"ask", "keep", "never"}
	clockNames        = enum.Names[Clock]{"total", "gap"}
	capCountsNames    = enum.Names[CapCounts]{"all", "leased"}
	dialFailNames     = enum.Names[DialFail]{"own", "all_pending"}
	resendElseNames   = enum.Names[ResendElse]{"error", "hangup"}
	onWriteErrorNames = enum.Names[OnWriteError]{"read", "stop"}
	unaskedNames      = enum.Names[Unasked]{"close", "drop"}
	keyNames          = enum.Names[Key]{"origin", "address"}
	onNames           = enum.Names[On]{"reused", "any"}
	cutByNames        = enum.Names[CutBy]{"any", "fin", "rst"}
	pathNames         = enum.Names[Path]{"pool", "fresh"}
	expiryNames       = enum.Names[uint8]{"lease", "release", "timer", "sweep"}
	afterNames        = enum.Names[uint8]{"unsent", "eof", "rst", "status", "headers", "body", "timeout"}
)

func (o Order) String() string        { return orderNames.Text(o) }
func (l Liveness) String() string     { return livenessNames.Text(l) }
func (r Reap) String() string         { return reapNames.Text(r) }
func (h Hint) String() string         { return hintNames.Text(h) }
func (h HTTP10) String() string       { return http10Names.Text(h) }
func (c Clock) String() string        { return clockNames.Text(c) }
func (c CapCounts) String() string    { return capCountsNames.Text(c) }
func (d DialFail) String() string     { return dialFailNames.Text(d) }
func (r ResendElse) String() string   { return resendElseNames.Text(r) }
func (o OnWriteError) String() string { return onWriteErrorNames.Text(o) }
func (u Unasked) String() string      { return unaskedNames.Text(u) }
func (k Key) String() string          { return keyNames.Text(k) }
func (o On) String() string           { return onNames.Text(o) }
func (c CutBy) String() string        { return cutByNames.Text(c) }
func (p Path) String() string         { return pathNames.Text(p) }
func (e Expiry) String() string       { return "[" + strings.Join(e.Names(), ", ") + "]" }
func (a After) String() string        { return "[" + strings.Join(a.Names(), ", ") + "]" }

func (o Order) MarshalText() ([]byte, error)        { return orderNames.Marshal(o) }
func (l Liveness) MarshalText() ([]byte, error)     { return livenessNames.Marshal(l) }
func (r Reap) MarshalText() ([]byte, error)         { return reapNames.Marshal(r) }
func (h Hint) MarshalText() ([]byte, error)         { return hintNames.Marshal(h) }
func (h HTTP10) MarshalText() ([]byte, error)       { return http10Names.Marshal(h) }
func (c Clock) MarshalText() ([]byte, error)        { return clockNames.Marshal(c) }
func (c CapCounts) MarshalText() ([]byte, error)    { return capCountsNames.Marshal(c) }
func (d DialFail) MarshalText() ([]byte, error)     { return dialFailNames.Marshal(d) }
func (r ResendElse) MarshalText() ([]byte, error)   { return resendElseNames.Marshal(r) }
func (o OnWriteError) MarshalText() ([]byte, error) { return onWriteErrorNames.Marshal(o) }
func (u Unasked) MarshalText() ([]byte, error)      { return unaskedNames.Marshal(u) }
func (k Key) MarshalText() ([]byte, error)          { return keyNames.Marshal(k) }
func (o On) MarshalText() ([]byte, error)           { return onNames.Marshal(o) }
func (c CutBy) MarshalText() ([]byte, error)        { return cutByNames.Marshal(c) }
func (p Path) MarshalText() ([]byte, error)         { return pathNames.Marshal(p) }

func (o *Order) UnmarshalText(text []byte) error        { return orderNames.Unmarshal(text, o) }
func (l *Liveness) UnmarshalText(text []byte) error     { return livenessNames.Unmarshal(text, l) }
func (r *Reap) UnmarshalText(text []byte) error         { return reapNames.Unmarshal(text, r) }
func (h *Hint) UnmarshalText(text []byte) error         { return hintNames.Unmarshal(text, h) }
func (h *HTTP10) UnmarshalText(text []byte) error       { return http10Names.Unmarshal(text, h) }
func (c *Clock) UnmarshalText(text []byte) error        { return clockNames.Unmarshal(text, c) }
func (c *CapCounts) UnmarshalText(text []byte) error    { return capCountsNames.Unmarshal(text, c) }
func (d *DialFail) UnmarshalText(text []byte) error     { return dialFailNames.Unmarshal(text, d) }
func (r *ResendElse) UnmarshalText(text []byte) error   { return resendElseNames.Unmarshal(text, r) }
func (o *OnWriteError) UnmarshalText(text []byte) error { return onWriteErrorNames.Unmarshal(text, o) }
func (u *Unasked) UnmarshalText(text []byte) error      { return unaskedNames.Unmarshal(text, u) }
func (k *Key) UnmarshalText(text []byte) error          { return keyNames.Unmarshal(text, k) }
func (o *On) UnmarshalText(text []byte) error           { return onNames.Unmarshal(text, o) }
func (c *CutBy) UnmarshalText(text []byte) error        { return cutByNames.Unmarshal(text, c) }
func (p *Path) UnmarshalText(text []byte) error         { return pathNames.Unmarshal(text, p) }

// Names lists the moments in e.
func (e Expiry) Names() []string { return namesIn(e, expiryNames) }

// Names lists the points in a.
func (a After) Names() []string { return namesIn(a, afterNames) }

// MarshalYAML writes e as a list of names.
func (e Expiry) MarshalYAML() (any, error) { return e.Names(), nil }

// MarshalYAML writes a as a list of names.
func (a After) MarshalYAML() (any, error) { return a.Names(), nil }

// UnmarshalYAML reads a list of names, or one name.
func (e *Expiry) UnmarshalYAML(decode func(any) error) error {
	return unmarshalSet(e, expiryNames, nil, decode)
}

// UnmarshalYAML reads a list of names, or one name.
func (a *After) UnmarshalYAML(decode func(any) error) error {
	return unmarshalSet(a, afterNames, map[string]After{"partial": AfterPartial}, decode)
}

// UnmarshalYAML reads one of the words, or a list of methods.
func (m *Methods) UnmarshalYAML(decode func(any) error) error {
	names, err := oneOrMore(decode)
	if err != nil {
		return err
	}
	read := Methods(strings.Join(names, " "))
	if err := read.check(); err != nil {
		return err
	}
	*m = read
	return nil
}

// namesIn lists the members of a set, whose bits are named in order.
func namesIn[T ~uint8](set T, names enum.Names[uint8]) []string {
	in := []string{}
	for i, name := range names {
		if set&(1<<i) != 0 {
			in = append(in, name)
		}
	}
	return in
}

// unmarshalSet reads the names of a set's members, or one name. A name of several
// stands for several members.
func unmarshalSet[T ~uint8](v *T, names enum.Names[uint8], several map[string]T, decode func(any) error) error {
	members, err := oneOrMore(decode)
	if err != nil {
		return err
	}
	var set T
	for _, name := range members {
		if all, found := several[name]; found {
			set |= all
			continue
		}
		bit, err := names.Parse(name)
		if err != nil {
			return err
		}
		set |= 1 << bit
	}
	*v = set
	return nil
}

// oneOrMore reads a list of texts, or one text.
func oneOrMore(decode func(any) error) ([]string, error) {
	var many []string
	err := decode(&many)
	if err != nil {
		var one string
		if decode(&one) != nil {
			return nil, err
		}
		many = []string{one}
	}
	return many, nil
}
