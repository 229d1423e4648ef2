package live

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/page"
	"github.com/kabench/kabench/results/text"
)

const (
	// queued is how many exchanges wait for the gatherer, at some 400 bytes each;
	// there are two such queues.
	queued = 1 << 14
	// gatherEvery is how often they are fetched: queued in this time is what a Feed
	// keeps up with, 160,000 a second.
	gatherEvery = 100 * time.Millisecond
	// fresh is how old data may be that is given out. Making it takes some
	// milliseconds of a core, however many ask.
	fresh = 800 * time.Millisecond
)

// Feed takes in one run and makes the data of a page of it. What it holds does
// not grow with the run. All its methods may be called from any goroutine. Make
// one with NewFeed.
//
// An observed exchange is copied to a queue, which takes a fraction of a
// microsecond; what is made of it is made by a goroutine between Begin and End.
// One for which the queue has no room is missing from the page, which says so.
type Feed struct {
	queue struct {
		sync.Mutex
		list   []results.Exchange // up to its capacity
		missed uint64
	}
	spare []results.Exchange // owned by gather

	stop, done chan struct{} // of the goroutine

	mu       sync.Mutex
	gatherer *page.Gatherer // guarded by mu; nil before Begin
	ask      func()         // guarded by mu; asks for data that is made elsewhere
	data     []byte         // guarded by mu; the newest; nil: none yet
	at       time.Time      // guarded by mu; when data was made, or asked for
	over     bool           // guarded by mu; data is the last there will be
}

// NewFeed makes one that has taken in nothing.
func NewFeed() *Feed {
	f := &Feed{spare: make([]results.Exchange, 0, queued), stop: make(chan struct{}), done: make(chan struct{})}
	f.queue.list = make([]results.Exchange, 0, queued)
	return f
}

// Begin begins with the document as known before the first request. It comes
// first, and once; a Feed whose run never begins needs no End.
func (f *Feed) Begin(doc *results.Run) {
	begun := *doc
	f.mu.Lock()
	f.gatherer = page.NewLiveGatherer(begun.Name, &begun)
	f.mu.Unlock()
	go func() {
		defer close(f.done)
		tick := time.NewTicker(gatherEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				f.gather()
			case <-f.stop:
				f.gather()
				return
			}
		}
	}()
}

// Observe takes in e, which is over. It does not keep e.
func (f *Feed) Observe(e *results.Exchange) {
	q := &f.queue
	q.Lock()
	if len(q.list) < cap(q.list) {
		q.list = append(q.list, *e)
	} else {
		q.missed++
	}
	q.Unlock()
}

// Sample takes in what the gauges said.
func (f *Feed) Sample(s results.Sample) { f.gatherer.Sample(s) }

// gather shows the gatherer what is queued.
func (f *Feed) gather() {
	q := &f.queue
	q.Lock()
	full := q.list
	q.list = f.spare
	q.Unlock()
	for i := range full {
		f.gatherer.Observe(&full[i])
	}
	clear(full) // errors and attempts are not kept
	f.spare = full[:0]
}

// End ends it with the run's document, which is copied. It comes after the last
// Observe and Sample.
func (f *Feed) End(doc *results.Run) {
	close(f.stop)
	<-f.done
	final := *doc
	f.gatherer.Finish(&final)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.make()
	f.over = true
}

// From makes f pass on what another Feed, in another process, has made: ask is
// called for newer data, which comes by Put. There is no Begin then.
func (f *Feed) From(ask func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ask = ask
}

// Put takes in data made elsewhere, and whether it is the last.
func (f *Feed) Put(data []byte, over bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.data, f.over = data, over
}

// Data is page.Data as JSON, not older than a second, and whether it is the last
// there will be. It is not to be changed. Before the run has begun it has no run.
func (f *Feed) Data() (data []byte, over bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.over && time.Since(f.at) > fresh {
		switch {
		case f.gatherer != nil:
			f.make()
		case f.ask != nil:
			f.at = time.Now()
			f.ask()
		}
	}
	if f.data == nil {
		return notBegun, false
	}
	return f.data, f.over
}

// make makes data; f.mu is held.
func (f *Feed) make() {
	d := f.gatherer.Data()
	f.queue.Lock()
	missed := f.queue.missed
	f.queue.Unlock()
	if missed > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%d exchanges came faster than this page could take them in, and are missing from its pictures; nothing is missing from the results", missed))
	}
	f.data, f.at = encoded(d), time.Now()
}

var notBegun = encoded(&page.Data{
	Kind: page.KindRun, Title: "kabench", Notes: []string{}, Runs: []page.Run{}, Live: true,
	Headline: text.Headline{Answer: "The run has not begun yet.", Good: true, Figures: []text.Figure{}},
})

// encoded is d as JSON.
func encoded(d *page.Data) []byte {
	var b bytes.Buffer
	if err := page.WriteData(&b, d); err != nil {
		panic(err) // it holds nothing that has no JSON
	}
	return b.Bytes()
}

// decoded is the opposite.
func decoded(data []byte) (*page.Data, error) {
	d := &page.Data{}
	return d, json.Unmarshal(data, d)
}
