package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/kabench/kabench/results/record"
)

// Unfinished ends the name of a file that is being written.
const Unfinished = ".new"

// CheckFile returns the error that WriteFile would meet if the file could not be made, so that
// it is known before the work whose result goes there. It leaves the file as it is.
func CheckFile(path string) error {
	name := path
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		if info.IsDir() {
			return fmt.Errorf("%s is a directory; name a file", path)
		}
		return nil // to open a pipe could wait for its reader
	}
	name += Unfinished
	_, err := os.Stat(name)
	left := err == nil
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		if at, ok := errors.AsType[*fs.PathError](err); ok {
			err = at.Err
		}
		return fmt.Errorf("%s cannot be written: %w; name a file in a directory that exists and that you may write to", path, err)
	}
	if err := f.Close(); err != nil || left {
		return err
	}
	return os.Remove(name)
}

// CheckFiles returns the first error of CheckFile, of those that have a name.
func CheckFiles(paths ...string) error {
	for _, path := range paths {
		if path == "" {
			continue
		}
		if err := CheckFile(path); err != nil {
			return err
		}
	}
	return nil
}

// InOut makes an error about the directory of the results say which flag names another one.
func InOut(dir string, err error) error {
	if err == nil {
		return nil
	}
	if _, is := errors.AsType[*record.DirectoryError](err); is {
		return err // it says what to do
	}
	return fmt.Errorf("--out %s: %w; name a directory that you may write to, or none to keep nothing", dir, err)
}

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
