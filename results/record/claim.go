package record

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// fileClaim exists while a process takes a directory for its results. The process
// creates it with O_EXCL, so that only one of several processes takes a directory.
const fileClaim = ".claim"

// mostMade is how often takeClaim makes a directory that another process removes
// before takeClaim can claim it.
const mostMade = 100

// claim is a directory to which only this process may write results.
type claim struct {
	dir  string
	made bool // dir did not exist before
	held bool // fileClaim exists, and this process created it
}

// takeClaim makes the directory dir and its parents, and claims it. It returns a
// *DirectoryError if dir contains anything, or if another process is claiming it. End
// the claim with release when another file in dir shows that it is taken, or with
// drop.
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
			continue // it existed for a moment: another process made it, and removed it
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
		// Since the first check another process may have taken dir and ended its claim.
		if found, err := occupied(dir); found != fileClaim {
			c.made = false
			c.drop()
			return nil, cmp.Or(err, error(&DirectoryError{Dir: dir, Found: fileClaim})) // another process removed it
		}
		return c, nil
	}
}

// Claimable returns the error that ClaimWith would return now, and leaves dir as it is. With it
// a mistake is found before the work whose results go there.
func Claimable(dir string) error {
	c, err := takeClaim(dir)
	if err == nil {
		c.drop()
	}
	return err
}

// release ends the claim of a directory whose files now show that it is taken.
func (c *claim) release() error {
	if err := os.Remove(filepath.Join(c.dir, fileClaim)); err != nil {
		return fmt.Errorf("removing %s: %w", fileClaim, withoutPath(err))
	}
	c.held = false
	return nil
}

// drop ends the claim and leaves the directory as it was before. The caller must
// have removed everything else that this process made in it.
func (c *claim) drop() {
	if c.held {
		_ = os.Remove(filepath.Join(c.dir, fileClaim)) // errors are ignored: the next claim names what stays
	}
	if c.made {
		_ = os.Remove(c.dir) // this fails if another process is using it now
	}
}

// occupied returns the name of something in dir and a *DirectoryError about it. It
// returns "" and nil when dir is empty or does not exist.
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

// ClaimWith makes the directory dir and its parents, for the results of several runs
// below it, and calls write to put a first file there. It returns a *DirectoryError
// if dir contains anything, or if another process is claiming it. After an error dir
// is as it was before.
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
