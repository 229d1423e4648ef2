package export

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

var csvHeader = []string{
	"seq", "target", "warm_up", "due_us", "start_us", "leased_us", "resolved_us", "connected_us", "secured_us",
	"wrote_headers_us", "wrote_us", "first_byte_us", "got_headers_us", "done_us", "buffered_us",
	"conn", "use", "reused", "idle_us", "age_us", "phase", "cause", "status", "bytes_out", "bytes_in", "attempts", "error",
	"tries", "twice", "tcp",
}

// CSV writes the record of d as CSV: a header, then a row for each recorded exchange,
// including those of the warm-up and the dropped ones. The rows are roughly in the
// order in which the exchanges ended.
//
// Times are in µs. due_us counts from the start of the run; the other stamps count
// from due, so done_us is the response time. A stamp that the exchange did not reach
// is empty. An error text that a spreadsheet would execute as a formula gets an
// apostrophe in front. tries and tcp hold the JSON of the record's fields of these
// names, or are empty. The notes have the same meaning as those of [Vegeta].
func CSV(w io.Writer, d *record.Dir) (notes []string, err error) {
	run, err := d.Run()
	if err != nil {
		return nil, err
	}
	so := fmt.Sprintf("count each row of phase done as %d, or as 1 if it has tries", run.Recording.SuccessesOneIn)
	return notesOn(run, so), writeCSV(w, d, run)
}

func writeCSV(w io.Writer, d *record.Dir, run *results.Run) error {
	out := csv.NewWriter(w)
	if err := out.Write(csvHeader); err != nil {
		return err
	}
	row := make([]string, len(csvHeader))
	for e, err := range d.Exchanges() {
		if tornAsKnown(err, run) {
			break // the notes say so
		}
		if err != nil {
			return err
		}
		fillRow(row, e)
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func fillRow(row []string, e *results.Exchange) {
	stamp := func(d time.Duration) string {
		if d == results.Never {
			return ""
		}
		return strconv.FormatInt(results.Micros(d-e.Due), 10)
	}
	length := func(d time.Duration) string { return strconv.FormatInt(results.Micros(d), 10) }
	text := ""
	if e.Err != nil {
		text = e.Err.Error()
	}
	tries := ""
	if len(e.Tries) > 0 {
		tries = string(record.AppendTries(nil, e))
	}
	tcp := ""
	if e.AtLease != nil || e.AtFailure != nil {
		tcp = string(record.AppendTCP(nil, e))
	}
	copy(row, []string{
		strconv.FormatUint(e.Seq, 10), strconv.Itoa(e.Target), strconv.FormatBool(e.WarmUp), length(e.Due),
		stamp(e.Start), stamp(e.Leased), stamp(e.Resolved), stamp(e.Connected), stamp(e.Secured),
		stamp(e.WroteHeaders), stamp(e.Wrote), stamp(e.FirstByte), stamp(e.GotHeaders), stamp(e.Done), length(e.Buffered),
		strconv.FormatUint(e.Conn, 10), strconv.Itoa(e.Use), strconv.FormatBool(e.Reused()), length(e.Idle), length(e.Age),
		e.Phase.String(), e.Cause.String(), strconv.Itoa(e.Status), strconv.FormatInt(e.BytesOut, 10),
		strconv.FormatInt(e.BytesIn, 10), strconv.Itoa(e.Attempts), cellText(text),
		tries, strconv.FormatBool(e.Twice), tcp,
	})
}

// cellText returns text as a cell that a spreadsheet reads as text. A spreadsheet
// would execute a text that looks like a formula, and a server may have written it.
// Numbers stay as they are.
//
// Characters that cannot be printed, such as control bytes, become Go escapes: "\\x1b".
func cellText(text string) string {
	text = visible(text)
	if text == "" || !strings.ContainsRune("=+-@", rune(text[0])) {
		return text
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return text
	}
	return "'" + text
}

// visible returns text with an escape for each character that cannot be printed.
func visible(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) {
		return text
	}
	quoted := strconv.Quote(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
