package resultsdir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/compare"
	"github.com/kabench/kabench/results/record"
)

// Gather opens the directories and sorts their runs into the settings of a comparison. A
// single directory of a comparison is that comparison, to be judged again. Runs whose load,
// target or name differ are refused with compare.ErrOtherQuestion, unless anyQuestion.
func Gather(dirs []string, anyQuestion bool) (*results.Comparison, []compare.Run, error) {
	if len(dirs) == 1 {
		doc, err := record.OpenComparison(dirs[0])
		if err == nil {
			return again(dirs[0], doc)
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, nil, err
		}
	}
	found, err := openAll(dirs)
	if err != nil {
		return nil, nil, err
	}
	if len(found) < 2 {
		return nil, nil, fmt.Errorf("%s is one run, and there is nothing to compare it with; name another run", found[0].Path)
	}
	doc, err := compare.Gather(found, anyQuestion)
	if err != nil {
		return nil, nil, err
	}
	runs := make([]compare.Run, len(found))
	for i, f := range found {
		runs[i] = f.Run
	}
	return doc, runs, nil
}

// openAll opens the runs in the directories, each once.
func openAll(dirs []string) (found []compare.Finished, err error) {
	seen := map[string]string{} // the real path of a run -> the one it was found by
	for _, dir := range dirs {
		paths, err := RunsOf(dir)
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			if err := once(seen, path); err != nil {
				return nil, err
			}
			run, err := open(path)
			if err != nil {
				return nil, err
			}
			found = append(found, compare.Finished{Path: path, Run: run})
		}
	}
	return found, nil
}

// once refuses a run that was seen before.
func once(seen map[string]string, path string) error {
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return err
	}
	other, twice := seen[real]
	switch {
	case twice && other == path:
		return fmt.Errorf("%s is given twice; give each run once", path)
	case twice:
		return fmt.Errorf("%s and %s are the same run; give it once", other, path)
	}
	seen[real] = path
	return nil
}

// open opens the run in path.
func open(path string) (compare.Run, error) {
	dir, err := record.Open(path)
	if err != nil {
		return compare.Run{}, err
	}
	doc, err := dir.Run()
	return compare.Run{Doc: doc, Dir: dir}, err
}

// RunsOf returns the run that dir is, or those that it holds.
func RunsOf(dir string) ([]string, error) {
	_, err := record.Open(dir)
	if err == nil {
		return []string{dir}, nil
	}
	if errors.Is(err, record.ErrNotARun) {
		if inside := record.RunsIn(dir); len(inside) > 0 {
			return inside, nil
		}
	} else if !strings.ContainsAny(dir, `/\`) {
		err = fmt.Errorf("%w (several arguments must be directories of finished runs; to make new runs, name one profile)", err)
	}
	return nil, err
}

// again returns the comparison as it was made, not judged yet. If it was made of finished
// runs, it has the warnings about them again.
func again(dir string, c *results.Comparison) (*results.Comparison, []compare.Run, error) {
	runs := make([]compare.Run, len(c.Runs))
	var found []compare.Finished
	for i := range c.Runs {
		r := &c.Runs[i]
		if r.Dir == "" {
			continue // it could not be made, or was not kept
		}
		path := filepath.FromSlash(r.Dir)
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		run, err := open(path)
		if err != nil {
			return nil, nil, fmt.Errorf("a run of the comparison: %w", err)
		}
		runs[i], r.Dir = run, path
		r.Excluded = ""
		found = append(found, compare.Finished{Path: path, Run: run})
	}
	c.Warnings = nil
	if c.Seed == 0 && len(found) == len(c.Runs) {
		c, err := compare.Gather(found, true) // if their questions differ, --any-question allowed it then
		return c, runs, err
	}
	return c, runs, nil
}
