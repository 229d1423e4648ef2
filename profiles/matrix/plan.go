package matrix

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// Plan is the comparison that a matrix asks for.
type Plan struct {
	Name, Question string
	Axes           []results.Axis // with their values as they may be shown
	Arms           []Arm
	Repeats        int
	Seed           uint64
	CoolDown       time.Duration
}

// Arm is one setting of a comparison.
type Arm struct {
	Name    string
	Change  map[string]string // profile path -> value, to be shown: without secrets
	Profile *profiles.Profile
}

// NoComparison is the error of a matrix whose settings cannot be compared, whatever its
// profile says.
type NoComparison struct{ Why string }

func (e *NoComparison) Error() string { return e.Why }

func noComparison(format string, args ...any) error {
	return &NoComparison{fmt.Sprintf(format, args...)}
}

// The largest comparison.
const (
	maxArms = 64
	maxRuns = 1000
)

// Plan makes the profile of every setting, with sets applied after those of the matrix.
// Errors has what is wrong with the profiles, each complaint once.
func (m *Matrix) Plan(sets []string) (*Plan, error) {
	from, err := m.profileOf()
	if err != nil {
		return nil, err
	}
	if err := m.bounds(); err != nil {
		return nil, err
	}
	var all []string
	for _, path := range slices.Sorted(maps.Keys(m.Set)) {
		all = append(all, path+"="+m.Set[path])
	}
	all = append(all, sets...)
	p := &Plan{Name: m.Name, Question: m.Question, Repeats: m.Repeats, Seed: m.Seed, CoolDown: m.CoolDown}
	var complaints profiles.Errors
	for _, point := range points(m.Axes) {
		profile, err := profiles.Open(from, append(slices.Clone(all), point.sets()...))
		if list, ok := errors.AsType[profiles.Errors](err); ok {
			complaints = addNew(complaints, point.inAxes(list))
			continue
		}
		if err != nil {
			return nil, err
		}
		profile.NameByTarget()
		profile.Remedies = nil // a comparison does not run an incident's remedies
		p.Arms = append(p.Arms, Arm{Name: point.name(m.Axes), Change: profiles.RedactChange(point.change()), Profile: profile})
	}
	if len(complaints) > 0 {
		return nil, complaints
	}
	if err := p.distinct(); err != nil {
		return nil, err
	}
	p.describe(m)
	return p, nil
}

// addNew adds to list the complaints that it does not contain.
func addNew(list, more profiles.Errors) profiles.Errors {
	for _, c := range more {
		if !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

// describe sets the fields that show the comparison.
func (p *Plan) describe(m *Matrix) {
	for _, axis := range m.Axes {
		a := results.Axis{Path: axis.Path}
		for i, v := range axis.Values {
			path := axis.pathOf(i)
			shown := profiles.RedactChange(map[string]string{path: v})[path]
			if path != axis.Path {
				shown = path + " " + shown
			}
			a.Values = append(a.Values, shown)
		}
		p.Axes = append(p.Axes, a)
	}
	if p.Name == "" {
		p.Name = p.Arms[0].Profile.Name
	}
	if p.Question == "" {
		p.Question = profiles.Redact(*p.Arms[0].Profile).Question
	}
}

// profileOf returns the name or the file of the profile. A matrix file gives the path
// relative to its own directory.
func (m *Matrix) profileOf() (string, error) {
	if _, known := profiles.Find(m.Profile); known || m.Profile == "" {
		return m.Profile, nil
	}
	if !profiles.IsFile(m.Profile) {
		return "", profiles.NotFound(m.Profile)
	}
	if m.file == "" {
		return m.Profile, nil
	}
	path := m.Profile
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(m.file), path)
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s: profile: %w", m.file, err)
	}
	return path, nil
}

// bounds refuses matrices with fewer than two settings, and comparisons that are too large.
func (m *Matrix) bounds() error {
	arms := 1
	for i, axis := range m.Axes {
		arms *= len(axis.Values)
		if arms > maxArms {
			return noComparison("the axes make more than %d settings; compare fewer at a time", maxArms)
		}
		for _, other := range m.Axes[:i] {
			if overlap(other.Path, axis.Path) {
				return noComparison("the axes %s and %s set the same field; give it once, with the wider axis first", other.Path, axis.Path)
			}
		}
	}
	switch {
	case len(m.Axes) == 0:
		return noComparison("there is nothing to compare: give --pool at least twice, or --axis path=value,value, or a matrix file")
	case arms < 2:
		return noComparison("there is only one setting, and nothing to compare it with; give at least two of --pool and --driver, or an axis with several values")
	case m.Repeats < 1:
		return noComparison("--repeats %d: want at least 1", m.Repeats)
	case m.CoolDown < 0:
		return noComparison("--cool-down %v: want 0 or more", m.CoolDown)
	case arms*m.Repeats > maxRuns || m.Repeats > maxRuns:
		return noComparison("%d settings × %d repeats are more than %d runs; lower --repeats", arms, m.Repeats, maxRuns)
	}
	return nil
}

// overlap reports whether the axis at path changes a field that the earlier axis
// changes. An axis of a field may follow an axis of presets.
func overlap(earlier, path string) bool {
	preset := earlier == "pool" || earlier == "target.lab" || earlier == "driver"
	return earlier == path || strings.HasPrefix(path, earlier+".") && !preset || strings.HasPrefix(earlier, path+".")
}

// distinct refuses two arms that differ only in their names.
func (p *Plan) distinct() error {
	seen, names := map[string]string{}, map[string]int{}
	for i := range p.Arms {
		arm := &p.Arms[i]
		bare := arm.Profile.Clone()
		bare.Preset = ""
		text, err := profiles.Marshal(bare)
		if err != nil {
			return err
		}
		if other, found := seen[string(text)]; found {
			return noComparison("%s and %s are the same setting; remove one", other, arm.Name)
		}
		seen[string(text)] = arm.Name
		if names[arm.Name]++; names[arm.Name] > 1 {
			arm.Name = fmt.Sprintf("%s (%d)", arm.Name, names[arm.Name])
		}
	}
	return nil
}

// point is one value of each axis.
type point []setting

// setting is a value of an axis, and at which path. mixed says that other values of the axis
// are for other paths.
type setting struct {
	path, value, source string
	mixed               bool
}

// pathOf is the path that the i-th value is for.
func (a Axis) pathOf(i int) string {
	if a.Paths == nil {
		return a.Path
	}
	return a.Paths[i]
}

// points returns all combinations of values; the last axis changes fastest.
func points(axes Axes) []point {
	all := []point{nil}
	for _, axis := range axes {
		var next []point
		for _, p := range all {
			for i, v := range axis.Values {
				next = append(next, append(slices.Clone(p), setting{axis.pathOf(i), v, axis.Sources[i], axis.Paths != nil}))
			}
		}
		all = next
	}
	return all
}

func (p point) sets() (sets []string) {
	for _, s := range p {
		if s.mixed && s.path == "driver" {
			// Beside presets, which are clients with their defaults, a real client has its own.
			sets = append(sets, "pool=null")
		}
		sets = append(sets, s.path+"="+s.value)
	}
	return sets
}

func (p point) change() map[string]string {
	change := map[string]string{}
	for _, s := range p {
		change[s.path] = s.value
	}
	return change
}

// longestValue is how many characters of a value a name shows.
const longestValue = 32

// name returns the arm's name, for example "idle_timeout=3s lease_order=fifo". A pool preset
// is shown by its name alone.
func (p point) name(axes Axes) string {
	ends := map[string]int{}
	end := func(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
	for _, axis := range axes {
		ends[end(axis.Path)]++
	}
	var parts []string
	for _, s := range p {
		value := shownValue(axes, s)
		switch {
		case s.mixed && s.path == "driver":
			parts = append(parts, "driver "+value)
		case (s.path == "pool" || s.path == "driver") && !strings.ContainsAny(value, "{:"):
			parts = append(parts, value)
		case ends[end(s.path)] > 1:
			parts = append(parts, s.path+"="+value)
		default:
			parts = append(parts, end(s.path)+"="+value)
		}
	}
	return strings.Join(parts, " ")
}

// shownValue returns a value as it appears in a name: in one line, without secrets, and
// without the parts that all values of its axis have in common.
func shownValue(axes Axes, s setting) string {
	var shown []string
	at := -1
	for _, axis := range axes {
		for i, value := range axis.Values {
			if axis.pathOf(i) != s.path {
				continue
			}
			if value == s.value {
				at = len(shown)
			}
			value = profiles.RedactChange(map[string]string{s.path: value})[s.path]
			shown = append(shown, strings.Join(strings.Fields(value), " "))
		}
	}
	return layout.Shorten(shown, longestValue)[at]
}

// inAxes makes a complaint about a value name the flag or the place in the matrix file
// that the value came from.
func (p point) inAxes(list profiles.Errors) profiles.Errors {
	for i, c := range list {
		for _, s := range p {
			if !strings.HasPrefix(c.Source, "--set "+s.path+"=") {
				continue
			}
			list[i].Source = s.source
			if strings.HasPrefix(s.source, "--") && c.Path == s.path {
				list[i].Path = "" // the flag names it
			}
		}
	}
	return list
}
