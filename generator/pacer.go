package generator

import (
	"errors"
	"math"
	"math/bits"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// maxAtOnce is how many requests a pacer may ask for at one instant. One that asks for
// more lets no time pass.
const maxAtOnce = 1 << 20

// FromPacer returns the schedule of a vegeta pacer. It asks the pacer in virtual time: the
// elapsed time is the last due time, so that no request is late and nothing drifts. The
// schedule ends where the pacer stops, or where it asks for more than a million requests
// at one instant; bound it with [Load.Bound]. The schedule of a pacer that keeps state
// cannot be walked twice. A vegeta.SinePacer whose trough is near 0, or whose period holds
// few requests, asks for more and more requests at one instant; Validate refuses such a
// sine process.
//
// The due times of a vegeta.ConstantPacer are computed here, because the pacer rounds the
// gap to nanoseconds, which drifts, and panics if the gap is rounded to 0. A pacer without
// a rate, which to vegeta means "as fast as possible", is an error.
func FromPacer(p vegeta.Pacer) (Schedule, error) {
	switch c := p.(type) {
	case nil:
		return nil, errors.New("no pacer")
	case vegeta.ConstantPacer:
		return fromConstantPacer(c)
	case *vegeta.ConstantPacer:
		if c == nil {
			return nil, errors.New("no pacer")
		}
		return fromConstantPacer(*c)
	}
	return func(yield func(time.Duration) bool) {
		due, atOnce := time.Duration(0), 0
		for hits := uint64(0); ; hits++ {
			wait, stop := p.Pace(due, hits)
			if stop || wait > math.MaxInt64-due {
				return
			}
			if wait > 0 {
				due += wait
				atOnce = 0
			} else if atOnce++; atOnce > maxAtOnce {
				return
			}
			if !yield(due) {
				return
			}
		}
	}, nil
}

func fromConstantPacer(c vegeta.ConstantPacer) (Schedule, error) {
	if c.Freq <= 0 || c.Per <= 0 {
		return nil, errors.New("a constant pacer needs a frequency and a period above 0")
	}
	return func(yield func(time.Duration) bool) {
		for n := uint64(1); ; n++ {
			hi, lo := bits.Mul64(n, uint64(c.Per))
			if hi >= uint64(c.Freq) {
				return
			}
			due, _ := bits.Div64(hi, lo, uint64(c.Freq))
			if due > math.MaxInt64 || !yield(time.Duration(due)) {
				return
			}
		}
	}, nil
}
