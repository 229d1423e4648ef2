package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// writeFile makes the file at path of what write writes. It is written beside
// itself first, so that what is there already is replaced by a whole file or kept;
// a device or a pipe is written as it is.
func writeFile(path string, write func(io.Writer) error) (err error) {
	name, whole := path, true
	if info, statErr := os.Stat(path); statErr == nil && !info.Mode().IsRegular() {
		whole = false
	}
	if whole {
		name += ".new"
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	defer func() {
		if at, ok := errors.AsType[*fs.PathError](err); ok && at.Path == name {
			at.Path = path // the one that was asked for
		}
		if errors.Is(err, syscall.ENOSPC) {
			err = fmt.Errorf("%w; free space, or name a file elsewhere", err)
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
