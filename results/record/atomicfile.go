package record

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/kabench/kabench/results"
)

// writeWhole writes data to name in dir. Whatever happens to the machine, the file is
// there completely or not at all.
func writeWhole(dir, name string, data []byte) error {
	f, err := os.CreateTemp(dir, name+".*.tmp")
	if err == nil {
		if err = settle(f, dir, name, data); err != nil {
			_ = os.Remove(f.Name())
		}
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, withoutPath(err))
	}
	return nil
}

// writeDocument writes run to name in dir, as writeWhole does.
func writeDocument(dir, name string, run *results.Run) error {
	var b bytes.Buffer
	if err := EncodeRun(&b, run); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return writeWhole(dir, name, b.Bytes())
}

// settle writes data into f, a file in dir, as its only content, closes f, and
// renames it to name.
func settle(f *os.File, dir, name string, data []byte) error {
	_, err := f.WriteAt(data, 0)
	if err == nil {
		err = f.Truncate(int64(len(data)))
	}
	if err == nil {
		err = errors.Join(f.Chmod(0o644), f.Sync())
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	syncDir(dir)
	return nil
}

// syncDir makes a rename in dir durable. If the system cannot sync directories, the
// rename is as durable as the system makes it.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		d.Close()
	}
}

// withoutPath is the reason inside err, if err has a file's path: messages name the
// file themselves, without its directory.
func withoutPath(err error) error {
	var at *fs.PathError
	var between *os.LinkError // from a rename
	switch {
	case errors.As(err, &at):
		return at.Err
	case errors.As(err, &between):
		return between.Err
	}
	return err
}

// reserve is room on the disk for a document that will be written later, when the
// disk may be full. It is a file of the document's size, which becomes the document.
type reserve struct{ dir, name string }

// reserved is the name of the file that holds the room for name.
func reserved(name string) string { return name + ".reserved" }

// hold takes room for size bytes of name in dir. After an error it holds no room.
func hold(dir, name string, size int) (*reserve, error) {
	noise := make([]byte, size) // a file system that compresses would keep no room for zeros
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	f, err := os.OpenFile(filepath.Join(dir, reserved(name)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err == nil {
		_, err = f.Write(noise)
		// Some file systems report only now that there is no room.
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			_ = os.Remove(f.Name())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("holding room for %s: %w", name, withoutPath(err))
	}
	return &reserve{dir, name}, nil
}

// become writes run as the document, into the room that was held for it. The
// document gets its name when it is complete. After an error the room is still held.
func (r *reserve) become(run *results.Run) error {
	var b bytes.Buffer
	err := EncodeRun(&b, run)
	if err == nil {
		var f *os.File
		if f, err = os.OpenFile(r.path(), os.O_WRONLY, 0); err == nil {
			err = settle(f, r.dir, r.name, b.Bytes())
		}
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", r.name, withoutPath(err))
	}
	return nil
}

// release gives the room back. It ignores errors: if the file stays, the next Create
// names it.
func (r *reserve) release() {
	_ = os.Remove(r.path())
}

func (r *reserve) path() string { return filepath.Join(r.dir, reserved(r.name)) }

// WriteWhole writes data to the file at path, whose directory must exist. The file is
// there completely or not at all.
func WriteWhole(path string, data []byte) error {
	return writeWhole(filepath.Dir(path), filepath.Base(path), data)
}
