package forecast

import "time"

// timeWait is how long the side that closed first keeps its socket
// (include/net/tcp.h, TCP_TIMEWAIT_LEN).
const timeWait = 60 * time.Second

// ports are the client's local ports towards the server, and the TIME_WAIT sockets of
// both sides.
type ports struct {
	available int // 0: no bound
	again     time.Duration
	open      int

	ours, theirs expiring // TIME_WAIT sockets
	held         expiring // ports of ours that cannot be used yet

	oursPeak, theirsPeak, openPeak, usedPeak int
	byUs, byPeer, reset                      uint64
}

func (p *ports) begin(f *facts) { p.available, p.again = f.ports, f.portsAgain }

// take takes a port for a new connection; false if there is none.
func (p *ports) take(now time.Duration) bool {
	if p.available > 0 && p.open+p.held.at(now) >= p.available {
		return false
	}
	p.open++
	p.openPeak = max(p.openPeak, p.open)
	p.usedPeak = max(p.usedPeak, p.open+p.held.at(now))
	return true
}

// give takes back the port of a handshake that failed.
func (p *ports) give() { p.open-- }

// fromNow forgets the peaks so far.
func (p *ports) fromNow(now time.Duration) {
	p.oursPeak, p.theirsPeak = p.ours.at(now), p.theirs.at(now)
	p.openPeak, p.usedPeak = p.open, p.open+p.held.at(now)
}

// closed notes who has closed a connection first. A connection that was reset keeps no
// TIME_WAIT socket on either side.
func (p *ports) closed(w *world, c *connection) {
	p.open--
	peer := c.closes != never && c.closes+w.oneWay <= w.now
	switch {
	case peer && c.rst:
		p.reset++
	case peer:
		p.byPeer++
		if !c.lost {
			p.theirs.push(w.now + timeWait)
			p.theirsPeak = max(p.theirsPeak, p.theirs.at(w.now))
		}
	default:
		p.byUs++
		p.ours.push(w.now + timeWait)
		p.oursPeak = max(p.oursPeak, p.ours.at(w.now))
		p.held.push(w.now + p.again)
		p.usedPeak = max(p.usedPeak, p.open+p.held.at(w.now))
	}
}

// expiring are things that are there for a constant time, in the order of their end.
type expiring struct {
	ends []time.Duration
	head int
}

func (e *expiring) push(end time.Duration) { e.ends = append(e.ends, end) }

// at is how many are there now. Time does not go back.
func (e *expiring) at(now time.Duration) int {
	for e.head < len(e.ends) && e.ends[e.head] <= now {
		e.head++
	}
	if e.head > 1024 && e.head > len(e.ends)/2 {
		e.ends = append(e.ends[:0], e.ends[e.head:]...)
		e.head = 0
	}
	return len(e.ends) - e.head
}
