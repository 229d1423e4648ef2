package page

import (
	"container/heap"

	"github.com/kabench/kabench/results/record"
)

// sample keeps the lives with the smallest ranks. A rank is a hash, so that all connections
// of a run have the same chance, in any order; but those whose end the record leaves out
// come after the others.
type sample struct {
	limit int
	oneIn uint64
	lives []*life // a heap, the greatest hash first
}

func (s *sample) Len() int           { return len(s.lives) }
func (s *sample) Less(i, j int) bool { return s.rank(s.lives[i].conn) > s.rank(s.lives[j].conn) }
func (s *sample) Swap(i, j int)      { s.lives[i], s.lives[j] = s.lives[j], s.lives[i] }
func (s *sample) Push(x any)         { s.lives = append(s.lives, x.(*life)) }
func (s *sample) Pop() any {
	last := s.lives[len(s.lives)-1]
	s.lives = s.lives[:len(s.lives)-1]
	return last
}

// wants reports whether the connection numbered conn would be kept.
func (s *sample) wants(conn uint64) bool {
	return len(s.lives) < s.limit || s.rank(conn) < s.rank(s.lives[0].conn)
}

func (s *sample) rank(conn uint64) uint64 {
	rank := hash(conn) >> 1
	if !record.HasEnd(conn, s.oneIn) {
		rank |= 1 << 63
	}
	return rank
}

// put keeps l, and returns the life that it no longer keeps, if any.
func (s *sample) put(l *life) (dropped *life) {
	heap.Push(s, l)
	if len(s.lives) > s.limit {
		dropped = heap.Pop(s).(*life)
	}
	return dropped
}

// hash spreads connection numbers (the finalizer of splitmix64).
func hash(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
