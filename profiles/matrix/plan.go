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

// The most that a comparison may come to.
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
		profile.Remedies = nil // an incident's are not run
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

// addNew adds to list what is not in it.
func addNew(list, more profiles.Errors) profiles.Errors {
	for _, c := range more {
		if !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

// describe fills what is shown of the comparison.
func (p *Plan) describe(m *Matrix) {
	for _, axis := range m.Axes {
		a := results.Axis{Path: axis.Path}
		for _, v := range axis.Values {
			a.Values = append(a.Values, profiles.RedactChange(map[string]string{axis.Path: v})[axis.Path])
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

// profileOf is the name or the file of the profile, which a matrix file names as seen from
// its own directory.
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

// bounds refuses comparisons that are none, or are too large.
func (m *Matrix) bounds() error {
	arms := 1
	for i, axis := range m.Axes {
		arms *= len(axis.Values)
		if arms > maxArms {
			return noComparison("the axes make more than %d settings; compare fewer at a time", maxArms)
		}
		for _, other := range m.Axes[:i] {
			if overlap(other.Path, axis.Path) {
				return noComparison("the axes %s and %s set the same field; give it once, the wider one first", other.Path, axis.Path)
			}
		}
	}
	switch {
	case len(m.Axes) == 0:
		return noComparison("what is to differ? give --pool at least twice, or --axis path=value,value, or a matrix file")
	case arms < 2:
		return noComparison("there is one setting only, and nothing to hold it against; give --pool at least twice, or an axis with several values")
	case m.Repeats < 1:
		return noComparison("--repeats %d is not at least 1", m.Repeats)
	case m.CoolDown < 0:
		return noComparison("--cool-down %v is below 0", m.CoolDown)
	case arms*m.Repeats > maxRuns || m.Repeats > maxRuns:
		return noComparison("%d settings × %d repeats are more than %d runs; lower --repeats", arms, m.Repeats, maxRuns)
	}
	return nil
}

// overlap reports whether the axis at path sets what the earlier one sets. A field of a
// preset may follow the preset.
func overlap(earlier, path string) bool {
	preset := earlier == "pool" || earlier == "target.lab"
	return earlier == path || strings.HasPrefix(path, earlier+".") && !preset || strings.HasPrefix(earlier, path+".")
}

// distinct refuses two arms that are the same in all but their names.
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
			return noComparison("%s and %s are the same setting; take one out", other, arm.Name)
		}
		seen[string(text)] = arm.Name
		if names[arm.Name]++; names[arm.Name] > 1 {
			arm.Name = fmt.Sprintf("%s (%d)", arm.Name, names[arm.Name])
		}
	}
	return nil
}
