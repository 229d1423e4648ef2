package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// hlog is latency.hlog: HdrHistogram's interval log, version 1.3.
type hlog struct {
	file *appendFile

	mu    sync.Mutex
	start time.Time // when the run started; the zero time until begin
	begun bool      // the header is written
}

// begin sets the start of the run. Intervals are offsets from it.
func (l *hlog) begin(start time.Time) {
	l.mu.Lock()
	l.start = start
	l.mu.Unlock()
}

func (l *hlog) write(tag string, start, end time.Duration, h *hdrhistogram.Histogram) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b bytes.Buffer
	w := hdrhistogram.NewHistogramLogWriter(&b)
	if !l.begun {
		if err := l.header(w); err != nil {
			return err
		}
		l.begun = true
	}
	h.SetTag(tag)
	h.SetStartTimeMs(start.Milliseconds())
	h.SetEndTimeMs(end.Milliseconds())
	// Without options the writer divides the maximum by 1e6: µs to seconds.
	if err := w.OutputIntervalHistogram(h); err != nil {
		return fmt.Errorf("writing %s: %w", FileLatency, err)
	}
	return l.file.append(b.Bytes())
}

// header writes the start time and the base time itself, because the library's
// methods drop the milliseconds.
func (l *hlog) header(w *hdrhistogram.HistogramLogWriter) error {
	if l.start.IsZero() {
		l.start = time.Now()
	}
	seconds := float64(l.start.UnixMilli()) / 1000
	for _, line := range []string{
		"[kabench: values in microseconds; Interval_Max in seconds; tags response, service, lag]",
		"[Histogram log format version " + hdrhistogram.HISTOGRAM_LOG_FORMAT_VERSION + "]",
		fmt.Sprintf("[BaseTime: %.3f (seconds since epoch)]", seconds),
		fmt.Sprintf("[StartTime: %.3f (seconds since epoch), %s]", seconds, l.start.UTC().Format(time.RFC3339)),
	} {
		if err := w.OutputComment(line); err != nil {
			return err
		}
	}
	return w.OutputLegend()
}

// LatencyLog yields the lines of the run's latency log, without their line ends. An
// error ends the sequence; ErrTorn means that everything before it is valid.
func (d *Dir) LatencyLog() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		path := d.file(FileLatency)
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%s: there is no latency log: %s is missing", d.path, FileLatency)
		}
		if err != nil {
			yield("", err)
			return
		}
		defer f.Close()
		for text, err := range lines(f) {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = ErrTorn
			}
			if err != nil {
				err = fmt.Errorf("%s: %w", path, err)
			}
			if !yield(string(text), err) {
				return
			}
		}
	}
}
