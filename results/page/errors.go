package page

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
)

// maxTexts is how many texts of errors have a row of their own on a page. The failures
// with further texts are counted together, by phase and cause.
const maxTexts = 60

// errorCounts gathers Errors.
type errorCounts struct {
	rows   map[outcome]map[string]*ErrorRow // by the text without the client's port
	others map[outcome]*ErrorRow            // with texts that have no row
	texts  int                              // number of rows in rows
	warmUp uint64
	buffer []byte
}

func newErrorCounts() *errorCounts {
	return &errorCounts{rows: map[outcome]map[string]*ErrorRow{}, others: map[outcome]*ErrorRow{}}
}

// add counts e, which failed.
func (c *errorCounts) add(e *results.Exchange) {
	if e.WarmUp {
		c.warmUp++
		return
	}
	row := c.row(e)
	at := max(e.Done, e.Start).Seconds()
	if row.Count == 0 {
		row.First, row.Last = at, at
	}
	row.Count++
	row.First, row.Last = min(row.First, at), max(row.Last, at)
	switch {
	case e.Reused():
		row.Reused++
	case e.Conn > 0:
		row.Fresh++
	}
}

// row is the row that counts e.
func (c *errorCounts) row(e *results.Exchange) *ErrorRow {
	o := outcome{e.Phase, e.Cause}
	text := ""
	if e.Err != nil {
		text = results.ErrorText(e.Err)
	}
	c.buffer = withoutPort(c.buffer[:0], text)
	if row := c.rows[o][string(c.buffer)]; row != nil {
		return row
	}
	if c.texts < maxTexts {
		row := &ErrorRow{Phase: e.Phase, Cause: e.Cause, Text: string(c.buffer)}
		if c.rows[o] == nil {
			c.rows[o] = map[string]*ErrorRow{}
		}
		c.rows[o][row.Text] = row
		c.texts++
		return row
	}
	if c.others[o] == nil {
		c.others[o] = &ErrorRow{Phase: e.Phase, Cause: e.Cause, Rest: "other texts"}
	}
	return c.others[o]
}

// withoutPort appends text to b. The port of the address before "->", which is the
// client's and different for each connection, becomes "*".
func withoutPort(b []byte, text string) []byte {
	before, after, found := strings.Cut(text, "->")
	address := strings.TrimRight(before, "0123456789")
	if !found || len(address) == len(before) || !strings.HasSuffix(address, ":") {
		return append(b, text...)
	}
	return append(append(append(b, address...), "*->"...), after...)
}

// data returns the failures counted so far, and rows for those that doc counts and the
// record does not hold.
func (c *errorCounts) data(doc *results.Run) Errors {
	d := Errors{Rows: []ErrorRow{}, WarmUp: c.warmUp}
	if len(c.others) > 0 {
		d.Texts = c.texts
	}
	recorded := map[outcome]*ErrorRow{}
	keep := func(row *ErrorRow) {
		r := *row
		r.First, r.Last = round(r.First, 1e6), round(r.Last, 1e6)
		kind := outcome{r.Phase, r.Cause}
		if recorded[kind] == nil {
			recorded[kind] = &ErrorRow{}
		}
		recorded[kind].count(r.Count, r.Fresh, r.Reused)
		d.Rows = append(d.Rows, r)
	}
	for _, texts := range c.rows {
		for _, row := range texts {
			keep(row)
		}
	}
	for _, row := range c.others {
		keep(row)
	}
	missing := map[outcome]*ErrorRow{}
	for _, o := range doc.Outcomes {
		if !o.Failed() {
			continue
		}
		kind := outcome{o.Phase, o.Cause}
		if missing[kind] == nil {
			missing[kind] = &ErrorRow{Phase: o.Phase, Cause: o.Cause, First: -1, Last: -1, Rest: "not recorded"}
		}
		fresh, reused := uint64(0), uint64(0)
		switch o.Connection() {
		case results.ConnectionFresh:
			fresh = o.Count
		case results.ConnectionReused:
			reused = o.Count
		}
		missing[kind].count(o.Count, fresh, reused)
	}
	for kind, row := range missing {
		if has := recorded[kind]; has != nil {
			row.Fresh, row.Reused = row.Fresh-min(has.Fresh, row.Fresh), row.Reused-min(has.Reused, row.Reused)
			row.Count -= min(has.Count, row.Count)
		}
		if row.Fresh+row.Reused > row.Count { // the record has failures without a connection, which the document counts as fresh
			row.Fresh, row.Reused = 0, 0
		}
		if row.Count > 0 {
			d.Rows = append(d.Rows, *row)
		}
	}
	slices.SortFunc(d.Rows, func(a, b ErrorRow) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Phase, b.Phase), cmp.Compare(a.Cause, b.Cause), cmp.Compare(a.Text, b.Text), cmp.Compare(a.Rest, b.Rest))
	})
	return d
}

// count adds failures, and those of them on new connections and on used ones.
func (r *ErrorRow) count(n, fresh, reused uint64) {
	r.Count += n
	r.Fresh += fresh
	r.Reused += reused
}
