package pool

import "container/heap"

// idleList is the idle connections of an origin in the order of their release.
type idleList struct {
	first, last *Conn
	len         int
}

func (l *idleList) push(c *Conn) {
	c.prev, c.next = l.last, nil
	if l.last == nil {
		l.first = c
	} else {
		l.last.next = c
	}
	l.last = c
	l.len++
}

func (l *idleList) remove(c *Conn) {
	if c.prev == nil {
		l.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		l.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
	l.len--
}

// requestQueue is the waiting requests of an origin in the order of arrival.
type requestQueue struct {
	first, last *Request
	len         int
}

func (q *requestQueue) push(r *Request) {
	r.prev, r.next = q.last, nil
	if q.last == nil {
		q.first = r
	} else {
		q.last.next = r
	}
	q.last = r
	q.len++
}

func (q *requestQueue) remove(r *Request) {
	if r.prev == nil {
		q.first = r.next
	} else {
		r.prev.next = r.next
	}
	if r.next == nil {
		q.last = r.prev
	} else {
		r.next.prev = r.prev
	}
	r.prev, r.next = nil, nil
	q.len--
}

// connHeap is connections in an order of its own, each knowing its place.
type connHeap struct {
	conns  []*Conn
	before func(a, b *Conn) bool
	index  func(*Conn) *int
}

func (h *connHeap) push(c *Conn) { heap.Push((*heapOps)(h), c) }

// remove takes c out; nothing happens when it is not in.
func (h *connHeap) remove(c *Conn) {
	if i := *h.index(c); i >= 0 {
		heap.Remove((*heapOps)(h), i)
	}
}

// heapOps is connHeap as container/heap wants it.
type heapOps connHeap

func (h *heapOps) Len() int           { return len(h.conns) }
func (h *heapOps) Less(i, j int) bool { return h.before(h.conns[i], h.conns[j]) }

func (h *heapOps) Swap(i, j int) {
	h.conns[i], h.conns[j] = h.conns[j], h.conns[i]
	*h.index(h.conns[i]), *h.index(h.conns[j]) = i, j
}

func (h *heapOps) Push(x any) {
	c := x.(*Conn)
	*h.index(c) = len(h.conns)
	h.conns = append(h.conns, c)
}

func (h *heapOps) Pop() any {
	last := len(h.conns) - 1
	c := h.conns[last]
	h.conns[last] = nil
	h.conns = h.conns[:last]
	*h.index(c) = -1
	return c
}
