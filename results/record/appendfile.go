package record

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// growing is shared by all files of a run that grow: when one of them cannot be
// written, none of them is written any more. The documents need the room that the
// others would still take. And a record that ends when the samples end can be read
// together with them.
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

// appendFile is a file that grows only by whole pieces. After a failed write it is
// cut back to the last whole piece. Then neither it nor the other growing files
// accept another piece.
type appendFile struct {
	name string
	all  *growing

	mu   sync.Mutex
	out  io.Writer // the file; tests put a failing one in its place
	file *os.File
	size int64 // of the pieces that are completely written
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
		// A file can be shortened even on a full disk. If this fails, readers can
		// handle the incomplete end.
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
