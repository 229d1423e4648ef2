package expect

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/kabench/kabench/results"
)

// These words name another run in a condition. ofIncident is the run of the incident,
// in the condition of a remedy; ofBaseline is an earlier run that the user gave.
// Alone, the word means the figure at the same path in that run; before a path, it
// means the figure at this path.
const (
	ofIncident = "incident"
	ofBaseline = "baseline"
)

// Reference is a figure, or a share of a figure, that replaces a number in a condition:
// "counts.started", "50% of incident", "incident.connections.opened".
type Reference struct {
	Share float64 // 1 is all of it
	Path  string  // "": the path that has the condition
	Of    string  // the run that has the figure: ofIncident, ofBaseline; "": the run that is checked
}

var referenceForm = regexp.MustCompile(`^(?:([0-9]+(?:\.[0-9]+)?)% of )?([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*)$`)

// parseReference reads a Reference. It returns nil if text is not a reference.
func parseReference(text string) *Reference {
	parts := referenceForm.FindStringSubmatch(strings.Join(strings.Fields(text), " "))
	if parts == nil || !strings.Contains(parts[2], ".") && !strings.Contains(" attempts error_answers failures incident baseline ", " "+parts[2]+" ") {
		return nil
	}
	r := &Reference{Share: 1, Path: parts[2]}
	if parts[1] != "" {
		percent, err := strconv.ParseFloat(parts[1], 64)
		if err != nil || percent > 1e6 {
			return nil
		}
		r.Share = percent / 100
	}
	for _, of := range []string{ofIncident, ofBaseline} {
		if rest, found := strings.CutPrefix(r.Path+".", of+"."); found {
			r.Of, r.Path = of, strings.TrimSuffix(rest, ".")
			break
		}
	}
	return r
}

// name describes the figure in words, for a condition at path.
func (r Reference) name(path string) string {
	switch {
	case r.Of != "" && (r.Path == "" || r.Path == path):
		return r.Of
	case r.Of != "":
		return r.Of + "." + r.Path
	}
	return r.Path
}

// References holds what the conditions of a run may refer to, apart from the run
// itself.
type References struct {
	Incident *results.Run // the run of the incident, if the run that is checked is a remedy's
	Baseline *results.Run // an earlier run of the same question
	// Baselines holds all baselines if there are several. Baseline is then the first.
	Baselines []*results.Run
	// Spans returns, for a path with "not worse than baseline", the counts in each part of the run
	// and in each part of the single baseline. For a percentile it counts the durations longer than
	// limit. If Spans is nil, exchanges are assumed to be independent.
	Spans func(path string, limit time.Duration) (own, baseline []results.Span)
	// Above returns how many durations of the latency name ("response",
	// "failed.acquire") were longer than d, and how many durations there were. If
	// Above is nil, "not worse than" cannot be checked for percentiles.
	Above func(name string, d time.Duration) (above, of uint64)
}

// figures looks up figures in the run that is checked and in the runs that its
// conditions may refer to.
type figures struct {
	own *results.Run
	References
	level float64 // significance level of each test; see levelOf
}

// find returns the figure that ref stands for in a condition at path. With several
// baselines it is their median.
func (r figures) find(path string, ref Reference) (Value, error) {
	run, err := r.run(ref.Of)
	if err != nil {
		return Value{}, err
	}
	if ref.Path != "" {
		path = ref.Path
	}
	v, err := Lookup(run, path)
	if ref.Of != ofBaseline || len(r.Baselines) < 2 || err != nil {
		return v, err
	}
	var all []float64
	for _, run := range r.Baselines {
		of, err := Lookup(run, path)
		if err != nil || of.Why != "" {
			return of, err
		}
		all = append(all, of.Number)
	}
	v.Number = median(all)
	return v, nil
}

// run returns the run that a Reference.Of names.
func (r figures) run(of string) (*results.Run, error) {
	switch {
	case of == ofIncident && r.Incident == nil:
		return nil, fmt.Errorf("there is no %s to compare with: only what a remedy expects can name it", of)
	case of == ofIncident:
		return r.Incident, nil
	case of == ofBaseline && r.Baseline == nil:
		return nil, fmt.Errorf("there is no %s to compare with: give an earlier run with --baseline DIR", of)
	case of == ofBaseline:
		return r.Baseline, nil
	}
	return r.own, nil
}

// resolve replaces the references in c, the condition at path, with their figures,
// which must be in unit. said describes the figures in words. why is the reason if
// a figure has no value.
func (r figures) resolve(c *Condition, path string, unit results.Unit) (said []string, why string, err error) {
	for _, end := range []struct {
		ref *Reference
		to  *float64
	}{{c.LowOf, &c.Low}, {c.HighOf, &c.High}} {
		if end.ref == nil {
			continue
		}
		v, err := r.find(path, *end.ref)
		switch {
		case err != nil:
			return nil, "", err
		case v.Unit != unit:
			return nil, "", fmt.Errorf("it is %v, and %s is %v", unit, end.ref.name(path), v.Unit)
		case v.Why != "":
			why = fmt.Sprintf("%s: %s", end.ref.name(path), v.Why)
		}
		*end.to = v.Number * end.ref.Share
		said = append(said, end.ref.name(path)+" "+v.String())
	}
	c.LowOf, c.HighOf = nil, nil
	return said, why, nil
}

var figure = regexp.MustCompile(`\{[^{}]*\}`)

// FillIn replaces each path in braces, as in "{buffer.max} of waiting", with the
// figure at this path in run. A path that begins with "incident." takes its figure
// from incident.
func FillIn(text string, run, incident *results.Run) string {
	in := figures{own: run, References: References{Incident: incident}}
	return figure.ReplaceAllStringFunc(text, func(braced string) string {
		v, err := in.figure(braced)
		switch {
		case err != nil:
			return braced
		case v.Why != "":
			return "(unknown: " + v.Why + ")"
		}
		return v.String()
	})
}

// ValidateFillIn returns all complaints about the figures that text names, joined.
func ValidateFillIn(text string) error {
	in := figures{own: &results.Run{}, References: References{Incident: &results.Run{}}}
	var errs []error
	for _, braced := range figure.FindAllString(text, -1) {
		if _, err := in.figure(braced); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", braced, err))
		}
	}
	return errors.Join(errs...)
}

func (r figures) figure(braced string) (Value, error) {
	path := strings.Trim(braced, "{}")
	if rest, found := strings.CutPrefix(path, ofIncident+"."); found {
		return r.find(path, Reference{Path: rest, Of: ofIncident})
	}
	return r.find(path, Reference{})
}
