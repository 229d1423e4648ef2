package applog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/unpack"
)

// Formats are the formats that are read, in the order in which they are tried.
const (
	ReactorNetty = "Reactor Netty"
	HttpClient   = "Apache HttpClient"
	OkHttp       = "OkHttp"
	Undici       = "undici"
	Node         = "Node http"
	Nginx        = "nginx"
	HAProxy      = "HAProxy"
)

// maxLine is how many bytes of a line are read; the rest of a longer one is passed over.
const maxLine = 64 << 10

// Summary is what was read of one log.
type Summary struct {
	File       string         `json:"file"`
	Begin      time.Time      `json:"begin,omitzero"` // of the first time; without a date: only the time of day counts
	End        time.Time      `json:"end,omitzero"`
	Lines      int64          `json:"lines"`
	Known      int64          `json:"known"`   // lines that say something about a connection
	Formats    map[string]int `json:"formats"` // lines that say something, by format
	Dated      bool           `json:"dated"`   // the times have dates
	Zoned      bool           `json:"zoned"`   // the times say their zone; else they are taken as UTC
	Timed      bool           `json:"timed"`   // there are times at all
	Resolution time.Duration  `json:"-"`       // of the times
	Notes      []string       `json:"notes,omitempty"`
	Clock      *float64       `json:"clock,omitempty"` // seconds that the log's clock is ahead of the capture's; nil: not compared
	ClockFrom  int            `json:"clock_from,omitempty"`
}

// Read reads a log and calls take with each connection when it ends, and with the others
// at the end of the log. The times of connections count from the log's first time.
func Read(name string, take func(*Connection)) (*Summary, error) {
	f, err := unpack.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := newReader(name, take)
	if err := r.all(f.Reader); err != nil {
		return nil, fmt.Errorf("%s cannot be read behind line %d: %v", f.Label(), r.sum.Lines, err)
	}
	r.end()
	return r.result(f.Label())
}

// reader turns lines into connections.
type reader struct {
	sum     Summary
	clock   clock
	lives   *lives
	formats []format
	errors  errorsOnly
	errorAt clock // the times of errors, which count if nothing else is known
	long    int   // lines that were cut
	binary  bool
}

// format reads the lines of one kind of program.
type format interface {
	// line reports whether the line is one of this format.
	line(l *line) bool
	name() string
}

func newReader(name string, take func(*Connection)) *reader {
	r := &reader{sum: Summary{File: name, Formats: map[string]int{}}}
	r.lives = newLives(take)
	r.errors.lives = r.lives
	r.formats = []format{
		&apache{lives: r.lives}, &netty{lives: r.lives, unasked: map[string]bool{}}, newOkHTTP(r.lives), newUndici(r.lives), newNode(r.lives),
		&nginx{lives: r.lives}, &haproxy{lives: r.lives},
	}
	return r
}

// all reads the lines.
func (r *reader) all(in *bufio.Reader) error {
	var buffer []byte
	cut := false
	for {
		part, err := in.ReadSlice('\n')
		cut = cut || len(buffer)+len(part) > maxLine
		buffer = append(buffer, part[:min(len(part), max(maxLine-len(buffer), 0))]...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if len(part) > 0 || len(buffer) > 0 {
			if cut {
				r.long++
			}
			r.raw(bytes.TrimRight(buffer, "\r\n"))
		}
		buffer, cut = buffer[:0], false
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// raw takes one line of the file, which may stand for several lines of a message.
func (r *reader) raw(text []byte) {
	r.sum.Lines++
	if r.sum.Lines <= 64 && bytes.IndexByte(text, 0) >= 0 {
		r.binary = true
	}
	e := unwrap(strings.ToValidUTF8(string(text), "�"))
	s := r.clock.stampOf(e)
	at := r.clock.of(s)
	for n, part := range e.parts {
		if n == maxParts {
			break
		}
		l := &line{number: r.sum.Lines, text: part, whole: part, at: at}
		if r.one(l) {
			r.clock.take(s, at)
			r.lives.slack = r.clock.resolution()
		} else if r.sum.Known == 0 {
			l.at = r.errorAt.of(s)
			r.errorAt.take(s, l.at)
			r.errors.line(l)
		}
	}
}

// maxParts bounds the lines of a message in one line of JSON.
const maxParts = 1000

// one reports whether a format knows the line.
func (r *reader) one(l *line) bool {
	if l.text == "" {
		return false
	}
	for _, f := range r.formats {
		if f.line(l) {
			r.sum.Known++
			r.sum.Formats[f.name()]++
			return true
		}
	}
	return false
}

// end ends what the log left open.
func (r *reader) end() {
	if r.sum.Known == 0 {
		r.clock = r.errorAt
		r.lives.slack = r.clock.resolution()
	}
	r.errors.end(r)
	r.lives.endAll(r.clock.last)
}

// result judges the log as a whole.
func (r *reader) result(label string) (*Summary, error) {
	s := &r.sum
	c := &r.clock
	s.Begin, s.End, s.Dated, s.Zoned, s.Timed, s.Resolution = c.begin, c.begin.Add(max(c.last, 0)), c.dated, c.zoned, c.timed, c.resolution()
	switch {
	case s.Lines == 0:
		return nil, fmt.Errorf("%s is empty: name a log with lines in it", label)
	case s.Known == 0 && r.binary:
		return nil, fmt.Errorf("%s is neither a packet capture nor a log: it has binary data; name a pcap, a pcapng or a text file", label)
	case s.Known == 0:
		return nil, fmt.Errorf("%s has no line about a connection in a format that kabench knows: set the logger reactor.netty, org.apache.hc.client5.http or org.apache.http to DEBUG, give OkHttp a LoggingEventListener, set NODE_DEBUG=http,net or undici, or name a log of nginx or HAProxy", label)
	}
	r.notes()
	return s, nil
}

func (r *reader) notes() {
	s := &r.sum
	note := func(text string, args ...any) { s.Notes = append(s.Notes, fmt.Sprintf(text, args...)) }
	switch {
	case !s.Timed:
		note("%s has no times: only the order of its lines says something. Let the logger write the date and the time with milliseconds.", s.File)
	case !s.Dated:
		note("The times of %s have no date: they are taken as of one day, and a new day begins when they jump back by hours.", s.File)
	}
	if s.Timed && !s.Zoned {
		note("The times of %s do not say their zone.", s.File)
	}
	if s.Timed && s.Resolution >= time.Second {
		note("The times of %s are in whole seconds: shorter times are not in it.", s.File)
	}
	if n := r.clock.jumps; n > 0 {
		note("The clock of %s goes back by more than a second %d times; times across such a jump are wrong.", s.File, n)
	}
	if r.long > 0 {
		note("%d lines of %s are longer than %d bytes; what is behind was not read.", r.long, s.File, maxLine)
	}
	for _, status := range []int{499, 502, 503, 504} {
		if n := r.lives.statuses[status]; n > 0 {
			note("%s has %d responses with status %d, which the proxy made itself or passed on.", s.File, n, status)
		}
	}
	if n := r.lives.again; n > 0 {
		note("%d requests in %s were sent to a server a second time.", n, s.File)
	}
	if n := r.lives.forgotten; n > 0 {
		note("%d connections of %s were open at a time; the oldest were ended early.", n+maxLives, s.File)
	}
}
