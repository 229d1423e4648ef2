package record

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record/ends"
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

// newDecoder makes a decoder of frames. It must not read ahead in goroutines, nor use
// more memory than kabench's own records need: the input may be anything.
func newDecoder() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(8*recordWindow), zstd.WithDecoderMaxMemory(maxFrame))
}

// newEncoder makes an encoder of frames. It makes its tables when it gets the first line.
func newEncoder() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(recordWindow))
}

// frameSource reads the frames of one record in their order, each with the time of its
// first exchange.
type frameSource struct {
	file   *os.File
	frames frameReader
	dec    *zstd.Decoder
	line   *bufio.Reader // of dec

	// only, if set, skips the frames whose first exchange it refuses, and lines counts the
	// exchanges of the others.
	only  func(*results.Exchange) bool
	lines uint64

	at   time.Duration // when the first exchange of the frame ended; never before that of an earlier frame
	read int           // how many frames are read
	err  error         // why there are no more: io.EOF, ErrTorn or damage
}

// next reads one frame, and reports whether there is one.
func (s *frameSource) next() bool {
	for s.err == nil {
		if s.err = s.frames.next(); s.err != nil {
			break
		}
		var e results.Exchange
		if s.err = s.first(&e); s.err != nil || s.only != nil && !s.only(&e) {
			continue
		}
		if s.only != nil {
			s.count()
		}
		s.at = max(s.at, e.Due, e.Done)
		s.read++
		return s.err == nil
	}
	return false
}

// count adds the exchanges of the frame, whose first line is read, to lines.
func (s *frameSource) count() {
	for s.lines++; ; s.lines++ {
		_, err := s.line.ReadSlice('\n')
		if err == io.EOF {
			return
		}
		if err != nil {
			s.err = damaged(err)
			return
		}
	}
}

// first reads the first exchange of the frame.
func (s *frameSource) first(e *results.Exchange) error {
	if err := s.dec.Reset(bytes.NewReader(s.frames.frame.Bytes())); err != nil {
		return damaged(err)
	}
	s.line.Reset(s.dec)
	text, err := s.line.ReadSlice('\n')
	if err == nil {
		err = readLine(text[:len(text)-1], e)
	}
	if err != nil {
		return damaged(err)
	}
	return nil
}

// countFrames counts the exchanges in the first n frames of the record at path.
func countFrames(path string, n int) (lines uint64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	dec, err := newDecoder()
	if err != nil {
		return 0, err
	}
	defer dec.Close()
	for frame, err := range frames(f) {
		if n--; n < 0 || err != nil {
			return lines, nil
		}
		text, err := dec.DecodeAll(frame, nil)
		if err != nil {
			return lines, damaged(err)
		}
		lines += uint64(bytes.Count(text, []byte("\n")))
	}
	return lines, nil
}

// frameWriter makes frames of lines and appends them to a file.
type frameWriter struct {
	file  *appendFile
	enc   *zstd.Encoder
	frame bytes.Buffer
	lines int // bytes of lines in frame
	err   error
}

func newFrameWriter(file *appendFile) (*frameWriter, error) {
	enc, err := newEncoder()
	return &frameWriter{file: file, enc: enc}, err
}

// add adds whole lines.
func (w *frameWriter) add(lines []byte) {
	if w.err != nil || len(lines) == 0 {
		return
	}
	if w.lines == 0 {
		w.frame.Reset()
		w.enc.Reset(&w.frame)
	}
	_, w.err = w.enc.Write(lines)
	if w.lines += len(lines); w.lines >= maxFrameLines/4 {
		w.err = errors.Join(w.err, w.close())
	}
}

// close writes the frame that is not full.
func (w *frameWriter) close() error {
	if w.err != nil || w.lines == 0 {
		return w.err
	}
	w.lines = 0
	if w.err = w.enc.Close(); w.err == nil {
		w.err = w.file.append(w.frame.Bytes())
	}
	return w.err
}

// writeConnections copies the frames of the records of connections, part after part. Those
// of the parts stay: they are small.
func (j *joint) writeConnections() error {
	return j.grow(fileConnections, func(f *appendFile) error {
		dec, err := newDecoder()
		if err != nil {
			return err
		}
		defer dec.Close()
		for i, p := range j.parts {
			if p.dir == nil {
				continue
			}
			from, err := os.Open(p.dir.file(fileConnections))
			if errors.Is(err, fs.ErrNotExist) {
				continue // an earlier kabench made it
			}
			if err != nil {
				return err
			}
			err = copyEnds(f, from, dec, uint64(i), uint64(len(j.parts)))
			if from.Close(); errors.Is(err, ErrTorn) || errors.Is(err, errNotEnds) {
				if !p.cut { // the document of one that was cut off says that it ends early
					p.warn("the end of %s could not be read: %v", fileConnections, err)
				}
				continue
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// errNotEnds says that a frame is not one of a part's connections.
var errNotEnds = errors.New("damaged")

// copyEnds copies the frames of one part's record of connections. The part's connections
// have the numbers index+1, index+1+of and so on.
func copyEnds(f *appendFile, from io.Reader, dec *zstd.Decoder, index, of uint64) error {
	var e results.ConnectionEnd
	for frame, err := range frames(from) {
		if errors.Is(err, ErrTorn) {
			return err
		}
		var text []byte
		if err == nil {
			text, err = dec.DecodeAll(frame, nil)
		}
		for line := range bytes.Lines(text) {
			if err = ends.ReadLine(line, &e); err == nil && (e.Conn-1)%of != index {
				err = fmt.Errorf("connection %d is another agent's", e.Conn)
			}
			break // the checksum vouches for the others
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errNotEnds, err)
		}
		if err := f.append(frame); err != nil {
			return err
		}
	}
	return nil
}
