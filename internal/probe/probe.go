package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/secrets"
)

// Options say what a probe may do.
type Options struct {
	Requests int           // how many it may send to all addresses together, at least 1; 0: DefaultRequests
	Limit    time.Duration // how long it may wait for a connection to be closed; 0: DefaultLimit
	Timeout  time.Duration // for a response; 0: DefaultTimeout
	WaitAll  bool          // wait for the timers of fresh connections and half heads too
	TLS      *tls.Config   // for https; nil: the system's roots are trusted
	Progress func(Progress)
	Stop     <-chan struct{} // ends the probe when it is closed; what was found is kept
}

// The defaults of Options.
const (
	DefaultRequests = 60
	DefaultLimit    = 15 * time.Minute
	DefaultTimeout  = 10 * time.Second
)

func (o Options) withDefaults() Options {
	if o.Requests == 0 {
		o.Requests = DefaultRequests
	}
	if o.Limit == 0 {
		o.Limit = DefaultLimit
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	return o
}

// Target is a request and the addresses it is sent to.
type Target struct {
	Request   Request
	Name      string           // host:port, as the URL names it
	Addresses []netip.AddrPort // those that are probed
	Left      []netip.AddrPort // further addresses of the name, which are not
	messages  messages
}

// maxAddresses is how many addresses of a name are probed.
const maxAddresses = 8

// Resolve finds the addresses of a request's server. Of a name for this machine alone,
// such as localhost, all addresses are the same server: the first one that accepts
// connections is probed.
func Resolve(ctx context.Context, r Request) (*Target, error) {
	m, err := r.prepare()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", m.origin.Port)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", m.origin.Host)
	if err != nil {
		return nil, err
	}
	t := &Target{Request: r, Name: net.JoinHostPort(m.origin.Host, m.origin.Port), messages: m}
	for _, ip := range ips {
		t.add(netip.AddrPortFrom(ip.Unmap(), uint16(port)))
	}
	return t, nil
}

// add adds an address of the name.
func (t *Target) add(a netip.AddrPort) {
	switch {
	case slices.Contains(t.Addresses, a) || slices.Contains(t.Left, a):
	case len(t.Addresses) < maxAddresses:
		t.Addresses = append(t.Addresses, a)
	default:
		t.Left = append(t.Left, a)
	}
}

// loopback reports whether the server is a name, such as localhost, whose addresses are all
// this machine's loopback.
func (t *Target) loopback() bool {
	_, err := netip.ParseAddr(t.messages.origin.Host)
	return err != nil && !slices.ContainsFunc(t.Addresses, func(a netip.AddrPort) bool { return !a.Addr().IsLoopback() })
}

// within returns t with at most n addresses: each takes a request at least.
func (t *Target) within(n int) *Target {
	if n >= len(t.Addresses) {
		return t
	}
	less := *t
	less.Addresses, less.Left = t.Addresses[:n], append(slices.Clone(t.Addresses[n:]), t.Left...)
	return &less
}

// Budget says what a probe of t may send at most.
func (t *Target) Budget(o Options) string {
	o = o.withDefaults()
	n := len(t.within(o.Requests).Addresses)
	if t.loopback() {
		n = 1
	}
	plan := MakePlan(o.Requests / n)
	return "up to " + counted(o.Requests, "request") + " on up to " + counted(n*plan.Connections(), "connection")
}

func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// Progress is how far a probe has come.
type Progress struct {
	Elapsed     time.Duration
	Left        time.Duration // until it ends, if Idle is known; else until the limit
	Connections int           // opened so far
	Open        int
	Requests    int // sent so far, half heads included
	Most        int // requests that may be sent
	Known       Known
}

// Result is what a probe has found.
type Result struct {
	URL         string // without secrets
	Began       time.Time
	Took        time.Duration
	Plan        Plan // for each address
	Connections int  // opened, at all addresses
	Requests    int  // sent, half heads included
	Late        time.Duration
	Sites       []Site
	Left        []netip.AddrPort // addresses that were not probed
	Stopped     error            // why the probe ended before its time; nil: it did not
}

// Interrupted reports whether a user has stopped the probe.
func (r *Result) Interrupted() bool { return errors.Is(r.Stopped, errStopped) }

// Site is what was found at one address.
type Site struct {
	Address     netip.AddrPort
	Err         error // why nothing was found; nil: Connections are what was seen
	Connections []evidence.Connection
	Late        []LateRequest
	Notes       []string // sentences for people
	Ended       string   // why it was over; "": all was seen
}

// Busy is why a probe stopped: the server has too much to do already.
type Busy struct{ Status int }

func (b *Busy) Error() string {
	return fmt.Sprintf("the server responded with status %d, so kabench sent nothing more; a busy server may also close idle connections early", b.Status)
}

// Run probes all addresses of t at the same time. The error is that of the first address
// if no address could be probed.
func Run(ctx context.Context, t *Target, o Options) (*Result, error) {
	o = o.withDefaults()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if o.Stop != nil {
		go func() {
			select {
			case <-o.Stop:
				stop(errStopped)
			case <-ctx.Done():
			}
		}()
	}
	c, err := newCanary()
	if err != nil {
		return nil, err
	}
	defer c.close()
	t = t.within(o.Requests)
	r := &Result{URL: redactURL(t.Request.URL), Began: time.Now(), Left: t.Left}
	p := &probing{target: t, o: o, began: r.Began, canary: c, stop: stop, progress: map[*site]Progress{}}
	p.makeSites()
	errs := p.look(ctx)
	r.Plan = p.measure(ctx, errs)
	for _, s := range p.sites {
		s.close()
	}
	r.Took, r.Late = time.Since(r.Began), c.Worst()
	r.Stopped = why(ctx)
	return r, p.collect(r, errs)
}

// why returns why ctx is done before its time; nil if it is not.
func why(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	cause := context.Cause(ctx)
	if cause == context.Canceled {
		return errStopped
	}
	return cause
}

// probing is a probe of several addresses under way.
type probing struct {
	target   *Target
	o        Options
	began    time.Time
	canary   *canary
	stop     func(error)
	sites    []*site
	mu       sync.Mutex
	progress map[*site]Progress // guarded by mu
}

func (p *probing) makeSites() {
	m := p.target.messages
	var config *tls.Config
	if m.origin.TLS {
		config = dialers.TLSFor(p.o.TLS, m.origin.Host)
	}
	for _, a := range p.target.Addresses {
		s := newSite(a, m, config, p.o, p.began, p.canary)
		s.looks = min(looksBeforeResponse, p.o.Requests/len(p.target.Addresses))
		s.stop = p.stop
		s.publish = func(now Progress) { p.tell(s, now) }
		p.sites = append(p.sites, s)
	}
}

// look looks at all addresses at the same time; at those of this machine's loopback one
// after the other, until one responds.
func (p *probing) look(ctx context.Context) []error {
	errs := make([]error, len(p.sites))
	if p.target.loopback() {
		for i, s := range p.sites {
			if errs[i] = s.look(ctx); errs[i] == nil {
				for j := i + 1; j < len(errs); j++ {
					errs[j] = errSame
				}
				break
			}
		}
		return errs
	}
	var all sync.WaitGroup
	for i, s := range p.sites {
		all.Go(func() { errs[i] = s.look(ctx) })
	}
	all.Wait()
	return errs
}

// errSame is why an address was not probed: it is the same server as another one.
var errSame = errors.New("not probed: it is the same machine as the address before")

// measure probes the addresses that have responded. They share what may be sent.
func (p *probing) measure(ctx context.Context, errs []error) Plan {
	var found []*site
	left := p.o.Requests
	for i, s := range p.sites {
		if errs[i] == nil && s.conns[len(s.conns)-1].carried() {
			found = append(found, s)
			left++ // the plan counts the look that has had its response
		}
		left -= s.sent()
	}
	if len(found) == 0 || ctx.Err() != nil {
		return Plan{}
	}
	plan := MakePlan(max(left/len(found), 1))
	var all sync.WaitGroup
	for _, s := range found {
		all.Go(func() { s.measure(ctx, plan) })
	}
	all.Wait()
	return plan
}

// collect puts what was seen into r. It returns the first error if there is nothing else.
func (p *probing) collect(r *Result, errs []error) error {
	some := r.Stopped != nil
	for i, s := range p.sites {
		r.Connections += s.opens()
		r.Requests += s.sent()
		if errs[i] == errSame {
			continue
		}
		some = some || errs[i] == nil
		r.Sites = append(r.Sites, Site{Address: s.addr, Err: errs[i], Connections: s.observations(), Late: s.lateRequests(), Notes: s.notes, Ended: s.ending})
	}
	if !some {
		return fmt.Errorf("%s: %w", p.target.Name, errs[0])
	}
	return nil
}

func (s *site) sent() (n int) {
	for _, c := range s.conns {
		n += c.sent
	}
	return n
}

func (s *site) opens() (n int) {
	for _, c := range s.conns {
		if c.seen.Opened != evidence.NotSeen {
			n++
		}
	}
	return n
}

// tell publishes the progress of s, a few times a second at most.
func (s *site) tell() {
	now := s.now()
	if s.o.Progress == nil || now-s.told < longestWait/2 {
		return
	}
	s.told = now
	k := s.known()
	p := Progress{Elapsed: now, Left: s.left(k), Connections: s.opens(), Requests: s.sent(), Known: *k}
	for _, c := range s.conns {
		if c.wire != nil && c.state != done && c.state != closing && !c.closed() {
			p.Open++
		}
	}
	s.publish(p)
}

// tell adds up the progress of all sites.
func (p *probing) tell(s *site, now Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.progress[s] = now
	sum := Progress{Most: p.o.Requests}
	for _, one := range p.progress {
		sum.Elapsed, sum.Left = max(sum.Elapsed, one.Elapsed), max(sum.Left, one.Left)
		sum.Connections += one.Connections
		sum.Open += one.Open
		sum.Requests += one.Requests
		sum.Known.Waiting += one.Known.Waiting
		sum.Known.Idle = append(sum.Known.Idle, one.Known.Idle...)
	}
	slices.Sort(sum.Known.Idle)
	p.o.Progress(sum)
}

func redactURL(text string) string { return secrets.RedactURL(text) }
