// Package baselines keeps earlier runs in a directory, from which later runs take their
// baselines: it adds a run, lists the runs and removes the oldest ones.
package baselines

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// Default is the directory of a store if nobody names one.
const Default = "kabench-baselines"

// unfinished begins the name of a directory that is being added or removed. The name has a
// dot, so that no reader takes the directory for a run.
const unfinished = ".unfinished-"

// kept are the files of a run that a store keeps. A comparison with several baselines reads
// only run.json. The profile makes the same run again, and the latency log has the percentiles
// that run.json lacks. Exchanges, samples and packets stay where the run was made.
var kept = []string{"run.json", "profile.yaml", record.FileLatency}

// Entry is one directory of a store.
type Entry struct {
	Dir string
	Run *results.Run // nil: the run cannot be read
	Err error        // why not
}

// Entries returns what the store in dir holds, the newest run first and damaged runs last. A
// store that does not exist is empty.
func Entries(dir string) ([]Entry, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err == nil && !info.IsDir():
		return nil, fmt.Errorf("%s: not a directory; name the directory of the store", dir)
	}
	found, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []Entry
	for _, f := range found {
		if !f.IsDir() || strings.HasPrefix(f.Name(), ".") {
			continue // such as .git, if the store is a branch
		}
		e := Entry{Dir: filepath.Join(dir, f.Name())}
		var opened *record.Dir
		if opened, e.Err = record.Open(e.Dir); e.Err == nil {
			e.Run, e.Err = opened.Run()
		}
		list = append(list, e)
	}
	slices.SortStableFunc(list, func(a, b Entry) int { return b.start().Compare(a.start()) })
	return list, nil
}

// start is when the run began; the zero time if it cannot be read.
func (e Entry) start() time.Time {
	if e.Run == nil {
		return time.Time{}
	}
	return e.Run.Start
}

// ErrUnmet means that a run was not added, because it did not meet what its profile expects.
var ErrUnmet = errors.New("it did not meet what its profile expects")

// ErrThere means that a run was not added, because the store has it.
var ErrThere = errors.New("the store has this run")

// Unfit returns why a run cannot be a baseline; nil if it can. A run whose expectations were
// not met is ErrUnmet: people decide whether that is the new normal.
func Unfit(run *results.Run) error {
	switch why := run.Unfit(); {
	case why != "":
		return fmt.Errorf("it %s", why)
	case run.Forecast != nil:
		return errors.New("it is a forecast, and no request was sent")
	case run.Stopped != nil:
		return errors.New("abort_when stopped it early")
	case run.Degraded() != "":
		return errors.New(run.Degraded())
	case len(run.Unmet()) > 0:
		return ErrUnmet
	}
	return nil
}

// Add copies the run in dir to the store and returns where it is there. The run appears in
// the store whole or not at all, also if several processes add runs at a time. With accept, a
// run may be added whose expectations were not met. With ErrThere, the results are those of
// the run in the store.
func Add(store, dir string, accept bool) (added string, run *results.Run, err error) {
	opened, err := record.OpenOnly(dir)
	if err == nil {
		run, err = opened.Run()
	}
	if err != nil {
		return "", nil, err
	}
	added, err = add(store, opened, run, accept)
	return added, run, err
}

func add(store string, from *record.Dir, run *results.Run, accept bool) (string, error) {
	if why := Unfit(run); why != nil && (!accept || !errors.Is(why, ErrUnmet)) {
		return "", fmt.Errorf("%s cannot be a baseline: %w", from.Path(), why)
	}
	to := filepath.Join(store, run.Start.UTC().Format("20060102-150405.000000")+"-"+record.Slug(run.Name, "-_"))
	if _, err := os.Stat(to); err == nil {
		return to, ErrThere
	}
	if err := os.MkdirAll(store, 0o755); err != nil {
		return "", err
	}
	temp, err := os.MkdirTemp(store, unfinished)
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp) // after the rename it is gone
	for _, name := range kept {
		if err := copyFile(filepath.Join(temp, name), filepath.Join(from.Path(), name)); err != nil {
			return "", err
		}
	}
	if err := os.Chmod(temp, 0o755); err != nil {
		return "", err
	}
	err = os.Rename(temp, to)
	if errors.Is(err, fs.ErrExist) {
		return to, ErrThere // another process was faster
	}
	return to, err
}

// copyFile copies a file; one that does not exist is left out.
func copyFile(to, from string) error {
	r, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}

// Prune removes the oldest runs called name, so that keep of them are left, and returns the
// directories that it removed. Runs of other names and damaged runs stay.
func Prune(store, name string, keep int) (removed []string, err error) {
	all, err := Entries(store)
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		switch {
		case e.Run == nil || e.Run.Name != name:
		case keep > 0:
			keep--
		default:
			if err := remove(e.Dir); err != nil {
				return removed, err
			}
			removed = append(removed, e.Dir)
		}
	}
	return removed, nil
}

// remove renames dir first, so that nobody reads half a run.
func remove(dir string) error {
	gone := filepath.Join(filepath.Dir(dir), unfinished+filepath.Base(dir))
	if err := os.Rename(dir, gone); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(gone)
}
