package sandbox

import (
	"math/bits"
	"time"
)

// lateness counts how late packets left, in buckets that are an eighth of a power of
// two wide.
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

// top returns the largest value of a bucket.
func top(i int) int64 {
	if i < 8 {
		return int64(i)
	}
	shift := i/8 - 1
	return (int64(i%8)+9)<<shift - 1
}

// quantile returns the quantile q of the lateness. It may be up to an eighth too large.
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

// budget counts how much of something limited was in use, and what was dropped when
// nothing was left.
type budget struct {
	peak    int
	dropped uint64
	first   int64 // when the first was dropped
}

func (b *budget) refuse(now int64) {
	if b.dropped == 0 {
		b.first = now
	}
	b.dropped++
}

// add adds the counts of another.
func (b *Budget) add(other budget) {
	b.Peak = max(b.Peak, other.peak)
	if other.dropped > 0 && (b.Dropped == 0 || time.Duration(other.first) < b.First) {
		b.First = time.Duration(other.first)
	}
	b.Dropped += other.dropped
}

// Budget is how much of something limited was in use.
type Budget struct {
	Peak    int           // most in use at once
	Dropped uint64        // packets for which nothing was left
	First   time.Duration // when the first of them was dropped, since the network's Start
}

// Stats are the counters of the wire.
type Stats struct {
	Packets     uint64            // that hosts sent or the wire made
	Fates       map[string]uint64 // number of packets by Fate
	Struck      map[string]uint64 // number of packets that each rule applied to, by "LINK: RULE"
	Forgotten   uint64            // open flows that links, balancers and NATs forgot because of idle or lifetime
	Ports       Budget            // of NATs: ports to one destination, those that wait for their reuse included
	Flows       Budget            // of links and balancers with a limit: flows that one of them remembers
	Overwritten uint64            // packets that the record no longer has
	// Unseen is how many packets the kernel dropped at a device because the wire was
	// too slow. They are not in the record. Unseen is 0 before Close.
	Unseen uint64
	// How late packets were delivered.
	LateP50, LateP99, LateP999, LateMax time.Duration
}
