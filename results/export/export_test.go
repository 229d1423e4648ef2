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
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	"github.com/tsenart/vegeta/v12/lib/plot"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
	"github.com/kabench/kabench/results/text"
)

// finished returns the directory of a complete run that recorded list, in an order
// that is not the order of due times.
func finished(t testing.TB, list []*results.Exchange) *record.Dir {
	t.Helper()
	w, dir := create(t)
	must(t, w.Begin(begun()))
	for part := range slices.Chunk(list, 37) {
		for _, e := range slices.Backward(part) {
			w.Observe(e)
		}
	}
	run := begun()
	run.Complete, run.Valid = true, true
	must(t, w.Close(run))
	d, err := record.Open(dir)
	must(t, err)
	return d
}

func TestExportVegeta(t *testing.T) {
	list := mixed(1000)
	warm := done(1000)
	warm.WarmUp = true
	cut := stale(1001) // its head had come: a failure with a status
	cut.Phase, cut.Cause, cut.Status = results.PhaseDuringResponse, results.CauseTruncated, 200
	d := finished(t, append(list, warm, cut))
	var b bytes.Buffer
	notes, err := Vegeta(&b, d)
	must(t, err)
	if len(notes) > 0 {
		t.Errorf("notes on a whole record: %q", notes)
	}
	exported := b.Bytes()

	decode := vegeta.DecoderFor(bytes.NewReader(exported))
	if decode == nil {
		t.Fatal("vegeta does not know the format")
	}
	var metrics vegeta.Metrics
	p := plot.New()
	last := time.Time{}
	read := map[time.Duration]vegeta.Result{}
	for seq := uint64(0); ; seq++ {
		var r vegeta.Result
		if err := decode(&r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if r.Seq != seq || r.Timestamp.Before(last) {
			t.Fatalf("result %d is numbered %d, at %v after %v", seq, r.Seq, r.Timestamp, last)
		}
		last = r.Timestamp
		read[r.Timestamp.Sub(begun().Start)] = r
		metrics.Add(&r)
		must(t, p.Add(&r))
	}
	metrics.Close()
	p.Close()
	if metrics.Requests != 991 {
		t.Errorf("%d requests, want the 990 started and the one that was cut, without those dropped or of the warm-up", metrics.Requests)
	}
	if got := metrics.StatusCodes; got["200"] != 950 || got["503"] != 10 || got["0"] != 31 {
		t.Errorf("status codes %v, want 950 of 200, 10 of 503, 31 of 0", got)
	}
	if want := 950.0 / 991; metrics.Success < want-1e-9 || metrics.Success > want+1e-9 {
		t.Errorf("success %v, want %v", metrics.Success, want)
	}
	at := func(seq uint64) vegeta.Result { return read[time.Duration(seq)*2500*time.Microsecond] }
	if r := at(3); r.Latency != 3*ms || r.BytesIn != 340 || r.BytesOut != 120 || r.Method != "POST" ||
		r.URL != "http://127.0.0.1:8080/" || r.Attack != "idle-race" || r.Error != "" {
		t.Errorf("a success: %+v", r)
	}
	if r := at(49); r.Code != 0 || r.Error != "before_response/fin: "+errEOF.Error() || r.Latency != 5*ms {
		t.Errorf("a stale one: %+v", r)
	}
	if r := at(30); r.Code != 503 || r.Error != "503 Service Unavailable" {
		t.Errorf("a 503: %+v", r)
	}
	var html bytes.Buffer
	if _, err := p.WriteTo(&html); err != nil || !strings.Contains(html.String(), "idle-race") {
		t.Errorf("plot: %v, %d bytes", err, html.Len())
	}
}

func TestExportCSV(t *testing.T) {
	list := append(mixed(198), resent(198), resentInVain(199))
	d := finished(t, list)
	var b bytes.Buffer
	notes, err := CSV(&b, d)
	must(t, err)
	if len(notes) > 0 {
		t.Errorf("notes on a whole record: %q", notes)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	must(t, err)
	if len(rows) != 201 {
		t.Fatalf("%d rows, want a header and 200", len(rows))
	}
	column := func(row []string, name string) string { return row[slices.Index(rows[0], name)] }
	for _, row := range rows[1:] {
		seq, err := strconv.Atoi(column(row, "seq"))
		must(t, err)
		e := list[seq]
		if column(row, "phase") != e.Phase.String() || column(row, "cause") != e.Cause.String() ||
			column(row, "due_us") != strconv.FormatInt(e.Due.Microseconds(), 10) {
			t.Errorf("row %v, want %+v", row, e)
		}
		if done := column(row, "done_us"); e.Done == results.Never && done != "" ||
			e.Done != results.Never && done != strconv.FormatInt(e.ResponseTime().Microseconds(), 10) {
			t.Errorf("seq %d: done_us %q", seq, done)
		}
		if text := column(row, "tries"); len(e.Tries) == 0 && text != "" {
			t.Errorf("seq %d: tries %q of an exchange that has none", seq, text)
		} else if len(e.Tries) > 0 {
			var tries []struct{ Phase, Cause string }
			must(t, json.Unmarshal([]byte(text), &tries))
			if len(tries) != len(e.Tries) || tries[0].Phase != "before_response" || tries[0].Cause != e.Tries[0].Cause.String() {
				t.Errorf("seq %d: tries %s, want %+v", seq, text, e.Tries)
			}
		}
		if twice := column(row, "twice"); twice != strconv.FormatBool(e.Twice) {
			t.Errorf("seq %d: twice %q", seq, twice)
		}
	}
}

// killed returns the directory of a run that was killed while it wrote the last frame
// of its record, after list.
func killed(t *testing.T, list []*results.Exchange) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	synctest.Test(t, func(t *testing.T) { // a frame is a second
		w, err := record.Create(dir)
		must(t, err)
		must(t, w.Begin(begun()))
		for part := range slices.Chunk(list, 20) {
			for _, e := range part {
				w.Observe(e)
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		w.Abort() // leaves what was recorded, and no run.json
	})
	path := filepath.Join(dir, "exchanges.ndjson.zst")
	info, err := os.Stat(path)
	must(t, err)
	must(t, os.Truncate(path, info.Size()-1))
	return dir
}

// rewrite replaces the document called name in dir with run.
func rewrite(t testing.TB, dir, name string, run *results.Run) {
	t.Helper()
	var b bytes.Buffer
	must(t, record.EncodeRun(&b, run))
	must(t, os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644))
}

func TestExportOfACutOffRun(t *testing.T) {
	dir := killed(t, mixed(60))
	d, err := record.Open(dir)
	must(t, err)
	for name, export := range map[string]func(io.Writer, *record.Dir) ([]string, error){"vegeta": Vegeta, "csv": CSV} {
		var b bytes.Buffer
		if notes, err := export(&b, d); err != nil || len(notes) != 1 || !strings.Contains(notes[0], "cut off") || bytes.Count(b.Bytes(), []byte("\n")) < 35 {
			t.Errorf("%s: %v, notes %q, %d lines", name, err, notes, bytes.Count(b.Bytes(), []byte("\n")))
		}
	}
	// A complete run whose record is short has lost something: that is an error.
	rewrite(t, dir, "run.json", begun())
	run, err := d.Run()
	must(t, err)
	run.Complete = true
	rewrite(t, dir, "run.json", run)
	for name, export := range map[string]func(io.Writer, *record.Dir) ([]string, error){"vegeta": Vegeta, "csv": CSV} {
		if _, err := export(io.Discard, d); !errors.Is(err, record.ErrTorn) {
			t.Errorf("%s of a complete run: %v, want %v", name, err, record.ErrTorn)
		}
	}
}

// TestExportSaysWhatIsMissing: the notes say which part of the run an export lacks.
func TestExportSaysWhatIsMissing(t *testing.T) {
	exports := map[string]func(io.Writer, *record.Dir) ([]string, error){"vegeta": Vegeta, "csv": CSV}
	for _, tt := range []struct {
		rec      results.Recording
		complete bool
		say      []string
	}{
		{results.Recording{SuccessesOneIn: 1}, true, nil},
		{results.Recording{SuccessesOneIn: 10, LeftOut: 900}, true, []string{"only one success in 10 was recorded"}},
		{results.Recording{SuccessesOneIn: 1, Lost: 40, Error: "no space left on device"}, true, []string{"with 40 exchanges missing at its end (no space left on device)"}},
		{results.Recording{SuccessesOneIn: 2, Lost: 1}, false, []string{"one success in 2", "was cut off", "at least 1 exchange missing at its end"}},
	} {
		d := finished(t, mixed(100))
		run, err := d.Run()
		must(t, err)
		run.Complete, run.Recording = tt.complete, tt.rec
		name := "run.json"
		if !tt.complete {
			name = "begun.json"
			must(t, os.Remove(filepath.Join(d.Path(), "run.json")))
		}
		rewrite(t, d.Path(), name, run)
		for format, export := range exports {
			notes, err := export(io.Discard, d)
			must(t, err)
			if len(notes) != len(tt.say) {
				t.Errorf("%s of %+v: notes %q, want %q", format, tt.rec, notes, tt.say)
				continue
			}
			for i, say := range tt.say {
				if !strings.Contains(notes[i], say) || strings.Contains(notes[i], "\n") {
					t.Errorf("%s of %+v: note %q, want %q", format, tt.rec, notes[i], say)
				}
			}
		}
	}
	d := finished(t, mixed(100))
	run, err := d.Run()
	must(t, err)
	run.Recording.Error = "no space left on device"
	rewrite(t, d.Path(), "run.json", run)
	info, err := os.Stat(filepath.Join(d.Path(), "exchanges.ndjson.zst"))
	must(t, err)
	must(t, os.Truncate(filepath.Join(d.Path(), "exchanges.ndjson.zst"), info.Size()-1)) // a full disk that did not let the file shrink
	for format, export := range exports {
		if notes, err := export(io.Discard, d); err != nil || len(notes) != 1 {
			t.Errorf("%s of a torn record: %v, notes %q", format, err, notes)
		}
	}
}

// TestExportsOfLittle: a run without figures is still exported, or refused with a
// sentence that says why.
func TestExportsOfLittle(t *testing.T) {
	nothing, err := record.DecodeRun([]byte(`{"schema":"kabench.run/v1"}`))
	must(t, err)
	empty := archiveOf(nothing)
	none := archiveOf(dated())
	none.Run.Counts.OK, none.Run.Latency = 0, map[string]results.Quantiles{}
	for name, k := range map[string]*record.Archive{"empty": empty, "zero successes": none} {
		must(t, text.RenderMarkdown(io.Discard, k))
		_, err := JUnit(io.Discard, k)
		must(t, err)
		_, err = RunsCSV(io.Discard, k)
		must(t, err)
		if _, err := Bench(io.Discard, k); (err != nil) != (name == "empty") {
			t.Errorf("%s as a benchmark: %v", name, err)
		} else if err != nil && !strings.Contains(err.Error(), "there is no run to export: a run of run is left out: it is invalid") {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir := keep(t, reproduced())
	must(t, os.Remove(filepath.Join(dir, "incident", "samples.ndjson")))
	k, err := record.OpenArchive(dir)
	must(t, err)
	var b strings.Builder
	must(t, text.RenderMarkdown(&b, k))
	if !strings.Contains(b.String(), "the samples of incident") {
		t.Errorf("missing samples are not told:\n%s", b.String())
	}
}
