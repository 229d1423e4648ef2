package capacity

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
)

// Needs is what a profile may ask of the machine.
type Needs struct {
	open     int     // connections open at once, at most
	why      string  // what bounds them, for a person
	capped   bool    // by the pool; otherwise only by the requests in flight
	files    int     // for each connection
	extra    string  // what files other than our own sockets are for
	dials    float64 // connections a second that we open and close, by the rules of the profile
	dialsWhy string
	length   time.Duration // of the run; 0: not known
	places   int           // pairs of source and target address, each with all the ports
}

// spareFiles is room for the record, the samples, the poller and the like.
const spareFiles = 32

// sourceAddresses is the number of addresses that connections come from. Each has all
// the ephemeral ports to itself.
func sourceAddresses(p *profiles.Profile) int { return max(len(p.Target.Sources()), 1) }

// NeedsOf works out what p needs of this machine when its requests go to that number
// of origins, at that number of addresses, and are dealt to that number of agents. This
// machine is one agent's.
func NeedsOf(p *profiles.Profile, origins, addresses, agents int) Needs {
	origins = max(origins, 1)
	rate := p.Load.MeanRate() / float64(max(agents, 1))
	n := Needs{files: 1, places: sourceAddresses(p) * max(addresses, 1)}
	if p.Target.Lab != nil {
		n.files, n.extra = n.files+1, "the server's side, which is kabench too, "
	}
	if p.Target.Link != nil {
		n.files, n.extra = n.files+2, n.extra+"the link's two, "
	}
	if proxies := len(p.Target.Proxies); proxies > 0 {
		n.files, n.extra = n.files+2*proxies, n.extra+"two of each proxy, "
	}
	n.bound(p, origins, rate)

	n.length = p.Sending()
	switch {
	case p.Client == profiles.ClientStock || p.Client == profiles.ClientExternal && p.Pool.MaxIdle != 0:
	case p.Pool.MaxIdle == 0:
		n.dials, n.dialsWhy = rate, "pool.max_idle is 0, so each request has a connection of its own"
	case p.Pool.MaxRequests != pool.NoCap:
		n.dials = rate / float64(p.Pool.MaxRequests)
		n.dialsWhy = fmt.Sprintf("pool.max_requests is %d", p.Pool.MaxRequests)
	}
	if p.Target.Lab != nil && p.Target.Lab.SayClose {
		n.dials = 0 // the server closes first, and keeps the TIME_WAIT socket
	}
	return n
}

// bound sets how many connections may be open at once, at that rate per second.
func (n *Needs) bound(p *profiles.Profile, origins int, rate float64) {
	inFlight, path := p.Load.MostInFlight()
	n.open, n.why = times(inFlight, origins), fmt.Sprintf("%s %d", path, inFlight)
	if origins > 1 {
		n.why += fmt.Sprintf(" × %d origins", origins)
	}
	lower := func(to int, capped bool, why string) {
		if to < n.open {
			n.open, n.capped, n.why = to, capped, why
		}
	}
	if p.Pool.MaxIdle == 0 {
		lower(inFlight, false, fmt.Sprintf("%s %d", path, inFlight))
	}
	// The number of requests due in all, with room for chance.
	if length := p.Sending(); length > 0 {
		due := 2*rate*length.Seconds() + 100
		if due < float64(n.open) {
			lower(int(due), false, "what is due in so short a run")
		}
	}
	if p.Client != profiles.ClientPolicy || p.Pool.CapCounts == pool.CountLeased && p.Pool.MaxIdle == pool.NoCap {
		return // without idle connections in the count, the cap is no bound
	}
	shards := max(p.Pool.Shards, 1)
	with := ""
	if shards > 1 {
		with = fmt.Sprintf(" × %d shards", shards)
	}
	if c := p.Pool.MaxConns; c != pool.NoCap {
		why := fmt.Sprintf("pool.max_conns %d", c)
		if p.Pool.CapCounts == pool.CountLeased {
			c, why = c+p.Pool.MaxIdle, fmt.Sprintf("pool.max_conns %d and pool.max_idle %d", c, p.Pool.MaxIdle)
		}
		if origins > 1 {
			why += fmt.Sprintf(" × %d origins", origins)
		}
		lower(times(times(c, shards), origins), true, why+with)
	}
	if c := p.Pool.MaxConnsAll; c != pool.NoCap && p.Pool.CapCounts == pool.CountAll {
		lower(times(c, shards), true, fmt.Sprintf("pool.max_conns_all %d", c)+with)
	}
}

// times is a·b, at most what no machine has.
func times(a, b int) int {
	if b > 0 && a > 1<<40/b {
		return 1 << 40
	}
	return a * b
}

// Together returns what that number of agents on this machine need together, if each of them
// needs n: ports, and files of kabench's own server, link and proxies. For the files of its
// own connections each agent answers itself.
func (n Needs) Together(agents int) Needs {
	n.open, n.dials = times(n.open, agents), n.dials*float64(agents)
	n.why += fmt.Sprintf(" × %d agents", agents)
	n.files--
	return n
}

// Check compares what is needed with what is available. The error names what the profile
// or the machine lacks and how to change it; notes say what may happen if the target
// is slow. Check does not complain about ports or files that expect wants to run
// out.
func (n Needs) Check(l Limits, expect map[string]string) (notes []string, err error) {
	var errs []error
	if files := n.open*n.files + l.inUse + spareFiles; l.openFiles > 0 && uint64(files) > l.openFiles && !wants(expect, results.CauseFDExhausted) {
		takes := fmt.Sprintf("%d open files", files)
		if n.extra != "" {
			takes += " (" + n.extra + "and what is open already)"
		}
		errs = append(errs, fmt.Errorf(
			"the profile may open %d connections at once (%s), which takes %s, and the limit is %d: raise it, for example with `ulimit -n %d` (beyond the hard limit as root, with LimitNOFILE= in a unit, --ulimit nofile=%d for a container), or let it open fewer, at most %d, with pool.max_conns or load.max_in_flight",
			n.open, n.why, takes, l.openFiles, files, files, max((int(min(l.openFiles, 1<<40))-l.inUse-spareFiles)/max(n.files, 1), 0)))
	}
	if l.Ports > 0 && !wants(expect, results.CausePortExhausted) {
		budget := times(l.Ports, n.places)
		of := fmt.Sprintf("%d ephemeral ports", l.Ports)
		if n.places > 1 {
			of += fmt.Sprintf(" × %d pairs of addresses", n.places)
		}
		switch {
		case n.open > budget && n.capped:
			errs = append(errs, fmt.Errorf(
				"the pool may have %d connections open at once (%s), and there are %s: widen net.ipv4.ip_local_port_range, or lower the cap to %d",
				n.open, n.why, of, budget))
		case n.open > budget:
			notes = append(notes, fmt.Sprintf(
				"the pool has no cap and may open %d connections (%s), and there are %s: if the target is slow, connects fail with \"cannot assign requested address\"; cap the pool with pool.max_conns, or widen net.ipv4.ip_local_port_range",
				n.open, n.why, of))
		}
		if note := n.predict(l, of); note != "" {
			notes = append(notes, note)
		}
	}
	return notes, errors.Join(errs...)
}

// Exhausts returns how long the ports last if each connection that we open and close
// leaves one in TIME_WAIT; 0 if they last for the whole run. Whether sockets are left
// in TIME_WAIT also depends on the target, which may close first.
func (n Needs) Exhausts(l Limits) time.Duration {
	if l.Ports <= 0 || n.dials <= 0 {
		return 0
	}
	budget := float64(times(l.Ports, n.places))
	taken := n.dials * l.timeWait.Seconds()
	if l.maxInWait > 0 {
		taken = min(taken, float64(l.maxInWait))
	}
	after := time.Duration(budget / n.dials * float64(time.Second))
	if taken <= budget || n.length > 0 && after >= n.length {
		return 0
	}
	return after
}

// predict says when the ports will have run out; "" if they will not.
func (n Needs) predict(l Limits, of string) string {
	after := n.Exhausts(l)
	if after == 0 {
		return ""
	}
	fix := "keep connections alive, widen net.ipv4.ip_local_port_range, or set net.ipv4.tcp_tw_reuse=1"
	if l.waitReused {
		fix = "keep connections alive, or widen net.ipv4.ip_local_port_range"
	}
	return fmt.Sprintf("%s: %.0f new connections a second, each with a port in TIME_WAIT for %v after we close it, use up the %s in about %v, and connects then fail with \"cannot assign requested address\"; %s",
		n.dialsWhy, n.dials, l.timeWait, of, roughly(after), fix)
}

// roughly is d as a forecast may state it.
func roughly(d time.Duration) time.Duration {
	if d > time.Second {
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(100 * time.Microsecond)
}

// wants reports whether conditions has one on failures with this cause that zero
// failures would not satisfy.
func wants(conditions map[string]string, cause results.Cause) bool {
	for path, condition := range conditions {
		if !strings.HasSuffix(path, "."+cause.String()) {
			continue
		}
		if c, err := expect.ParseCondition(condition); err == nil && !c.Met(0) {
			return true
		}
	}
	return false
}
