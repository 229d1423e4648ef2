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
	Connections uint64 `json:"connections"`
	// Preset is the preset whose pool was played for it, if a real client sends the requests.
	Preset  string  `json:"preset,omitempty"`
	Seconds float64 `json:"seconds"` // how long the incident's run takes
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

// Simulation says that a Run was made on virtual time: no request was sent. Its counts are
// of all the time that was played, or of the first of several runs if Whole is set.
type Simulation struct {
	Seconds float64 `json:"seconds"` // of traffic, without warm-ups
	Seed    uint64  `json:"seed"`    // the same seed gives the same result
	// Spans is how many parts were played by themselves. With Whole, each is a run of
	// Seconds that begins as the profile's does; otherwise each begins with a warm pool, and
	// together they have Seconds.
	Spans int  `json:"spans"`
	Whole bool `json:"whole"`
	// Figures are counts with their intervals.
	Figures []SimulatedCount `json:"figures"`
	// First is how long it takes to the first failure, in seconds; nil: none is expected.
	First *SimulatedTime `json:"first_failure,omitempty"`
	// Races compares the races that were counted with those that were integrated; nil if
	// nothing could be integrated.
	Races   *SimulatedRaces `json:"races,omitempty"`
	LeftOut []string        `json:"left_out"` // what a run has that this had not, in sentences
}

// SimulatedCount is how often something happened. With Simulation.Whole, 95 % of the runs
// lie from Low to High, and Mean is their mean. Otherwise the rate lies there with a
// confidence of 95 %, and Mean is what was found: all are counts per day.
type SimulatedCount struct {
	Path string  `json:"path"` // as in expectations: failures.before_response.fin
	Mean float64 `json:"mean"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// SimulatedTime is a time in seconds, and its interval of 95 %.
type SimulatedTime struct {
	Mean float64 `json:"mean"`
	Low  float64 `json:"low"`
	High float64 `json:"high"` // 0: not bounded
}

// SimulatedRaces are attempts that met the server's close of an idle connection.
type SimulatedRaces struct {
	Counted  uint64  `json:"counted"`
	Expected float64 `json:"expected"` // the integral of the rate of arrivals over the time in which one would meet a close
	Low      float64 `json:"low"`      // the interval of 95 % of Expected
	High     float64 `json:"high"`
}
