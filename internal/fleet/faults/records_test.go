package faults

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// records are the exchanges of a run by their number.
type records map[uint64]results.Exchange

// read reads the record of a run's directory. An exchange that is there twice is an error. A
// piece that was not written whole ends it.
func read(t testing.TB, dir string) records {
	t.Helper()
	d, err := record.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := records{}
	for e, err := range d.Exchanges() {
		if errors.Is(err, record.ErrTorn) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := all[e.Seq]; twice {
			t.Errorf("%s has exchange %d twice", dir, e.Seq)
		}
		all[e.Seq] = *e
	}
	return all
}

// holds checks that r has each exchange of other, as it is there.
func (r records) holds(t testing.TB, other records, where string) {
	t.Helper()
	missing, differ := 0, ""
	for seq, want := range other {
		got, ok := r[seq]
		if !ok {
			missing++
			continue
		}
		if d := difference(want, got); d != "" && differ == "" {
			differ = fmt.Sprintf("exchange %d: %s", seq, d)
		}
	}
	if missing > 0 {
		t.Errorf("%d of the %d exchanges that %s has are not in the result", missing, len(other), where)
	}
	if differ != "" {
		t.Errorf("the result has other exchanges than %s: %s", where, differ)
	}
}

// difference says where two exchanges differ; "": nowhere. Errors are compared by their
// texts.
func difference(a, b results.Exchange) string {
	if fmt.Sprint(a.Err) != fmt.Sprint(b.Err) {
		return fmt.Sprintf("%v, %v", a.Err, b.Err)
	}
	a.Err, b.Err = nil, nil
	return cmp.Diff(a, b)
}

// whole checks that r has the numbers 0 to n-1 and no others.
func (r records) whole(t testing.TB, n int) {
	t.Helper()
	if len(r) != n {
		t.Errorf("%d exchanges, want %d", len(r), n)
	}
	for seq := range r {
		if seq >= uint64(n) {
			t.Errorf("exchange %d of %d", seq, n)
		}
	}
}

// lost is how many exchanges were dropped because their agent was lost.
func (r records) lost() (n int) {
	for _, e := range r {
		if e.Cause == results.CauseAgentLost {
			n++
		}
	}
	return n
}

// dues are the due times in the order of the numbers.
func (r records) dues() []time.Duration {
	list := make([]time.Duration, 0, len(r))
	for _, seq := range slices.Sorted(maps.Keys(r)) {
		list = append(list, r[seq].Due)
	}
	return list
}

// witness keeps a second name for each record that agents write, so that the test can read
// it when the agent has removed it.
type witness struct {
	dir   string // where the second names are
	stop  chan struct{}
	ended chan struct{}

	mu    sync.Mutex
	names map[string]string // of a record: its second name
}

// watch begins to look for records below dirs. The second names are on the same file system.
func watch(t *testing.T, dirs ...string) *witness {
	w := &witness{dir: t.TempDir(), stop: make(chan struct{}), ended: make(chan struct{}), names: map[string]string{}}
	go func() {
		defer close(w.ended)
		for {
			for _, dir := range dirs {
				w.look(dir)
			}
			select {
			case <-w.stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(w.close)
	return w
}

func (w *witness) look(dir string) {
	found, _ := filepath.Glob(filepath.Join(dir, "*", "run", recordName))
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, path := range found {
		if w.names[path] != "" {
			continue
		}
		kept := filepath.Join(w.dir, fmt.Sprint(len(w.names)))
		if os.Mkdir(kept, 0o755) == nil && os.Link(path, filepath.Join(kept, recordName)) == nil {
			w.names[path] = kept
		}
	}
}

// recordName is the file of a run's directory that has its exchanges.
const recordName = "exchanges.ndjson.zst"

func (w *witness) close() {
	select {
	case <-w.stop:
	default:
		close(w.stop)
	}
	<-w.ended
}

// kept are the directories with the second names, by the directory of the agent's run.
func (w *witness) kept() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[string]string{}
	for path, dir := range w.names {
		all[filepath.Dir(path)] = dir
	}
	return all
}
