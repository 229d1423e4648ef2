package export

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// tagged are the tags of latency.hlog.
var tagged = []string{results.LatencyResponse, results.LatencyService, results.LatencyLag}

// hlogInterval matches the line of an interval in latency.hlog. The line ends with the
// compressed histogram in base 64.
var hlogInterval = regexp.MustCompile(`^Tag=([a-z]+),[0-9.]+,[0-9.]+,[0-9.]+,([A-Za-z0-9+/]+={0,2})$`)

// HdrHistogram writes the latency log of d, for HistogramLogProcessor and other
// readers of HdrHistogram's interval logs. tag is response, service or lag: only the
// intervals with this tag are written, without the tag, for readers that do not
// understand tags. If tag is "", all intervals are written, with their tags.
//
// If the run was cut off, an incomplete last line is left out. The notes have the
// same meaning as those of [Vegeta].
func HdrHistogram(w io.Writer, d *record.Dir, tag string) (notes []string, err error) {
	run, err := d.Run()
	if err != nil {
		return nil, err
	}
	if tag != "" && !slices.Contains(tagged, tag) {
		return nil, fmt.Errorf("the latency log has no tag %q: want %s", tag, strings.Join(tagged, ", "))
	}
	notes = hlogNotes(run)
	out := bufio.NewWriter(w)
	intervals, err := writeIntervals(out, d, run, tag)
	if err != nil {
		return nil, err
	}
	if intervals == 0 {
		notes = append(notes, "there is no interval in the log: nothing was ok while it was written")
	}
	return notes, out.Flush()
}

// hlogNotes says which part of run the latency log does not cover, and that it covers
// the warm-up.
func hlogNotes(run *results.Run) (notes []string) {
	if !run.Complete {
		notes = append(notes, "the run was cut off: the export ends where its latency log does")
	} else if run.Recording.Error != "" {
		notes = append(notes, "the latency log stops early: "+run.Recording.Error)
	}
	if warmUp := results.SetupOf(run).WarmUp; warmUp > 0 {
		notes = append(notes, fmt.Sprintf("the log covers the warm-up too, which the report leaves out: skip what is before %v", warmUp))
	}
	return notes
}

// writeIntervals copies the lines of d's latency log to out, as HdrHistogram wants
// them, and returns how many intervals it wrote.
func writeIntervals(out *bufio.Writer, d *record.Dir, run *results.Run, tag string) (intervals int, err error) {
	for line, err := range d.LatencyLog() {
		if tornAsKnown(err, run) {
			break // the notes say so
		}
		if err != nil {
			return 0, err
		}
		text, interval, known := hlogLine(line, tag)
		if !known {
			return 0, fmt.Errorf("%s: %.40q is no line of a latency log", filepath.Join(d.Path(), record.FileLatency), line)
		}
		if text == "" {
			continue
		}
		if interval {
			intervals++
		}
		if _, err := out.WriteString(text + "\n"); err != nil {
			return 0, err
		}
	}
	return intervals, nil
}

// hlogLine returns line as the export with tag has it; "" leaves it out. known is false
// if line is neither an interval, a comment nor the legend.
func hlogLine(line, tag string) (text string, interval, known bool) {
	m := hlogInterval.FindStringSubmatch(line)
	if m == nil {
		return line, false, strings.HasPrefix(line, "#") || strings.HasPrefix(line, `"`)
	}
	switch tag {
	case "":
		return line, true, true
	case m[1]:
		return strings.TrimPrefix(line, "Tag="+tag+","), true, true
	}
	return "", false, true
}
