package record

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// fileClaim is there while a process takes a directory for its results. It is
// made by O_EXCL, so that of several processes exactly one takes a directory.
const fileClaim = ".claim"

// mostMade is how often claim makes a directory that another process removes
// before it can be claimed.
const mostMade = 100

// claim is a directory that this process, and no other, may write results to.
type claim struct {
	dir  string
	made bool // dir did not exist before
	held bool // fileClaim is there, and ours
}

// takeClaim makes the directory dir, its parents too, and claims it. A dir that
// holds anything, or that another process is taking, is refused with a
// *DirectoryError. End the claim with release or drop, once there is something
// else in dir that shows that it is taken.
func takeClaim(dir string) (*claim, error) {
	c := &claim{dir: dir}
	path := filepath.Join(dir, fileClaim)
	for tries := 0; ; tries++ {
		if _, err := occupied(dir); err != nil {
			return nil, err
		}
		_, err := os.Stat(dir)
		missing := errors.Is(err, fs.ErrNotExist)
		if missing {
			err = os.MkdirAll(dir, 0o755)
		}
		if errors.Is(err, fs.ErrExist) && tries < mostMade {
			continue // it was there for a moment: another process made it, and removed it
		}
		if err != nil {
			return nil, fmt.Errorf("the results cannot be written: %w", err)
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		switch {
		case errors.Is(err, fs.ErrExist):
			return nil, &DirectoryError{Dir: dir, Found: fileClaim}
		case errors.Is(err, fs.ErrNotExist) && tries < mostMade:
			continue // another process had made the directory too, and removed it
		case err != nil:
			return nil, fmt.Errorf("the results cannot be written: %w", err)
		}
		c.made, c.held = missing, true
		if err := f.Close(); err != nil {
			c.drop()
			return nil, err
		}
		// Another may have taken it, and ended its claim, since we looked.
		if found, err := occupied(dir); found != fileClaim {
			c.made = false
			c.drop()
			return nil, cmp.Or(err, error(&DirectoryError{Dir: dir, Found: fileClaim})) // somebody removed it
		}
		return c, nil
	}
}

// release ends the claim of a directory that now shows by itself that it is taken.
func (c *claim) release() error {
	if err := os.Remove(filepath.Join(c.dir, fileClaim)); err != nil {
		return fmt.Errorf("removing %s: %w", fileClaim, withoutPath(err))
	}
	c.held = false
	return nil
}

// drop ends the claim and leaves the directory as it was: everything else that
// this process made in it must have been removed.
func (c *claim) drop() {
	if c.held {
		_ = os.Remove(filepath.Join(c.dir, fileClaim)) // best effort; what stays is named by the next claim
	}
	if c.made {
		_ = os.Remove(c.dir) // which fails if another process is using it by now
	}
}

// occupied names something that is in dir, and says by a *DirectoryError that it
// is in the way; "" and nil when dir is empty or not there.
func occupied(dir string) (found string, err error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		if info, statErr := os.Stat(dir); statErr == nil && !info.IsDir() {
			return "", &DirectoryError{Dir: dir}
		}
		return "", err
	case len(entries) == 0:
		return "", nil
	}
	found = entries[0].Name()
	for _, e := range entries {
		switch name := e.Name(); name {
		case fileRun, fileBegun, fileExchanges, fileReproduction, fileComparison, filePlan:
			return name, &DirectoryError{Dir: dir, Found: name}
		case fileClaim:
		default:
			found = name
		}
	}
	return found, &DirectoryError{Dir: dir, Found: found}
}

// ClaimWith makes the directory dir, its parents too, for results that are made of several
// runs below it, and calls write to put a first file there. A dir that holds
// anything, or that another process is taking, is refused with a
// *DirectoryError. After an error dir is as it was before.
func ClaimWith(dir string, write func() error) error {
	c, err := takeClaim(dir)
	if err != nil {
		return err
	}
	if err := write(); err != nil {
		c.drop()
		return err
	}
	return c.release()
}
