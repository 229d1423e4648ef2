package compare

import (
	"fmt"
	"strings"
)

// warnOfErrorAnswers names the arms that received responses with an error status:
// no measure counts these as failures, and a reader of "no failures" must know.
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
		j.c.Warnings = append(j.c.Warnings, "responses with an error status (4xx or 5xx) arrived, so they are not failures: "+strings.Join(of, ", "))
	}
}
