package generator

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// Trace is the `load.trace:` section of a profile: a log whose requests are sent again at
// their own times. In YAML it is a mapping, or only the name of the file. This package
// opens no file: profiles.ReadTrace fills Load.Times.
type Trace struct {
	// File is the log. It may be compressed with gzip, zstd or bzip2.
	File string `yaml:"file,omitempty"`
	// Format is one of TraceFormats, or the log_format of nginx that wrote the file, which
	// contains a $. If empty, the first lines tell.
	Format string `yaml:"format,omitempty"`
	// Time is, in JSON lines, the path of the time, with dots: request.start. If empty, the
	// usual names are tried.
	Time string `yaml:"time,omitempty"`
	// Zone is the time zone of stamps that have none: a name such as Europe/Berlin, or an
	// offset such as +09:00. If empty: UTC.
	Zone string `yaml:"zone,omitempty"`
	// From and To bound the requests taken, From included: a moment in RFC 3339, one without
	// a zone (2026-11-28 14:00, in the zone of the log's first stamp), or the time since the
	// log's first request (90m). If empty: all.
	From string `yaml:"from,omitempty"`
	To   string `yaml:"to,omitempty"`
	// Host and Path select the requests to a host, and those whose path begins so. If
	// empty: all.
	Host string `yaml:"host,omitempty"`
	Path string `yaml:"path,omitempty"`
	// Speed divides the times between requests; 0: 1.
	Speed float64 `yaml:"speed,omitempty"`
}

// TraceFormats are the names of the formats of logs.
func TraceFormats() []string {
	return []string{"common", "haproxy", "envoy", "alb", "json", "k6", "vegeta", "requests"}
}

// bareTrace is Trace as a plain mapping, without its YAML methods.
type bareTrace Trace

// MarshalYAML writes only the file if nothing else is set.
func (t Trace) MarshalYAML() (any, error) {
	if t == (Trace{File: t.File}) {
		return t.File, nil
	}
	return bareTrace(t), nil
}

// UnmarshalYAML reads the name of a file, or a mapping. It replaces all of t.
func (t *Trace) UnmarshalYAML(decode func(any) error) error {
	var name string
	if decode(&name) == nil {
		*t = Trace{File: name}
		return nil
	}
	var fields bareTrace
	if err := decode(&fields); err != nil {
		return err
	}
	*t = Trace(fields)
	return nil
}

// Set reports whether t names a log.
func (t Trace) Set() bool { return t.File != "" }

// Rate is how much faster than the log the requests are sent.
func (t Trace) Rate() float64 {
	if t.Speed == 0 {
		return 1
	}
	return t.Speed
}

// badTrace returns the complaints about l.Trace, and about fields that have no effect
// beside it.
func (l Load) badTrace() []error {
	t := l.Trace
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !t.Set() {
		if t != (Trace{}) {
			bad("trace.file: none is given; name the log")
		}
		return errs
	}
	if l.Rate != 0 {
		bad("rate: has no effect, because load.trace has the times of the requests; remove it, or set load.trace.speed")
	}
	if l.Arrivals != (Arrivals{}) {
		bad("arrivals: has no effect, because load.trace has the times of the requests; remove it")
	}
	if t.File == "-" {
		bad("trace.file: a log is read more than once, and the standard input cannot be; save it to a file, which may be compressed with gzip, zstd or bzip2")
	}
	if !(t.Speed >= 0 && t.Speed <= 1e6) {
		bad("trace.speed: %v is not above 0 and at most 1e6", t.Speed)
	}
	known := t.Format == "" || strings.Contains(t.Format, "$")
	for _, name := range TraceFormats() {
		known = known || name == t.Format
	}
	if !known {
		bad("trace.format: %q is none of %s, nor a log_format of nginx, which contains a $", t.Format, strings.Join(TraceFormats(), ", "))
	}
	if t.Time != "" && t.Format != "" && t.Format != "json" {
		bad("trace.time: has no effect, because it is the path of the time in JSON lines, and trace.format is %s; remove one", t.Format)
	}
	if _, err := ZoneOf(t.Zone); err != nil {
		bad("trace.zone: %w", err)
	}
	from, err := MomentOf(t.From)
	if err != nil {
		bad("trace.from: %w", err)
	}
	to, wrong := MomentOf(t.To)
	if wrong != nil {
		bad("trace.to: %w", wrong)
	}
	if err == nil && wrong == nil && t.From != "" && t.To != "" && from.Kind == to.Kind && !to.At.After(from.At) && to.Since <= from.Since {
		bad("trace.to: %s is not after from (%s)", t.To, t.From)
	}
	return errs
}

// ZoneOf reads the name of a time zone, or an offset such as +09:00; "" is UTC.
func ZoneOf(text string) (*time.Location, error) {
	if text == "" || text == "Z" {
		return time.UTC, nil
	}
	if strings.ContainsAny(text[:1], "+-") {
		for _, form := range []string{"-07:00", "-0700", "-07"} {
			if at, err := time.Parse(form, text); err == nil {
				return at.Location(), nil
			}
		}
	}
	zone, err := time.LoadLocation(text)
	if err != nil || text == "Local" {
		return nil, fmt.Errorf("%q is not a time zone; write it as Europe/Berlin or +09:00", text)
	}
	return zone, nil
}

// The kinds of a Moment.
const (
	NoMoment   = iota // none is given
	SinceFirst        // Since the log's first request
	InZone            // At, with its own zone
	WithoutZone
)

// Moment is a bound of the requests taken from a log.
type Moment struct {
	Kind  int
	Since time.Duration
	At    time.Time
}

var errMoment = errors.New("write a moment as 2026-11-28T14:00:00Z, one in the log's own zone as 2026-11-28 14:00, or the time since the log's first request as 90m")

// MomentOf reads a bound; "" is none.
func MomentOf(text string) (Moment, error) {
	if text == "" {
		return Moment{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		if d < 0 {
			return Moment{}, fmt.Errorf("%s is negative; %w", text, errMoment)
		}
		return Moment{Kind: SinceFirst, Since: d}, nil
	}
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return Moment{Kind: InZone, At: at}, nil
	}
	for _, form := range []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02T15:04:05"} {
		if at, err := time.Parse(form, text); err == nil {
			return Moment{Kind: WithoutZone, At: at}, nil
		}
	}
	return Moment{}, fmt.Errorf("%q is not a moment; %w", text, errMoment)
}

// replay is the schedule of a load with a trace.
func (l Load) replay() (Schedule, error) {
	if l.Times == nil {
		return nil, errors.New("trace: the log has not been read")
	}
	return l.Times.Replay(l.Seed, 0), nil
}

// traceRate is the mean rate of the requests of the trace that the load sends.
func (l Load) traceRate() float64 {
	if l.Times == nil {
		return 0
	}
	until := time.Duration(math.MaxInt64)
	if l.Duration > 0 {
		until = l.WarmUp + l.Duration
	}
	until = min(until, l.Times.Length())
	return float64(l.Times.Before(until)) / until.Seconds()
}
