package forecast

import "time"

// never is later than every event.
const never time.Duration = 1<<63 - 1

// event is something that happens at a time.
type event struct {
	at   time.Duration
	kind kind
	turn uint32 // of the connection or request; the event is void if they have moved on
	x    *request
	c    *connection
	d    *dialing
}

// kind is what an event is.
type kind uint8

const (
	answered kind = iota // the response is complete at the client
	cut                  // the client sees that its connection ended without a response
	expired              // the client's time for a request is over
	dialed               // a handshake is done, or has failed
	window               // from now on, a request on this idle connection would meet its close
	noticed              // the client sees the server's close of an idle connection
)

// queue holds the events of one flow, and gives them in the order of their times. Most flows
// have a constant delay, so that their events are planned in the order in which they
// happen: those need no heap.
type queue struct {
	ring []event // its length is a power of two
	head int     // of the first
	len  int
	last time.Duration // of the last event in ring
	heap []event       // those that were planned behind a later one
}

// first is when the first event happens.
func (q *queue) first() time.Duration {
	at := never
	if q.len > 0 {
		at = q.ring[q.head].at
	}
	if len(q.heap) > 0 && q.heap[0].at < at {
		at = q.heap[0].at
	}
	return at
}

func (q *queue) count() int { return q.len + len(q.heap) }

func (q *queue) push(e event) {
	if q.len > 0 && e.at < q.last {
		q.up(e)
		return
	}
	if q.len == len(q.ring) {
		q.grow()
	}
	q.ring[(q.head+q.len)&(len(q.ring)-1)] = e
	q.len++
	q.last = e.at
}

// pop takes the first event out. Of two at the same time, it is the one in the ring.
func (q *queue) pop() event {
	if q.len > 0 && (len(q.heap) == 0 || q.ring[q.head].at <= q.heap[0].at) {
		e := q.ring[q.head]
		q.ring[q.head] = event{}
		q.head = (q.head + 1) & (len(q.ring) - 1)
		q.len--
		return e
	}
	return q.down()
}

func (q *queue) grow() {
	ring := make([]event, max(16, 2*len(q.ring)))
	for i := range q.len {
		ring[i] = q.ring[(q.head+i)&(len(q.ring)-1)]
	}
	q.ring, q.head = ring, 0
}

func (q *queue) up(e event) {
	q.heap = append(q.heap, e)
	i := len(q.heap) - 1
	for i > 0 {
		parent := (i - 1) / 4
		if q.heap[parent].at <= e.at {
			break
		}
		q.heap[i] = q.heap[parent]
		i = parent
	}
	q.heap[i] = e
}

func (q *queue) down() event {
	first := q.heap[0]
	n := len(q.heap) - 1
	e := q.heap[n]
	q.heap[n] = event{}
	q.heap = q.heap[:n]
	if n == 0 {
		return first
	}
	i := 0
	for {
		least := 4*i + 1
		if least >= n {
			break
		}
		for child := least + 1; child < min(4*i+5, n); child++ {
			if q.heap[child].at < q.heap[least].at {
				least = child
			}
		}
		if q.heap[least].at >= e.at {
			break
		}
		q.heap[i] = q.heap[least]
		i = least
	}
	q.heap[i] = e
	return first
}
