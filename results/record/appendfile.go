package record

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// growing is what the files of a run that grow have in common: when one of
// them cannot be written, none is any more. What the others would still take
// is room that the documents need, and a record that ends where the samples do
// can be read together with them.
type growing struct {
	mu  sync.Mutex
	err error // the first failed write
}

func (g *growing) failed() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// fail notes err, unless there was one before, and returns the first.
func (g *growing) fail(err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.err = err
	}
	return g.err
}

// appendFile is a file that only grows by whole pieces. After a failed write
// it is cut back to the last whole piece and takes no more, nor do the others.
type appendFile struct {
	name string
	all  *growing

	mu   sync.Mutex
	out  io.Writer // the file; tests put a failing one in its place
	file *os.File
	size int64 // of the pieces written whole
}

// createAppend makes a file that must not exist yet.
func createAppend(path string, all *growing) (*appendFile, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	return &appendFile{name: filepath.Base(path), all: all, out: f, file: f}, nil
}

func (f *appendFile) append(piece []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.all.failed(); err != nil {
		return err
	}
	if _, err := f.out.Write(piece); err != nil {
		// A full disk still lets a file shrink; if it does not, readers cope
		// with the torn end.
		_ = f.file.Truncate(f.size)
		return f.all.fail(fmt.Errorf("writing %s: %w", f.name, withoutPath(err)))
	}
	f.size += int64(len(piece))
	return nil
}

func (f *appendFile) appendJSON(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing %s: %w", f.name, err)
	}
	return f.append(append(text, '\n'))
}

// close closes the file.
func (f *appendFile) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.file.Close(); err != nil {
		return f.all.fail(fmt.Errorf("closing %s: %w", f.name, withoutPath(err)))
	}
	return nil
}
