package lab

import (
	"cmp"
	"net/http"
	"slices"
	"sync"
)

const (
	idHeader = "X-Request-Id"
	keepIDs  = 100_000 // different requests that a tally counts
	// keepNames is how many names of headers a tally counts; the client chooses the
	// names, so there must be a limit.
	keepNames = 1000
)

// Execution is how often one request arrived. Requests are the same if they have the
// same method, target and X-Request-Id; without that header, all requests of the same
// method and target count as the same.
type Execution struct {
	Method, Target, ID string
	Received           int // how often its head was read
	Executed           int // how often it was read completely, and so had its effect, even without a response
}

type request struct{ method, target, id string }

// tally counts the executions of requests, up to most different ones.
type tally struct {
	most       int
	mu         sync.Mutex
	counts     map[request]*Execution
	executed   uint64
	duplicates uint64
	headers    map[string]uint64 // name → requests that came with it; at most keepNames
}

func identify(req *http.Request) request {
	return request{req.Method, req.RequestURI, req.Header.Get(idHeader)}
}

func (t *tally) received(r request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.of(r); e != nil {
		e.Received++
	}
}

// carried counts the names of a request's headers.
func (t *tally) carried(h http.Header) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.headers == nil {
		t.headers = map[string]uint64{}
	}
	for name := range h {
		if _, known := t.headers[name]; known || len(t.headers) < keepNames {
			t.headers[name]++
		}
	}
}

func (t *tally) execute(r request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.executed++
	e := t.of(r)
	if e == nil {
		return
	}
	if e.Executed++; e.Executed > 1 && e.ID != "" {
		t.duplicates++
	}
}

// of returns the counts of r; nil: there is no room for another. The caller holds t.mu.
func (t *tally) of(r request) *Execution {
	e := t.counts[r]
	if e == nil && len(t.counts) < t.most {
		if t.counts == nil {
			t.counts = map[request]*Execution{}
		}
		e = &Execution{Method: r.method, Target: r.target, ID: r.id}
		t.counts[r] = e
	}
	return e
}

func (t *tally) executions() []Execution {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]Execution, 0, len(t.counts))
	for _, e := range t.counts {
		all = append(all, *e)
	}
	slices.SortFunc(all, func(a, b Execution) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Method, b.Method), cmp.Compare(a.ID, b.ID))
	})
	return all
}
