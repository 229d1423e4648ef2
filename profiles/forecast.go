package profiles

import (
	"fmt"
	"time"
)

// Forecast is how many failures are expected of a profile's run, as `kabench reproduce
// --target` computed it beforehand. A reproduction says whether its run lies within.
type Forecast struct {
	// Path is the figure: failures.before_response, for example. Mean is how high it is
	// expected to be.
	Path string  `yaml:"path"`
	Mean float64 `yaml:"mean"`
	// Of simulated runs, 95 % lie from Low to High.
	Low  uint64 `yaml:"low"`
	High uint64 `yaml:"high"`
	// IdleFrom and IdleTo bound the measured times after which the server closes idle
	// connections; 0: it is not about them.
	IdleFrom time.Duration `yaml:"idle_from,omitempty"`
	IdleTo   time.Duration `yaml:"idle_to,omitempty"`
}

// complaints are about the section forecast.
func (f *Forecast) complaints() Errors {
	if f == nil {
		return nil
	}
	return broken("forecast",
		rule{f.Path == "", "path", "name the figure that is expected, for example failures.before_response"},
		rule{f.Mean < 0, "mean", fmt.Sprintf("%v is negative", f.Mean)},
		rule{f.IdleFrom < 0, "idle_from", fmt.Sprintf("%v is negative", f.IdleFrom)},
		rule{f.IdleTo < f.IdleFrom, "idle_to", fmt.Sprintf("%v is below idle_from (%v); raise it", f.IdleTo, f.IdleFrom)},
		rule{f.High < f.Low, "high", fmt.Sprintf("%d is below low (%d); raise it", f.High, f.Low)},
	)
}
