package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// plan is a comparison to make.
type plan struct {
	name, question string
	axes           []results.Axis
	arms           []kabench.ComparedArm
	repeats        int
	seed           uint64
	coolDown       time.Duration
}

// plan reads what to compare from the flags and, if it is one, the matrix file.
func (o *compareOptions) plan() (*plan, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	m, from, err := o.matrix(o.profile)
	if err != nil {
		return nil, err
	}
	if _, known := profiles.Find(from); !known && from != "" && !strings.ContainsAny(from, `./\`) {
		return nil, profiles.NotFound(from)
	}
	if from != o.profile && strings.ContainsAny(from, `./\`) {
		if _, err := os.Stat(from); err != nil {
			return nil, fmt.Errorf("%s: profile: %w", o.profile, err)
		}
	}
	if err := o.bounds(m); err != nil {
		return nil, err
	}
	var sets []string
	for _, path := range slices.Sorted(maps.Keys(m.Set)) {
		sets = append(sets, path+"="+m.Set[path])
	}
	sets = append(sets, o.allSets()...)
	p := &plan{name: m.Name, question: m.Question, repeats: m.Repeats, seed: m.Seed, coolDown: m.CoolDown}
	var complaints []string
	for _, point := range points(m.Axes) {
		profile, err := loadProfile(from, append(slices.Clone(sets), point.sets()...))
		if err != nil {
			for line := range strings.Lines(o.inFlags(point.inAxes(err)).Error()) {
				if line = strings.TrimSpace(line); !slices.Contains(complaints, line) {
					complaints = append(complaints, line)
				}
			}
			continue
		}
		o.name(profile)
		profile.Remedies = nil // an incident's are not run
		change := point.change()
		p.arms = append(p.arms, kabench.ComparedArm{Name: point.name(m.Axes), Change: profiles.RedactChange(change), Profile: profile})
	}
	if len(complaints) > 0 {
		return nil, errors.New(strings.Join(complaints, "\n"))
	}
	if err := p.distinct(); err != nil {
		return nil, err
	}
	for _, axis := range m.Axes {
		a := results.Axis{Path: axis.Path}
		for _, v := range axis.Values {
			a.Values = append(a.Values, profiles.RedactChange(map[string]string{axis.Path: v})[axis.Path])
		}
		p.axes = append(p.axes, a)
	}
	if p.name == "" {
		p.name = p.arms[0].Profile.Name
	}
	if p.name == "" {
		p.name = "comparison"
	}
	if p.question == "" {
		p.question = profiles.Redact(*p.arms[0].Profile).Question
	}
	return p, nil
}

// matrix is that in the file, or one made of the flags alone, and the profile it
// is of.
func (o *compareOptions) matrix(profileOrMatrix string) (m *profiles.Matrix, from string, err error) {
	m = &profiles.Matrix{Profile: profileOrMatrix, Repeats: o.repeats, CoolDown: o.coolDown, Seed: o.seed}
	if strings.ContainsAny(profileOrMatrix, `./\`) {
		data, err := os.ReadFile(profileOrMatrix)
		if err != nil {
			return nil, "", err
		}
		if profiles.IsMatrix(data) {
			if m, err = profiles.LoadMatrix(profileOrMatrix, data); err != nil {
				return nil, "", err
			}
			if !m.Has["repeats"] || o.has("repeats") {
				m.Repeats = o.repeats
			}
			if !m.Has["cool_down"] || o.has("cool-down") {
				m.CoolDown = o.coolDown
			}
			if o.has("seed") {
				m.Seed = o.seed
			}
			if _, known := profiles.Find(m.Profile); !known && !filepath.IsAbs(m.Profile) && strings.ContainsAny(m.Profile, `./\`) {
				m.Profile = filepath.Join(filepath.Dir(profileOrMatrix), m.Profile)
			}
		}
	}
	if len(o.pools) > 0 {
		axis := profiles.AxisOf{Path: "pool", Values: o.pools}
		for _, v := range o.pools {
			axis.Sources = append(axis.Sources, "--pool "+v)
		}
		m.Axes = append(profiles.Axes{axis}, m.Axes...)
	}
	for _, text := range o.axes {
		path, values, found := strings.Cut(text, "=")
		if !found || path == "" || values == "" {
			return nil, "", &usageError{"kabench compare", fmt.Errorf("--axis %s: say which field and what values: --axis pool.idle_timeout=0,15s,3s", text)}
		}
		axis := profiles.AxisOf{Path: path, Values: splitValues(values)}
		for _, v := range axis.Values {
			axis.Sources = append(axis.Sources, "--axis "+path+"="+v)
		}
		m.Axes = append(m.Axes, axis)
	}
	return m, m.Profile, nil
}

// bounds refuses comparisons that are none, or are too large.
func (o *compareOptions) bounds(m *profiles.Matrix) error {
	usage := func(format string, args ...any) error {
		return &usageError{"kabench compare", fmt.Errorf(format, args...)}
	}
	arms := 1
	for i, axis := range m.Axes {
		arms *= len(axis.Values)
		if arms > maxArms {
			return usage("the axes make more than %d settings; compare fewer at a time", maxArms)
		}
		for _, other := range m.Axes[:i] {
			if other.Path == axis.Path || strings.HasPrefix(axis.Path, other.Path+".") && other.Path != "pool" && other.Path != "target.lab" || strings.HasPrefix(other.Path, axis.Path+".") {
				return usage("the axes %s and %s set the same field; give it once, the wider one first", other.Path, axis.Path)
			}
		}
		for _, ch := range o.changes {
			if ch.path == axis.Path {
				return usage("--%s and the axis %s set the same field; give one", ch.flag, axis.Path)
			}
		}
	}
	switch {
	case len(m.Axes) == 0:
		return usage("what is to differ? give --pool at least twice, or --axis path=value,value, or a matrix file")
	case arms < 2:
		return usage("there is one setting only, and nothing to hold it against; give --pool at least twice, or an axis with several values")
	case m.Repeats < 1:
		return usage("--repeats %d is not at least 1", m.Repeats)
	case m.CoolDown < 0:
		return usage("--cool-down %v is below 0", m.CoolDown)
	case arms*m.Repeats > maxRuns || m.Repeats > maxRuns:
		return usage("%d settings × %d repeats are more than %d runs; lower --repeats", arms, m.Repeats, maxRuns)
	}
	return nil
}

// distinct refuses two arms that are the same in all but their names.
func (p *plan) distinct() error {
	seen, names := map[string]string{}, map[string]int{}
	for i := range p.arms {
		arm := &p.arms[i]
		bare := arm.Profile.Clone()
		bare.Preset = ""
		text, err := profiles.Marshal(bare)
		if err != nil {
			return err
		}
		if other, found := seen[string(text)]; found {
			return &usageError{"kabench compare", fmt.Errorf("%s and %s are the same setting; take one out", other, arm.Name)}
		}
		seen[string(text)] = arm.Name
		if names[arm.Name]++; names[arm.Name] > 1 {
			arm.Name = fmt.Sprintf("%s (%d)", arm.Name, names[arm.Name])
		}
	}
	return nil
}

// estimate says what the comparison will take.
func (p *plan) estimate() string {
	var load, cool time.Duration
	for _, arm := range p.arms {
		load += arm.Profile.Takes()
		if arm.Profile.Network == nil && arm.Profile.Target.Lab == nil {
			cool += p.coolDown
		}
	}
	load, cool = load*time.Duration(p.repeats), cool*time.Duration(p.repeats)
	text := fmt.Sprintf("%d settings × %d = %d runs: about %v", len(p.arms), p.repeats, len(p.arms)*p.repeats, load.Round(time.Second))
	if cool > 0 {
		text += fmt.Sprintf(", and up to %v of waiting for TIME_WAIT to go", cool.Round(time.Second))
	}
	return text
}

// point is one value of each axis.
type point []setting

type setting struct{ path, value, source string }

// points are all combinations, the last axis changing fastest.
func points(axes profiles.Axes) []point {
	all := []point{nil}
	for _, axis := range axes {
		var next []point
		for _, p := range all {
			for i, v := range axis.Values {
				next = append(next, append(slices.Clone(p), setting{axis.Path, v, axis.Sources[i]}))
			}
		}
		all = next
	}
	return all
}

func (p point) sets() (sets []string) {
	for _, s := range p {
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

// longestValue is how much of a value a name shows.
const longestValue = 32

// name is what the arm is called: "idle_timeout=3s lease_order=fifo"; of a pool
// the preset's name.
func (p point) name(axes profiles.Axes) string {
	ends := map[string]int{}
	end := func(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
	for _, axis := range axes {
		ends[end(axis.Path)]++
	}
	var parts []string
	for _, s := range p {
		value := shownValue(axes, s)
		switch {
		case s.path == "pool" && !strings.ContainsAny(value, "{:"):
			parts = append(parts, value)
		case ends[end(s.path)] > 1:
			parts = append(parts, s.path+"="+value)
		default:
			parts = append(parts, end(s.path)+"="+value)
		}
	}
	return strings.Join(parts, " ")
}

// shownValue is a value as a name shows it: in one line, without secrets, and
// shortened where the values of its axis are alike.
func shownValue(axes profiles.Axes, s setting) string {
	axis := axes[slices.IndexFunc(axes, func(a profiles.AxisOf) bool { return a.Path == s.path })]
	shown := make([]string, len(axis.Values))
	for i, value := range axis.Values {
		value = profiles.RedactChange(map[string]string{s.path: value})[s.path]
		shown[i] = strings.Join(strings.Fields(value), " ")
	}
	return results.Shorten(shown, longestValue)[slices.Index(axis.Values, s.value)]
}

// inAxes makes complaints about a value name the flag or the place in the matrix
// file that it came from.
func (p point) inAxes(err error) error {
	list, ok := errors.AsType[profiles.Errors](err)
	if !ok {
		return err
	}
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

// splitValues cuts at commas that are not within brackets or quotes.
func splitValues(text string) (values []string) {
	depth, quote, from := 0, rune(0), 0
	for i, r := range text {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '"' || r == '\'':
			quote = r
		case strings.ContainsRune("[{", r):
			depth++
		case strings.ContainsRune("]}", r):
			depth--
		case r == ',' && depth == 0:
			values = append(values, strings.TrimSpace(text[from:i]))
			from = i + 1
		}
	}
	return append(values, strings.TrimSpace(text[from:]))
}
