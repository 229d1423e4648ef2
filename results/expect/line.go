package expect

import (
	"fmt"
	"strings"

	"github.com/kabench/kabench/results"
)

// ParseLine reads an expectation that is written in one line, as a flag takes it: a path and
// its condition, such as "failures = 0", "response.p99 <= 80ms", "failures.rate 0..1%" or
// "failures not worse than baseline". A single = means ==. The error does not name the flag;
// it says what is wrong and what to write.
func ParseLine(line string) (path, condition string, err error) {
	text := strings.TrimSpace(line)
	i := strings.IndexAny(text, "=<>! \t\r\n")
	if i <= 0 {
		return "", "", fmt.Errorf("%q is not a path and its condition; write for example 'failures = 0' or 'response.p99 <= 80ms'", line)
	}
	path, condition = strings.TrimSuffix(text[:i], ":"), strings.TrimSpace(text[i:]) // with a colon as in a profile
	if rest := strings.TrimLeft(condition, "=<>!"); rest != condition { // as a profile has it
		op := strings.TrimSuffix(condition, rest)
		if op == "=" {
			op = "=="
		}
		condition = op + " " + strings.TrimSpace(rest)
	}
	in := figures{own: &results.Run{}, References: References{Baseline: &results.Run{}}}
	if _, err := in.ask(path, condition); err != nil {
		return "", "", err
	}
	return path, condition, nil
}
