package trace

import (
	"slices"
	"time"
)

const (
	// window is how far a line may be behind the latest one: servers write a line when its
	// request ends, and several processes write in any order.
	window = 60 * time.Second
	// longest is how long a request may have taken if its beginning is wanted: memory has
	// the requests of that time.
	longest = 10 * time.Minute
	// firstSort is how many requests are collected before they are sorted.
	firstSort = 1 << 16
)

// order sorts requests that are nearly in order, with memory for those of a short time.
type order struct {
	take    func(int64)
	waiting []int64
	full    int   // when this many wait, they are sorted
	latest  int64 // the latest line so far
	done    int64 // the latest request given to take
	clipped int   // requests that took longer than longest
	early   bool  // lines are at the ends of requests, whose beginnings are wanted
}

// add takes a request that began at that time, in a line of that time. It is false if the
// line is out of order.
func (o *order) add(line, began int64) bool {
	if len(o.waiting) == 0 && o.full == 0 {
		o.full, o.latest, o.done = firstSort, line, began-int64(longest)
	}
	if line < o.latest-int64(window) {
		return false
	}
	o.latest = max(o.latest, line)
	o.early = o.early || began < line
	if began < o.done || began < line-int64(longest) {
		began = max(o.done, line-int64(longest))
		o.clipped++
	}
	o.waiting = append(o.waiting, began)
	if len(o.waiting) >= o.full {
		o.sort()
	}
	return true
}

// sort gives away what nothing can come before.
func (o *order) sort() {
	slices.Sort(o.waiting)
	until := o.latest - int64(window)
	if o.early {
		until -= int64(longest)
	}
	n, _ := slices.BinarySearch(o.waiting, until)
	o.give(n)
	o.full = max(firstSort, 2*len(o.waiting))
}

func (o *order) give(n int) {
	for _, at := range o.waiting[:n] {
		o.take(at)
		o.done = at
	}
	o.waiting = append(o.waiting[:0], o.waiting[n:]...)
}

// end gives away the rest.
func (o *order) end() {
	slices.Sort(o.waiting)
	o.give(len(o.waiting))
}
