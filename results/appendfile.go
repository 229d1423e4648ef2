package results

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// appendFile is a file that only grows by whole pieces. After a failed write
// it is cut back to the last whole piece and takes no more.
type appendFile struct {
	name string

	mu   sync.Mutex
	out  io.Writer // the file; tests put a failing one in its place
	file *os.File
	size int64 // of the pieces written whole
	err  error // the first failure
}

// createAppend makes a file that must not exist yet.
func createAppend(path string) (*appendFile, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	return &appendFile{name: filepath.Base(path), out: f, file: f}, nil
}

func (f *appendFile) append(piece []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	if _, err := f.out.Write(piece); err != nil {
		f.err = fmt.Errorf("writing %s: %w", f.name, err)
		// A full disk still lets a file shrink; if it does not, readers cope
		// with the torn end.
		_ = f.file.Truncate(f.size)
		return f.err
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

// close closes the file and returns the first error of its life.
func (f *appendFile) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.file.Close(); err != nil && f.err == nil {
		f.err = fmt.Errorf("closing %s: %w", f.name, err)
	}
	return f.err
}
