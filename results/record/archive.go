package record

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kabench/kabench/results"
)

// Archive is what a directory holds: a run, an incident with its remedies, or a
// comparison. One of Run, Reproduction and Comparison is set.
type Archive struct {
	Path         string
	Run          *results.Run
	Reproduction *results.Reproduction
	Comparison   *results.Comparison

	Runs  []ArchivedRun // its runs; an incident's begin with the incident run, a comparison's are in the order in which they were made
	Notes []string      // one sentence about each thing that could not be read
}

// ArchivedRun is a run with its place among the others.
type ArchivedRun struct {
	Name     string            // "incident", or the name of the remedy, the arm or the single run
	Change   map[string]string // profile path -> value: what makes it differ from the others
	Block    int               // of a comparison's run, from 1
	Excluded string            // of a comparison's run: why no measure includes it
	Run      *results.Run
	Dir      *Dir // nil: only its document exists
}

// OpenArchive reads the document in the directory path, and the documents of its
// runs. If the directory only contains the directory of one run, it reads that run.
// It rebuilds a run that was cut off. It leaves out one of several runs that it
// cannot read, and adds a note about it.
func OpenArchive(path string) (*Archive, error) {
	k := &Archive{Path: path}
	rep, err := OpenReproduction(path)
	if err == nil {
		k.Reproduction = rep
		k.addReproduced()
		return k, nil
	}
	if !missing(err) {
		return nil, err
	}
	comparison, err := OpenComparison(path)
	if err == nil {
		k.Comparison = comparison
		return k, k.addCompared()
	}
	if !missing(err) {
		return nil, err
	}
	dir, err := OpenOnly(path)
	if err != nil {
		return nil, err
	}
	if k.Run, err = dir.Run(); err != nil {
		return nil, err
	}
	k.Path, k.Runs = dir.path, []ArchivedRun{{Name: k.Run.Name, Run: k.Run, Dir: dir}}
	return k, nil
}

// missing reports whether err says that a document does not exist: then the
// directory has another kind, or does not exist.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// OpenOnly opens a run's directory. If path contains directories of runs instead, it
// opens the only one; if there are several, the error names them.
func OpenOnly(path string) (*Dir, error) {
	dir, err := Open(path)
	if !errors.Is(err, ErrNotARun) {
		return dir, err
	}
	switch inside := RunsIn(path); len(inside) {
	case 0:
		return nil, err
	case 1:
		return Open(inside[0])
	default:
		return nil, fmt.Errorf("%s holds several runs; name one: %s", path, strings.Join(inside, ", "))
	}
}

// addReproduced finds the directories of a reproduction's runs. A directory may be
// missing, because the user may not have kept it.
func (k *Archive) addReproduced() {
	at := func(name string) *Dir {
		dir, err := Open(filepath.Join(k.Path, name))
		if err != nil {
			return nil
		}
		return dir
	}
	k.Runs = []ArchivedRun{{Name: "incident", Run: k.Reproduction.IncidentRun, Dir: at("incident")}}
	for i, remedy := range k.Reproduction.RemedyRuns {
		if remedy.Run == nil {
			k.Notes = append(k.Notes, fmt.Sprintf("the remedy %q has no run", remedy.Remedy))
			continue
		}
		k.Runs = append(k.Runs, ArchivedRun{Name: remedy.Remedy, Change: remedy.Change, Run: remedy.Run, Dir: at(fmt.Sprintf("remedy-%d", i+1))})
	}
}

// addCompared reads the runs of a comparison. They may be outside of its directory:
// `kabench compare DIR DIR` leaves them where they are.
func (k *Archive) addCompared() error {
	change := map[string]map[string]string{}
	for _, arm := range k.Comparison.Arms {
		change[arm.Name] = arm.Change
	}
	listed := map[string]bool{}
	for _, c := range k.Comparison.Runs {
		listed[filepath.Clean(filepath.Join(k.Path, filepath.FromSlash(c.Dir)))] = true
		path := c.Dir
		if !filepath.IsAbs(path) {
			path = filepath.Join(k.Path, filepath.FromSlash(c.Dir))
		}
		dir, err := Open(path)
		var run *results.Run
		if err == nil {
			run, err = dir.Run()
		}
		if err != nil {
			if errors.Is(err, ErrNewerSchema) {
				return err
			}
			k.Notes = append(k.Notes, fmt.Sprintf("a run of %s is left out: %v", c.Arm, err))
			continue
		}
		k.Runs = append(k.Runs, ArchivedRun{Name: c.Arm, Change: change[c.Arm], Block: c.Block, Excluded: c.Excluded, Run: run, Dir: dir})
	}
	if k.Comparison.Missing() != "" {
		for _, path := range RunsIn(k.Path) {
			if !listed[filepath.Clean(path)] {
				k.Notes = append(k.Notes, fmt.Sprintf("%s was cut off and is not compared; it can be read by itself", path))
			}
		}
	}
	return nil
}

// Kinds of Archive.
const (
	KindRun        = "run"
	KindIncident   = "incident"
	KindComparison = "comparison"
)

// Kind is what k is: run, incident or comparison.
func (k *Archive) Kind() string {
	switch {
	case k.Reproduction != nil:
		return KindIncident
	case k.Comparison != nil:
		return KindComparison
	}
	return KindRun
}

// Title is the name of the incident, the comparison or the run.
func (k *Archive) Title() string {
	switch {
	case k.Reproduction != nil:
		return k.Reproduction.Incident
	case k.Comparison != nil:
		return k.Comparison.Name
	}
	return k.Run.Name
}

// Question is the question that the profile or the comparison asks; "" if it asks none.
func (k *Archive) Question() string {
	switch {
	case k.Reproduction != nil:
		return k.Reproduction.Question
	case k.Comparison != nil:
		return k.Comparison.Question
	}
	return k.Run.Question
}

// Start is when the first run began; the zero time if this is not known.
func (k *Archive) Start() time.Time {
	if k.Comparison != nil {
		return k.Comparison.Start
	}
	if len(k.Runs) > 0 && k.Runs[0].Run != nil {
		return k.Runs[0].Run.Start
	}
	return time.Time{}
}

// Version is the version of kabench that made the first run.
func (k *Archive) Version() string {
	if k.Comparison != nil {
		return k.Comparison.Version
	}
	if len(k.Runs) > 0 && k.Runs[0].Run != nil {
		return k.Runs[0].Run.Version
	}
	return ""
}

// Unfit says why k should not be shown to others as a result: one of its runs is
// invalid, was cut off, or was stopped by a signal. It is "" if k can be shown. A run
// that abort_when stopped is a result.
func (k *Archive) Unfit() string {
	switch {
	case k.Reproduction != nil:
		for _, r := range k.Runs {
			if why := r.Run.Unfit(); why != "" {
				return fmt.Sprintf("its run %q %s", r.Name, why)
			}
		}
		return ""
	case k.Comparison != nil:
		return k.Comparison.Unfit()
	}
	if why := k.Run.Unfit(); why != "" {
		return "it " + why
	}
	return ""
}
