package results

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The files of a run directory.
const (
	fileProfile   = "profile.yaml"
	fileExchanges = "exchanges.ndjson.zst"
	fileSamples   = "samples.ndjson"
	fileLatency   = "latency.hlog"
	fileRun       = "run.json"
	fileBegun     = "begun.json" // what was known at the beginning; replaced by run.json at the end
)

// DirectoryError says that a run cannot be written to Dir, because something
// is there already. Its text tells what to do about it.
type DirectoryError struct {
	Dir   string
	Found string // the name of something that is in it, or "" if Dir is not a directory
}

func (e *DirectoryError) Error() string {
	switch e.Found {
	case "":
		return fmt.Sprintf("%s is not a directory: choose another --out", e.Dir)
	case fileRun, fileBegun, fileExchanges:
		return fmt.Sprintf("%s already holds a run: choose another --out, or remove it", e.Dir)
	default:
		return fmt.Sprintf("%s is not empty (it holds %s): choose another --out, or empty it", e.Dir, e.Found)
	}
}

// Writer writes one run directory while the run goes on. All its methods may
// be called from many goroutines; exactly one of Close and Abort ends it.
type Writer struct {
	// SuccessesOneIn makes the record keep one success in so many, chosen by a
	// hash of Seq; 0 and 1 keep every one. Everything that is not a success is
	// always kept. Set it before Begin.
	SuccessesOneIn uint64

	dir     string
	made    bool // dir did not exist before
	record  *record
	samples *appendFile
	latency *hlog

	mu       sync.Mutex
	firstErr error // of samples and latency; the record keeps its own
	ended    bool
}

// Create makes the run directory dir, its parents too, and the files that are
// written as the run goes. A dir that holds anything is refused with a
// *DirectoryError.
func Create(dir string) (*Writer, error) {
	made, err := claim(dir)
	if err != nil {
		return nil, err
	}
	w := &Writer{dir: dir, made: made}
	exchanges, err1 := createAppend(filepath.Join(dir, fileExchanges))
	samples, err2 := createAppend(filepath.Join(dir, fileSamples))
	latency, err3 := createAppend(filepath.Join(dir, fileLatency))
	w.samples, w.latency = samples, &hlog{file: latency}
	if err := errors.Join(err1, err2, err3); err != nil {
		for _, f := range []*appendFile{exchanges, samples, latency} {
			if f != nil {
				f.close()
			}
		}
		w.removeTraces()
		return nil, err
	}
	w.record = newRecord(exchanges)
	return w, nil
}

// claim makes dir, or finds it empty, and reports whether it made it.
func claim(dir string) (made bool, err error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, os.MkdirAll(dir, 0o755)
	case err != nil:
		if info, statErr := os.Stat(dir); statErr == nil && !info.IsDir() {
			return false, &DirectoryError{Dir: dir}
		}
		return false, err
	case len(entries) == 0:
		return false, nil
	}
	found := entries[0].Name()
	for _, e := range entries {
		switch e.Name() {
		case fileRun, fileBegun, fileExchanges:
			found = e.Name()
		}
	}
	return false, &DirectoryError{Dir: dir, Found: found}
}

// WriteProfile writes profile.yaml.
func (w *Writer) WriteProfile(yaml []byte) error {
	return os.WriteFile(filepath.Join(w.dir, fileProfile), yaml, 0o644)
}

// Begin starts the record. run is the document as far as it is known: version,
// name, question, start, profile, host. It is kept beside the record, so that
// a run that is killed can be read all the same. Begin does not keep run.
func (w *Writer) Begin(run *Run) error {
	doc := *run
	doc.Complete = false
	doc.Recording = Recording{SuccessesOneIn: max(w.SuccessesOneIn, 1)}
	w.latency.begin(run.Start)
	w.record.begin(w.SuccessesOneIn)
	return writeDocument(w.dir, fileBegun, &doc)
}

// Observe records e, which is over. It never blocks on the disk and does not
// keep e.
func (w *Writer) Observe(e *Exchange) { w.record.observe(e) }

// Sample appends s to the samples. After a first failure it does nothing but
// return that failure again.
func (w *Writer) Sample(s Sample) error { return w.keep(w.samples.appendJSON(s)) }

// WriteInterval appends one interval to the HdrHistogram log: h, with values
// in µs, is what was seen between start and end, offsets from the start of the
// run. The tag is LatencyResponse, LatencyService or LatencyLag. It sets h's
// tag and times, and leaves its counts alone.
func (w *Writer) WriteInterval(tag string, start, end time.Duration, h *hdrhistogram.Histogram) error {
	return w.keep(w.latency.write(tag, start, end, h))
}

// keep remembers the first error, for Recording.
func (w *Writer) keep(err error) error {
	if err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.firstErr == nil {
			w.firstErr = err
		}
	}
	return err
}

// Recording says what the record holds so far: what was observed in the last
// second may still be missing from it.
func (w *Writer) Recording() Recording {
	r, _ := w.recording()
	return r
}

func (w *Writer) recording() (Recording, error) {
	r, err := w.record.recording()
	if err == nil {
		w.mu.Lock()
		err = w.firstErr
		w.mu.Unlock()
	}
	if err != nil {
		r.Error = err.Error()
	}
	return r, err
}

// Close writes what is left of the record, sets run.Recording, and writes run
// as run.json, whole or not at all. The error is the first that befell any of
// the files; run.json is written even if the record stopped early.
func (w *Writer) Close(run *Run) error {
	if !w.end() {
		return errors.New("the run directory is closed already")
	}
	w.keep(w.closeFiles())
	var err error
	run.Recording, err = w.recording()
	if docErr := writeDocument(w.dir, fileRun, run); docErr != nil {
		return errors.Join(docErr, err) // the directory still reads as a run that was cut off
	}
	if rmErr := os.Remove(filepath.Join(w.dir, fileBegun)); rmErr != nil && !errors.Is(rmErr, fs.ErrNotExist) {
		err = errors.Join(err, rmErr)
	}
	return err
}

// Abort ends the writing without run.json. A directory in which nothing was
// recorded is left as it was before Create.
func (w *Writer) Abort() {
	if !w.end() {
		return
	}
	w.keep(w.closeFiles())
	if r, _ := w.record.recording(); r.Written == 0 && w.samples.size == 0 {
		w.removeTraces()
	}
}

// end reports whether the caller is the first to end w.
func (w *Writer) end() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := !w.ended
	w.ended = true
	return first
}

func (w *Writer) closeFiles() error {
	return errors.Join(w.record.close(), w.samples.close(), w.latency.file.close())
}

func (w *Writer) removeTraces() {
	for _, name := range []string{fileProfile, fileExchanges, fileSamples, fileLatency, fileBegun} {
		_ = os.Remove(filepath.Join(w.dir, name)) // best effort; what stays is named by the next Create
	}
	if w.made {
		_ = os.Remove(w.dir)
	}
}

// writeDocument writes run to name in dir so that the file is there whole or
// not at all, whatever happens to the machine.
func writeDocument(dir, name string, run *Run) (err error) {
	f, err := os.CreateTemp(dir, name+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close() // closed already, unless something before failed
			_ = os.Remove(f.Name())
		}
	}()
	if err := EncodeRun(f, run); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := errors.Join(f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a rename in dir durable. Where directories cannot be synced
// the rename is as durable as the system makes it.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	_ = d.Sync()
	return nil
}
