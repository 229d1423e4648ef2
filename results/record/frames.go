package record

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/klauspost/compress/zstd"
)

// maxFrame is the longest compressed frame that is read, in bytes. A frame holds
// little more than maxFrameLines bytes of lines, and compression never doubles them.
const maxFrame = 2 * maxFrameLines

var errLongFrame = fmt.Errorf("a frame is longer than %d MiB", maxFrame>>20)

// frames yields the complete zstd frames of r. If r ends in the middle of a frame, the
// error is ErrTorn. frames only reads the headers of a frame and its blocks, so the
// decoder finds damage inside a frame, and frames does not mistake damage for an
// incomplete end. The next frame overwrites the one before.
func frames(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		f := frameReader{in: bufio.NewReader(r)}
		for {
			err := f.next()
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(f.frame.Bytes(), nil) {
				return
			}
		}
	}
}

type frameReader struct {
	in    *bufio.Reader
	frame bytes.Buffer
}

// next reads one frame: its header, its blocks up to the last, its checksum
// (RFC 8878, section 3.1.1). At the end of the input it returns io.EOF.
func (f *frameReader) next() error {
	f.frame.Reset()
	start, err := f.in.Peek(zstd.HeaderMaxSize)
	if len(start) == 0 {
		return err
	}
	if err != nil && err != io.EOF {
		return err
	}
	var h zstd.Header
	if err := h.Decode(start); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return ErrTorn // the header itself is incomplete
		}
		return damaged(err)
	}
	if h.Skippable {
		return damaged(errors.New("a frame is not one of exchanges"))
	}
	if err := f.take(h.HeaderSize); err != nil {
		return err
	}
	for last := false; !last; {
		at := f.frame.Len()
		if err := f.take(3); err != nil {
			return err
		}
		b := f.frame.Bytes()[at:]
		head := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
		last = head&1 != 0
		size := head >> 3
		switch head >> 1 & 3 {
		case 1: // one byte, repeated size times
			size = 1
		case 3:
			return damaged(errors.New("a block of a kind that does not exist"))
		}
		if err := f.take(size); err != nil {
			return err
		}
	}
	if h.HasCheckSum {
		return f.take(4)
	}
	return nil
}

// take moves n bytes from the input to the frame.
func (f *frameReader) take(n int) error {
	if f.frame.Len()+n > maxFrame {
		return damaged(errLongFrame)
	}
	_, err := io.CopyN(&f.frame, f.in, int64(n))
	if err == io.EOF {
		return ErrTorn
	}
	return err
}

func damaged(err error) error { return fmt.Errorf("damaged: %w", err) }
