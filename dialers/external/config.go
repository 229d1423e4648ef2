package external

import (
	"fmt"
	"time"
)

// Config is how a driver makes its client.
type Config struct {
	// Settings are values by the client's own names. A time.Duration is sent as
	// milliseconds; nil means "off" or "no limit". What is not set keeps the client's
	// default.
	Settings map[string]any
	Timeout  time.Duration // of a request, from the client's call; 0: none
	Insecure bool          // certificates are not verified
	Gauges   time.Duration // how often the driver reports its gauges; 0: never
	// Origins are where requests will go, such as http://127.0.0.1:8080, as far as it is
	// known: a driver of a proxy needs them to be ready.
	Origins []string
}

// RefusedError is a config that a driver does not take.
type RefusedError struct {
	Driver  string
	Setting string // "": not because of one setting
	Text    string // why, and what is allowed, in the driver's words
}

func (e *RefusedError) Error() string {
	if e.Setting == "" {
		return fmt.Sprintf("%s refused its config: %s", e.Driver, e.Text)
	}
	return fmt.Sprintf("%s refused the setting %s: %s", e.Driver, e.Setting, e.Text)
}

// WarmUp bounds what a driver does before a run, so that its code is compiled. The zero
// value means the documented defaults.
type WarmUp struct {
	Requests int           // how many at most; 0: 3,000; below 0: none
	Most     time.Duration // for at most so long; 0: 4 s
	Rate     float64       // per second; 0: 1,000
}

// WarmedUp is what a driver did to warm up.
type WarmedUp struct {
	Requests int
	Failed   int // of them
	Took     time.Duration
}
