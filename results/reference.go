package results

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// ofIncident is the word in a remedy's condition for the incident's own run:
// alone it stands for the figure at the same path, before a path for the figure
// there.
const ofIncident = "incident"

// Reference is an end of a condition that is another figure, or a share of it:
// "counts.started", "50% of incident", "incident.connections.opened".
type Reference struct {
	Share float64 // 1 is all of it
	Path  string  // "": the path the condition is asked of
	// Incident: it is a figure of the incident's run, and not of the run at hand.
	Incident bool
}

var referenceForm = regexp.MustCompile(`^(?:([0-9]+(?:\.[0-9]+)?)% of )?([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*)$`)

// parseReference reads a Reference; nil when text is none.
func parseReference(text string) *Reference {
	parts := referenceForm.FindStringSubmatch(strings.Join(strings.Fields(text), " "))
	if parts == nil || !strings.Contains(parts[2], ".") && !strings.Contains(" attempts failures incident ", " "+parts[2]+" ") {
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
	if rest, found := strings.CutPrefix(r.Path+".", ofIncident+"."); found {
		r.Incident, r.Path = true, strings.TrimSuffix(rest, ".")
	}
	return r
}

// name is the figure in words.
func (r Reference) name(path string) string {
	switch {
	case r.Incident && (r.Path == "" || r.Path == path):
		return ofIncident
	case r.Incident:
		return ofIncident + "." + r.Path
	}
	return r.Path
}

// runs are the run at hand and, when it is a remedy's, the incident's.
type runs struct{ own, incident *Run }

// find is the figure r stands for in a condition that is asked of path.
func (r runs) find(path string, ref Reference) (value, error) {
	run := r.own
	if ref.Incident {
		if run = r.incident; run == nil {
			return value{}, fmt.Errorf("there is no %s to compare with: only what a remedy expects can name it", ofIncident)
		}
	}
	if ref.Path != "" {
		path = ref.Path
	}
	return lookup(run, path)
}

// resolve puts the figures in the place of the references in c, which is asked
// of path in that unit. With them it returns the words for what they were, and
// why there is none, if so.
func (r runs) resolve(c *Condition, path string, unit Unit) (said []string, why string, err error) {
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
		case v.unit != unit:
			return nil, "", fmt.Errorf("it is %v, and %s is %v", unit, end.ref.name(path), v.unit)
		case v.why != "":
			why = fmt.Sprintf("%s: %s", end.ref.name(path), v.why)
		}
		*end.to = v.v * end.ref.Share
		said = append(said, end.ref.name(path)+" "+v.String())
	}
	c.LowOf, c.HighOf = nil, nil
	return said, why, nil
}

var figure = regexp.MustCompile(`\{[^{}]*\}`)

// FillIn puts figures of a run in the place of their paths in braces, and of
// those that begin with "incident." the incident's: "{buffer.max} of waiting".
func FillIn(text string, run, incident *Run) string {
	in := runs{run, incident}
	return figure.ReplaceAllStringFunc(text, func(braced string) string {
		v, err := in.figure(braced)
		switch {
		case err != nil:
			return braced
		case v.why != "":
			return "(unknown: " + v.why + ")"
		}
		return v.String()
	})
}

// ValidateFillIn returns every complaint about the figures that text names,
// joined.
func ValidateFillIn(text string) error {
	in := runs{&Run{}, &Run{}}
	var errs []error
	for _, braced := range figure.FindAllString(text, -1) {
		if _, err := in.figure(braced); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", braced, err))
		}
	}
	return errors.Join(errs...)
}

func (r runs) figure(braced string) (value, error) {
	path := strings.Trim(braced, "{}")
	rest, ofIncidents := strings.CutPrefix(path, ofIncident+".")
	return r.find(path, Reference{Path: rest, Incident: ofIncidents})
}
