package telemetry

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kabench/kabench"
)

// maxRuns bounds how many runs a Book shows. Of a comparison with more, the oldest are left
// out.
const maxRuns = 200

// Book keeps how the runs of a command stand. All its methods may be called from any
// goroutine. Make one with NewBook.
type Book struct {
	current atomic.Pointer[Entry]

	mu    sync.Mutex
	shown []*Entry // guarded by mu; the oldest first
}

// Entry is a run in a Book.
type Entry struct {
	name     string // "": that of its document
	begun    chan struct{}
	once     sync.Once // closes begun
	standing atomic.Pointer[kabench.Standing]
}

// NewBook returns a Book without runs.
func NewBook() *Book {
	b := &Book{}
	b.Next("")
	return b
}

// Next names the run that comes next. Without it, a run has the name in its document.
func (b *Book) Next(name string) { b.current.Store(&Entry{name: name, begun: make(chan struct{})}) }

// Current is the run that goes on or comes next.
func (b *Book) Current() *Entry { return b.current.Load() }

// Stand notes how the run stands. It is for kabench.Options.Standing.
func (b *Book) Stand(s kabench.Standing) {
	e := b.Current()
	e.standing.Store(&s)
	e.once.Do(func() {
		close(e.begun)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.shown = append(b.shown, e)
		if len(b.shown) > maxRuns {
			b.shown = b.shown[1:]
		}
	})
}

// Begun is closed when the run has begun.
func (e *Entry) Begun() <-chan struct{} { return e.begun }

// Name is the name of the run, once it has begun.
func (e *Entry) Name() string {
	if e.name != "" {
		return e.name
	}
	return e.Standing().Run.Name
}

// Standing is how the run stands, once it has begun. It must not be changed.
func (e *Entry) Standing() *kabench.Standing { return e.standing.Load() }

func (b *Book) entries() []*Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.shown
}

// Started is when the first run that is shown began; the zero time if there is none.
func (b *Book) Started() time.Time {
	list := b.entries()
	if len(list) == 0 {
		return time.Time{}
	}
	return list[0].Standing().Run.Start
}

// Metrics returns the metrics of all runs, each with a label for its run.
func (b *Book) Metrics() []Metric {
	var all []Metric
	place := map[string]int{}
	for _, e := range b.entries() {
		for _, m := range Of(e.Name(), e.Standing()) {
			at, known := place[m.Name]
			if !known {
				place[m.Name] = len(all)
				all = append(all, m)
				continue
			}
			all[at].Points = append(all[at].Points, m.Points...)
		}
	}
	return all
}

// Missing says what the histograms of the finished runs lack; "" if they have every exchange
// that the documents count.
func (b *Book) Missing() string {
	for _, e := range b.entries() {
		s := e.Standing()
		want := s.Run.Counts.OK + s.Run.Counts.Failed
		if got := s.Timings.Exchanges(); s.Over && got != want {
			return fmt.Sprintf("the histograms of %s have %d of %d exchanges, because an agent was lost; the counters are complete", e.Name(), got, want)
		}
	}
	return ""
}

// Failed is how many exchanges of all runs have failed.
func (b *Book) Failed() (n uint64) {
	for _, e := range b.entries() {
		n += e.Standing().Run.Counts.Failed
	}
	return n
}
