package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Unfinished ends the name of a file that is being written.
const Unfinished = ".new"

// WriteFile makes the file at path from what write writes. The text goes to a new file beside
// it first, which then replaces an older one, so that an error leaves the older file as it
// was. A device or a pipe is written directly.
func WriteFile(path string, write func(io.Writer) error) (err error) {
	name, whole := path, true
	if info, statErr := os.Stat(path); statErr == nil && !info.Mode().IsRegular() {
		whole = false
	}
	if whole {
		name += Unfinished
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	defer func() {
		if at, ok := errors.AsType[*fs.PathError](err); ok && at.Path == name {
			at.Path = path // the name the user gave
		}
		if errors.Is(err, syscall.ENOSPC) {
			err = fmt.Errorf("%w; free some space, or name a file on another disk", err)
		}
	}()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			if whole {
				os.Remove(name)
			}
		}
	}()
	w := bufio.NewWriter(f)
	if err = write(w); err != nil {
		return err
	}
	if err = w.Flush(); err != nil {
		return err
	}
	if err = f.Close(); err != nil || !whole {
		return err
	}
	return os.Rename(name, path)
}
