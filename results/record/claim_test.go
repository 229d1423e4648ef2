package record

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
)

// If several processes want the same directory at the same moment, exactly one gets it,
// and the others do not change its files.
func TestOneOfManyGetsADirectory(t *testing.T) {
	const rounds, wanting = 150, 4
	base := t.TempDir()
	for round := range rounds {
		dir := filepath.Join(base, "round", string(rune('a'+round%26)), time.Duration(round).String())
		if round%2 == 0 {
			must(t, os.MkdirAll(dir, 0o755))
		}
		start := make(chan struct{})
		writers, errs := make([]*Writer, wanting), make([]error, wanting)
		var all sync.WaitGroup
		for i := range wanting {
			all.Go(func() {
				<-start
				if i == 0 && round%3 == 0 {
					errs[i] = ClaimWith(dir, func() error { return SaveComparison(dir, &results.Comparison{}) })
					return
				}
				writers[i], errs[i] = Create(dir)
				if errs[i] == nil {
					errs[i] = writers[i].WriteProfile([]byte("name: x\n"))
				}
				if errs[i] == nil {
					errs[i] = writers[i].Begin(begun())
				}
			})
		}
		close(start)
		all.Wait()
		won := 0
		for i, err := range errs {
			var refused *DirectoryError
			switch {
			case err == nil:
				won++
			case !errors.As(err, &refused):
				t.Fatalf("round %d: %v, want a *DirectoryError", round, err)
			}
			if err == nil && writers[i] != nil {
				writers[i].Observe(done(0))
				must(t, writers[i].Close(begun()))
				d, err := Open(dir)
				must(t, err)
				if run, err := d.Run(); err != nil || run.Recording.Written != 1 {
					t.Fatalf("round %d: the run of who got the directory: %+v, %v", round, run, err)
				}
			} else if err == nil {
				if _, err := os.Stat(filepath.Join(dir, fileComparison)); err != nil {
					t.Fatalf("round %d: %v", round, err)
				}
			}
		}
		if won != 1 {
			t.Fatalf("round %d: %d of %d got the directory: %v", round, won, wanting, errs)
		}
		if _, err := os.Stat(filepath.Join(dir, fileClaim)); err == nil {
			t.Fatalf("round %d: the claim is still there", round)
		}
	}
}

// A process that gives up a directory removes nothing that the next process wrote.
func TestAbortBesideOthers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	var all sync.WaitGroup
	var mu sync.Mutex
	holding := 0
	for range 4 {
		all.Go(func() {
			for range 300 {
				w, err := Create(dir)
				var refused *DirectoryError
				if errors.As(err, &refused) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if holding++; holding > 1 {
					t.Error("two have the directory")
				}
				mu.Unlock()
				if _, err := os.Stat(filepath.Join(dir, fileExchanges)); err != nil {
					t.Errorf("somebody removed a file of ours: %v", err)
				}
				mu.Lock()
				holding--
				mu.Unlock()
				w.Abort()
			}
		})
	}
	all.Wait()
	if _, err := Create(dir); err != nil {
		t.Error(err)
	}
}

// The error names a claim that a killed process left behind, and advises what to do.
func TestLeftClaimIsNamed(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, fileClaim), nil, 0o644))
	_, err := Create(dir)
	if err == nil || !strings.Contains(err.Error(), "remove "+filepath.Join(dir, fileClaim)) {
		t.Errorf("%v, want it to name the file to remove", err)
	}
}
