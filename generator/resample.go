package generator

import (
	"math/rand/v2"
	"time"
)

const (
	day = 24 * time.Hour
	// longBlock is the longest block that is drawn from a log. Two blocks that follow one
	// another have nothing to do with each other, so the counts of windows that reach over
	// their border vary less than the log's do. With half an hour that is one window of 60 s
	// in thirty.
	longBlock = 30 * time.Minute
	// shortBlock is the shortest, unless the log is shorter.
	shortBlock = time.Minute
	// fewBlocks is how many blocks a short log has at least.
	fewBlocks = 10
	// around is how far from its time of day a block may be taken.
	around = 30 * time.Minute
)

// Resample is due times like those of the log, for longer than the log lasts: a moving-block
// bootstrap (Künsch 1989, Ann. Statist. 17). The time is filled with blocks that are copied
// from the log whole, so that all that happens within a block stays: its bursts, its gaps, and
// the dispersion of its counts on every scale below its length. A fitted law would keep the
// dispersion on the scales that it has parameters for. From a log of a day or more, a block
// comes from its time of day, up to half an hour from it, on any whole day of the log; from a
// shorter one, from anywhere in it. Where a block passes the end, it continues at the beginning.
//
// The due times are relative to from. That is a time since the first block, which begins at the
// time of day of the log's first request. The same seed gives the same, wherever reading
// begins.
func (t *Times) Resample(seed uint64, from time.Duration) Schedule {
	whole, length := t.blocks()
	begin := t.unscaled(from)
	return func(yield func(time.Duration) bool) {
		more := true
		for k := begin / length; more; k++ {
			rng := rand.New(rand.NewPCG(seed, uint64(k)^0x626c6f636b))
			source := t.source(rng, k*length, whole)
			own := rng.Uint64()              // each copy of a second is spread in its own way
			copied := func(a, b, to int64) { // the log from a to b, for the time from to on
				t.spread(own, a, func(at int64) bool {
					if at >= b {
						return false
					}
					if to += at - a; to >= begin {
						more = yield(max(t.scaled(to)-from, 0))
					}
					a = at
					return more
				})
			}
			before := min(length, whole-source) // of the end of the log
			copied(source, source+before, k*length)
			if more && before < length {
				copied(0, length-before, k*length+before)
			}
		}
	}
}

// blocks returns how much of the log is drawn from, and how long a block is, in nanoseconds
// of the log.
func (t *Times) blocks() (whole, length int64) {
	whole = t.length
	if days := whole / int64(day); days > 0 {
		whole = days * int64(day) // so that the end continues at the same time of day
	}
	return whole, min(max(whole/fewBlocks, int64(shortBlock)), int64(longBlock), whole)
}

// source draws where the block for the time at is taken from.
func (t *Times) source(rng *rand.Rand, at, whole int64) int64 {
	if whole < int64(day) {
		return rng.Int64N(whole)
	}
	off := rng.Int64N(2*int64(around)) - int64(around)
	drawn := rng.Int64N(whole/int64(day))*int64(day) + at%int64(day) + off
	return (drawn + whole) % whole
}
