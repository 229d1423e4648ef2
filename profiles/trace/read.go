package trace

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/secrets"
	"github.com/kabench/kabench/internal/unpack"
)

// most is how many requests are read. At five bytes each they take 250 MB.
const most = 50_000_000

// open reads a log.
func open(t generator.Trace) (*generator.Times, []string, error) {
	f, err := unpack.Open(t.File)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	times, notes, err := read(t, f.Reader, most)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", t.File, err)
	}
	for i := range notes {
		notes[i] = t.File + notes[i]
	}
	return times, notes, nil
}

// reader reads one log.
type reader struct {
	of    generator.Trace
	clock *clock
	order order
	times generator.TimesBuilder
	limit int

	from, to int64 // ns since 1970
	first    int64 // of the first line with a request
	begun    bool
	entry    entry // of the line being read
	lines    int   // up to the line being read
	requests int   // seen, selected or not
	other    int   // lines about no request
	digits   int
	fine     bool // there is a stamp within a second
	since    bool
	cut      bool // the last line was not complete
}

// read reads a log of at most limit selected requests. The notes lack the name of the file
// before them.
func read(t generator.Trace, in *bufio.Reader, limit int) (*generator.Times, []string, error) {
	zone, err := generator.ZoneOf(t.Zone)
	if err != nil {
		return nil, nil, err
	}
	r := &reader{of: t, clock: &clock{zone: zone}, limit: limit, from: math.MinInt64, to: math.MaxInt64}
	r.order.take = r.times.Add
	head, err := in.Peek(64 << 10)
	if len(head) == 0 {
		if err != nil && err != io.EOF {
			return nil, nil, fmt.Errorf("cannot be read: %w", err)
		}
		return nil, nil, errors.New("is empty")
	}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		in.Discard(3)
		head = head[3:]
	}
	f, err := formatOf(t, r.clock, head, t.Host != "" || t.Path != "")
	if err != nil {
		return nil, nil, err
	}
	if f == nil {
		err = r.results(in)
	} else {
		r.since = f.since
		err = r.text(in, f)
	}
	if err != nil && err != errPast {
		return nil, nil, err
	}
	return r.built(f)
}

// errPast ends the reading of a log behind its last selected request.
var errPast = errors.New("past the end")

// text reads lines.
func (r *reader) text(in *bufio.Reader, f *format) error {
	for {
		line, err := in.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			return fmt.Errorf("line %d is longer than %d kB", r.lines+1, len(line)>>10)
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("line %d cannot be read: %w", r.lines+1, err)
		}
		if len(line) > 0 {
			r.lines++
			last := err == io.EOF
			if wrong := r.line(bytes.TrimRight(line, "\r\n"), f); wrong == errLine && last && r.requests > 0 {
				r.cut = true // it is being written
			} else if wrong == errLine {
				return fmt.Errorf("line %d is not of the format %s, which has lines such as %s; it begins with %s", r.lines, f.name, f.wants, excerpt(line))
			} else if wrong != nil {
				return wrong
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}

// errLine is a line that the format does not have.
var errLine = errors.New("another format")

func (r *reader) line(b []byte, f *format) error {
	if len(b) == 0 || b[0] == '#' {
		return nil
	}
	e := &r.entry
	*e = entry{}
	switch f.read(b, e) {
	case wrong:
		return errLine
	case skipped:
		r.other++
		return nil
	}
	return r.request(e)
}

// results reads vegeta's binary results.
func (r *reader) results(in io.Reader) error {
	decode := vegeta.NewDecoder(in)
	for {
		var one vegeta.Result
		err := decode.Decode(&one)
		if err == io.EOF {
			return nil
		}
		if r.lines++; err != nil {
			return fmt.Errorf("result %d is not one of vegeta: %w", r.lines, err)
		}
		e := entry{stamp: stamp{one.Timestamp.UnixNano(), 9}}
		e.target([]byte(one.URL))
		if err := r.request(&e); err != nil {
			return err
		}
	}
}

// request takes a request, if it is selected.
func (r *reader) request(e *entry) error {
	if !r.begun {
		r.begun, r.first = true, e.at
		if err := r.bounds(); err != nil {
			return err
		}
	}
	r.requests++
	began := e.at
	if e.took > 0 {
		if e.digits == 0 { // a second that the request began in is all that can be known
			e.took = e.took.Round(time.Second)
		}
		began -= int64(e.took)
	}
	if !r.selected(e, began) {
		if e.at > r.to && e.at-r.to > int64(window+longest) {
			return errPast
		}
		return nil
	}
	r.digits = max(r.digits, e.digits)
	r.fine = r.fine || began%int64(time.Second) != 0
	if !r.order.add(e.at, began) {
		hint := "sort it"
		if !r.since && r.clock.zone == time.UTC {
			hint += ", or set load.trace.zone if clocks went back"
		}
		return fmt.Errorf("line %d is %v behind a line before it: the log is out of order by more than %v; %s", r.lines, time.Duration(r.order.latest-e.at).Round(time.Second), window, hint)
	}
	if n := r.times.Count() + len(r.order.waiting); n > r.limit {
		return fmt.Errorf("there are more than %d requests up to line %d, which is %v after the first; take a part with load.trace.from and load.trace.to, for example from %s to %s",
			r.limit, r.lines, time.Duration(e.at-r.first).Round(time.Second), r.shown(r.first), r.shown(r.first+(e.at-r.first)/2))
	}
	return nil
}

func (r *reader) selected(e *entry, began int64) bool {
	if began < r.from || began >= r.to {
		return false
	}
	return (r.of.Host == "" || hostIs(e.host, r.of.Host)) && (r.of.Path == "" || bytes.HasPrefix(e.path, []byte(r.of.Path)))
}

// shown is a moment as from and to have it.
func (r *reader) shown(ns int64) string {
	if r.since {
		return time.Duration(ns - r.first).Round(time.Second).String()
	}
	return r.local(ns).Format(time.RFC3339)
}

// local is a moment in the zone of the log's first stamp.
func (r *reader) local(ns int64) time.Time {
	at := time.Unix(0, ns)
	if r.clock.offset == 0 {
		return at.UTC()
	}
	return at.In(time.FixedZone("", r.clock.offset))
}

// bounds works out which moments are selected, once the first is known.
func (r *reader) bounds() error {
	for _, b := range []struct {
		field, text string
		to          *int64
	}{{"from", r.of.From, &r.from}, {"to", r.of.To, &r.to}} {
		m, err := generator.MomentOf(b.text)
		switch {
		case err != nil:
			return err
		case m.Kind == generator.NoMoment:
			continue
		case m.Kind == generator.SinceFirst:
			*b.to = r.first + int64(m.Since)
			continue
		case r.since:
			return fmt.Errorf("has no dates, so load.trace.%s must be the time since the first request, such as 90m", b.field)
		}
		at := m.At
		if m.Kind == generator.WithoutZone {
			at = time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), 0, r.local(r.first).Location())
		}
		*b.to = at.UnixNano()
	}
	return nil
}

// enoughToTell is how many stamps at whole seconds are no chance.
const enoughToTell = 20

// built returns the times of all selected requests, and the notes.
func (r *reader) built(f *format) (*generator.Times, []string, error) {
	r.order.end()
	n := r.times.Count()
	switch {
	case r.requests == 0:
		return nil, nil, errors.New("has no requests")
	case n == 0:
		return nil, nil, r.none(f)
	}
	grain := time.Second
	if r.digits > 0 && (r.fine || n < enoughToTell) {
		for range r.digits {
			grain /= 10
		}
	}
	begin, _ := r.times.Range()
	times, err := r.times.Build(generator.TimesOf{Begin: r.local(begin), Dated: !r.since, Grain: grain, Speed: r.of.Rate()})
	if err != nil {
		return nil, nil, err
	}
	var notes []string
	if times.Spread() {
		notes = append(notes, " has times in whole seconds, so requests are spread at random within each second (load.seed)")
	}
	if r.order.clipped > 0 {
		notes = append(notes, fmt.Sprintf(" has requests that took longer than %v (%d); they are sent that long before their end", longest, r.order.clipped))
	}
	if r.other > 0 && f != nil && f.name == "haproxy" {
		notes = append(notes, fmt.Sprintf(" has %d lines that are about no request", r.other))
	}
	if r.cut {
		notes = append(notes, fmt.Sprintf(" ends with half a line (line %d), which is left out", r.lines))
	}
	return times, notes, nil
}

// none says why nothing was selected.
func (r *reader) none(f *format) error {
	var by []string
	if r.of.Host != "" {
		by = append(by, "the host "+r.of.Host)
	}
	if r.of.Path != "" {
		by = append(by, "a path that begins with "+secrets.RedactURL(r.of.Path))
	}
	if r.of.From != "" || r.of.To != "" {
		by = append(by, "a time within from and to")
	}
	text := fmt.Sprintf("has %d requests, but none with %s; the first is at %s", r.requests, strings.Join(by, " and "), r.shown(r.first))
	if r.of.Host != "" && f != nil && !f.hosts {
		text += "; the format " + f.name + " does not have the host: remove load.trace.host"
	}
	return errors.New(text)
}

// blank blanks what looks like a secret.
func blank(text string) string {
	for _, s := range secrets.InText(text) {
		if s != "" {
			text = strings.ReplaceAll(text, s, secrets.Blanked)
		}
	}
	return text
}
