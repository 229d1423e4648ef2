package export

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// junitForm is the usual schema. It has the attributes of each element, with "!" at
// those that are required, and its children in the order in which they may come.
var junitForm = map[string]struct{ attributes, children string }{
	"testsuites": {"name tests failures errors time", "testsuite"},
	"testsuite":  {"name! package! id! timestamp! hostname! tests! failures! errors! skipped time!", "properties! testcase system-out! system-err!"},
	"properties": {"", "property"},
	"property":   {"name! value!", ""},
	"testcase":   {"name! classname! time!", "skipped error failure"},
	"error":      {"message type!", ""},
	"failure":    {"message type!", ""},
	"system-out": {"", ""}, "system-err": {"", ""},
}

// checkJUnit checks that a document follows junitForm, and counts its elements.
func checkJUnit(t testing.TB, text []byte) map[string]int {
	t.Helper()
	type open struct {
		name string
		at   int // which of the children may come
		seen map[string]bool
	}
	var stack []open
	count := map[string]int{}
	d := xml.NewDecoder(bytes.NewReader(text))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return count
		}
		must(t, err)
		switch token := token.(type) {
		case xml.StartElement:
			name := token.Name.Local
			count[name]++
			form, known := junitForm[name]
			if !known {
				t.Fatalf("an element <%s>", name)
			}
			var has []string
			for _, a := range token.Attr {
				has = append(has, a.Name.Local)
			}
			for a := range strings.FieldsSeq(form.attributes) {
				bare, must := strings.CutSuffix(a, "!")
				if must && !slices.Contains(has, bare) {
					t.Errorf("<%s> has no %s", name, bare)
				}
				has = slices.DeleteFunc(has, func(h string) bool { return h == bare })
			}
			if len(has) > 0 {
				t.Errorf("<%s> has %q", name, has)
			}
			if len(stack) > 0 {
				in := &stack[len(stack)-1]
				in.seen[name] = true
				order := strings.Fields(strings.ReplaceAll(junitForm[in.name].children, "!", ""))
				at := slices.Index(order, name)
				if at < in.at {
					t.Errorf("<%s> in <%s> is out of order or not allowed", name, in.name)
				}
				in.at = max(in.at, at)
			} else if name != "testsuites" {
				t.Errorf("the root is <%s>", name)
			}
			stack = append(stack, open{name, 0, map[string]bool{}})
		case xml.EndElement:
			in := stack[len(stack)-1]
			for child := range strings.FieldsSeq(junitForm[in.name].children) {
				if bare, must := strings.CutSuffix(child, "!"); must && !in.seen[bare] {
					t.Errorf("<%s> has no <%s>", in.name, bare)
				}
			}
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 && junitForm[stack[len(stack)-1].name].children != "" && strings.TrimSpace(string(token)) != "" {
				t.Errorf("text %q in <%s>", token, stack[len(stack)-1].name)
			}
		}
	}
}

func TestExportJUnit(t *testing.T) {
	comparison, err := record.OpenArchive(keepCompared(t, compared()))
	must(t, err)
	incident, err := record.OpenArchive(keep(t, reproduced()))
	must(t, err)
	run := archiveOf(dated())
	run.Run.Expect[0].Want = "> 0 <b>&\x00\x1b\ufffe\xff\""
	run.Run.Expect[0].Met = false
	var b bytes.Buffer
	_, err = JUnit(&b, run, incident, comparison)
	must(t, err)
	count := checkJUnit(t, b.Bytes())
	// The run has 3 expectations, the incident 3, its remedy 1; the comparison's four
	// runs 3 each, including the run that was left out.
	if count["testsuite"] != 3 || count["testcase"] != (1+3)+(1+3)+(1+1)+4*(1+3) {
		t.Errorf("elements %v", count)
	}
	var doc junitSuites
	must(t, xml.Unmarshal(b.Bytes(), &doc))
	if doc.Tests != count["testcase"] || doc.Failures != count["failure"] || doc.Errors != count["error"] {
		t.Errorf("%d tests, %d failures, %d errors; there are %v", doc.Tests, doc.Failures, doc.Errors, count)
	}
	s := doc.Suites[0]
	if s.Timestamp != "2026-03-01T12:00:00" || s.Time != "1.000" || s.Tests != 4 || s.Failures != 2 || s.Errors != 1 {
		t.Errorf("%+v", s)
	}
	if c := s.Cases[0]; c.Error != nil || c.Failure != nil || c.Name != "the run is valid" || c.Classname != "idle-race" {
		t.Errorf("%+v", c)
	}
	// Characters that XML cannot express are dropped.
	if f := s.Cases[1].Failure; f == nil || f.Message != "failures.before_response: expected > 0 <b>&\ufffd\", seen 20" || f.Text != f.Message {
		t.Errorf("%+v", f)
	}
	if c := s.Cases[3]; c.Error == nil || c.Error.Type != "unchecked" || !strings.Contains(c.Error.Message, "there were none to measure") {
		t.Errorf("%+v", c.Error)
	}
	excluded := doc.Suites[2].Cases[8]
	if excluded.Error == nil || excluded.Error.Message != "lag p99 of 9 ms is above 2 ms" || excluded.Classname != "quick.idle_timeout=3s.block 2" {
		t.Errorf("%+v", excluded)
	}
}

// A run whose agents were lost with a part of its load does not pass, and lines of benchmarks
// tell runs on agents apart.
func TestExportRunsOfAgents(t *testing.T) {
	run := dated()
	run.Agents = []results.Agent{{Index: 0}, {Index: 1, Lost: &results.AgentLost{}}}
	run.Outcomes = append(run.Outcomes, results.Outcome{Cause: results.CauseAgentLost, Count: run.Counts.Due / 2})
	var b bytes.Buffer
	_, err := JUnit(&b, archiveOf(run))
	must(t, err)
	var doc junitSuites
	must(t, xml.Unmarshal(b.Bytes(), &doc))
	if e := doc.Suites[0].Cases[0].Error; e == nil || e.Type != "degraded" || !strings.Contains(e.Message, "50.0 % of its requests were lost with agents") {
		t.Errorf("%+v", e)
	}
	if got := benchConfig(run)["agents"]; got != "2" {
		t.Errorf("agents: %q", got)
	}
	if got, found := benchConfig(dated())["agents"]; found {
		t.Errorf("one process has agents: %q", got)
	}
}
