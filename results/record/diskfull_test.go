package record

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kabench/kabench/results"
)

// failing lets n bytes through. Then it writes half of the data and reports that the
// disk is full, as disks do.
type failing struct {
	to io.Writer
	n  int
}

func (f *failing) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		n, _ := f.to.Write(p[:len(p)/2])
		return n, syscall.ENOSPC
	}
	return f.to.Write(p)
}

func TestDiskFull(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	synctest.Test(t, func(t *testing.T) {
		w, err := Create(dir)
		must(t, err)
		file := w.exchanges.file
		file.out = &failing{to: file.file}
		must(t, w.Begin(begun()))
		for _, e := range mixed(500) {
			w.Observe(e)
		}
		time.Sleep(flushEvery)
		synctest.Wait()
		for _, e := range mixed(500) {
			w.Observe(e)
		}
		run := begun()
		run.Complete, run.Valid = true, true
		if err := w.Close(run); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Close: %v, want no space left", err)
		}
		rec := run.Recording
		if rec.Written != 0 || rec.Lost != 1000 || !strings.Contains(rec.Error, "exchanges.ndjson.zst: no space left") {
			t.Errorf("recording = %+v", rec)
		}
	})
	if seen := read(t, dir); len(seen) != 0 {
		t.Errorf("%d exchanges in a record that was cut back", len(seen))
	}
	d, err := Open(dir)
	must(t, err)
	if got, err := d.Run(); err != nil || !got.Complete {
		t.Errorf("run.json: %+v, %v", got, err)
	}
}

func TestDiskFullWhileSampling(t *testing.T) {
	w, _ := create(t)
	w.samples.out = &failing{to: w.samples.file, n: 1000}
	must(t, w.Begin(begun()))
	var err error
	for range 20 {
		err = w.Sample(results.Sample{T: 1})
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Sample: %v, want no space left", err)
	}
	w.Observe(done(0))
	run := begun()
	if err := w.Close(run); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Close: %v, want no space left", err)
	}
	if rec := run.Recording; rec.Written != 0 || rec.Lost != 1 || rec.Error != "writing samples.ndjson: no space left on device" {
		t.Errorf("recording = %+v, want the samples' error, and nothing written after it", rec)
	}
}

// TestNothingGrowsOnAFullDisk: an error that stops one of the files stops them all.
func TestNothingGrowsOnAFullDisk(t *testing.T) {
	for _, first := range []string{fileExchanges, fileSamples, FileLatency} {
		dir := filepath.Join(t.TempDir(), "run")
		synctest.Test(t, func(t *testing.T) {
			w, err := Create(dir)
			must(t, err)
			files := map[string]*appendFile{fileExchanges: w.exchanges.file, fileSamples: w.samples, FileLatency: w.latency.file}
			must(t, w.Begin(begun()))
			grow := func() {
				w.Observe(done(0))
				_ = w.Sample(results.Sample{T: 1}) // its error is in recording
				_ = w.WriteInterval(results.LatencyLag, 0, time.Second, results.NewHistogram())
				time.Sleep(time.Second)
				synctest.Wait()
			}
			grow()
			files[first].out = &failing{to: files[first].file}
			grow()
			sizes := func() (list []int64) {
				for _, name := range []string{fileExchanges, fileSamples, FileLatency} {
					info, err := os.Stat(filepath.Join(dir, name))
					must(t, err)
					list = append(list, info.Size())
				}
				return list
			}
			full := sizes()
			grow()
			if now := sizes(); !slices.Equal(full, now) {
				t.Errorf("after %s could not be written the files grew from %v to %v", first, full, now)
			}
			run := begun()
			err = w.Close(run)
			if want := "writing " + first + ": no space left on device"; err == nil || err.Error() != want || run.Recording.Error != want {
				t.Errorf("Close: %v, recording %+v, want %q", err, run.Recording, want)
			}
		})
	}
}

// TestKilledOnAFullDisk: the rebuilt document says that the record had stopped.
func TestKilledOnAFullDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	synctest.Test(t, func(t *testing.T) {
		w, err := Create(dir)
		must(t, err)
		must(t, w.Begin(begun()))
		for _, e := range mixed(100) {
			w.Observe(e)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		w.exchanges.file.out = &failing{to: w.exchanges.file.file}
		for _, e := range mixed(500) {
			w.Observe(e)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		w.closeFiles() // and no run.json
	})
	stoppedEarly(t, dir, 100, 500)
}

// stoppedEarly checks that dir is rebuilt as a run whose record ends after recorded
// exchanges, and that the run reports lost missing ones.
func stoppedEarly(t *testing.T, dir string, recorded, lost uint64) {
	t.Helper()
	d, err := Open(dir)
	must(t, err)
	run, err := d.Run()
	must(t, err)
	rec := run.Recording
	if run.Complete || run.Counts.Due != recorded || rec.Written != recorded || rec.Lost != lost || !strings.Contains(rec.Error, "no space left") {
		t.Errorf("complete %v, counts %+v, recording %+v; want %d recorded, %d lost, and why", run.Complete, run.Counts, rec, recorded, lost)
	}
	if !run.Start.Equal(begun().Start) {
		t.Errorf("started at %v: the beginning is lost", run.Start)
	}
	if n := strings.Count(strings.Join(run.Warnings, "\n"), "the record stopped before the run did"); n != 1 {
		t.Errorf("it says %d times, and not once, that the record stopped: %q", n, run.Warnings)
	}
}

// TestRunThatCannotBeWritten has a record that stopped, and then a document that cannot
// be written, neither into its room nor elsewhere.
func TestRunThatCannotBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	synctest.Test(t, func(t *testing.T) {
		w, err := Create(dir)
		must(t, err)
		must(t, w.Begin(begun()))
		w.exchanges.file.out = &failing{to: w.exchanges.file.file}
		for _, e := range mixed(300) {
			w.Observe(e)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for _, e := range mixed(200) { // lost after begun.json said that 300 were
			w.Observe(e)
		}
		run := begun()
		run.Profile = []byte("{") // no JSON: it cannot be encoded
		err = w.Close(run)
		if err == nil || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "run.json") || strings.Contains(err.Error(), "\n") {
			t.Errorf("Close: %v, want one line about run.json and the full disk", err)
		}
	})
	stoppedEarly(t, dir, 0, 500)
	noneReserved(t, dir)
}

func noneReserved(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{fileRun, fileBegun} {
		if _, err := os.Stat(filepath.Join(dir, reserved(name))); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the room for %s is still held: %v", name, err)
		}
	}
}

// TestRoomThatIsGone: if the room that was held is gone, the document is still written
// if the disk has other room.
func TestRoomThatIsGone(t *testing.T) {
	w, dir := create(t)
	must(t, w.Begin(begun()))
	must(t, os.Remove(filepath.Join(dir, reserved(fileRun))))
	run := begun()
	run.Complete = true
	must(t, w.Close(run))
	d, err := Open(dir)
	must(t, err)
	if got, err := d.Run(); err != nil || !got.Complete {
		t.Errorf("run.json: %+v, %v", got, err)
	}
	noneReserved(t, dir)
}

// TestLongDocument writes a document that is longer than the room held for it.
func TestLongDocument(t *testing.T) {
	w, dir := create(t)
	must(t, w.Begin(begun()))
	run := begun()
	run.Complete, run.Warnings = true, []string{strings.Repeat("x", 2*roomForRun)}
	must(t, w.Close(run))
	d, err := Open(dir)
	must(t, err)
	if got, err := d.Run(); err != nil || !slices.Equal(got.Warnings, run.Warnings) {
		t.Errorf("run.json has not what was written: %v", err)
	}
	noneReserved(t, dir)
}
