package record

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/results"
)

func TestDocsNameEveryFieldOfTheRecord(t *testing.T) {
	describes(t, "## The exchange record", reflect.TypeFor[line]())
}

func TestDocsExampleIsARealLine(t *testing.T) {
	rest := section(t, docs(t), "## The exchange record")
	for _, e := range []*results.Exchange{stale(4909), resent(4910), looked(4911)} {
		var example string
		_, rest, _ = strings.Cut(rest, "```json\n")
		example, rest, _ = strings.Cut(rest, "```")
		if diff := cmp.Diff(string(appendLine(nil, e)), example); diff != "" {
			t.Errorf("(-written +documented):\n%s", diff)
		}
	}
}
