package record

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/results"
)

// read returns the recorded exchanges of dir by their Seq; times are in whole µs.
func read(t *testing.T, dir string) map[uint64]results.Exchange {
	t.Helper()
	d, err := Open(dir)
	must(t, err)
	seen := map[uint64]results.Exchange{}
	for e, err := range d.Exchanges() {
		must(t, err)
		seen[e.Seq] = *e
	}
	return seen
}

// sameExchange compares exchanges, except the type of the error, which a record loses.
var sameExchange = cmp.Comparer(func(a, b error) bool { return (a == nil) == (b == nil) && (a == nil || a.Error() == b.Error()) })

func TestRoundTrip(t *testing.T) {
	w, dir := create(t)
	must(t, w.WriteProfile([]byte("name: idle-race\n")))
	must(t, w.Begin(begun()))
	list := append(mixed(997), looked(997), resent(998), resentInVain(999))
	var wg sync.WaitGroup
	for part := range slices.Chunk(list, 250) {
		wg.Go(func() {
			for _, e := range part {
				w.Observe(e)
			}
		})
	}
	wg.Wait()
	samples := []results.Sample{{T: 0.1, Leased: 3}, {T: 0.2, Sockets: &results.SocketSample{Client: map[string]int{"TIME_WAIT": 4}}}}
	for _, s := range samples {
		must(t, w.Sample(s))
	}
	run := begun()
	run.Complete, run.Valid, run.End = true, true, run.Start.Add(3*time.Second)
	tallied(list).Fill(run, time.Second)
	must(t, w.Close(run))

	if diff := cmp.Diff(results.Recording{Written: 1000, SuccessesOneIn: 1, Connections: &results.RecordedConnections{}}, run.Recording); diff != "" {
		t.Errorf("recording (-want +got):\n%s", diff)
	}
	names := []string{}
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"connections.ndjson.zst", "exchanges.ndjson.zst", "latency.hlog", "profile.yaml", "run.json", "samples.ndjson"}; !slices.Equal(names, want) {
		t.Errorf("files are %v, want %v", names, want)
	}
	want := map[uint64]results.Exchange{}
	for _, e := range list {
		want[e.Seq] = *e
	}
	if diff := cmp.Diff(want, read(t, dir), sameExchange); diff != "" {
		t.Errorf("exchanges (-want +got):\n%s", diff)
	}
	d, err := Open(dir)
	must(t, err)
	got, err := d.Run()
	must(t, err)
	// The profile is JSON text: its layout is free.
	got.Profile, run.Profile = nil, nil
	if diff := cmp.Diff(filledRun(run), got); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
	var gotSamples []results.Sample
	for s, err := range d.Samples() {
		must(t, err)
		gotSamples = append(gotSamples, s)
	}
	if diff := cmp.Diff(samples, gotSamples); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}

func TestCreateRefuses(t *testing.T) {
	base := t.TempDir()
	w, err := Create(filepath.Join(base, "taken"))
	must(t, err)
	must(t, w.Begin(begun()))
	w.Observe(done(0))
	w.Abort()
	must(t, os.Mkdir(filepath.Join(base, "notes"), 0o755))
	must(t, os.Mkdir(filepath.Join(base, "incident"), 0o755))
	must(t, SaveReproduction(filepath.Join(base, "incident"), &results.Reproduction{}))
	must(t, os.WriteFile(filepath.Join(base, "notes", "todo.txt"), nil, 0o644))
	must(t, os.WriteFile(filepath.Join(base, "file"), nil, 0o644))
	for name, say := range map[string]string{
		"taken":    "already holds a run: choose another --out",
		"incident": "already holds the runs of an incident: choose another --out",
		"notes":    "is not empty (it holds todo.txt)",
		"file":     "is not a directory",
	} {
		_, err := Create(filepath.Join(base, name))
		var refused *DirectoryError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v, want it refused with %q", name, err, say)
		}
		nothing := func() error { t.Errorf("%s: claimed", name); return nil }
		if claimed := ClaimWith(filepath.Join(base, name), nothing); claimed == nil || claimed.Error() != err.Error() {
			t.Errorf("%s: ClaimWith says %v, and Create %v", name, claimed, err)
		}
	}
	full := errors.New("no space left on device")
	if err := ClaimWith(filepath.Join(base, "missing"), func() error { return full }); !errors.Is(err, full) {
		t.Errorf("ClaimWith says %v, want what befell the first file", err)
	}
	if _, err := os.Stat(filepath.Join(base, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("ClaimWith left something behind: %v", err)
	}
	must(t, os.Mkdir(filepath.Join(base, "empty"), 0o755))
	w, err = Create(filepath.Join(base, "empty"))
	must(t, err)
	w.Abort()
}

func TestAbortLeavesNoTrace(t *testing.T) {
	w, dir := create(t)
	must(t, w.WriteProfile([]byte("name: x\n")))
	must(t, w.Begin(begun()))
	w.Abort()
	w.Abort()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
	if err := w.Close(begun()); err == nil {
		t.Error("Close after Abort wrote a document")
	}
}

func TestSuccessesAreSampledFailuresAreNot(t *testing.T) {
	w, dir := create(t)
	w.SuccessesOneIn = 10
	must(t, w.Begin(begun()))
	list := mixed(20000)
	for seq := range uint64(100) {
		list = append(list, resent(20000+seq))
	}
	want := map[uint64]bool{}
	ok := 0
	for _, e := range list {
		w.Observe(e)
		if !e.OK() || len(e.Tries) > 0 {
			want[e.Seq] = true
		} else {
			ok++
		}
	}
	run := begun()
	must(t, w.Close(run))
	seen := read(t, dir)
	successes := 0
	for seq, e := range seen {
		if e.OK() && len(e.Tries) == 0 {
			successes++
		}
		delete(want, seq)
	}
	if len(want) > 0 {
		t.Errorf("not recorded, though not successes, or sent again: %v", slices.Sorted(maps.Keys(want)))
	}
	if successes < ok/12 || successes > ok/8 {
		t.Errorf("%d of %d successes recorded, want about one in ten", successes, ok)
	}
	rec := run.Recording
	if rec.SuccessesOneIn != 10 || rec.Written != uint64(len(seen)) || rec.LeftOut != uint64(ok-successes) {
		t.Errorf("recording = %+v", rec)
	}
}

// stuck is a disk that blocks every write until letGo is closed.
type stuck struct {
	to      io.Writer
	entered chan struct{}
	letGo   chan struct{}
	once    sync.Once
}

func (s *stuck) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.entered) })
	<-s.letGo
	return s.to.Write(p)
}

func TestSlowDiskStopsTheRecordNotTheRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	var rec results.Recording
	synctest.Test(t, func(t *testing.T) {
		w, err := Create(dir)
		must(t, err)
		w.exchanges.perShard = 20
		disk := &stuck{to: w.exchanges.file.file, entered: make(chan struct{}), letGo: make(chan struct{})}
		w.exchanges.file.out = disk
		must(t, w.Begin(begun()))
		w.Observe(stale(0))
		<-disk.entered           // the flusher is now blocked in a write
		for seq := range 10000 { // would block forever if Observe waited for the disk
			w.Observe(stale(uint64(seq) + 1))
		}
		for i := range w.exchanges.shards {
			if n := len(w.exchanges.shards[i].ended); n > w.exchanges.perShard {
				t.Errorf("a shard holds %d exchanges", n)
			}
		}
		close(disk.letGo)
		run := begun()
		if err := w.Close(run); !errors.Is(err, errDiskSlow) {
			t.Errorf("Close: %v, want %v", err, errDiskSlow)
		}
		rec = run.Recording
	})
	if rec.Written+rec.Lost != 10001 || rec.Lost == 0 || rec.Error != errDiskSlow.Error() {
		t.Errorf("recording = %+v, want every exchange either written or lost", rec)
	}
	if seen := read(t, dir); uint64(len(seen)) != rec.Written {
		t.Errorf("%d exchanges can be read, %d were written", len(seen), rec.Written)
	}
}

func TestLatencyLog(t *testing.T) {
	w, dir := create(t)
	must(t, w.Begin(begun()))
	for i := range 3 {
		h := results.NewHistogram()
		must(t, h.RecordValue(int64(1000*(i+1))))
		must(t, w.WriteInterval(results.LatencyResponse, time.Duration(i)*time.Second, time.Duration(i+1)*time.Second, h))
	}
	lag := results.NewHistogram()
	must(t, lag.RecordValues(40, 7))
	must(t, w.WriteInterval(results.LatencyLag, 0, 3*time.Second, lag))
	must(t, w.Close(begun()))

	f, err := os.Open(filepath.Join(dir, FileLatency))
	must(t, err)
	defer f.Close()
	r := hdrhistogram.NewHistogramLogReader(f)
	var got []string
	for {
		h, err := r.NextIntervalHistogram()
		must(t, err)
		if h == nil {
			break
		}
		offset := h.StartTimeMs() - begun().Start.UnixMilli()
		got = append(got, fmt.Sprintf("%s +%d..+%d: %d of %d", h.Tag(), (offset+1)/1000, (h.EndTimeMs()-begun().Start.UnixMilli()+1)/1000,
			h.TotalCount(), h.Max()))
	}
	want := []string{"response +0..+1: 1 of 1000", "response +1..+2: 1 of 2000", "response +2..+3: 1 of 3000", "lag +0..+3: 7 of 40"}
	// The middle of a bucket may replace its values: three digits are exact.
	want[1] = strings.Replace(want[1], "2000", fmt.Sprint(largestOf(2000)), 1)
	want[2] = strings.Replace(want[2], "3000", fmt.Sprint(largestOf(3000)), 1)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// largestOf is the maximum that a histogram reports if it only contains v.
func largestOf(v int64) int64 {
	h := results.NewHistogram()
	_ = h.RecordValue(v)
	return h.Max()
}

// TestAtMostTheLastSecondIsLost kills a run at every tenth of a second. The exchanges
// observed more than a second before must be on the disk.
func TestAtMostTheLastSecondIsLost(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	synctest.Test(t, func(t *testing.T) {
		w, err := Create(dir)
		must(t, err)
		must(t, w.Begin(begun()))
		defer w.Abort()
		begin := time.Now()
		var observed []time.Duration // by number
		for tick := range 60 {
			time.Sleep(50 * ms)
			now := time.Since(begin)
			w.Observe(done(uint64(len(observed))))
			observed = append(observed, now)
			if tick%2 == 0 {
				continue
			}
			synctest.Wait()
			seen := read(t, dir)
			for seq, at := range observed {
				if _, found := seen[uint64(seq)]; !found && at < now-time.Second {
					t.Errorf("killed at %v: exchange %d, observed at %v, is lost", now, seq, at)
				}
			}
		}
	})
}

func TestRecordingWhileObserved(t *testing.T) {
	w, _ := create(t)
	must(t, w.Begin(begun()))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for seq := range uint64(2000) {
				w.Observe(done(seq))
			}
		})
	}
	for range 100 {
		_ = w.Recording()
	}
	wg.Wait()
	run := begun()
	must(t, w.Close(run))
	if run.Recording.Written != 8000 {
		t.Errorf("recording = %+v, want 8000 written", run.Recording)
	}
}

// The owner may change an exchange after Observe returns.
func TestObserveKeepsNothing(t *testing.T) {
	w, dir := create(t)
	must(t, w.Begin(begun()))
	e := resent(7)
	want := *resent(7)
	w.Observe(e)
	e.Tries[0] = results.Try{}
	e.Reset(99, 0)
	must(t, w.Close(begun()))
	if diff := cmp.Diff(want, read(t, dir)[7], sameExchange); diff != "" {
		t.Errorf("(-observed +read):\n%s", diff)
	}
}

// A record that grows fast is written in more frames, not in longer ones, and frees the
// memory of its large buffers.
func TestLongFramesAreWrittenEarly(t *testing.T) {
	w, dir := create(t)
	list := busy(10_000)
	rounds := 2*maxFrameLines/(len(list)*len(appendLine(nil, list[0]))) + 1
	for range rounds {
		for _, e := range list {
			w.Observe(e)
		}
		w.exchanges.collect()
		if w.exchanges.frameLines > maxFrameLines || cap(w.exchanges.spare) > keptBuffer {
			t.Fatalf("%d bytes of lines in a frame, room for %d exchanges kept", w.exchanges.frameLines, cap(w.exchanges.spare))
		}
	}
	if w.Recording().Written == 0 {
		t.Error("nothing was written before the second was over")
	}
	must(t, w.Close(begun()))
	n := 0
	d, err := Open(dir)
	must(t, err)
	for _, err := range d.Exchanges() {
		must(t, err)
		n++
	}
	if n != rounds*len(list) {
		t.Errorf("%d of %d exchanges can be read", n, rounds*len(list))
	}
}

// BenchmarkObserve empties the buffers whenever they are half full, with the timer
// stopped: if they were full, the record would stop, and a stopped record costs nothing.
func BenchmarkObserve(b *testing.B) {
	w, _ := create(b)
	e := done(25)
	room := w.exchanges.perShard / 2
	b.ReportAllocs()
	left := room
	for b.Loop() {
		if left--; left == 0 {
			b.StopTimer()
			for i := range w.exchanges.shards {
				w.exchanges.shards[i].ended = w.exchanges.shards[i].ended[:0]
			}
			left = room
			b.StartTimer()
		}
		e.Seq++
		w.Observe(e)
	}
	b.StopTimer()
	if r := w.Recording(); r.Lost > 0 {
		b.Fatalf("the record stopped, so this measured nothing: %+v", r)
	}
	w.Abort()
}

// BenchmarkRecord measures the total cost of recording one exchange of a busy run: its
// line, the compression and the write.
func BenchmarkRecord(b *testing.B) {
	w, _ := create(b)
	list := busy(10_000)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		w.Observe(list[n%len(list)])
		n++
		w.tick(n)
	}
	b.StopTimer()
	if r := w.Recording(); r.Lost > 0 {
		b.Fatalf("the record stopped, so this measured nothing: %+v", r)
	}
	w.exchanges.flush()
	b.ReportMetric(float64(w.exchanges.file.size)/float64(n), "B/exchange")
	w.Abort()
}

// In a share of a run all numbers may be even: its exchanges are still spread over all
// shards, in the same way whatever successes are left out.
func TestSharesOfARunUseAllShards(t *testing.T) {
	for _, of := range []uint64{1, 2, 4, 8, 987} {
		for _, oneIn := range []uint64{1, 2, 4} {
			var used [4]int
			for i := range uint64(40_000) {
				if seq := i * of; kept(seq, oneIn) {
					used[mix(seq)>>32%4]++
				}
			}
			for shard, n := range used {
				if want := 10_000 / int(oneIn); n < want*8/10 || n > want*12/10 {
					t.Errorf("every %d-th exchange, one success in %d: shard %d has %d, want about %d", of, oneIn, shard, n, want)
				}
			}
		}
	}
}

// The start of a run may become known after the record has begun.
func TestStartAt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	w, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	w.SuccessesOneIn = 3
	doc := &results.Run{Name: "x", Start: time.Unix(1000, 0).UTC(), Warnings: []string{"kept"}}
	if err := w.Begin(doc); err != nil {
		t.Fatal(err)
	}
	doc.Start = time.Unix(2000, 0).UTC()
	if err := w.StartAt(doc); err != nil {
		t.Fatal(err)
	}
	begun, err := (&Dir{path: dir}).document(fileBegun)
	if err != nil || !begun.Start.Equal(doc.Start) || begun.Recording.SuccessesOneIn != 3 || len(begun.Warnings) != 1 {
		t.Errorf("%+v, %v", begun, err)
	}
	if err := w.Close(doc); err != nil {
		t.Error(err)
	}
}
