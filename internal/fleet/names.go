package fleet

import (
	"cmp"
	"fmt"
	"os"
	"strings"
)

// DefaultName is an agent's name if its command line gives none: the index of its pod in an
// Indexed Job of Kubernetes, or the name of the host with the process's number.
func DefaultName() string {
	if index := os.Getenv("JOB_COMPLETION_INDEX"); index != "" {
		return "agent-" + index
	}
	host, err := os.Hostname()
	if err != nil {
		host = "agent"
	}
	return fmt.Sprintf("%s-%d", host, os.Getpid())
}

// CheckName complains about a name that is of no use: names are printed, and stand in paths.
func CheckName(name string) error {
	ok := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r)
	}
	if name == "" || len(name) > 100 || strings.IndexFunc(name, func(r rune) bool { return !ok(r) }) >= 0 || strings.Trim(name, ".") == "" {
		return fmt.Errorf("the name %q of an agent: want 1 to 100 letters, digits, '-', '_' and '.'", name)
	}
	return nil
}

// compareNames puts names into the order in which agents get their places. Numbers in them
// compare as numbers: agent-2 comes before agent-10.
func compareNames(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		dx, dy := digits(x), digits(y)
		if dx > 0 && dy > 0 {
			nx, ny := strings.TrimLeft(x[:dx], "0"), strings.TrimLeft(y[:dy], "0")
			if c := cmp.Or(cmp.Compare(len(nx), len(ny)), cmp.Compare(nx, ny)); c != 0 {
				return c
			}
			x, y = x[dx:], y[dy:]
			continue
		}
		if x[0] != y[0] {
			return cmp.Compare(x[0], y[0])
		}
		x, y = x[1:], y[1:]
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(a, b))
}

// digits is how many bytes at the beginning of s are digits.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
