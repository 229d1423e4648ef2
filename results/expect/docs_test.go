package expect

import (
	"regexp"
	"slices"
	"testing"
)

// TestDocsNameEveryPath checks that the table of expectations in the documentation
// and the known paths are the same.
func TestDocsNameEveryPath(t *testing.T) {
	var patterns []*regexp.Regexp
	for _, name := range tabled(section(t, docs(t), "## Expectations")) {
		pattern := regexp.MustCompile(`<\w+>`).ReplaceAllString(regexp.QuoteMeta(name), `\w+`)
		patterns = append(patterns, regexp.MustCompile("^"+pattern+"$"))
	}
	paths := knownPaths()
	for _, path := range paths {
		if !slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(path) }) {
			t.Errorf("docs/results.md has no row for the expectation %s", path)
		}
	}
	for _, p := range patterns {
		if !slices.ContainsFunc(paths, p.MatchString) {
			t.Errorf("docs/results.md has a row for %s, and no expectation has such a path", p)
		}
	}
}
