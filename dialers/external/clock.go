package external

import (
	"sync"
	"time"
)

// drift is by how much two clocks may run apart: NTP slews a clock by up to 500 parts
// in a million.
const drift = 500e-6

// clock sets a driver's clock beside ours. A response to clock shows that the driver's time
// in it fell between our sending and the response's coming, so the offset between the
// clocks lies in an interval. Each response narrows it; time widens it, by drift.
type clock struct {
	mu     sync.Mutex
	lo, hi time.Duration // guarded by mu: ours = the driver's + something from lo to hi
	at     time.Duration // guarded by mu: ours, when lo and hi were found
	known  bool          // guarded by mu
	worst  time.Duration // guarded by mu: the largest error so far
}

// reset forgets what was known.
func (c *clock) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known, c.worst = false, 0
}

// add takes a response. It reports false if the driver's clock has jumped: the response does
// not fit the ones before.
func (c *clock) add(sent, came time.Duration, driver int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	lo, hi := sent-time.Duration(driver), came-time.Duration(driver)
	if !c.known {
		c.lo, c.hi, c.at, c.known = lo, hi, came, true
		return true
	}
	apart := time.Duration(drift * float64(came-c.at))
	c.worst = max(c.worst, (c.hi-c.lo)/2+apart)
	newLo, newHi := max(lo, c.lo-apart), min(hi, c.hi+apart)
	if newLo > newHi {
		c.lo, c.hi, c.at = lo, hi, came
		return false
	}
	c.lo, c.hi, c.at = newLo, newHi, came
	return true
}

// ours returns what our clock showed at a time of the driver's, and by how much that may
// be wrong.
func (c *clock) ours(driver int64) (at, wrong time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at = time.Duration(driver) + (c.lo+c.hi)/2
	wrong = (c.hi-c.lo)/2 + time.Duration(drift*float64(max(at-c.at, c.at-at, 0)))
	return at, wrong
}

// bound is by how much any time was wrong at most, apart from drift since the last
// response.
func (c *clock) bound() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(c.worst, (c.hi-c.lo)/2)
}

// settled forgets how wrong the first responses were.
func (c *clock) settled() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.worst = 0
}
