package export

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// TestVegetaItselfReadsTheExport: the commands that users have.
func TestVegetaItselfReadsTheExport(t *testing.T) {
	d := finished(t, mixed(1000))
	var b bytes.Buffer
	_, err := Vegeta(&b, d)
	must(t, err)
	var report struct {
		Requests    int            `json:"requests"`
		Success     float64        `json:"success"`
		StatusCodes map[string]int `json:"status_codes"`
		Latencies   struct {
			P99 time.Duration `json:"99th"`
		} `json:"latencies"`
	}
	text := tool(t, b.Bytes(), "vegeta", "report", "-type=json")
	must(t, json.Unmarshal([]byte(text), &report))
	if report.Requests != 990 || report.StatusCodes["200"] != 950 || report.StatusCodes["0"] != 30 || report.Latencies.P99 < 3*ms || report.Latencies.P99 > 5*ms {
		t.Errorf("vegeta report: %s", text)
	}
	page := tool(t, b.Bytes(), "vegeta", "plot")
	for _, part := range []string{"<html", "idle-race"} {
		if !strings.Contains(page, part) {
			t.Errorf("vegeta plot has no %q in %d bytes", part, len(page))
		}
	}
}

// logged is a run with a latency log of two intervals.
func logged(t testing.TB, complete bool) *record.Dir {
	t.Helper()
	w, dir := create(t)
	must(t, w.Begin(begun()))
	for i := range 2 {
		for j, tag := range tagged {
			h := results.NewHistogram()
			for v := range int64(100) {
				must(t, h.RecordValue(1000*int64(j+1)+v*int64(i+1)))
			}
			must(t, w.WriteInterval(tag, time.Duration(i)*time.Second, time.Duration(i+1)*time.Second, h))
		}
	}
	run := begun()
	run.Complete, run.Valid = true, true
	must(t, w.Close(run))
	if !complete {
		rewrite(t, dir, "begun.json", begun())
		must(t, os.Remove(filepath.Join(dir, "run.json")))
	}
	d, err := record.Open(dir)
	must(t, err)
	return d
}

func TestExportHdrHistogram(t *testing.T) {
	d := logged(t, true)
	for _, tag := range append([]string{""}, tagged...) {
		var b bytes.Buffer
		notes, err := HdrHistogram(&b, d, tag)
		must(t, err)
		if len(notes) > 0 {
			t.Errorf("notes %q", notes)
		}
		read := hdrhistogram.NewHistogramLogReader(&b)
		var got []string
		for {
			h, err := read.NextIntervalHistogram()
			must(t, err)
			if h == nil {
				break
			}
			got = append(got, h.Tag())
			of := slices.Index(tagged, h.Tag())
			if tag != "" {
				of = slices.Index(tagged, tag)
			}
			if h.TotalCount() != 100 || h.Min() != 1000*int64(of+1) {
				t.Errorf("%q: %d values from %d on", tag, h.TotalCount(), h.Min())
			}
		}
		want := []string{"", ""}
		if tag == "" {
			want = slices.Concat(tagged, tagged)
		}
		if !slices.Equal(got, want) {
			t.Errorf("tag %q: intervals %q, want %q", tag, got, want)
		}
	}
	if _, err := HdrHistogram(io.Discard, d, "tls"); err == nil || !strings.Contains(err.Error(), `no tag "tls": want response, service, lag`) {
		t.Errorf("an unknown tag: %v", err)
	}
}

func TestExportHdrHistogramOfWhatIsNotWhole(t *testing.T) {
	for _, complete := range []bool{false, true} {
		d := logged(t, complete)
		path := filepath.Join(d.Path(), "latency.hlog")
		data, err := os.ReadFile(path)
		must(t, err)
		must(t, os.WriteFile(path, data[:len(data)-9], 0o644))
		var b bytes.Buffer
		notes, err := HdrHistogram(&b, d, results.LatencyLag)
		if complete {
			if !errors.Is(err, record.ErrTorn) {
				t.Errorf("a complete run whose log is torn: %v", err)
			}
			continue
		}
		if err != nil || len(notes) != 1 || !strings.Contains(notes[0], "cut off") || strings.Count(b.String(), "HISTF") != 1 {
			t.Errorf("of a run that was cut off: %v, notes %q", err, notes)
		}
	}
	d := logged(t, true)
	must(t, os.WriteFile(filepath.Join(d.Path(), "latency.hlog"), []byte("Tag=x,=cmd()\n"), 0o644))
	if _, err := HdrHistogram(io.Discard, d, ""); err == nil || !strings.Contains(err.Error(), "no line of a latency log") {
		t.Errorf("a damaged log: %v", err)
	}
	must(t, os.Remove(filepath.Join(d.Path(), "latency.hlog")))
	if _, err := HdrHistogram(io.Discard, d, ""); err == nil || !strings.Contains(err.Error(), "there is no latency log") {
		t.Errorf("without a log: %v", err)
	}
}

func TestExportRunsCSV(t *testing.T) {
	k, err := record.OpenArchive(keepCompared(t, compared()))
	must(t, err)
	var b bytes.Buffer
	notes, err := RunsCSV(&b, k)
	must(t, err)
	rows, err := csv.NewReader(&b).ReadAll()
	must(t, err)
	if len(rows) != 5 || len(notes) > 0 {
		t.Fatalf("%d rows, notes %q; want a header and a row for each run", len(rows), notes)
	}
	cell := func(row []string, name string) string {
		i := slices.Index(rows[0], name)
		if i < 0 {
			t.Fatalf("no column %q in %q", name, rows[0])
		}
		return row[i]
	}
	for i, row := range rows[1:] {
		r := k.Comparison.Runs[i]
		if cell(row, "arm") != r.Arm || cell(row, "excluded") != r.Excluded || (cell(row, "valid") == "true") != (r.Excluded == "") ||
			cell(row, "pool.idle_timeout") != strings.TrimPrefix(r.Arm, "idle_timeout=") || cell(row, "failed") != "30" || cell(row, "service-p50-s") != "0.00295" {
			t.Errorf("row %q, want %+v", row, r)
		}
	}
}
