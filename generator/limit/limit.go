package limit

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kabench/kabench/internal/enum"
)

// Algorithm is what a limit goes by.
type Algorithm uint8

const (
	Fixed     Algorithm = iota // it does not change
	AIMD                       // failures: one more with each success, a tenth less with each failure
	Vegas                      // the queue that the response times suggest, against the shortest of them
	Gradient2                  // the response time against its own long-term average
)

var algorithms = enum.Names[Algorithm]{"fixed", "aimd", "vegas", "gradient2"}

func (a Algorithm) String() string                   { return algorithms.Text(a) }
func (a Algorithm) MarshalText() ([]byte, error)     { return algorithms.Marshal(a) }
func (a *Algorithm) UnmarshalText(text []byte) error { return algorithms.Unmarshal(text, a) }

// Limit is an algorithm and its parameters. In YAML it is a mapping, or only the name of an
// algorithm. A parameter of 0 has the default of the algorithm.
type Limit struct {
	// Algorithm is fixed (load.max_in_flight does not change), aimd, vegas or gradient2.
	Algorithm Algorithm `yaml:"algorithm"`
	// Initial is the limit before the first sample; 0: 20.
	Initial int `yaml:"initial,omitempty"`
	// Min and Max bound the limit; 0: 20 (vegas 1) and 200 (vegas 1000).
	Min int `yaml:"min,omitempty"`
	Max int `yaml:"max,omitempty"`
	// Window makes one sample of the exchanges that end within this time: their mean
	// response time, the most that were in flight, and whether one failed. 0: each exchange
	// is a sample.
	Window time.Duration `yaml:"window,omitempty"`
	// Backoff is what an aimd limit is multiplied by after a failure, from 0.5 to below 1; 0: 0.9.
	Backoff float64 `yaml:"backoff,omitempty"`
	// Timeout is the response time from which aimd takes an exchange as failed; 0: 5s.
	Timeout time.Duration `yaml:"timeout,omitempty"`
	// Smoothing is the weight of each new value of vegas and gradient2, above 0 and at most
	// 1; 0: 1 for vegas, 0.2 for gradient2.
	Smoothing float64 `yaml:"smoothing,omitempty"`
	// Alpha and Beta are the queues, in requests, below which vegas raises the limit and
	// above which it lowers it; 0: 3 and 6 times the whole part of log10 of the limit, at
	// least 3 and 6.
	Alpha int `yaml:"alpha,omitempty"`
	Beta  int `yaml:"beta,omitempty"`
	// Probe is after how many samples per place of the limit vegas forgets the shortest
	// response time; each time it is multiplied by a random number from 0.5 to 1. 0: 30.
	Probe int `yaml:"probe,omitempty"`
	// Queue is by how much gradient2 lets the limit grow at a time, before Smoothing; 0: 4.
	Queue int `yaml:"queue,omitempty"`
	// Tolerance is the ratio of the response time to its long-term average above which
	// gradient2 lowers the limit, at least 1; 0: 1.5.
	Tolerance float64 `yaml:"tolerance,omitempty"`
	// LongWindow is the length of gradient2's long-term average, in samples; 0: 600.
	LongWindow int `yaml:"long_window,omitempty"`
}

// Adaptive reports whether the limit changes.
func (l Limit) Adaptive() bool { return l.Algorithm != Fixed }

// most bounds the limit and what is counted in samples, so that nothing overflows.
const most = 1_000_000

// defaults are the parameters of each algorithm.
var defaults = map[Algorithm]Limit{
	AIMD:      {Initial: 20, Min: 20, Max: 200, Backoff: 0.9, Timeout: 5 * time.Second},
	Vegas:     {Initial: 20, Min: 1, Max: 1000, Smoothing: 1, Probe: 30},
	Gradient2: {Initial: 20, Min: 20, Max: 200, Smoothing: 0.2, Queue: 4, Tolerance: 1.5, LongWindow: 600},
}

// Resolved is l with each parameter of 0 set to the default of its algorithm. Where a bound
// that was given contradicts a default, the default gives way.
func (l Limit) Resolved() Limit {
	d := defaults[l.Algorithm]
	if l.Max == 0 {
		l.Max = max(d.Max, l.Min, l.Initial)
	}
	if l.Min == 0 {
		l.Min = min(d.Min, l.Max)
		if l.Initial > 0 {
			l.Min = min(l.Min, l.Initial)
		}
	}
	if l.Initial == 0 {
		l.Initial = min(max(d.Initial, l.Min), l.Max)
	}
	orElse(&l.Backoff, d.Backoff)
	orElse(&l.Timeout, d.Timeout)
	orElse(&l.Smoothing, d.Smoothing)
	orElse(&l.Probe, d.Probe)
	orElse(&l.Queue, d.Queue)
	orElse(&l.Tolerance, d.Tolerance)
	orElse(&l.LongWindow, d.LongWindow)
	return l
}

func orElse[T comparable](v *T, other T) {
	if *v == *new(T) {
		*v = other
	}
}

// Validate returns every complaint about l, joined, each beginning with the field's path
// within l; nil when there is none.
func (l Limit) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !algorithms.Known(l.Algorithm) {
		bad("algorithm: %v is none of %s", l.Algorithm, algorithms.List())
		return errors.Join(errs...)
	}
	for _, p := range []struct {
		name   string
		given  bool
		owners []Algorithm
	}{
		{"initial", l.Initial != 0, []Algorithm{AIMD, Vegas, Gradient2}},
		{"min", l.Min != 0, []Algorithm{AIMD, Vegas, Gradient2}},
		{"max", l.Max != 0, []Algorithm{AIMD, Vegas, Gradient2}},
		{"window", l.Window != 0, []Algorithm{AIMD, Vegas, Gradient2}},
		{"backoff", l.Backoff != 0, []Algorithm{AIMD}},
		{"timeout", l.Timeout != 0, []Algorithm{AIMD}},
		{"smoothing", l.Smoothing != 0, []Algorithm{Vegas, Gradient2}},
		{"alpha", l.Alpha != 0, []Algorithm{Vegas}},
		{"beta", l.Beta != 0, []Algorithm{Vegas}},
		{"probe", l.Probe != 0, []Algorithm{Vegas}},
		{"queue", l.Queue != 0, []Algorithm{Gradient2}},
		{"tolerance", l.Tolerance != 0, []Algorithm{Gradient2}},
		{"long_window", l.LongWindow != 0, []Algorithm{Gradient2}},
	} {
		if p.given && !slices.Contains(p.owners, l.Algorithm) {
			why := fmt.Sprintf("set algorithm: %v or remove it", p.owners[0])
			if l.Algorithm == Fixed && len(p.owners) > 2 {
				why = "the fixed limit is load.max_in_flight"
			}
			bad("%s: has no effect, because algorithm is %v; %s", p.name, l.Algorithm, why)
		}
	}
	for _, n := range []struct {
		name string
		v    int
	}{
		{"initial", l.Initial}, {"min", l.Min}, {"max", l.Max}, {"alpha", l.Alpha}, {"beta", l.Beta},
		{"probe", l.Probe}, {"queue", l.Queue}, {"long_window", l.LongWindow},
	} {
		if n.v < 0 || n.v > most {
			bad("%s: %d is not from 1 to %d (0 means the default)", n.name, n.v, most)
		}
	}
	if l.Window < 0 {
		bad("window: %v is negative (0 means that each exchange is a sample)", l.Window)
	}
	if l.Timeout < 0 {
		bad("timeout: %v is negative (0 means 5s)", l.Timeout)
	}
	if l.Backoff != 0 && !(l.Backoff >= 0.5 && l.Backoff < 1) {
		bad("backoff: %v is not from 0.5 to below 1; set it, for example to 0.9", l.Backoff)
	}
	if l.Smoothing != 0 && !(l.Smoothing > 0 && l.Smoothing <= 1) {
		bad("smoothing: %v is not above 0 and at most 1; set it, for example to 0.2", l.Smoothing)
	}
	if l.Tolerance != 0 && !(l.Tolerance >= 1 && l.Tolerance <= 1000) {
		bad("tolerance: %v is not from 1 to 1000; set it, for example to 1.5", l.Tolerance)
	}
	if len(errs) > 0 || !l.Adaptive() {
		return errors.Join(errs...)
	}
	switch r := l.Resolved(); {
	case r.Min > r.Max:
		bad("min: %d is above max (%d); lower it", r.Min, r.Max)
	case r.Initial < r.Min || r.Initial > r.Max:
		bad("initial: %d is not from min to max (%d to %d)", r.Initial, r.Min, r.Max)
	}
	if l.Alpha > 0 && l.Beta > 0 && l.Alpha > l.Beta {
		bad("alpha: %d is above beta (%d); lower it", l.Alpha, l.Beta)
	}
	return errors.Join(errs...)
}

// bare is Limit as a plain mapping, without its YAML methods.
type bare Limit

// MarshalYAML writes only the name if there are no parameters.
func (l Limit) MarshalYAML() (any, error) {
	if l == (Limit{Algorithm: l.Algorithm}) {
		return l.Algorithm.String(), nil
	}
	return bare(l), nil
}

// UnmarshalYAML reads the name of an algorithm, or a mapping. It replaces all of l, so that
// no parameters of another algorithm remain.
func (l *Limit) UnmarshalYAML(decode func(any) error) error {
	var name string
	if decode(&name) == nil {
		var a Algorithm
		if err := a.UnmarshalText([]byte(name)); err != nil {
			return err
		}
		*l = Limit{Algorithm: a}
		return nil
	}
	var fields bare
	if err := decode(&fields); err != nil {
		return err
	}
	*l = Limit(fields)
	return nil
}
