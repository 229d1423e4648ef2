package export

import (
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// maxReorder bounds the exchanges held back to bring them into the order in
// which they were due: a minute of 10,000 exchanges/s, in about 60 MB.
const maxReorder = 600_000

// Vegeta writes the record of d as vegeta's JSON results, one line each,
// for `vegeta report` and `vegeta plot`.
//
// Dropped requests, requests due in the warm-up and successes that were not recorded
// are left out. Results are numbered from 0 in the order in which they were due,
// because vegeta's plot needs this order. A failure has code 0 even if its status had
// arrived, as in vegeta's own results: a code of 200 would count as a success. A
// request that was sent again is one result, and its latency covers all its attempts.
//
// Each note is a sentence about a part of the run that the export does not have.
func Vegeta(w io.Writer, d *record.Dir) (notes []string, err error) {
	run, err := d.Run()
	if err != nil {
		return nil, err
	}
	notes = notesOn(run, "ratios, rates and percentiles taken from the export are off; 'kabench report' has them from every exchange")
	return notes, writeVegeta(w, d, run)
}

// notesOn says what is missing from an export of run's record. so says what follows
// from this for a reader who counts exchanges.
func notesOn(run *results.Run, so string) []string {
	var notes []string
	r := run.Recording
	if r.SuccessesOneIn > 1 {
		notes = append(notes, fmt.Sprintf("only one success in %d was recorded, every failure, and all that was sent again: %s", r.SuccessesOneIn, so))
	}
	if !run.Complete {
		notes = append(notes, "the run was cut off: the export ends where the record does")
	}
	if r.Lost > 0 || r.Error != "" {
		missing := results.FormatCount(r.Lost, "exchange")
		if !run.Complete {
			missing = "at least " + missing // counted when the record stopped, not when the run did
		}
		note := "the record stops early, with " + missing + " missing at its end"
		if r.Error != "" {
			note += " (" + r.Error + ")"
		}
		notes = append(notes, note)
	}
	return notes
}

// tornAsKnown reports whether err is an incomplete end of a record, and run already
// says that its record stops early.
func tornAsKnown(err error, run *results.Run) bool {
	return errors.Is(err, record.ErrTorn) && (!run.Complete || run.Recording.Error != "")
}

func writeVegeta(w io.Writer, d *record.Dir, run *results.Run) error {
	out := &vegetaWriter{encode: vegeta.NewJSONEncoder(w), run: run}
	setup := results.SetupOf(run)
	out.method, out.url = setup.Method, setup.URL
	var held dueHeap
	for e, err := range d.Exchanges() {
		if tornAsKnown(err, run) {
			break // the notes say so
		}
		if err != nil {
			return err
		}
		if e.WarmUp || e.Phase == results.PhaseSchedule {
			continue
		}
		heap.Push(&held, resultOf(e))
		if len(held) > maxReorder {
			if err := out.write(heap.Pop(&held).(vegetaResult)); err != nil {
				return err
			}
		}
	}
	for len(held) > 0 {
		if err := out.write(heap.Pop(&held).(vegetaResult)); err != nil {
			return err
		}
	}
	return nil
}

// vegetaResult has the parts of an exchange that a vegeta.Result needs. It is small
// because up to maxReorder of them are held back.
type vegetaResult struct {
	seq     uint64
	due     time.Duration
	latency time.Duration
	in, out int64
	code    uint16
	err     string
}

func resultOf(e *results.Exchange) vegetaResult {
	r := vegetaResult{seq: e.Seq, due: e.Due, latency: e.ResponseTime(), in: e.BytesIn, out: e.BytesOut}
	switch {
	case e.OK():
		r.code = uint16(min(e.Status, 999))
		if e.Status < 200 || e.Status >= 400 { // as vegeta words it
			r.err = fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))
		}
	default:
		r.err = fmt.Sprintf("%v/%v", e.Phase, e.Cause)
		if e.Err != nil {
			r.err += ": " + e.Err.Error()
		}
	}
	return r
}

type vegetaWriter struct {
	encode      vegeta.Encoder
	run         *results.Run
	method, url string
	written     uint64
	last        time.Duration
}

func (w *vegetaWriter) write(r vegetaResult) error {
	if r.due < w.last {
		return fmt.Errorf("the record is out of order by more than %d exchanges, which vegeta cannot plot; export csv instead", maxReorder)
	}
	w.last = r.due
	err := w.encode(&vegeta.Result{
		Attack: w.run.Name, Seq: w.written, Code: r.code, Timestamp: w.run.Start.Add(r.due), Latency: r.latency,
		BytesOut: uint64(r.out), BytesIn: uint64(r.in), Error: r.err, Method: w.method, URL: w.url,
	})
	w.written++
	return err
}

// dueHeap is a heap; the result that was due first is at its root.
type dueHeap []vegetaResult

func (h dueHeap) Len() int { return len(h) }

func (h dueHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h dueHeap) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(h[i].due, h[j].due), cmp.Compare(h[i].seq, h[j].seq)) < 0
}

func (h *dueHeap) Push(x any) { *h = append(*h, x.(vegetaResult)) }

func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	(*h)[last] = vegetaResult{}
	*h = (*h)[:last]
	return r
}
