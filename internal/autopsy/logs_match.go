package autopsy

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/internal/applog"
	"github.com/kabench/kabench/internal/evidence"
)

// near in time is how far a failure of a log may be from that of a capture.
const nearInTime = time.Second

// matchLog gives the captured connections the lines of a log, and marks what the log
// shows of servers that were captured: the capture counts.
func (c *collector) matchLog(v *Verdict, place int, log *applog.Summary) {
	ports := c.capturedPorts()
	servers := map[string]bool{}
	for i := range c.list {
		if one := &c.list[i]; one.log == nil {
			servers[one.server()] = true
		}
	}
	alone := 0
	for i := range c.list {
		one := &c.list[i]
		if one.place != place {
			continue
		}
		other := c.counterpart(one, ports)
		switch {
		case other != nil && (len(one.Unanswered) == 0 || len(other.Unanswered) > 0):
			one.twin = true
			if len(one.Unanswered) > 0 {
				other.quoted = one.log.quotes
			}
		case servers[one.server()]:
			one.twin = true
			if len(one.Unanswered) > 0 {
				alone++
			}
		}
	}
	if alone > 0 {
		v.Notes = append(v.Notes, fmt.Sprintf("%s of %s are not in the capture: it lacks these connections, or its clock is not that of the log.", plural(alone, "failed request"), log.File))
	}
}

// counterpart finds the captured connection of one in a log: by its ports, or else the
// failure that is nearest in time.
func (c *collector) counterpart(one *seen, ports map[uint16][]int) *seen {
	var best *seen
	far := time.Duration(0)
	consider := func(other *seen, a, b time.Duration) {
		if a == evidence.NotSeen || b == evidence.NotSeen {
			return
		}
		if d := (a - b).Abs(); best == nil || d < far {
			best, far = other, d
		}
	}
	if one.Client.IsValid() && one.Client.Port() != 0 {
		for _, j := range ports[one.Client.Port()] {
			if other := &c.list[j]; one.same(other) {
				consider(other, max(one.firstSent(), 0), max(other.firstSent(), 0))
			}
		}
		return best
	}
	if len(one.Unanswered) == 0 {
		return nil
	}
	for j := range c.list {
		other := &c.list[j]
		if other.log != nil || other.twin || len(other.Unanswered) == 0 || other.quoted != nil || one.Server.IsValid() && one.Server.Port() != other.Server.Port() {
			continue
		}
		a, b := one.Unanswered[0], other.Unanswered[0]
		if a.Line != "" && b.Line != "" && a.Line != b.Line {
			continue
		}
		if a.Begun == evidence.NotSeen {
			consider(other, one.Close.At, other.Close.At)
		} else {
			consider(other, a.Begun, b.Begun)
		}
	}
	if best != nil && far > nearInTime+one.Slack {
		return nil
	}
	return best
}
