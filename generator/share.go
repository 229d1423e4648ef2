package generator

import (
	"iter"
	"time"
)

// Share is the part of a schedule that one of Of loops sends: the arrivals Index,
// Index+Of, Index+2·Of, … counted from 0. The shares of all indices are together the whole
// schedule, and no arrival is in two of them. The zero Share is the whole schedule.
type Share struct {
	Index int // from 0, below Of
	Of    int // 0 and 1: there is only one loop
}

// Deal returns the due times of s that belong to the share, each with its number in the
// whole of s, from 0. s must be bounded as a whole (see [Load.Bound]): a share that was
// bounded by itself would have another end.
func (h Share) Deal(s Schedule) iter.Seq2[uint64, time.Duration] {
	of, mine := uint64(max(h.Of, 1)), uint64(max(h.Index, 0))
	return func(yield func(uint64, time.Duration) bool) {
		seq := uint64(0)
		for due := range s {
			if seq%of == mine && !yield(seq, due) {
				return
			}
			seq++
		}
	}
}
