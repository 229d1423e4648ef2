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

// The words in a condition for another run: the incident's own, in a remedy's,
// and an earlier one that was given. Alone each stands for the figure at the same
// path, before a path for the figure there.
const (
	ofIncident = "incident"
	ofBaseline = "baseline"
)

// Reference is an end of a condition that is another figure, or a share of it:
// "counts.started", "50% of incident", "incident.connections.opened".
type Reference struct {
	Share float64 // 1 is all of it
	Path  string  // "": the path the condition is asked of
	Of    string  // whose figure it is: ofIncident, ofBaseline; "": that of the run at hand
}

var referenceForm = regexp.MustCompile(`^(?:([0-9]+(?:\.[0-9]+)?)% of )?([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*)$`)

// parseReference reads a Reference; nil when text is none.
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

// name is the figure in words.
func (r Reference) name(path string) string {
	switch {
	case r.Of != "" && (r.Path == "" || r.Path == path):
		return r.Of
	case r.Of != "":
		return r.Of + "." + r.Path
	}
	return r.Path
}

// References is what a run's conditions may name beside the run itself.
type References struct {
	Incident *results.Run // the run is a remedy's, and this the incident's
	Baseline *results.Run // an earlier run of the same question
	// Baselines, if there are several, are all of them. Baseline is then the first.
	Baselines []*results.Run
	// Spans are, for a path that "not worse than baseline" is asked of, what is counted there in
	// each part of the run and of the one baseline: of a percentile what is longer than limit. nil:
	// not known, and exchanges are taken to be independent.
	Spans func(path string, limit time.Duration) (own, baseline []results.Span)
	// Above counts how many of the durations that the latency name ("response",
	// "failed.acquire") is of were longer than d, and how many there were. Without
	// it no percentile can be said to be not worse than another.
	Above func(name string, d time.Duration) (above, of uint64)
}

// figures are the run at hand and what stands beside it.
type figures struct {
	own *results.Run
	References
}

// find is the figure r stands for in a condition that is asked of path.
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

// run is the one that a Reference.Of names.
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

// resolve puts the figures in the place of the references in c, which is asked
// of path in that unit. With them it returns the words for what they were, and
// why there is none, if so.
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

// FillIn puts figures of a run in the place of their paths in braces, and of
// those that begin with "incident." the incident's: "{buffer.max} of waiting".
func FillIn(text string, run, incident *results.Run) string {
	in := figures{run, References{Incident: incident}}
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

// ValidateFillIn returns every complaint about the figures that text names,
// joined.
func ValidateFillIn(text string) error {
	in := figures{&results.Run{}, References{Incident: &results.Run{}}}
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
