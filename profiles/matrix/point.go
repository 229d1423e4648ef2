package matrix

import (
	"slices"
	"strings"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/profiles"
)

// point is one value of each axis.
type point []setting

type setting struct{ path, value, source string }

// points are all combinations, the last axis changing fastest.
func points(axes Axes) []point {
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
func shownValue(axes Axes, s setting) string {
	axis := axes[slices.IndexFunc(axes, func(a Axis) bool { return a.Path == s.path })]
	shown := make([]string, len(axis.Values))
	for i, value := range axis.Values {
		value = profiles.RedactChange(map[string]string{s.path: value})[s.path]
		shown[i] = strings.Join(strings.Fields(value), " ")
	}
	return layout.Shorten(shown, longestValue)[slices.Index(axis.Values, s.value)]
}

// inAxes makes complaints about a value name the flag or the place in the matrix
// file that it came from.
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
