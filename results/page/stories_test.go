package page

import (
	"fmt"
	"slices"
	"time"

	"github.com/kabench/kabench/results"
)

// The runs in the pictures of the documents are computed, so that the pictures are
// always the same.

// bursts is a run of three requests every 1.044 s on a pool, against a server whose
// keep-alive timer is 1 s, over a link that delays by 5 ms in each direction: a request
// that is sent after 990 to 1000 ms of idle time meets the server's FIN on its way.
type bursts struct {
	idleTimeout time.Duration // the pool's; 0: none
}

const (
	serverTimeout = time.Second
	delay         = 5 * ms
)

type pooled struct {
	conn   uint64
	use    int
	opened time.Duration
	since  time.Duration // idle since
}

// run is the run's page data, of that many seconds.
func (b bursts) run(length int) Run {
	doc := story("bursts", fmt.Sprintf(`{"pool":{"idle_timeout":"%v"},"target":{"lab":{"idle_timeout":"1s"}}}`, b.idleTimeout), length)
	g := NewGatherer("bursts", doc)
	var idle []pooled
	var conns uint64
	var opened, ended, ours []time.Duration // when connections were opened, ended, and closed first by the pool
	var ends []results.ConnectionEnd
	end := func(c pooled, e results.ConnectionEnd) {
		e.Conn, e.Opened, e.Uses, e.How, e.Closed, e.ServerAt = c.conn, c.opened+2*delay, c.use, results.HowFIN, e.Ended, results.Never
		if e.By == results.EndPeer {
			e.Server, e.ServerAt = "idle_timeout", c.since+serverTimeout
		}
		ends = append(ends, e)
	}
	var seq uint64
	for at := 50 * ms; at < time.Duration(length)*time.Second; at += 1044 * ms {
		idle = slices.DeleteFunc(idle, func(c pooled) bool {
			switch age := at - c.since; {
			case b.idleTimeout > 0 && age > b.idleTimeout:
				ours = append(ours, c.since+b.idleTimeout)
				ended = append(ended, c.since+b.idleTimeout)
				end(c, results.ConnectionEnd{Ended: c.since + b.idleTimeout, Idle: b.idleTimeout, By: results.EndUs, Reason: "expired"})
			case age > serverTimeout+delay:
				ended = append(ended, c.since+serverTimeout)
				end(c, results.ConnectionEnd{Ended: c.since + serverTimeout + delay, Idle: serverTimeout + delay, By: results.EndPeer, Reason: "peer_closed"})
			default:
				return false
			}
			return true
		})
		free := idle
		idle = nil
		for k := range 3 {
			var e results.Exchange
			due := at + time.Duration(k)*2*ms
			e.Reset(seq, due)
			seq++
			e.Start, e.Leased, e.Attempts = due, due, 1
			c := pooled{opened: due}
			if len(free) > 0 {
				c, free = free[0], free[1:]
				e.Idle, e.Age = due-c.since, due-c.opened
			} else {
				conns++
				c.conn = conns
				opened = append(opened, due)
				e.Connected = due + 2*delay
				e.Leased = e.Connected
			}
			c.use++
			e.Conn, e.Use, e.Wrote, e.WroteHeaders = c.conn, c.use, e.Leased, e.Leased
			if e.Idle > serverTimeout-2*delay {
				e.Done, e.Phase, e.Cause = c.since+serverTimeout+delay, results.PhaseBeforeResponse, results.CauseFIN
				end(c, results.ConnectionEnd{Ended: e.Done, Idle: results.Never, By: results.EndPeer, Reason: "broken"})
				ended = append(ended, e.Done) // by an RST, so no side keeps TIME_WAIT
			} else {
				// A first exchange also connects, so the third burst is the one that comes in
				// the 10 ms in which the FIN is on its way.
				e.Done = e.Leased + 48*ms + time.Duration(k)*2*ms
				e.FirstByte, e.GotHeaders = e.Done, e.Done
				e.Phase, e.Status = results.PhaseDone, 200
				c.since = e.Done
				idle = append(idle, c)
			}
			g.Observe(&e)
		}
		idle = append(idle, free...)
	}
	for _, c := range idle {
		if at := c.since + b.idleTimeout; b.idleTimeout > 0 && at < time.Duration(length)*time.Second {
			end(c, results.ConnectionEnd{Ended: at, Idle: b.idleTimeout, By: results.EndUs, Reason: "expired"})
			continue
		}
		end(c, results.ConnectionEnd{Ended: time.Duration(length) * time.Second, Idle: time.Duration(length)*time.Second - c.since, By: results.EndUs, Reason: "shutdown"})
	}
	for i := range ends {
		g.Ended(&ends[i])
	}
	for t := time.Duration(0); t <= time.Duration(length)*time.Second; t += 100 * ms {
		before := func(list []time.Duration) (n int) {
			for _, at := range list {
				if at <= t {
					n++
				}
			}
			return n
		}
		n, waiting := before(opened)-before(ended), before(ours)
		k := &results.SocketSample{Client: map[string]int{"ESTABLISHED": n, "TIME_WAIT": waiting}, Server: map[string]int{"TIME_WAIT": 0}, PortsUsed: n + waiting}
		g.Sample(results.Sample{T: t.Seconds(), Idle: n, Sockets: k})
	}
	return g.Run()
}

// queue is a run of requests at a constant rate that wait for one of a few connections,
// against a server that is slow for some time.
type queue struct {
	workers  int
	rate     int
	service  time.Duration
	from, to float64 // s: the server is slow
	slow     time.Duration
}

// run is the run's page data, of that many seconds. A request starts when a connection
// is free, as in a load generator whose workers wait for their responses.
func (q queue) run(length int) Run {
	doc := story("queue", fmt.Sprintf(`{"pool":{"max_conns":%d}}`, q.workers), length)
	g := NewGatherer("queue", doc)
	free := make([]time.Duration, q.workers) // when each connection is free
	type span struct{ due, start, done time.Duration }
	var spans []span
	for seq := range uint64(q.rate * length) {
		due := time.Duration(seq) * time.Second / time.Duration(q.rate)
		first := 0
		for i := range free {
			if free[i] < free[first] {
				first = i
			}
		}
		start := max(due, free[first])
		took := q.service + time.Duration(hash(seq)%1000)*q.service/4000
		if s := start.Seconds(); s >= q.from && s < q.to {
			took = q.slow
		}
		free[first] = start + took
		spans = append(spans, span{due, start, start + took})
		var e results.Exchange
		e.Reset(seq, due)
		e.Start, e.Leased, e.Wrote, e.FirstByte, e.Done = start, start, start, start+took, start+took
		e.Conn, e.Use, e.Attempts, e.Phase, e.Status = uint64(first)+1, 2, 1, results.PhaseDone, 200
		g.Observe(&e)
	}
	for t := time.Duration(0); t <= time.Duration(length)*time.Second; t += 50 * ms {
		s := results.Sample{T: t.Seconds()}
		for _, x := range spans {
			switch {
			case x.start <= t && t < x.done:
				s.Leased++
			case x.due <= t && t < x.start:
				s.Pending++
			}
		}
		s.Idle = q.workers - s.Leased
		g.Sample(s)
	}
	return g.Run()
}

// story is the document of a computed run.
func story(name, profile string, length int) *results.Run {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return &results.Run{
		Name: name, Complete: true, Valid: true, Start: start, End: start.Add(time.Duration(length) * time.Second), Profile: []byte(profile),
	}
}
