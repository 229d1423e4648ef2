package conform

import (
	"fmt"
	"time"
)

// Verdict is the outcome of a story.
type Verdict string

// The verdicts.
const (
	Agrees    Verdict = "agrees"
	Differs   Verdict = "differs"
	Known     Verdict = "known"      // differs, and the preset names the story in its cannot
	Disturbed Verdict = "disturbed"  // the machine was too busy each time
	Failed    Verdict = "failed"     // it could not be played
	NotPlayed Verdict = "not played" // somebody stopped kabench before
)

// Result is the outcome of a story for a client and its preset.
type Result struct {
	Story       string       `json:"story"`
	Asks        string       `json:"asks"`
	About       About        `json:"about"`
	Verdict     Verdict      `json:"verdict"`
	Known       string       `json:"known,omitempty"`  // what the preset says it cannot express
	Why         string       `json:"why,omitempty"`    // of disturbed and failed
	Plays       int          `json:"plays"`            // how often it was played, with disturbed plays
	Varies      bool         `json:"varies"`           // one play agreed and another one differed
	Differences []Difference `json:"differences"`      // of the last play
	Client      *Seen        `json:"client,omitempty"` // the last play
	Preset      *Seen        `json:"preset,omitempty"`
}

// Report has the outcomes of all stories for one client and one preset.
type Report struct {
	Driver   string         `json:"driver"`
	Client   string         `json:"client"`
	Version  string         `json:"version"` // as the driver said
	Runtime  string         `json:"runtime"`
	Preset   string         `json:"preset"`
	Run      []string       `json:"run"`                // the versions for which the preset was run before
	Settings map[string]any `json:"settings,omitempty"` // of the client, for a preset that is not its default
	Date     string         `json:"date"`               // of the day, as 2026-01-31
	Seconds  float64        `json:"seconds"`            // how long all took
	Error    string         `json:"error,omitempty"`    // why nothing was played
	Agree    []string       `json:"agree,omitempty"`    // in a kept document: the stories that agree, which Results then lacks
	Results  []Result       `json:"results"`
}

// Counts are how many stories ended with each verdict.
type Counts struct {
	Pairs   int `json:"pairs"` // judged: agrees, known or differs
	Agree   int `json:"agree"`
	Known   int `json:"known"`
	Differ  int `json:"differ"`
	Unknown int `json:"unknown"` // disturbed, failed or not played
}

// Count counts the verdicts of the reports.
func Count(reports ...Report) Counts {
	var c Counts
	for _, r := range reports {
		for _, one := range r.Results {
			switch one.Verdict {
			case Agrees:
				c.Agree++
			case Known:
				c.Known++
			case Differs:
				c.Differ++
			default:
				c.Unknown++
			}
		}
	}
	c.Pairs = c.Agree + c.Known + c.Differ
	return c
}

// String says how many pairs agree, are known or differ, and what share agrees or is known.
func (c Counts) String() string {
	if c.Pairs == 0 {
		return "No pair of a story and a client was judged."
	}
	return fmt.Sprintf("%d pairs of a story and a client: %d agree, %d differ as the preset says (known), and %d differ otherwise. %.1f %% agree or are known.",
		c.Pairs, c.Agree, c.Known, c.Differ, 100*float64(c.Agree+c.Known)/float64(c.Pairs))
}

// took rounds a time to what a report says.
func took(d time.Duration) float64 { return d.Round(100 * time.Millisecond).Seconds() }
