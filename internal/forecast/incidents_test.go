package forecast

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
)

// docs is the document whose table of incidents TestIncidents writes.
const (
	docs              = "../../docs/forecast.md"
	docsFrom, docsEnd = "<!-- incidents -->\n", "<!-- /incidents -->\n"
)

// unseen are the results that only a run has: what kernels, packets and the server itself have
// counted, when ports came back, how long bytes take, and how late a machine can be.
var unseen = []string{"kernel.", "packets.", "closed.", "lab.", "ports.", "during_response.", "response.max"}

// A forecast of an incident shows what the incident is about, and that each remedy helps, as
// far as it can be forecast:
//
//	KABENCH_INCIDENTS=write go test -run TestIncidents ./internal/forecast   writes the table
func TestIncidents(t *testing.T) {
	var rows strings.Builder
	shown := 0
	for _, e := range profiles.Incidents() {
		p, err := profiles.Load(e.Name, []byte(e.Text), nil)
		if err != nil {
			t.Fatal(err)
		}
		var beside expect.References
		incident, why := played(t, p)
		if why != "" {
			fmt.Fprintf(&rows, "| %s | no | %s |\n", e.Name, why)
			continue
		}
		shown++
		judged := meets(t, e.Name, incident, beside, p.Expect)
		beside.Incident = incident
		var not []string
		remedies := 0
		for _, r := range p.Remedies {
			changed, err := p.With(r)
			if err != nil {
				t.Fatal(err)
			}
			run, why := played(t, changed)
			if why != "" {
				not = append(not, fmt.Sprintf("not \"%s\": %s", r.Name, why))
				continue
			}
			remedies++
			judged += meets(t, e.Name+", "+r.Name, run, beside, r.Expect)
		}
		fmt.Fprintf(&rows, "| %s | yes | %s |\n", e.Name, strings.Join(append([]string{fmt.Sprintf("%d of its remedies; %s met", remedies, results.FormatCount(uint64(judged), "condition"))}, not...), "; "))
	}
	if shown < 10 {
		t.Errorf("only %d incidents can be forecast", shown)
	}
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(text), docsFrom)
	had, after, found := strings.Cut(rest, docsEnd)
	table := "| incident | forecast | |\n| --- | --- | --- |\n" + rows.String()
	switch {
	case !found:
		t.Errorf("%s has no marks %q and %q", docs, docsFrom, docsEnd)
	case had == table:
	case os.Getenv("KABENCH_INCIDENTS") == "write":
		if err := os.WriteFile(docs, []byte(before+docsFrom+table+docsEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("the table of incidents in %s is stale; write it again: KABENCH_INCIDENTS=write go test -run TestIncidents ./internal/forecast\n%s", docs, table)
	}
}

// played is the document of the first run of a profile's forecast; why says what the profile
// needs that a forecast has not.
func played(t *testing.T, p *profiles.Profile) (run *results.Run, why string) {
	t.Helper()
	o := Options{Seed: max(p.Load.Seed, 1)}
	r := &Result{Seed: o.Seed, Whole: true}
	f, err := factsOf(p, &o)
	if err == nil {
		err = f.lasts(&o)
	}
	if err == nil {
		var n *counter
		n, err = f.play(span{seed: o.Seed, warmUp: f.load.WarmUp, counts: o.For, own: true}, nil)
		r.For, r.facts, r.spans, r.lasts = o.For, f, []*counter{n}, []time.Duration{o.For}
	}
	if err == nil {
		err = r.tooMany()
	}
	if missing, is := errors.AsType[*Unsupported](err); is {
		return nil, strings.Join(missing.Lines, "; ")
	}
	if err == nil {
		run, err = r.Document(p, "test")
	}
	if err != nil {
		t.Fatalf("%s: %v", p.Name, err)
	}
	return run, ""
}

// meets checks the conditions that a forecast can meet, and returns how many there are.
func meets(t *testing.T, name string, run *results.Run, beside expect.References, conditions map[string]string) int {
	t.Helper()
	mine := maps.Clone(conditions)
	maps.DeleteFunc(mine, func(path, condition string) bool {
		for _, prefix := range unseen {
			if strings.HasPrefix(path, prefix) || strings.Contains(condition, prefix) {
				return true
			}
		}
		return false
	})
	for _, c := range expect.CheckAgainst(run, beside, mine) {
		if !c.Met {
			t.Errorf("%s: %s is %s, want %s %s", name, c.Path, cmp.Or(c.Seen, "unknown"), c.Want, c.Why)
		}
	}
	return len(mine)
}
