package pool

import "container/heap"

// link is a place in a list of connections.
type link struct{ prev, next *Conn }

// The lists an idle connection is in.
const (
	inOrigin = iota // its origin's
	inAll           // the one over all origins
	numLists
)

// idleList is idle connections in the order of their release.
type idleList struct {
	which       int // inOrigin or inAll
	first, last *Conn
	len         int
}

func (l *idleList) push(c *Conn) {
	c.links[l.which] = link{prev: l.last}
	if l.last == nil {
		l.first = c
	} else {
		l.last.links[l.which].next = c
	}
	l.last = c
	l.len++
}

func (l *idleList) remove(c *Conn) {
	at := c.links[l.which]
	if at.prev == nil {
		l.first = at.next
	} else {
		at.prev.links[l.which].next = at.next
	}
	if at.next == nil {
		l.last = at.prev
	} else {
		at.next.links[l.which].prev = at.prev
	}
	c.links[l.which] = link{}
	l.len--
}

// requestLink is a place in a list of requests.
type requestLink struct{ prev, next *Request }

// The lists a request may be in.
const (
	ofOrigin = iota // requests of its origin that wait, or whose dial is under way
	ofAll           // requests of all origins that wait
	numOfLists
)

// requestQueue is requests in the order of arrival.
type requestQueue struct {
	which       int // ofOrigin or ofAll
	first, last *Request
	len         int
}

// push adds r at the end. If r had a connection that a probe found dead, r goes
// before the requests that arrived after it.
func (q *requestQueue) push(r *Request) {
	before := q.last
	for before != nil && before.arrived > r.arrived {
		before = before.links[q.which].prev
	}
	next := q.first
	if before != nil {
		next = before.links[q.which].next
		before.links[q.which].next = r
	} else {
		q.first = r
	}
	if next != nil {
		next.links[q.which].prev = r
	} else {
		q.last = r
	}
	r.links[q.which] = requestLink{prev: before, next: next}
	q.len++
}

func (q *requestQueue) remove(r *Request) {
	at := r.links[q.which]
	if at.prev == nil {
		q.first = at.next
	} else {
		at.prev.links[q.which].next = at.next
	}
	if at.next == nil {
		q.last = at.prev
	} else {
		at.next.links[q.which].prev = at.prev
	}
	r.links[q.which] = requestLink{}
	q.len--
}

// heapOf is a heap whose members hold their index in it.
type heapOf[T any] struct {
	members []*T
	before  func(a, b *T) bool
	index   func(*T) *int // -1: not in it
}

func (h *heapOf[T]) push(v *T) { heap.Push((*heapOps[T])(h), v) }

// remove takes v out; nothing happens when it is not in.
func (h *heapOf[T]) remove(v *T) {
	if i := *h.index(v); i >= 0 {
		heap.Remove((*heapOps[T])(h), i)
	}
}

// first is the least member; nil when there is none.
func (h *heapOf[T]) first() *T {
	if len(h.members) == 0 {
		return nil
	}
	return h.members[0]
}

// heapOps gives heapOf the methods that container/heap wants.
type heapOps[T any] heapOf[T]

func (h *heapOps[T]) Len() int           { return len(h.members) }
func (h *heapOps[T]) Less(i, j int) bool { return h.before(h.members[i], h.members[j]) }

func (h *heapOps[T]) Swap(i, j int) {
	h.members[i], h.members[j] = h.members[j], h.members[i]
	*h.index(h.members[i]), *h.index(h.members[j]) = i, j
}

func (h *heapOps[T]) Push(x any) {
	v := x.(*T)
	*h.index(v) = len(h.members)
	h.members = append(h.members, v)
}

func (h *heapOps[T]) Pop() any {
	last := len(h.members) - 1
	v := h.members[last]
	h.members[last] = nil
	h.members = h.members[:last]
	*h.index(v) = -1
	return v
}
