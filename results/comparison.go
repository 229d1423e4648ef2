package results

import (
	"fmt"
	"strings"
	"time"
)

// ComparisonSchema is the name and version of Comparison's document.
const ComparisonSchema = "kabench.comparison/v1"

// Comparison is the document printed by `kabench compare --json`, and kept as
// comparison.json beside the directories of its runs: one question asked of
// several configurations, the arms, in interleaved runs.
type Comparison struct {
	Schema      string `json:"schema"` // ComparisonSchema
	Version     string `json:"version"`
	Name        string `json:"name"`
	Question    string `json:"question,omitempty"`
	Interrupted bool   `json:"interrupted,omitempty"` // stopped early; what had been run is here

	Start time.Time `json:"start"`
	End   time.Time `json:"end"`

	Seed       uint64  `json:"seed"`       // decides the order of runs within blocks
	Repeats    int     `json:"repeats"`    // number of planned blocks; each has every arm once
	Confidence float64 `json:"confidence"` // of all intervals, for example 0.95

	Axes  []Axis        `json:"axes"` // of a matrix; empty when the arms were named one by one
	Arms  []Arm         `json:"arms"` // the first is the baseline, with which the others are compared
	Runs  []ComparedRun `json:"runs"` // in the order in which they were made
	Pairs []Pair        `json:"pairs"`

	Warnings []string `json:"warnings"`
	Verdict  string   `json:"verdict"` // the answer in words
}

// missingNamed is how many arms Missing names.
const missingNamed = 5

// Missing says which of the planned runs were not made, or were interrupted; ""
// when none is missing. A comparison of runs that had been made before (Seed 0)
// misses none.
func (c *Comparison) Missing() string {
	if !c.Interrupted || c.Seed == 0 {
		return ""
	}
	made := map[string]int{}
	for _, r := range c.Runs {
		if !strings.HasPrefix(r.Excluded, ExcludedInterrupted) {
			made[r.Arm]++
		}
	}
	var of []string
	all := 0
	for _, arm := range c.Arms {
		if n := c.Repeats - made[arm.Name]; n > 0 {
			all += n
			of = append(of, fmt.Sprintf("%d of %s", n, arm.Name))
		}
	}
	if all == 0 {
		return ""
	}
	if more := len(of) - missingNamed; more > 0 {
		of = append(of[:missingNamed], fmt.Sprintf("those of %s", FormatCount(uint64(more), "other setting")))
	}
	return fmt.Sprintf("%d of %s are missing: %s; kabench compare --resume DIR makes them", all, FormatCount(uint64(c.Repeats*len(c.Arms)), "run"), strings.Join(of, ", "))
}

// ExcludedInterrupted begins Excluded of a run that was stopped early.
const ExcludedInterrupted = "interrupted: "

// Axis is a field of the profile and the values it takes.
type Axis struct {
	Path   string   `json:"path"`
	Values []string `json:"values"`
}

// Arm is one of the configurations compared and what its valid runs showed.
type Arm struct {
	Name     string             `json:"name"`
	Change   map[string]string  `json:"change"` // profile path -> value
	Runs     int                `json:"runs"`   // valid ones; the measures are computed from them
	Excluded int                `json:"excluded"`
	Measures map[string]Measure `json:"measures"` // by Measure name; see the list in docs/compare.md
}

// Measure is one figure of an arm: an estimate over its runs, and the interval
// that contains the true value with the comparison's confidence. Value is 0 when
// Known is false; Low and High are 0 when Bounded is false. Why gives the reason.
type Measure struct {
	Unit    Unit      `json:"unit"`
	Of      string    `json:"of"` // what Value is: "all runs together", "median of the runs", "mean of the runs"
	Known   bool      `json:"known"`
	Value   float64   `json:"value"`
	Bounded bool      `json:"bounded"` // there is an interval
	Low     float64   `json:"low"`
	High    float64   `json:"high"`
	Per     []float64 `json:"per_run"` // the figure of each valid run that has it, in the order of the runs
	Why     string    `json:"why,omitempty"`
}

// ComparedRun is one run of a comparison.
type ComparedRun struct {
	Arm      string    `json:"arm"`
	Block    int       `json:"block"`              // from 1
	Dir      string    `json:"dir"`                // of its results, relative to comparison.json
	Excluded string    `json:"excluded,omitempty"` // why it is in no measure: it was invalid, or made by hand
	CoolDown *CoolDown `json:"cool_down,omitempty"`
}

// CoolDown is the wait before a run until the TIME_WAIT sockets to the target are
// gone.
type CoolDown struct {
	Seconds  float64 `json:"seconds"`
	TimeWait int     `json:"time_wait_left"` // when the run began; both sides, as far as they were visible
	Limited  bool    `json:"limited"`        // the limit was reached before they were gone
	Why      string  `json:"why,omitempty"`  // why there was nothing to wait for, or nothing to see
}

// Pair compares one arm with another.
type Pair struct {
	A       string `json:"a"` // the arm that B is compared with
	B       string `json:"b"`
	Verdict string `json:"verdict"` // a sentence
	Tests   []Test `json:"tests"`
}

// Test compares one measure of a pair: by how much B differs from A, and whether
// the difference can be chance.
type Test struct {
	Measure    string  `json:"measure"`
	Unit       Unit    `json:"unit"`       // of Difference, Low, High and Detectable
	Method     string  `json:"method"`     // the test's name; empty: no test was made, and Why gives the reason
	Difference float64 `json:"difference"` // B - A
	Bounded    bool    `json:"bounded"`    // Low and High are known
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	Effect     float64 `json:"effect"`      // size of the effect, without unit; see EffectName
	EffectName string  `json:"effect_name"` // as "odds ratio", "Cliff's delta"; empty: not known
	P          float64 `json:"p"`           // 1 when no test was made
	PAdjusted  float64 `json:"p_adjusted"`  // corrected for all tests of the comparison
	Differs    bool    `json:"differs"`     // PAdjusted is below 1 - confidence
	Detectable float64 `json:"detectable"`  // the least difference that 80 % of such experiments find; 0: not known
	// RepeatsNeeded is how many runs each arm needs so that 80 % of such experiments
	// find the difference seen: up to 1000, and 1001 if it needs more. It is 0 if this
	// is not known, or if this experiment found the difference.
	RepeatsNeeded int    `json:"repeats_needed"`
	Why           string `json:"why,omitempty"`
}
