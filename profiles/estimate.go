package profiles

import (
	"strings"
	"time"

	"github.com/kabench/kabench/profiles/network"
	"github.com/kabench/kabench/results/expect"
)

// Sending is how long p's load lasts, including the warm-up. A load with a count lasts
// as long as the count takes at the mean rate.
func (p *Profile) Sending() time.Duration {
	lasts, _ := p.sending()
	return lasts
}

// sending returns how long the load lasts, and when the last request is due.
func (p *Profile) sending() (lasts, last time.Duration) {
	l := p.Load
	lasts = l.WarmUp + l.Duration
	rate := l.MeanRate()
	if l.Count == 0 || rate <= 0 {
		return lasts, lasts
	}
	if counted := l.WarmUp + seconds(float64(l.Count)/rate); l.Duration == 0 || counted < lasts {
		return counted, counted - seconds(1/rate) // the gap after the last request is not part of it
	}
	return lasts, lasts
}

// Takes is how long p's run is expected to last, up to the last response; for an
// incident, the runs of its remedies are included. It follows from the profile's
// delays, caps and timeouts, and not from the machine.
func (p *Profile) Takes() time.Duration {
	takes := p.answered()
	for _, r := range p.Remedies {
		if changed, err := p.With(r); err == nil {
			takes += changed.Takes()
		}
	}
	return takes
}

// answered is when the last response arrives. By Little's law, n requests that hold
// one of c places for t each take n × t / c.
func (p *Profile) answered() time.Duration {
	sending, end := p.sending()
	if p.Target.Lab == nil {
		return end // nothing is known about another server
	}
	way, bandwidth := p.way()
	each := way + meanDelay(p.Target.Lab.Delay)
	if p.Pool.MaxIdle == 0 {
		each += way
		if p.Target.Lab.TLS {
			each += way
		}
	}
	due := p.Load.MeanRate() * sending.Seconds()
	inFlight, _ := p.Load.MostInFlight()
	places := least(inFlight, p.Pool.MaxConns*max(p.Pool.Shards, 1), p.Target.Lab.Threads, p.Target.Lab.MaxConnections)
	served := seconds(due * each.Seconds() / float64(places))
	if most := p.Pool.PendingMax; most > 0 { // a request that finds no room in the queue fails at once
		served = min(served, end+seconds(each.Seconds()*float64(most)/float64(places)))
	}
	last := max(end+each, served)
	if bandwidth > 0 {
		bits := 8 * due * float64(p.Target.Lab.Body) * float64(max(p.Target.Pipeline, 1))
		last = max(last, seconds(bits/float64(bandwidth))+each)
	}
	if timeout := p.Load.Timeout; timeout > 0 {
		if last = min(last, end+timeout); p.toTimeOut() {
			last = end + timeout
		}
	}
	return last
}

// RoundTrip is how long a packet and its answer travel between the client and the server, by
// target.link or by the links of the private network; 0: p gives them no delay.
func (p *Profile) RoundTrip() time.Duration {
	trip, _ := p.way()
	return trip
}

// way returns the round trip between the client and the server, and the smallest
// bandwidth on it in bits per second; 0: unlimited.
func (p *Profile) way() (trip time.Duration, bandwidth int64) {
	if p.Target.Link != nil {
		return 2 * p.Target.Link.Delay, 0
	}
	if p.Network == nil {
		return 0, 0
	}
	path, err := p.Path()
	if err != nil {
		return 0, 0
	}
	longest := map[string]time.Duration{} // by the near end of a leg: a request takes one of several
	for _, g := range p.legs(path) {
		for _, l := range p.Network.Links {
			if !g.carriedBy(l) {
				continue
			}
			there, back := l.Conditions, l.Conditions
			for _, own := range []struct{ to, from *network.Conditions }{{&there, l.There}, {&back, l.Back}} {
				if own.from != nil {
					*own.to = *own.from
				}
			}
			longest[g.near] = max(longest[g.near], there.Delay+back.Delay)
			for _, b := range []int64{there.Bandwidth, back.Bandwidth} {
				if b > 0 && (bandwidth == 0 || b < bandwidth) {
					bandwidth = b
				}
			}
		}
	}
	for _, d := range longest {
		trip += d
	}
	return trip, bandwidth
}

// toTimeOut reports whether the profile expects requests to wait until load.timeout.
func (p *Profile) toTimeOut() bool {
	for path, condition := range p.Expect {
		if !strings.HasPrefix(path, "failures.") || !strings.HasSuffix(path, ".timeout") || path == "failures.acquire.timeout" {
			continue
		}
		if c, err := expect.ParseCondition(condition); err == nil && !c.Met(0) {
			return true
		}
	}
	return false
}

// least returns the smallest of the caps. A cap of 0 or below is none.
func least(first int, caps ...int) int {
	for _, c := range caps {
		if c > 0 {
			first = min(first, c)
		}
	}
	return max(first, 1)
}

// seconds is s as a Duration, limited to 36 years, because a count may be any number.
func seconds(s float64) time.Duration {
	return time.Duration(min(s*float64(time.Second), 1<<60))
}
