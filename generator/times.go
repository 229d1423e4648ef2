package generator

import (
	"encoding/binary"
	"errors"
	"iter"
	"math"
	"math/rand/v2"
	"sort"
	"time"
)

// Times are the times of the requests of a log, in order: at most five bytes for most
// requests. The first is 0. They do not change once they are built, so copies share them.
type Times struct {
	begin  time.Time // of the first request; its zone is the log's
	dated  bool
	grain  time.Duration
	speed  float64
	deltas []byte // the nanoseconds since the request before, as varints
	marks  []mark // of every markEvery-th request
	count  int
	last   int64 // ns, of the log
	length int64 // ns, of the log
}

// mark is a place at which reading can begin.
type mark struct {
	at   int64 // of the request before it, in ns
	next int   // in deltas
}

const markEvery = 1024

// TimesBuilder makes Times of stamps.
type TimesBuilder struct {
	t     Times
	first int64
	prev  int64
}

// Add adds a request, in nanoseconds since any moment. It must not be before the last one.
func (b *TimesBuilder) Add(ns int64) {
	if b.t.count == 0 {
		b.first, b.prev = ns, ns
	}
	if b.t.count%markEvery == 0 {
		b.t.marks = append(b.t.marks, mark{b.prev - b.first, len(b.t.deltas)})
	}
	b.t.deltas = binary.AppendUvarint(b.t.deltas, uint64(ns-b.prev))
	b.prev = ns
	b.t.count++
}

// Count is how many requests were added.
func (b *TimesBuilder) Count() int { return b.t.count }

// Range is the first and the last request added.
func (b *TimesBuilder) Range() (first, last int64) { return b.first, b.prev }

// TimesOf says what stamps mean.
type TimesOf struct {
	Begin time.Time     // of the first request, in the zone of the log
	Dated bool          // the log has dates
	Grain time.Duration // the resolution of the stamps, above 0
	Speed float64       // divides the times; above 0
}

// Build returns the times of the requests added. The error says why there is nothing to
// send.
func (b *TimesBuilder) Build(of TimesOf) (*Times, error) {
	t := b.t
	switch {
	case t.count == 0:
		return nil, errors.New("has no requests")
	case t.count == 1:
		return nil, errors.New("has one request, which has no rate")
	}
	t.begin, t.dated, t.grain, t.speed = of.Begin, of.Dated, max(of.Grain, 1), of.Speed
	t.last = b.prev - b.first
	if t.length = t.last + t.last/int64(t.count-1); t.Spread() {
		t.length = t.last + int64(t.grain)
	}
	if t.length == 0 {
		return nil, errors.New("has all its requests at one moment, so it has no rate")
	}
	return &t, nil
}

// Count is the number of requests.
func (t *Times) Count() int { return t.count }

// Length is how long the requests last at the speed they are sent: up to the last one and
// the mean gap behind it, or to the end of its second.
func (t *Times) Length() time.Duration { return t.scaled(t.length) }

// Begin is the moment of the first request; false if the log has no dates.
func (t *Times) Begin() (time.Time, bool) { return t.begin, t.dated }

// Grain is the resolution of the log's stamps.
func (t *Times) Grain() time.Duration { return t.grain }

// Spread reports whether the stamps are so coarse that requests are spread within them.
func (t *Times) Spread() bool { return t.grain >= time.Second }

// scaled turns nanoseconds of the log into a time of the schedule.
func (t *Times) scaled(ns int64) time.Duration {
	if t.speed == 1 {
		return time.Duration(ns) // exactly
	}
	scaled := float64(ns) / t.speed
	if !(scaled < math.MaxInt64) {
		return math.MaxInt64
	}
	return time.Duration(math.Round(scaled))
}

// unscaled is the least number of nanoseconds of the log that scaled turns into d or more.
func (t *Times) unscaled(d time.Duration) int64 {
	if t.speed == 1 {
		return int64(d)
	}
	ns := math.Ceil((float64(d) - 0.5) * t.speed)
	if !(ns < math.MaxInt64) {
		return math.MaxInt64
	}
	return max(int64(ns), 0)
}

// stamps yields the stamps of the log from a moment on, in nanoseconds since its first
// request.
func (t *Times) stamps(from int64, yield func(int64) bool) bool {
	i := max(sort.Search(len(t.marks), func(i int) bool { return t.marks[i].at >= from })-1, 0)
	at, rest := t.marks[i].at, t.deltas[t.marks[i].next:]
	for len(rest) > 0 {
		delta, n := uint64(rest[0]), 1
		if delta >= 0x80 {
			delta, n = binary.Uvarint(rest)
		}
		rest = rest[n:]
		if at += int64(delta); at >= from && !yield(at) {
			return false
		}
	}
	return true
}

// spread yields the moments of the requests from a moment on, in nanoseconds since the
// log's first request. Coarse stamps are spread: the n requests with one stamp are due at
// n moments drawn uniformly from the time that the stamp stands for, in their order. The
// same seed spreads a stamp in the same way, wherever reading begins.
func (t *Times) spread(seed uint64, from int64, yield func(int64) bool) bool {
	if !t.Spread() {
		return t.stamps(from, yield)
	}
	grain := int64(t.grain)
	var s scatter
	begin := max(from, 0) / grain * grain // the stamp that from lies within
	flush := func() bool {
		for at := range s.moments(seed, grain) {
			if at >= from && !yield(at) {
				return false
			}
		}
		return true
	}
	ok := t.stamps(begin, func(at int64) bool {
		if s.count > 0 && at != s.at && !flush() {
			return false
		}
		if s.count == 0 || at != s.at {
			s.at, s.count = at, 0
		}
		s.count++
		return true
	})
	return ok && flush()
}

// scatter is the requests of one coarse stamp.
type scatter struct {
	at    int64
	count int
}

// moments yields count order statistics of uniform draws from [at, at+grain), one after the
// other: given the last one, the smallest of the k that remain is 1-(1-last)·V^(1/k) for a
// uniform V.
func (s scatter) moments(seed uint64, grain int64) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		if s.count == 0 {
			return
		}
		rng := rand.New(rand.NewPCG(seed, uint64(s.at)^0x7472616365))
		left := 1.0
		for k := s.count; k > 0; k-- {
			left *= math.Pow(1-rng.Float64(), 1/float64(k))
			if !yield(s.at + min(int64((1-left)*float64(grain)), grain-1)) {
				return
			}
		}
	}
}

// Replay is the due times of the log's requests from a moment of the replay on, relative to
// that moment.
func (t *Times) Replay(seed uint64, from time.Duration) Schedule {
	return func(yield func(time.Duration) bool) {
		t.spread(seed, t.unscaled(from), func(at int64) bool {
			due := t.scaled(at) - from
			return yield(max(due, 0))
		})
	}
}

// Before is how many requests have a stamp before that moment of the replay.
func (t *Times) Before(until time.Duration) int {
	end := t.unscaled(until)
	i := sort.Search(len(t.marks), func(i int) bool { return t.marks[i].at >= end }) - 1
	if i < 0 {
		return 0
	}
	n := i * markEvery
	at, rest := t.marks[i].at, t.deltas[t.marks[i].next:]
	for len(rest) > 0 {
		delta, size := binary.Uvarint(rest)
		if at += int64(delta); at >= end {
			break
		}
		rest = rest[size:]
		n++
	}
	return n
}

// Stamps yields the stamps of the log before that moment of the replay, in nanoseconds since
// the first one.
func (t *Times) Stamps(until time.Duration) iter.Seq[int64] {
	end := t.unscaled(until)
	return func(yield func(int64) bool) {
		t.stamps(0, func(at int64) bool { return at < end && yield(at) })
	}
}
