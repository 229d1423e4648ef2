package dialers

import "time"

// timer is a moment in a timers list. Its zero value is in none.
type timer struct {
	prev, next *timer
	at         time.Duration
	fire       func() // called when the moment has come; the timer has left its list by then
}

// timers is a list of moments in order. Those of one list lie a constant time
// ahead of when they are added, so most are added at the end.
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

// holds reports whether t is in l, provided that it is in no other list.
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

// expire fires the timers whose moment has come, in order, and calls then after
// each.
func (l *timers) expire(now time.Duration, then func()) {
	for l.first != nil && l.first.at <= now {
		t := l.first
		l.remove(t)
		t.fire()
		then()
	}
}
