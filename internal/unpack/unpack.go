// Package unpack opens files that may be compressed with gzip, zstd or bzip2, and the
// standard input, for rooms that read what users have: captures and logs.
package unpack

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Stdin is the name of the standard input among files.
const Stdin = "-"

// readAhead is the size of the buffer of a file in bytes.
const readAhead = 1 << 20

// zstdWindow bounds the memory of a zstd stream; zstd itself wants no more without
// --long.
const zstdWindow = 64 << 20

// stdin is shared, so that Head takes nothing away from Open.
var stdin = sync.OnceValue(func() *bufio.Reader { return bufio.NewReaderSize(os.Stdin, readAhead) })

// File is a file that is being read. Its reader gives the uncompressed bytes.
type File struct {
	*bufio.Reader
	Name  string
	close []func()
}

// Open begins to read a file. The errors say what to do.
func Open(name string) (*File, error) {
	f := &File{Name: name}
	raw := stdin
	if name != Stdin {
		opened, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		f.close = append(f.close, func() { opened.Close() })
		if info, err := opened.Stat(); err != nil || info.IsDir() {
			f.Close()
			if err == nil {
				err = fmt.Errorf("%s is a directory: name the files in it", name)
			}
			return nil, err
		}
		raw = func() *bufio.Reader { return bufio.NewReaderSize(opened, readAhead) }
	}
	var err error
	if f.Reader, err = f.unpacked(raw()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Close closes the file.
func (f *File) Close() {
	for i := len(f.close) - 1; i >= 0; i-- {
		f.close[i]()
	}
	f.close = nil
}

// Label names the file in messages.
func (f *File) Label() string { return Label(f.Name) }

// Label names a file in messages.
func Label(name string) string {
	if name == Stdin {
		return "the standard input"
	}
	return name
}

// unpacked returns the uncompressed bytes of r.
func (f *File) unpacked(r *bufio.Reader) (*bufio.Reader, error) {
	magic, _ := r.Peek(4)
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("%s begins as a gzip file, but cannot be unpacked: %v", f.Label(), err)
		}
		return bufio.NewReaderSize(z, readAhead), nil
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, fmt.Errorf("%s begins as a zstd file, but cannot be unpacked: %v", f.Label(), err)
		}
		f.close = append(f.close, z.Close)
		return bufio.NewReaderSize(z, readAhead), nil
	case bytes.HasPrefix(magic, []byte("BZh")):
		return bufio.NewReaderSize(bzip2.NewReader(r), readAhead), nil
	}
	return r, nil
}

// headSize is how much of a compressed file Head unpacks.
const headSize = 512

// Head returns the first uncompressed bytes of a file, at most headSize, and leaves the
// standard input as it was.
func Head(name string) ([]byte, error) {
	if name != Stdin {
		f, err := Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return head(f.Reader)
	}
	raw, err := stdin().Peek(readAhead)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("the standard input cannot be read: %v", err)
	}
	f := &File{Name: name}
	defer f.Close()
	r, err := f.unpacked(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, err
	}
	return head(r)
}

// head reads the beginning. An error matters only if there is no byte before it.
func head(r *bufio.Reader) ([]byte, error) {
	b, err := r.Peek(headSize)
	if len(b) > 0 || err == io.EOF {
		err = nil
	}
	return bytes.Clone(b), err
}
