package target

import (
	"sync"
	"time"
)

// events are the moments of a run at which the network or the servers change.
type events struct {
	at      map[string]time.Duration // by name, since the start of the run
	pending []*time.Timer
	telling sync.WaitGroup
}

// Begin says when the run starts: its events come from then on, each at its own time.
func (t *Target) Begin(start time.Time) {
	for name, at := range t.events.at {
		t.events.telling.Add(1)
		t.events.pending = append(t.events.pending, time.AfterFunc(time.Until(start.Add(at)), func() {
			defer t.events.telling.Done()
			t.event(name)
		}))
	}
}

// event passes the event of that name on to what t serves.
func (t *Target) event(name string) {
	if t.names != nil {
		t.names.Event(name)
	}
	if t.network != nil {
		_ = t.network.Event(name) // an error means that something else waits for it
	}
	for _, s := range t.lab {
		s.Event(name)
	}
}

// end drops the events that have not come, and waits for those that are being told.
func (e *events) end() {
	for _, timer := range e.pending {
		if timer.Stop() {
			e.telling.Done()
		}
	}
	e.pending = nil
	e.telling.Wait()
}
