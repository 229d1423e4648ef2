package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/kabench/kabench/results"
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

// logReader reads the intervals of one agent's latency log.
type logReader struct {
	part   *part
	next   func() (string, error, bool)
	second int // in which the middle of the interval ahead lies, from the start of the run; never below that of an earlier one
	tag    string
	h      *hdrhistogram.Histogram
	more   bool
}

// pull reads the next interval.
func (r *logReader) pull() {
	for r.more = false; ; {
		text, err, more := r.next()
		if !more {
			return
		}
		if err == nil && !strings.HasPrefix(text, "Tag=") {
			continue // a comment or the legend
		}
		if err == nil {
			err = r.parse(text)
		}
		if err != nil {
			if !r.part.cut || !errors.Is(err, ErrTorn) {
				r.part.warn("the end of its latency log is left out: %v", err)
			}
			return
		}
		r.more = true
		return
	}
}

// parse reads a line such as Tag=lag,0.000000,1.000000,0.000123,HISTFAAA.
func (r *logReader) parse(text string) error {
	fields := strings.SplitN(strings.TrimPrefix(text, "Tag="), ",", 5)
	if len(fields) != 5 || !slices.Contains(logTags, fields[0]) {
		return damaged(errors.New("a line is not an interval of kabench"))
	}
	start, err1 := strconv.ParseFloat(fields[1], 64)
	length, err2 := strconv.ParseFloat(fields[2], 64)
	middle := start + length/2
	if err1 != nil || err2 != nil || !(middle > -1 && middle < float64(maxMicros)/1e6) {
		return damaged(errors.New("an interval has no time"))
	}
	h, err := results.DecodeHistogram(fields[4])
	if err != nil {
		return damaged(err)
	}
	r.tag, r.second, r.h = fields[0], max(r.second, int(middle)), h
	return nil
}

// logTags are the tags of a latency log.
var logTags = []string{results.LatencyResponse, results.LatencyService, results.LatencyLag}

// joinLogs adds the intervals of several logs: those of the same second, by their
// middle, and with the same tag.
func joinLogs(f *appendFile, start time.Time, logs []*logReader) error {
	for _, r := range logs {
		next, stop := iter.Pull2(r.part.dir.LatencyLog())
		defer stop()
		r.next = next
		r.pull()
	}
	out, sum := &hlog{file: f, start: start}, map[string]*hdrhistogram.Histogram{}
	for _, tag := range logTags {
		sum[tag] = results.NewHistogram()
	}
	for {
		second, more := 0, false
		for _, r := range logs {
			if r.more && (!more || r.second < second) {
				second, more = r.second, true
			}
		}
		if !more {
			return nil
		}
		for _, r := range logs {
			for r.more && r.second == second {
				sum[r.tag].Merge(r.h)
				r.pull()
			}
		}
		from := time.Duration(second) * time.Second
		for _, tag := range logTags {
			if err := out.write(tag, from, from+time.Second, sum[tag]); err != nil {
				return err
			}
			sum[tag].Reset()
		}
	}
}
