package trace

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kabench/kabench/generator"
)

// formatOf returns the format that t names, or the one that the first line has; nil: vegeta's
// binary results. wanted: requests are selected by their host or path.
func formatOf(t generator.Trace, c *clock, head []byte, wanted bool) (*format, error) {
	first := firstLine(head)
	switch {
	case strings.Contains(t.Format, "$"):
		return template(c, t.Format)
	case t.Format == "json" || t.Format == "" && t.Time != "":
		return jsonLines(c, t.Time, wanted), nil
	case t.Format == "common":
		return common(c, wanted), nil
	case t.Format == "haproxy":
		return haproxy(c, wanted), nil
	case t.Format == "envoy":
		return envoy(c, wanted), nil
	case t.Format == "alb":
		return alb(c, wanted), nil
	case t.Format == "requests":
		return requests(), nil
	}
	f, known := recognise(c, head, first, wanted)
	switch {
	case known && (t.Format == "" || f == nil && t.Format == "vegeta" || f != nil && f.name == t.Format):
		return f, nil
	case t.Format == "k6":
		return k6CSV(c, wanted), nil
	case t.Format == "vegeta":
		return vegetaJSON(c, wanted), nil
	}
	number := 1 + bytes.Count(head[:bytes.Index(head, first)], []byte("\n"))
	return nil, fmt.Errorf("line %d has none of the formats %s; name one in load.trace.format, or give nginx's log_format there; the line begins with %s",
		number, strings.Join(generator.TraceFormats(), ", "), excerpt(first))
}

// firstLine is the first line that is neither empty nor a comment; empty if there is none.
func firstLine(head []byte) []byte {
	for line := range bytes.Lines(head) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && (line[0] != '#' || bytes.HasPrefix(line, []byte(requestsHead))) {
			return line
		}
	}
	return nil
}

// recognise tells the format from the first line. It is nil for vegeta's binary results.
func recognise(c *clock, head, first []byte, wanted bool) (f *format, known bool) {
	switch {
	case bytes.IndexByte(head[:min(len(head), 512)], 0) >= 0 || bytes.Contains(head[:min(len(head), 512)], []byte("\xff\x81\x03")):
		return nil, bytes.Contains(head, []byte("Result"))
	case bytes.HasPrefix(first, []byte(requestsHead)):
		return requests(), true
	case bytes.HasPrefix(first, []byte("metric_name,timestamp,")):
		return k6CSV(c, wanted), true
	case bytes.HasPrefix(first, []byte("{")):
		has := func(keys ...string) bool {
			return !slices.ContainsFunc(keys, func(k string) bool { return !bytes.Contains(first, []byte(`"`+k+`"`)) })
		}
		switch {
		case has("type", "metric", "data"):
			return k6JSON(c, wanted), true
		case has("attack", "seq", "timestamp", "latency"):
			return vegetaJSON(c, wanted), true
		}
		return jsonLines(c, "", wanted), true
	}
	for _, f := range []*format{vegetaCSV(c, wanted), alb(c, wanted), envoy(c, wanted), haproxy(c, wanted), common(c, wanted)} {
		var e entry
		trial := *c // a stamp that is not there must not move the clock
		*c = clock{zone: c.zone}
		fits := len(first) > 0 && f.read(first, &e) == taken
		*c = trial
		if fits && distinct(f.name, first) {
			return f, true
		}
	}
	return nil, false
}

// distinct reports whether a line that one reader understands is not another's: several take
// a time in square brackets.
func distinct(name string, line []byte) bool {
	switch name {
	case "alb":
		kind, rest := field(line)
		at, _ := field(rest)
		return len(kind) < 6 && bytes.IndexByte(at, 'T') == 10
	case "haproxy": // ADDRESS:PORT before the date, and FRONTEND BACKEND/SERVER A/B/C/D/E behind it
		_, rest, _ := bytes.Cut(line, []byte("] "))
		for range 2 {
			_, rest = field(rest)
		}
		times, _ := field(rest)
		return bytes.Count(times, []byte("/")) >= 3
	}
	return true
}

// excerpt is the beginning of a line as it may be shown.
func excerpt(line []byte) string {
	const most = 60
	if i := bytes.IndexFunc(line[:min(len(line), most)], func(r rune) bool { return r == utf8.RuneError || r < ' ' && r != '\t' && r != '\r' && r != '\n' }); i >= 0 {
		return "binary data"
	}
	text := string(line[:min(len(line), 4<<10)])
	shown := strings.TrimRight(blank(text), "\r\n")
	if i := strings.IndexByte(shown, '?'); i >= 0 && i < most { // a query may be anything
		shown = shown[:i+1]
	}
	if runes := []rune(shown); len(runes) > most {
		shown = string(runes[:most])
	}
	return fmt.Sprintf("%q", shown)
}
