package record

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/results"
)

// endOf is how a connection of a test ended; its times are whole µs.
func endOf(conn uint64) results.ConnectionEnd {
	at := time.Duration(conn) * ms
	return results.ConnectionEnd{
		Conn: conn, Opened: at, Ended: at + 3*ms, Closed: at + 4*ms, Uses: int(conn % 5), Idle: ms, By: results.EndPeer, How: results.HowFIN,
		Reason: "peer_closed", ServerAt: results.Never,
	}
}

// endsIn reads the record of connections, and why it ended.
func endsIn(t *testing.T, dir string) (list []results.ConnectionEnd, err error) {
	t.Helper()
	d, err := Open(dir)
	must(t, err)
	for e, err := range d.Connections() {
		if err != nil {
			return list, err
		}
		list = append(list, *e)
	}
	return list, nil
}

// The ends of connections are on the disk after a second, whatever becomes of the process;
// a frame that is not whole loses those in it alone.
func TestConnectionsSurvive(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	path := filepath.Join(dir, fileConnections)
	var want []results.ConnectionEnd
	var sizes []int64
	synctest.Test(t, func(t *testing.T) {
		w, err := Create(dir)
		must(t, err)
		must(t, w.Begin(begun()))
		for conn := range uint64(60) {
			e := endOf(conn + 1)
			w.ObserveEnd(&e)
			want = append(want, e)
			if conn%20 == 19 {
				time.Sleep(flushEvery + flushEvery/2)
				info, err := os.Stat(path)
				must(t, err)
				sizes = append(sizes, info.Size())
			}
		}
		if r := w.Recording().Connections; r == nil || r.Written != 60 {
			t.Errorf("recorded: %+v", r)
		}
		w.Abort()
	})
	byNumber := cmp.Transformer("byNumber", func(list []results.ConnectionEnd) map[uint64]results.ConnectionEnd {
		all := map[uint64]results.ConnectionEnd{}
		for _, e := range list {
			all[e.Conn] = e
		}
		return all
	})
	same := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Local" }, cmp.Ignore())
	got, err := endsIn(t, dir)
	if diff := cmp.Diff(want, got, byNumber, same); err != nil || diff != "" || len(got) != len(want) {
		t.Errorf("%v, %d ends (-want +got):\n%s", err, len(got), diff)
	}
	must(t, os.Truncate(path, sizes[2]-3))
	got, err = endsIn(t, dir)
	if diff := cmp.Diff(want[:40], got, byNumber, same); !errors.Is(err, ErrTorn) || diff != "" {
		t.Errorf("cut off: %v (-want +got):\n%s", err, diff)
	}
	must(t, os.Remove(path))
	if got, err := endsIn(t, dir); !errors.Is(err, fs.ErrNotExist) || len(got) > 0 {
		t.Errorf("of an earlier kabench: %v, %d ends", err, len(got))
	}
}

// With one success in n, one end in n is recorded, and each end with a failure.
func TestConnectionsAreSampled(t *testing.T) {
	const oneIn, failedEvery = 8, 50
	dir := filepath.Join(t.TempDir(), "run")
	w, err := Create(dir)
	must(t, err)
	w.SuccessesOneIn = oneIn
	must(t, w.Begin(begun()))
	const all = 4000
	for conn := range uint64(all) {
		e := endOf(conn + 1)
		e.Failed = e.Conn%failedEvery == 0
		w.ObserveEnd(&e)
	}
	doc := begun()
	must(t, w.Close(doc))
	list, err := endsIn(t, dir)
	must(t, err)
	failed := 0
	for _, e := range list {
		if e.Conn%failedEvery == 0 {
			failed++
		} else if !HasEnd(e.Conn, oneIn) {
			t.Errorf("the end of connection %d is recorded, and HasEnd says no", e.Conn)
		}
	}
	r := doc.Recording.Connections
	if failed != all/failedEvery || r.Written != uint64(len(list)) || r.Written+r.LeftOut != all {
		t.Errorf("%d with a failure, %d in total, recording %+v", failed, len(list), r)
	}
	if n := len(list); n < all/oneIn/2 || n > all/oneIn*2 {
		t.Errorf("%d of %d ends, want about one in %d", n, all, oneIn)
	}
}

// BenchmarkRecordEnd measures the total cost of recording the end of a connection that the
// server closed: its line, the compression and the write.
func BenchmarkRecordEnd(b *testing.B) {
	w, _ := create(b)
	b.ReportAllocs()
	n := uint64(0)
	for b.Loop() {
		n++
		e := endOf(n)
		e.Ended += time.Duration(mix(n)%997) * time.Microsecond
		e.Idle += time.Duration(mix(n)%499) * time.Microsecond
		w.ObserveEnd(&e)
		if n%1000 == 0 {
			w.connections.collect()
		}
		if n%30_000 == 0 { // a second of a busy run
			w.connections.flush()
		}
	}
	b.StopTimer()
	if r := w.Recording().Connections; r.Lost > 0 {
		b.Fatalf("the record stopped, so this measured nothing: %+v", r)
	}
	w.connections.flush()
	b.ReportMetric(float64(w.connections.file.size)/float64(n), "B/end")
	w.Abort()
}
