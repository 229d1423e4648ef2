package record

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
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

// docs/results.md names each key of tally.json.
func TestDocsNameEveryKeyOfATally(t *testing.T) {
	targets := results.NewByTarget([]string{"GET a", "GET b"})
	cut := stale(303)
	cut.Phase, cut.Cause, cut.Status = results.PhaseDuringResponse, results.CauseTruncated, 200
	tally, idle := tallied(append(mixed(300), resent(301), cut)), &results.Durations{}
	idle.Add(ms)
	text, err := json.Marshal(Sums{Schema: tallySchema, Tally: tally, Targets: targets, AtPeerClose: idle, Driver: &results.DriverTimes{Late: idle}})
	must(t, err)
	var all map[string]json.RawMessage
	must(t, json.Unmarshal(text, &all))
	var inside map[string]json.RawMessage
	must(t, json.Unmarshal(all["tally"], &inside))
	documented := tabled(section(t, docs(t), "## tally.json"))
	want := slices.Concat(slices.Collect(maps.Keys(all)), slices.Collect(maps.Keys(inside)))
	slices.Sort(want)
	slices.Sort(documented)
	if diff := cmp.Diff(want, documented); diff != "" {
		t.Errorf("docs/results.md, tally.json (-written +documented):\n%s", diff)
	}
	var series map[string]json.RawMessage
	must(t, json.Unmarshal(inside["lag"], &series))
	for key := range series {
		if !strings.Contains(section(t, docs(t), "## tally.json"), "`"+key+"`") {
			t.Errorf("docs/results.md does not name the key %s of a histogram", key)
		}
	}
}
