package record

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
)

// smallDisk is a directory on its own file system, of size KiB.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may mount a small file system to fill")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dk", size)); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("no small file system to fill: mount: %v", err)
		}
		t.Skipf("no small file system to fill: mount: %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return dir
}

// fill writes until there is no room left.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// TestFullDiskKeepsTheDocument fills a real disk, by the run itself and by another
// writer, and reads the directory as a run at several moments.
func TestFullDiskKeepsTheDocument(t *testing.T) {
	base := smallDisk(t, 300)
	dir := filepath.Join(base, "run")
	w, err := Create(dir)
	must(t, err)
	must(t, w.WriteProfile([]byte("name: idle-race\n")))
	must(t, w.Begin(begun()))
	list := mixed(20000)
	for i, e := range list {
		e.Err = fmt.Errorf("%x", uint64(i)*0x9e3779b97f4a7c15) // hard to compress
		w.Observe(e)
	}
	for i := 0; w.Sample(results.Sample{T: float64(i)}) == nil; i++ {
	}
	fill(t, filepath.Join(base, "other"))
	deadline := time.Now().Add(time.Minute)
	word := func() bool { // begun.json says that the record stopped
		doc, err := (&Dir{path: dir}).document(fileBegun)
		must(t, err)
		return doc.Recording.Error != ""
	}
	for !word() {
		if time.Now().After(deadline) {
			t.Fatal("nothing says that the record stopped")
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, e := range list {
		w.Observe(e)
	}
	fill(t, filepath.Join(base, "another"))
	run := begun()
	run.Complete, run.Valid = true, true
	tallied(list).Fill(run, time.Minute)
	if err := w.Close(run); !errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), "\n") {
		t.Errorf("Close: %v, want one line that says there is no space", err)
	}
	d, err := Open(dir)
	must(t, err)
	got, err := d.Run()
	must(t, err)
	rec := got.Recording
	if !got.Complete || got.Counts != run.Counts || rec.Written+rec.Lost != 2*uint64(len(list)) || rec.Lost == 0 || rec.Error == "" {
		t.Errorf("run.json: complete %v, %+v, %+v; want it whole, and every exchange written or lost", got.Complete, got.Counts, rec)
	}
	read := uint64(0)
	for _, err := range d.Exchanges() {
		if errors.Is(err, ErrTorn) {
			break
		}
		must(t, err)
		read++
	}
	if read != rec.Written {
		t.Errorf("%d exchanges can be read, %d were written", read, rec.Written)
	}
	noneReserved(t, dir)
}

// TestFullDiskIsRefused: a run does not begin without room for its document.
func TestFullDiskIsRefused(t *testing.T) {
	for _, size := range []int{40, 100, 136} {
		dir := filepath.Join(smallDisk(t, size), "run")
		w, err := Create(dir)
		must(t, err)
		err = w.WriteProfile([]byte("name: idle-race\n"))
		if err == nil {
			err = w.Begin(begun())
		}
		if !errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), "\n") || !strings.HasSuffix(err.Error(), "free space or choose another --out") {
			t.Errorf("%d KiB: %v, want one line that says what to do", size, err)
		}
		w.Abort()
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%d KiB: the directory is still there: %v", size, err)
		}
	}
}
