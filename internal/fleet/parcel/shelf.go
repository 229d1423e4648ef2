package parcel

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// listName is the file of a directory in the making that has its manifest. No file of a parcel
// can have this name.
const listName = ".parcel"

// shelf is a directory in the making: dir.part. Each file is written from its beginning to its
// end, so a file's length says how much of it is there.
type shelf struct {
	dir      string
	manifest *manifest
	have     int64 // bytes of the parcel that are here

	begun []int64     // bytes of each file that were here when the shelf was opened
	sums  []hash.Hash // of each file, as far as it is written
	out   *os.File    // the file that is being written; nil: none
	index int         // its index
}

func (s *shelf) part() string { return s.dir + ".part" }

func (s *shelf) path(i int) string { return filepath.Join(s.part(), s.manifest.Files[i].Name) }

// open makes dir.part, or takes up what is in it if that belongs to the same parcel.
func (s *shelf) open(ctx context.Context) error {
	list, err := json.Marshal(s.manifest)
	if err != nil {
		return err
	}
	there, err := os.ReadFile(filepath.Join(s.part(), listName))
	if err != nil || !bytes.Equal(there, list) {
		if err := os.RemoveAll(s.part()); err != nil {
			return s.failed(err)
		}
		if err := os.MkdirAll(s.part(), 0o755); err != nil {
			return s.failed(err)
		}
		if err := writeSynced(filepath.Join(s.part(), listName), list); err != nil {
			return s.failed(err)
		}
	}
	s.have, s.begun, s.sums = 0, nil, nil
	for i := range s.manifest.Files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.openFile(i); err != nil {
			return s.failed(err)
		}
	}
	return nil
}

// openFile makes a file, or keeps the whole chunks that it has.
func (s *shelf) openFile(i int) error {
	f, err := os.OpenFile(s.path(i), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	n := min(info.Size(), s.manifest.Files[i].Bytes)
	if n < s.manifest.Files[i].Bytes {
		n -= n % s.manifest.Chunk
	}
	if err := f.Truncate(n); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	s.begun, s.sums, s.have = append(s.begun, n), append(s.sums, sum), s.have+n
	return nil
}

// has reports whether a chunk was here when the shelf was opened.
func (s *shelf) has(c chunk) bool { return c.offset+c.bytes <= s.begun[c.file] }

// write appends a chunk to its file.
func (s *shelf) write(c chunk, data []byte) error {
	if s.out == nil || s.index != c.file {
		if err := s.close(); err != nil {
			return err
		}
		f, err := os.OpenFile(s.path(c.file), os.O_WRONLY, 0)
		if err != nil {
			return s.failed(err)
		}
		s.out, s.index = f, c.file
	}
	if _, err := s.out.WriteAt(data, c.offset); err != nil {
		return s.failed(err)
	}
	s.sums[c.file].Write(data)
	s.have += c.bytes
	return nil
}

// close syncs and closes the file that is being written.
func (s *shelf) close() error {
	if s.out == nil {
		return nil
	}
	err := s.out.Sync()
	if e := s.out.Close(); err == nil {
		err = e
	}
	s.out = nil
	if err != nil {
		return s.failed(err)
	}
	return nil
}

// check compares the hashes of all files with the manifest's.
func (s *shelf) check() error {
	for i, f := range s.manifest.Files {
		if hex.EncodeToString(s.sums[i].Sum(nil)) != f.Hash {
			return damagedError{f.Name}
		}
	}
	return nil
}

// drop empties a damaged file.
func (s *shelf) drop(name string) error {
	if err := os.Remove(filepath.Join(s.part(), name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return s.failed(err)
	}
	return nil
}

// finish makes dir of dir.part. An older dir stands beside it as dir.old for a moment.
func (s *shelf) finish() error {
	if err := os.Remove(filepath.Join(s.part(), listName)); err != nil {
		return s.failed(err)
	}
	if err := syncDir(s.part()); err != nil {
		return s.failed(err)
	}
	older := s.dir + ".old"
	if err := os.RemoveAll(older); err != nil {
		return s.failed(err)
	}
	if err := os.Rename(s.dir, older); err != nil && !errors.Is(err, os.ErrNotExist) {
		return s.failed(err)
	}
	if err := os.Rename(s.part(), s.dir); err != nil {
		return s.failed(err)
	}
	if err := syncDir(filepath.Dir(s.dir)); err != nil {
		return s.failed(err)
	}
	if err := os.RemoveAll(older); err != nil {
		return s.failed(err)
	}
	return nil
}

// failed says what to do about an error of the disk.
func (s *shelf) failed(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("no space is left for the results in %s: free %d bytes and fetch them again; the broker and the agent still have them: %w",
			filepath.Dir(s.dir), s.manifest.Bytes-s.have, err)
	}
	return fmt.Errorf("the results cannot be kept in %s: %w", s.dir, err)
}

// same reports whether dir is the parcel.
func same(ctx context.Context, dir string, m *manifest) bool {
	p, err := scan(ctx, dir, m.Bytes)
	return err == nil && p.Hash == m.Hash
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// syncDir makes the names in a directory last. Windows cannot, and need not.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
