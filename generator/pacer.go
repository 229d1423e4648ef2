package generator

import (
	"errors"
	"math"
	"math/bits"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// maxAtOnce is how many requests a pacer may ask for at one instant before it
// is taken to have stopped letting time pass.
const maxAtOnce = 1 << 20

// FromPacer is the schedule of a vegeta pacer, asked in virtual time: with the
// last due time for the elapsed time, so that it owes nothing and drifts
// nowhere. It ends where the pacer stops, or where it asks for more than a
// million requests at one instant; bound it with [Load.Bound]. A pacer that
// keeps state cannot be walked again. The due times are as good as the pacer's
// answers: a vegeta.SinePacer whose trough comes near 0, or whose period holds a
// few requests, asks for ever more at one instant, and Validate keeps the sine
// process clear of that.
//
// A vegeta.ConstantPacer's due times are computed here: its own rounding of the
// gap to nanoseconds drifts, and it panics when the gap rounds to 0. One
// without a rate, which to vegeta means "as fast as possible", is an error.
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
