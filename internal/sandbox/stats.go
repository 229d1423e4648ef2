package sandbox

import (
	"math/bits"
	"time"
)

// lateness counts by how much packets left after they were due, in buckets an
// eighth of a power of two wide.
type lateness struct {
	buckets [64 * 8]uint64
	count   uint64
	max     int64
}

func (l *lateness) add(ns int64) {
	ns = max(ns, 0)
	l.buckets[bucket(ns)]++
	l.count++
	l.max = max(l.max, ns)
}

func bucket(ns int64) int {
	if ns < 8 {
		return int(ns)
	}
	shift := bits.Len64(uint64(ns)) - 4
	return (shift+1)*8 + int(ns>>shift) - 8
}

// top is the largest value of a bucket.
func top(i int) int64 {
	if i < 8 {
		return int64(i)
	}
	shift := i/8 - 1
	return (int64(i%8)+9)<<shift - 1
}

// quantile is a value that the share q of the packets did not exceed, at most an
// eighth too large.
func (l *lateness) quantile(q float64) time.Duration {
	if l.count == 0 {
		return 0
	}
	left := uint64(float64(l.count) * q)
	for i, n := range l.buckets {
		if n > left {
			return time.Duration(min(top(i), l.max))
		}
		left -= n
	}
	return time.Duration(l.max)
}

// Stats is what the wire says of itself.
type Stats struct {
	Packets     uint64            // that entered or were made by the wire
	Fates       map[string]uint64 // how many met each Fate
	Struck      map[string]uint64 // how many packets each rule struck, by "LINK: RULE"
	Forgotten   uint64            // open flows that links and balancers forgot when their time was over
	Overwritten uint64            // packets that the record no longer has
	// Unseen is how many packets the kernel dropped at a device because the wire
	// did not keep up. They are in no record. Known after Close.
	Unseen uint64
	// By how much packets were delivered after they were due.
	LateP50, LateP99, LateP999, LateMax time.Duration
}
