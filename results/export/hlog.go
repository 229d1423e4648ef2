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

// hlogInterval is a line of an interval in latency.hlog; its end is the
// histogram, compressed, in base 64.
var hlogInterval = regexp.MustCompile(`^Tag=([a-z]+),[0-9.]+,[0-9.]+,[0-9.]+,([A-Za-z0-9+/]+={0,2})$`)

// HdrHistogram writes the latency log of d, for HistogramLogProcessor and
// other readers of HdrHistogram's interval logs. With a tag, response, service or
// lag, it writes those intervals alone and without the tag, for readers that
// know none; "" is all of them, tagged.
//
// A line that was not written whole at the end of a run that was cut off is
// left out. The notes are as those of Vegeta.
func HdrHistogram(w io.Writer, d *record.Dir, tag string) (notes []string, err error) {
	run, err := d.Run()
	if err != nil {
		return nil, err
	}
	if tag != "" && !slices.Contains(tagged, tag) {
		return nil, fmt.Errorf("the latency log has no tag %q: want %s", tag, strings.Join(tagged, ", "))
	}
	if !run.Complete {
		notes = append(notes, "the run was cut off: the export ends where its latency log does")
	} else if run.Recording.Error != "" {
		notes = append(notes, "the latency log stops early: "+run.Recording.Error)
	}
	if warmUp := results.SetupOf(run).WarmUp; warmUp > 0 {
		notes = append(notes, fmt.Sprintf("the log covers the warm-up too, which the report leaves out: skip what is before %v", warmUp))
	}
	out := bufio.NewWriter(w)
	intervals := 0
	for line, err := range d.LatencyLog() {
		if tornAsKnown(err, run) {
			break // the notes say so
		}
		if err != nil {
			return nil, err
		}
		if m := hlogInterval.FindStringSubmatch(line); m != nil {
			if tag != "" && m[1] != tag {
				continue
			}
			intervals++
			if tag != "" {
				line = strings.TrimPrefix(line, "Tag="+tag+",")
			}
		} else if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, `"`) { // neither head nor legend
			return nil, fmt.Errorf("%s: %.40q is no line of a latency log", filepath.Join(d.Path(), record.FileLatency), line)
		}
		if _, err := out.WriteString(line + "\n"); err != nil {
			return nil, err
		}
	}
	if intervals == 0 {
		notes = append(notes, "there is no interval in the log: nothing was ok while it was written")
	}
	return notes, out.Flush()
}
