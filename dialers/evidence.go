package dialers

import (
	"time"

	"github.com/kabench/kabench/results"
)

// What is asked of the kernel about connections (TCP_INFO). It takes some
// 0.7 us, of the 10 that an exchange may take on one core, so it is asked of
// failures, and of leases where the answer may matter and as often as can be
// afforded.
const (
	// infosPerOutcome is how many failures of one outcome are asked about.
	infosPerOutcome = 20
	// infoIdle is how long a connection has been idle at least that is asked about
	// when leased. One in use all the time has little chance to die in between.
	infoIdle = time.Millisecond
	// infoGap is the time from one such asking to the next, at least: one and a
	// half percent of a core.
	infoGap = 50 * time.Microsecond
)

// evidence is what a Client has asked the kernel.
type evidence struct {
	asked time.Duration // when last at a lease
	taken [results.NumPhases][results.NumCauses][2]uint8
}

// lookAtLease asks about the connection that t has just been given.
func (t *task) lookAtLease() {
	c, e := t.c, t.e
	if e.Idle < infoIdle || e.Leased-c.evidence.asked < infoGap && c.evidence.asked > 0 {
		return
	}
	c.evidence.asked = e.Leased
	t.atLease, t.looked = t.conn.wire.info()
}

// lookAtFailure adds to t's exchange, which has failed, what the kernel said of
// its connection at lease and what it says now. The socket is still there.
func (t *task) lookAtFailure() {
	e, reused := t.e, 0
	if e.Reused() {
		reused = 1
	}
	n := &t.c.evidence.taken[e.Phase][e.Cause][reused]
	if e.WarmUp || *n == infosPerOutcome {
		return
	}
	*n++
	if info, known := t.conn.wire.info(); known {
		e.AtFailure = &info
	}
	if t.looked {
		info := t.atLease
		e.AtLease = &info
	}
}
