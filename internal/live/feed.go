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
	// queued is how many exchanges may wait for the gatherer, at about 400 bytes each;
	// there are two such queues.
	queued = 1 << 14
	// gatherEvery is how often the gatherer takes them. So a Feed can take 160,000
	// exchanges per second: queued in this time.
	gatherEvery = 100 * time.Millisecond
	// fresh is how old the data for a page may be. Making it takes a few milliseconds
	// of a core, whatever the number of pages.
	fresh = 800 * time.Millisecond
)

// Feed receives the exchanges of one run and makes the data of its page. Its size does
// not grow with the run. All its methods may be called from any goroutine. Make one with
// NewFeed.
//
// Observe copies an exchange to a queue, which takes less than a microsecond. A
// goroutine that runs between Begin and End takes exchanges from the queue. If the queue
// is full, the exchange is missing from the page, and the page says so.
type Feed struct {
	queue struct {
		sync.Mutex
		list   []results.Exchange // up to its capacity
		ends   []results.ConnectionEnd
		missed uint64
	}
	spare []results.Exchange      // owned by gather
	late  []results.ConnectionEnd // likewise: those of the last gather

	stop, done chan struct{} // of the goroutine

	mu       sync.Mutex
	gatherer *page.Gatherer // guarded by mu; nil before Begin
	ask      func()         // guarded by mu; asks another process for its data
	data     []byte         // guarded by mu; the newest data; nil: none yet
	at       time.Time      // guarded by mu; when data was made or asked for
	over     bool           // guarded by mu; data is final
}

// NewFeed returns an empty Feed.
func NewFeed() *Feed {
	f := &Feed{spare: make([]results.Exchange, 0, queued), stop: make(chan struct{}), done: make(chan struct{})}
	f.queue.list = make([]results.Exchange, 0, queued)
	return f
}

// Begin begins the run with its document as known before the first request. It must be
// the first call, and the only Begin. If there is no Begin, there need be no End.
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
				f.gather() // what is late
				return
			}
		}
	}()
}

// Observe receives an exchange that has ended. It does not keep e.
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

// Ended receives how a connection ended. It does not keep e. If the queue is full, the page
// does not say how the connection ended.
func (f *Feed) Ended(e *results.ConnectionEnd) {
	q := &f.queue
	q.Lock()
	if len(q.ends) < queued {
		q.ends = append(q.ends, *e)
	}
	q.Unlock()
}

// Missed says that n exchanges have ended that Observe does not receive.
func (f *Feed) Missed(n uint64) {
	f.queue.Lock()
	f.queue.missed += n
	f.queue.Unlock()
}

// Sample receives a sample of the gauges.
func (f *Feed) Sample(s results.Sample) { f.gatherer.Sample(s) }

// gather gives the queued exchanges to the gatherer.
func (f *Feed) gather() {
	q := &f.queue
	q.Lock()
	full, ends := q.list, q.ends
	q.list, q.ends = f.spare, nil
	q.Unlock()
	for i := range full {
		f.gatherer.Observe(&full[i])
	}
	clear(full) // so that errors and attempts can be freed
	f.spare = full[:0]
	for i := range f.late { // by now the exchanges of each have been observed
		f.gatherer.Ended(&f.late[i])
	}
	f.late = ends
}

// End ends the run with its document, which it copies. It must be called after the last
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

// From makes f serve the data of a Feed in another process: f calls ask when it needs
// newer data, and Put receives it. There is no Begin then.
func (f *Feed) From(ask func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ask = ask
}

// Put receives data from another process; over says that it is final.
func (f *Feed) Put(data []byte, over bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.data, f.over = data, over
}

// Data returns page.Data as JSON, at most a second old, and whether it is final. The
// caller must not change it. Before Begin it has no run.
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

// make makes the data. The caller holds f.mu.
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

// encoded returns d as JSON.
func encoded(d *page.Data) []byte {
	var b bytes.Buffer
	if err := page.WriteData(&b, d); err != nil {
		panic(err) // cannot happen: all fields have a JSON form
	}
	return b.Bytes()
}

// decoded reads the JSON of encoded.
func decoded(data []byte) (*page.Data, error) {
	d := &page.Data{}
	return d, json.Unmarshal(data, d)
}
