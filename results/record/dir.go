package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record/ends"
)

// Dir reads a run directory.
type Dir struct{ path string }

// ErrTorn means that a file of a run directory ends in the middle of a piece: the run
// was killed while it wrote the piece. Everything before that piece is complete.
var ErrTorn = errors.New("the end was not written whole")

// ErrNotARun means that a directory holds no run.
var ErrNotARun = errors.New("not a run directory: it holds neither run.json nor exchanges.ndjson.zst")

// fileWatch is the document of 'kabench watch', which has a directory like that of a run.
const fileWatch = "watch.json"

// Open opens the directory path. It fails if the directory does not exist, or if no
// run was written to it (ErrNotARun).
func Open(path string) (*Dir, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: there is no such directory", path)
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, fmt.Errorf("%s: not a directory; name the directory that --out made", path)
	}
	d := &Dir{path: path}
	for _, name := range []string{fileRun, fileExchanges} {
		if _, err := os.Stat(d.file(name)); err == nil {
			return d, nil
		}
	}
	if _, err := os.Stat(d.file(fileWatch)); err == nil {
		return nil, fmt.Errorf("%s: %w; it has the results of 'kabench watch': open %s, or give its packets.pcapng to 'kabench autopsy'", path, ErrNotARun, d.file("report.html"))
	}
	return nil, fmt.Errorf("%s: %w", path, ErrNotARun)
}

// Path is where the directory is.
func (d *Dir) Path() string { return d.path }

func (d *Dir) file(name string) string { return filepath.Join(d.path, name) }

// Run is the document of the run. When run.json is missing, because the run
// was cut off, it is rebuilt from what was recorded until then: Complete is
// false, and Warnings say what is missing or estimated.
func (d *Dir) Run() (*results.Run, error) {
	run, err := d.document(fileRun)
	if errors.Is(err, fs.ErrNotExist) {
		return d.rebuild(d.Exchanges(), 1)
	}
	return run, err
}

func (d *Dir) document(name string) (*results.Run, error) {
	data, err := readDocument(d.file(name))
	if err != nil {
		return nil, err
	}
	run, err := DecodeRun(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.file(name), err)
	}
	return run, nil
}

// Exchanges yields the recorded exchanges, roughly in the order in which they ended.
// The next exchange overwrites the one before. An error ends the sequence; ErrTorn
// means that everything before it is valid.
func (d *Dir) Exchanges() iter.Seq2[*results.Exchange, error] {
	return readFile(d.file(fileExchanges), readExchanges)
}

// Connections yields how connections ended, roughly in the order of their ends; of a run of
// several agents, agent after agent. A connection that had not ended when the run was cut
// off is missing. The next one overwrites the one before. An error ends the sequence;
// ErrTorn means that everything before it is valid, and fs.ErrNotExist that the run was
// recorded without it.
func (d *Dir) Connections() iter.Seq2[*results.ConnectionEnd, error] {
	return readFile(d.file(fileConnections), func(r io.Reader) iter.Seq2[*results.ConnectionEnd, error] {
		return readFrames(r, ends.ReadLine)
	})
}

// readFile yields what read reads of the file at path.
func readFile[T any](path string, read func(io.Reader) iter.Seq2[*T, error]) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(nil, err)
			return
		}
		defer f.Close()
		for item, err := range read(f) {
			if err != nil {
				err = fmt.Errorf("%s: %w", path, err)
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

// readExchanges reads a record from compressed bytes.
func readExchanges(r io.Reader) iter.Seq2[*results.Exchange, error] { return readFrames(r, readLine) }

// readFrames reads the lines of a file of frames. read reads a line into an item, which the
// next line overwrites.
func readFrames[T any](r io.Reader, read func([]byte, *T) error) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		dec, err := newDecoder()
		if err != nil {
			yield(nil, err)
			return
		}
		defer dec.Close()
		var item T
		for frame, err := range frames(r) {
			if err != nil {
				yield(nil, err)
				return
			}
			if err := dec.Reset(bytes.NewReader(frame)); err != nil {
				yield(nil, damaged(err))
				return
			}
			for text, err := range lines(dec) {
				if err == nil {
					err = read(text, &item)
				}
				if err != nil {
					yield(nil, damaged(err))
					return
				}
				if !yield(&item, nil) {
					return
				}
			}
		}
	}
}

// RunsIn lists the directories in dir that hold a run, by name.
func RunsIn(dir string) []string {
	var found []string
	entries, _ := os.ReadDir(dir) // a directory that cannot be listed has no runs to name
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if _, err := Open(path); err == nil {
			found = append(found, path)
		}
	}
	return found
}

// Samples yields the samples in the order of time. An error ends the sequence;
// ErrTorn means that everything before it is valid.
func (d *Dir) Samples() iter.Seq2[results.Sample, error] {
	return func(yield func(results.Sample, error) bool) {
		path := d.file(fileSamples)
		f, err := os.Open(path)
		if err != nil {
			yield(results.Sample{}, err)
			return
		}
		defer f.Close()
		for text, err := range lines(f) {
			var s results.Sample
			if err == nil {
				err = json.Unmarshal(text, &s)
			}
			if err != nil {
				if errors.Is(err, io.ErrUnexpectedEOF) {
					err = ErrTorn
				} else {
					err = damaged(err)
				}
				yield(results.Sample{}, fmt.Errorf("%s: %w", path, err))
				return
			}
			if !yield(s, nil) {
				return
			}
		}
	}
}

// errLongLine reports a line that is longer than any that kabench writes.
var errLongLine = fmt.Errorf("a line is longer than %d KiB", maxLine>>10)

// lines yields the lines of r, without their line ends. Text after the last line end
// gives io.ErrUnexpectedEOF, because kabench only writes whole lines.
func lines(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		buffered := bufio.NewReaderSize(r, maxLine)
		for {
			text, err := buffered.ReadSlice('\n')
			switch {
			case err == nil:
				if !yield(text[:len(text)-1], nil) {
					return
				}
				continue
			case errors.Is(err, bufio.ErrBufferFull):
				err = errLongLine
			case err == io.EOF && len(text) == 0:
				return
			case err == io.EOF:
				err = io.ErrUnexpectedEOF
			}
			yield(nil, err)
			return
		}
	}
}

// SpansOf counts in d's record how often an event occurred in each part of the run. It
// returns nil if the record is not complete. Each recorded success also counts for the
// successes that the record left out.
func (d *Dir) SpansOf(run *results.Run, event func(*results.Exchange) (could, was bool)) []results.Span {
	if event == nil || run.Recording.Error != "" {
		return nil
	}
	spans, oneIn := make([]results.Span, results.Spans), max(run.Recording.SuccessesOneIn, 1)
	for e, err := range d.Exchanges() {
		if err != nil {
			return nil
		}
		stands := uint64(1)
		if optional(e) {
			stands = oneIn
		}
		if could, was := event(e); could && !e.WarmUp {
			s := &spans[results.SpanOf(e.Due, run.End.Sub(run.Start))]
			s.N += stands
			if was {
				s.K += stands
			}
		}
	}
	return spans
}

// AppendLine appends e to b as a line of the record.
func AppendLine(b []byte, e *results.Exchange) []byte { return appendLine(b, e) }

// ReadLines yields the exchanges of lines that AppendLine has made. The next exchange
// overwrites the one before. An error ends the sequence.
func ReadLines(text []byte) iter.Seq2[*results.Exchange, error] {
	return func(yield func(*results.Exchange, error) bool) {
		var e results.Exchange
		for line, err := range lines(bytes.NewReader(text)) {
			if err == nil {
				err = readLine(line, &e)
			}
			if !yield(&e, err) || err != nil {
				return
			}
		}
	}
}
