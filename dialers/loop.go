package dialers

import (
	"context"
	"sync"
	"time"

	"github.com/kabench/kabench/internal/poll"
	"github.com/kabench/kabench/results"
)

// inbox holds what goroutines leave for the loop.
type inbox struct {
	mu   sync.Mutex
	left []func()
}

func (b *inbox) put(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = append(b.left, f)
}

// take runs what was left, in order, and then after each.
func (b *inbox) take(then func()) {
	b.mu.Lock()
	left := b.left
	b.left = nil
	b.mu.Unlock()
	for _, f := range left {
		f()
		then()
	}
}

// timer is a moment in a timers. Its zero value is in none.
type timer struct {
	prev, next *timer
	at         time.Duration
	fire       func() // called when the time has come; the timer is in no list then
}

// timers is a list of moments in order. A moment is added at the end in most
// cases, because those of one list lie a constant time ahead of when they are
// added.
type timers struct{ first, last *timer }

func (l *timers) add(t *timer, at time.Duration) {
	t.at = at
	before := l.last
	for before != nil && before.at > at {
		before = before.prev
	}
	t.prev = before
	if before == nil {
		t.next, l.first = l.first, t
	} else {
		t.next, before.next = before.next, t
	}
	if t.next == nil {
		l.last = t
	} else {
		t.next.prev = t
	}
}

// holds reports whether t is in l, given that it is in no other list.
func (l *timers) holds(t *timer) bool { return t.prev != nil || l.first == t }

// remove takes t out of l, if it is in it.
func (l *timers) remove(t *timer) {
	if !l.holds(t) {
		return
	}
	if t.prev == nil {
		l.first = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next == nil {
		l.last = t.prev
	} else {
		t.next.prev = t.prev
	}
	t.prev, t.next = nil, nil
}

func (l *timers) next() (at time.Duration, any bool) {
	if l.first == nil {
		return 0, false
	}
	return l.first.at, true
}

// expire fires what has come, in order, and calls then after each.
func (l *timers) expire(now time.Duration, then func()) {
	for l.first != nil && l.first.at <= now {
		t := l.first
		l.remove(t)
		t.fire()
		then()
	}
}

// slots gives out the tokens by which a poller's events find whom they concern.
// A token is a place and how often that was given out, so that an event for a
// socket closed a moment ago finds nobody.
type slots struct {
	all  []slot
	free []uint32
}

type slot struct {
	owner listener
	count uint32
}

// listener is told of events on a socket.
type listener interface{ event(poll.Event) }

func (s *slots) take(owner listener) (token uint64) {
	if len(s.free) == 0 {
		s.free = append(s.free, uint32(len(s.all)))
		s.all = append(s.all, slot{})
	}
	i := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	s.all[i].owner = owner
	return uint64(i) | uint64(s.all[i].count)<<32
}

// pass makes owner the one who is told of token.
func (s *slots) pass(token uint64, owner listener) { s.all[uint32(token)].owner = owner }

func (s *slots) release(token uint64) {
	i := uint32(token)
	s.all[i].owner = nil
	s.all[i].count = (s.all[i].count + 1) & 0x7fffffff // so that no token is the poller's own
	s.free = append(s.free, i)
}

func (s *slots) tell(e poll.Event) {
	i := uint32(e.Token)
	if int(i) < len(s.all) && s.all[i].count == uint32(e.Token>>32) && s.all[i].owner != nil {
		s.all[i].owner.event(e)
	}
}

// serving is the loop that Do runs when nobody else does.
type serving struct {
	once sync.Once
	quit chan struct{} // nil: never begun
	gone chan struct{}
}

// Do performs e and returns when it is over: for callers that have no open loop.
// When ctx is done the exchange is given up and ends as CauseAborted. Calls may
// overlap; they must not be mixed with Start and Wait.
func (c *Client) Do(ctx context.Context, e *results.Exchange) {
	c.serve()
	over := make(chan struct{})
	c.post(func() {
		c.clock()
		told := false // then e, and its task, may be another exchange's
		t := c.begin(e, func(*results.Exchange) { told = true; close(over) })
		stop := context.AfterFunc(ctx, func() {
			c.post(func() {
				if !told && t.e == e { // it is under way still
					t.abort()
				}
			})
		})
		go func() {
			<-over
			stop()
		}()
	})
	<-over
}

// serve runs a loop until Close.
func (c *Client) serve() {
	s := &c.serving
	s.once.Do(func() {
		s.quit, s.gone = make(chan struct{}), make(chan struct{})
		go func() {
			defer close(s.gone)
			for {
				select {
				case <-s.quit:
					return
				default:
					c.Wait(-1)
				}
			}
		}()
	})
}

// stop ends the loop, if there is one.
func (s *serving) stop(c *Client) {
	if s.quit != nil {
		close(s.quit)
		c.Wake()
		<-s.gone
	}
}
