package watching

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/nearest"
	"github.com/kabench/kabench/internal/watch"
	"github.com/kabench/kabench/results/expect"
)

// condition is one of --until. It holds for what has happened since it held before.
type condition struct {
	path, text string
	expect.Condition
	from  float64       // of a count, when it held before
	pause time.Duration // it is not asked before
}

// headPaths are the first words of the paths.
func headPaths() (list []string) {
	for _, path := range watch.Paths() {
		if head, _, more := strings.Cut(path, "."); !more || !slices.Contains(list, head) && !slices.Contains(watch.Paths(), head) {
			if !slices.Contains(list, head) {
				list = append(list, head)
			}
		}
	}
	return list
}

// parseCondition reads a path and its condition, in the words of expect.
func parseCondition(line string) (c condition, err error) {
	text := strings.TrimSpace(line)
	i := strings.IndexAny(text, "=<>! \t")
	if i <= 0 {
		return c, fmt.Errorf("%q is not a path and its condition; write for example 'failures > 0' or 'ports.left < 1000'", line)
	}
	c.path, c.text = strings.TrimSuffix(text[:i], ":"), text
	if paths := watch.Paths(); !slices.Contains(paths, c.path) {
		if name := nearest.Name(c.path, paths); name != "" {
			return c, fmt.Errorf("%q: there is no %s; did you mean %s?", line, c.path, name)
		}
		return c, fmt.Errorf("%q: there is no %s; there are %s", line, c.path, strings.Join(paths, ", "))
	}
	want := strings.TrimSpace(text[i:])
	if strings.HasPrefix(want, "=") && !strings.HasPrefix(want, "==") {
		want = "=" + want
	}
	if c.Condition, err = expect.ParseCondition(want); err != nil {
		return c, err
	}
	if !c.Plain() {
		return c, fmt.Errorf("%q: %s is a number without a unit, and a watch has no other figure to compare it with", line, c.path)
	}
	return c, nil
}

// holds reports whether a condition holds now. A gauge that is not known meets none.
func (c *condition) holds(figures map[string]float64) bool {
	v, known := figures[c.path]
	return known && c.Met(v-c.from)
}

// again makes counts begin again.
func (c *condition) again(figures map[string]float64) {
	if watch.Grows(c.path) {
		c.from = figures[c.path]
	}
}

// parseSize reads a size in bytes, such as 1GB or 500MiB.
func parseSize(text string) (int64, error) {
	const want = "want a size, for example 1GB"
	digits := strings.TrimRight(text, "kKMGTiBb")
	n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("%s: %s", text, want)
	}
	unit := strings.ToUpper(strings.TrimSuffix(strings.TrimSuffix(text[len(digits):], "B"), "b"))
	scale := map[string]float64{"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "KI": 1 << 10, "MI": 1 << 20, "GI": 1 << 30, "TI": 1 << 40}[unit]
	switch size := n * scale; {
	case scale == 0:
		return 0, fmt.Errorf("%s: %s", text, want)
	case size < 1e6:
		return 0, fmt.Errorf("%s: the results of one time take about a megabyte; %s", text, "want at least 1MB")
	case size > 1e18:
		return 0, errors.New(text + ": " + want)
	default:
		return int64(size), nil
	}
}
