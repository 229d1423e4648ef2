package generator

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/kabench/kabench/generator/limit"
)

// Load is the `load:` section of a profile.
type Load struct {
	// Rate is the offered rate. For a burst it is the rate within the burst, for a
	// ramp the rate at its start, for a sine its mean. The uniform process does not use
	// it.
	Rate Rate `yaml:"rate,omitempty"`
	// Arrivals is the arrival process: a name, or a mapping with its parameters.
	Arrivals Arrivals `yaml:"arrivals"`
	// Trace is a log whose requests are sent again at their own times, instead of Rate and
	// Arrivals.
	Trace Trace `yaml:"trace,omitempty"`
	// Duration is how long requests are due after the warm-up; 0: until Count, or until the
	// log of Trace ends.
	Duration time.Duration `yaml:"duration"`
	// Count ends the schedule after this number of requests, without those of the
	// warm-up; 0: only Duration ends it.
	Count uint64 `yaml:"count,omitempty"`
	// WarmUp comes before Duration and has the same load, except that a ramp stays at
	// its start until the warm-up is over. Its requests are recorded but not counted.
	WarmUp time.Duration `yaml:"warm_up"`
	// Timeout bounds an exchange from due to done; 0: no bound.
	Timeout time.Duration `yaml:"timeout"`
	// MaxInFlight caps exchanges in flight, at least 1. A request due at the
	// cap is dropped and counted, unless Buffer has room.
	MaxInFlight int `yaml:"max_in_flight"`
	// Limit is how the cap of exchanges in flight follows what they say: fixed (MaxInFlight),
	// or the name of an adaptive algorithm, which takes the place of MaxInFlight, or a mapping
	// with its parameters.
	Limit limit.Limit `yaml:"limit,omitempty"`
	// Buffer is how many due requests may wait for a slot instead of being dropped
	// (back-pressure). How many wait, and for how long, is recorded.
	Buffer int `yaml:"buffer"`
	// LeakEvery has the caller leave every response of this number half-read: it takes the
	// head and neither reads nor closes the rest, so that nobody gives the connection back to
	// the pool. Responses without a body do not count; 0: it reads all of them.
	LeakEvery int `yaml:"leak_every,omitempty"`
	// MaxLag is the 99th percentile of lag above which the run is invalid; 0:
	// lag is reported, not judged.
	MaxLag time.Duration `yaml:"max_lag"`
	// Seed makes random arrivals repeatable; with 0 a run draws one and records it.
	Seed uint64 `yaml:"seed"`
	// Times are the times of the requests of Trace's log, once it has been read. They are
	// not written.
	Times *Times
}

// Arrivals is an arrival process and its parameters. In YAML it is a mapping, or only the
// name of a process without parameters.
type Arrivals struct {
	Process Process `yaml:"process"`
	// On and Off are the lengths of a burst and of the silence after it.
	On  time.Duration `yaml:"on,omitempty"`
	Off time.Duration `yaml:"off,omitempty"`
	// OffMax, when above Off, draws each silence uniformly from [Off, OffMax].
	OffMax time.Duration `yaml:"off_max,omitempty"`
	// Within is the process inside a burst: constant or poisson.
	Within Process `yaml:"within,omitempty"`
	// To is the rate at the end of a ramp, which starts at load.rate.
	To Rate `yaml:"to,omitempty"`
	// Amplitude is how far the rate of a sine swings to either side of
	// load.rate, at most nine tenths of it. A Period holds at least 100
	// requests, and the first begins at load.rate, rising.
	Amplitude Rate          `yaml:"amplitude,omitempty"`
	Period    time.Duration `yaml:"period,omitempty"`
	// GapMin and GapMax bound the gaps of the uniform process.
	GapMin time.Duration `yaml:"gap_min,omitempty"`
	GapMax time.Duration `yaml:"gap_max,omitempty"`
}

// Default is the load that a profile changes. It has no rate: a profile must set one.
func Default() Load {
	return Load{Duration: 30 * time.Second, Timeout: 10 * time.Second, MaxInFlight: 1000, MaxLag: 50 * time.Millisecond}
}

// maxRate is one request per nanosecond, the resolution of due times.
const maxRate = 1e9

// Validate returns every complaint about l, joined, each beginning with the
// field's path within load; nil when there is none. It changes nothing.
func (l Load) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if l.Trace.Set() {
		errs = append(errs, l.badTrace()...)
	} else if errs = append(errs, l.badTrace()...); l.Arrivals.Process == Uniform {
		if l.Rate != 0 {
			bad("rate: has no effect, because uniform arrivals go by gap_min and gap_max; remove it")
		}
	} else if l.Rate == 0 {
		bad("rate: none is given; set it, for example to 100/s")
	} else if !(l.Rate > 0 && l.Rate <= maxRate) {
		bad("rate: %v is not above 0 and at most 1e9/s", float64(l.Rate))
	}
	for _, d := range []struct {
		name, zero string
		v          time.Duration
	}{
		{"duration", "until count", l.Duration}, {"warm_up", "none", l.WarmUp},
		{"timeout", "no bound", l.Timeout}, {"max_lag", "not judged", l.MaxLag},
	} {
		if d.v < 0 {
			bad("%s: %v is negative (0 means %s)", d.name, d.v, d.zero)
		}
	}
	if l.Duration == 0 && l.Count == 0 && !l.Trace.Set() {
		bad("duration: the run would never end; set duration, for example to 30s, or count")
	}
	if l.WarmUp > 0 && l.Duration > math.MaxInt64-l.WarmUp {
		bad("duration: with warm_up it is longer than can be counted in nanoseconds; shorten it")
	}
	if l.MaxInFlight < 1 {
		bad("max_in_flight: %d is below 1; set how many exchanges may be in flight, for example 1000", l.MaxInFlight)
	}
	if l.Buffer < 0 {
		bad("buffer: %d is below 0 (0 means none waits)", l.Buffer)
	}
	if l.LeakEvery < 0 {
		bad("leak_every: %d is below 0 (0 means that every response is read)", l.LeakEvery)
	}
	errs = append(errs, l.badLimit()...)
	if !l.Trace.Set() {
		errs = append(errs, l.badArrivals()...)
	}
	return errors.Join(errs...)
}

// badLimit returns the complaints about the adaptive limit.
func (l Load) badLimit() (errs []error) {
	if joined, ok := l.Limit.Validate().(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			errs = append(errs, fmt.Errorf("limit.%w", err))
		}
	}
	return errs
}

// MostInFlight is the most exchanges that may ever be in flight, and the field that says so.
func (l Load) MostInFlight() (most int, path string) {
	if !l.Limit.Adaptive() {
		return l.MaxInFlight, "load.max_in_flight"
	}
	return l.Limit.Resolved().Max, "load.limit.max"
}

// badArrivals returns the complaints about the parameters of the process.
func (l Load) badArrivals() []error {
	a := l.Arrivals
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("arrivals."+format, args...)) }
	for _, d := range []struct {
		name  string
		owner Process
		given bool
	}{
		{"on", Burst, a.On != 0}, {"off", Burst, a.Off != 0}, {"off_max", Burst, a.OffMax != 0},
		{"within", Burst, a.Within != Constant}, {"to", Ramp, a.To != 0},
		{"gap_min", Uniform, a.GapMin != 0}, {"gap_max", Uniform, a.GapMax != 0},
		{"amplitude", Sine, a.Amplitude != 0}, {"period", Sine, a.Period != 0},
	} {
		if d.given && d.owner != a.Process {
			bad("%s: has no effect, because process is %v; set process: %v or remove it", d.name, a.Process, d.owner)
		}
	}
	switch a.Process {
	case Constant, Poisson:
	case Ramp:
		if !(a.To > 0 && a.To <= maxRate) {
			bad("to: a ramp needs the rate it ends at, above 0 and at most 1e9/s; set it, for example to 400/s")
		}
		if l.Duration <= 0 {
			bad("process: a ramp needs a duration to rise or fall over; set load.duration")
		}
	case Burst:
		errs = append(errs, l.badBurst()...)
	case Uniform:
		if a.GapMin <= 0 {
			bad("gap_min: the uniform process needs a shortest gap above 0; set it, for example to 900ms")
		}
		if a.GapMax < a.GapMin {
			bad("gap_max: %v is below gap_min (%v); raise it", a.GapMax, a.GapMin)
		}
	case Sine:
		errs = append(errs, l.badSine()...)
	default:
		bad("process: %v is none of %s", a.Process, processNames.List())
	}
	return errs
}

// badBurst returns the complaints about the parameters of a burst.
func (l Load) badBurst() []error {
	a := l.Arrivals
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("arrivals."+format, args...)) }
	if a.On <= 0 {
		bad("on: a burst needs a length above 0; set it, for example to 250ms")
	} else if l.Rate > 0 && float64(l.Rate)*a.On.Seconds() < 1 {
		bad("on: a burst of %v at %v holds less than one request; lengthen it or raise load.rate", a.On, l.Rate)
	}
	if a.Off <= 0 {
		bad("off: a burst needs a silence above 0 after it; set it, for example to 1s")
	}
	if a.OffMax != 0 && a.OffMax < a.Off {
		bad("off_max: %v is below off (%v); raise it, or remove it for silences of equal length", a.OffMax, a.Off)
	}
	if a.Within != Constant && a.Within != Poisson {
		bad("within: %v cannot run inside a burst; set it to constant or poisson", a.Within)
	}
	return errs
}

// These limit how near to 0 a sine may come and how few requests a period may hold.
// Beyond either limit vegeta's pacer does not find the next due time, and asks for more and
// more requests at one instant. Within them it is off by less than a tenth of a request.
const (
	maxSwing     = 0.9 // amplitude / rate
	minPerPeriod = 100 // rate × period
)

// badSine returns the complaints about the parameters of a sine.
func (l Load) badSine() []error {
	a := l.Arrivals
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("arrivals."+format, args...)) }
	if !(a.Amplitude > 0) {
		bad("amplitude: a sine needs a swing above 0 to either side of load.rate; set it, for example to 50/s")
	} else if l.Rate > 0 && float64(a.Amplitude) > maxSwing*float64(l.Rate)*(1+1e-9) {
		bad("amplitude: %v is above nine tenths of load.rate (%v); lower it", a.Amplitude, l.Rate)
	}
	if a.Period <= 0 {
		bad("period: a sine needs a period above 0; set it, for example to 10s")
	} else if l.Rate > 0 && float64(l.Rate)*a.Period.Seconds() < minPerPeriod*(1-1e-9) {
		bad("period: %v at %v holds fewer than %d requests; lengthen it or raise load.rate", a.Period, l.Rate, minPerPeriod)
	}
	return errs
}

// MeanRate is the expected number of requests due per second over the whole run, warm-up
// included. It ignores a Count that ends the run early, and counts the last period of a
// sine as a whole one. l must be valid.
func (l Load) MeanRate() float64 {
	a := l.Arrivals
	if l.Trace.Set() {
		return l.traceRate()
	}
	switch a.Process {
	case Ramp:
		steady, rising := l.WarmUp.Seconds(), l.Duration.Seconds()
		return (float64(l.Rate)*steady + float64(l.Rate+a.To)/2*rising) / (steady + rising)
	case Burst:
		inBurst := float64(l.Rate) * a.On.Seconds()
		if a.Within == Constant {
			inBurst = math.Ceil(inBurst) // the first is due as the burst begins
		}
		off := (a.Off.Seconds() + max(a.Off, a.OffMax).Seconds()) / 2
		return inBurst / (a.On.Seconds() + off)
	case Uniform:
		return 2 / (a.GapMin.Seconds() + a.GapMax.Seconds())
	default:
		return float64(l.Rate)
	}
}
