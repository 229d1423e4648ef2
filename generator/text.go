package generator

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/kabench/kabench/internal/enum"
)

// Process names an arrival process.
type Process uint8

const (
	Constant Process = iota // equal gaps
	Poisson                 // independent arrivals: exponential gaps
	Ramp                    // the rate rises or falls linearly after the warm-up
	Burst                   // on and off in turn
	Uniform                 // gaps drawn uniformly from [gap_min, gap_max]
	Sine                    // the rate swings around its mean
)

var processNames = enum.Names[Process]{"constant", "poisson", "ramp", "burst", "uniform", "sine"}

// Processes are the names of all arrival processes.
func Processes() []string { return slices.Clone(processNames) }

func (p Process) String() string                   { return processNames.Text(p) }
func (p Process) MarshalText() ([]byte, error)     { return processNames.Marshal(p) }
func (p *Process) UnmarshalText(text []byte) error { return processNames.Unmarshal(text, p) }

// Rate is a number of requests per second. Its text is "400/s", "24000/m",
// "1/h" or a bare number of requests per second.
type Rate float64

var rateUnits = []struct {
	name    string
	seconds float64
}{{"s", 1}, {"m", 60}, {"h", 3600}}

// String is the shortest text that UnmarshalText reads back as r.
func (r Rate) String() string {
	for _, u := range rateUnits {
		n := math.Round(float64(r) * u.seconds)
		if n >= 1 && n < 1e15 && n/u.seconds == float64(r) {
			return strconv.FormatFloat(n, 'f', -1, 64) + "/" + u.name
		}
	}
	return strconv.FormatFloat(float64(r), 'g', -1, 64) + "/s"
}

// MarshalText writes r as String does.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a rate; one that is not finite and above 0 is an error.
func (r *Rate) UnmarshalText(text []byte) error {
	number, unit, hasUnit := strings.Cut(string(text), "/")
	per := 1.0
	if hasUnit {
		per = 0
		for _, u := range rateUnits {
			if unit == u.name {
				per = u.seconds
			}
		}
		if per == 0 {
			return fmt.Errorf("%q: a rate is per s, m or h, as in 400/s, 24000/m or 1/h", text)
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return fmt.Errorf("%q is not a rate; write it as 400/s, 24000/m, 1/h, or 400 for 400/s", text)
	}
	if n /= per; !(n > 0) || math.IsInf(n, 0) {
		return fmt.Errorf("%q: a rate must be above 0 and finite, as in 400/s", text)
	}
	*r = Rate(n)
	return nil
}

// bareArrivals is Arrivals as a plain mapping, without its YAML methods.
type bareArrivals Arrivals

// MarshalYAML writes only the name if there are no parameters.
func (a Arrivals) MarshalYAML() (any, error) {
	if a == (Arrivals{Process: a.Process}) {
		return a.Process.String(), nil
	}
	return bareArrivals(a), nil
}

// UnmarshalYAML reads the name of a process, or a mapping. It replaces all of a, so that no
// parameters of another process remain.
func (a *Arrivals) UnmarshalYAML(decode func(any) error) error {
	var name string
	if decode(&name) == nil {
		var p Process
		if err := p.UnmarshalText([]byte(name)); err != nil {
			return err
		}
		*a = Arrivals{Process: p}
		return nil
	}
	var fields bareArrivals
	if err := decode(&fields); err != nil {
		return err
	}
	*a = Arrivals(fields)
	return nil
}
