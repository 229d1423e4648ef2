package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/compare"
)

// compareFinished compares runs that were made before.
func compareFinished(c *cobra.Command, s *streams, o *compareOptions, dirs []string) error {
	for _, flag := range append(o.flagNames(), "pool", "axis", "repeats", "seed", "cool-down") {
		if o.has(flag) {
			return usage.Errorf(c.CommandPath(), "--%s is for runs to be made; %s", flag, namedDirs(dirs))
		}
	}
	doc, runs, err := o.gather(dirs)
	if err != nil {
		return err
	}
	if err := compare.Judge(doc, runs); err != nil {
		return err
	}
	out := o.out
	if out == "none" {
		out = ""
	}
	if out != "" {
		for i := range doc.Runs {
			doc.Runs[i].Dir = relativeTo(out, doc.Runs[i].Dir)
		}
		if err := results.ClaimWith(out, func() error { return results.SaveComparison(out, doc) }); err != nil {
			return err
		}
	}
	if err := s.printComparison(doc); err != nil {
		return err
	}
	s.saved(out)
	return exit.OfComparison(doc).Err()
}

func namedDirs(args []string) string {
	if len(args) > 1 {
		return "several arguments are directories of finished runs; name one PROFILE to make runs of it"
	}
	return args[0] + " is a directory of finished runs"
}

// gather opens the directories and sorts their runs into arms. A single directory
// of a comparison is that comparison, to be judged anew.
func (o *compareOptions) gather(dirs []string) (*results.Comparison, []compare.Run, error) {
	if len(dirs) == 1 {
		doc, err := results.OpenComparison(dirs[0])
		if err == nil {
			return again(dirs[0], doc)
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, nil, err
		}
	}
	var found []compare.Finished
	seen := map[string]string{}
	for _, dir := range dirs {
		paths, err := runsOf(dir)
		if err != nil {
			return nil, nil, err
		}
		for _, path := range paths {
			real, err := filepath.EvalSymlinks(path)
			if err == nil {
				real, err = filepath.Abs(real)
			}
			if err != nil {
				return nil, nil, err
			}
			other, twice := seen[real]
			switch {
			case twice && other == path:
				return nil, nil, fmt.Errorf("%s is named twice; name each run once", path)
			case twice:
				return nil, nil, fmt.Errorf("%s and %s are the same run; name it once", other, path)
			}
			seen[real] = path
			run, err := openFinished(path)
			if err != nil {
				return nil, nil, err
			}
			found = append(found, compare.Finished{Path: path, Run: run})
		}
	}
	if len(found) < 2 {
		return nil, nil, fmt.Errorf("%s is one run, and there is nothing to hold it against; name another", found[0].Path)
	}
	doc, err := compare.Gather(found, o.anyQuestion)
	if errors.Is(err, compare.ErrOtherQuestion) {
		return nil, nil, fmt.Errorf("%w (--any-question compares them all the same)", err)
	}
	if err != nil {
		return nil, nil, err
	}
	runs := make([]compare.Run, len(found))
	for i, f := range found {
		runs[i] = f.Run
	}
	return doc, runs, nil
}

func openFinished(path string) (compare.Run, error) {
	dir, err := results.Open(path)
	if err != nil {
		return compare.Run{}, err
	}
	doc, err := dir.Run()
	return compare.Run{Doc: doc, Dir: dir}, err
}

// runsOf are the run that dir is, or those that it holds.
func runsOf(dir string) ([]string, error) {
	_, err := results.Open(dir)
	if err == nil {
		return []string{dir}, nil
	}
	if errors.Is(err, results.ErrNotARun) {
		if inside := results.RunsIn(dir); len(inside) > 0 {
			return inside, nil
		}
	} else if !strings.ContainsAny(dir, `/\`) {
		err = fmt.Errorf("%w (of several arguments each is a directory of finished runs; to make runs name one profile)", err)
	}
	return nil, err
}

// again is a comparison as it was made, with nothing judged yet. What is odd about
// finished runs held against each other is so again.
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
		run, err := openFinished(path)
		if err != nil {
			return nil, nil, fmt.Errorf("a run of the comparison: %w", err)
		}
		runs[i], r.Dir = run, path
		r.Excluded = ""
		found = append(found, compare.Finished{Path: path, Run: run})
	}
	c.Warnings = nil
	if c.Seed == 0 && len(found) == len(c.Runs) {
		c, err := compare.Gather(found, true) // which was granted then, if it had to be
		return c, runs, err
	}
	return c, runs, nil
}
