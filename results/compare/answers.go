package compare

import (
	"fmt"
	"strings"
)

// warnOfErrorAnswers names the arms some of whose answers were errors: no measure
// counts them as failures, and "no failures" must not be read without them.
func (j *judge) warnOfErrorAnswers() {
	var of []string
	for _, a := range j.arms {
		var n, ok uint64
		for _, doc := range a.docs() {
			n += doc.ErrorAnswers.Sum()
			ok += doc.Counts.OK
		}
		if n > 0 {
			of = append(of, fmt.Sprintf("%d of %d with %s", n, ok, a.name))
		}
	}
	if len(of) > 0 {
		j.c.Warnings = append(j.c.Warnings, "answers with an error status (4xx or 5xx) arrived, so they are not among the failures: "+strings.Join(of, ", "))
	}
}
