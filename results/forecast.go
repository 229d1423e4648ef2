package results

import "fmt"

// Forecast is what kabench expected of an incident that is aimed at somebody else's
// server, before it sent a request, and how the run compares with it.
type Forecast struct {
	Path     string  `json:"path"`     // the figure that was expected, as in expectations: failures.before_response
	Mean     float64 `json:"mean"`     // over simulated runs
	Low      uint64  `json:"low"`      // 95 % of simulated runs lie from Low to High
	High     uint64  `json:"high"`     //
	Requests uint64  `json:"requests"` // of the incident's run
	// Connections is how many are open side by side, at most.
	Connections uint64  `json:"connections"`
	Seconds     float64 `json:"seconds"` // how long the incident's run takes
	// Runs is how many runs there are, the incident's and its remedies', and AllSeconds
	// and AllRequests are the sums over them.
	Runs        int     `json:"runs"`
	AllSeconds  float64 `json:"all_seconds"`
	AllRequests uint64  `json:"all_requests"`
	LinkDelay   float64 `json:"link_delay,omitempty"` // of kabench's own link before the target, each way, in seconds; 0: none
	// IdleFrom and IdleTo bound the measured times after which the server closes idle
	// connections, in seconds; 0: it is not about them.
	IdleFrom float64 `json:"idle_from,omitempty"`
	IdleTo   float64 `json:"idle_to,omitempty"`
	// Reason names why few or no failures are expected, and Why says it in words.
	// Takes is what it would take to have more. All are empty if enough are expected.
	Reason string `json:"reason,omitempty"`
	Why    string `json:"why,omitempty"`
	Takes  string `json:"takes,omitempty"`
	// Disturbed says why the interval is wide, if a busy machine is the reason.
	Disturbed string `json:"disturbed,omitempty"`
	// Seen is the run's own count, and Inside says that it lies from Low to High. Both
	// are absent before the run. Says compares them in words.
	Seen   *uint64 `json:"seen,omitempty"`
	Inside bool    `json:"inside,omitempty"`
	Says   string  `json:"says,omitempty"`
}

// Enough is the number of failures from which an incident counts as expected: a run shows
// none by chance in less than one of a hundred cases.
const Enough = 5

// String is the forecast in a line: "expect 14 [6, 24] of 600 within 65 s".
func (f *Forecast) String() string {
	return fmt.Sprintf("expect %s [%d, %d] of %d within %s", FormatMean(f.Mean), f.Low, f.High, f.Requests, FormatSeconds(f.Seconds))
}

// FormatMean writes a mean count: two digits below 10, and whole numbers above.
func FormatMean(mean float64) string {
	if mean < 10 {
		return fmt.Sprintf("%.2g", mean)
	}
	return fmt.Sprintf("%.0f", mean)
}
