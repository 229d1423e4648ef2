package export

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
	"github.com/kabench/kabench/results/text"
)

// These types are a JUnit document as CI systems read it. The fields have the order in
// which the schema expects the elements.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Package    string          `xml:"package,attr"`
		ID         int             `xml:"id,attr"`
		Timestamp  string          `xml:"timestamp,attr"` // UTC, without a zone
		Hostname   string          `xml:"hostname,attr"`  // "localhost": results do not record the host's name
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"` // seconds
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
		Out        string          `xml:"system-out"`
		Err        string          `xml:"system-err"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Name      string       `xml:"name,attr"`
		Classname string       `xml:"classname,attr"`
		Time      string       `xml:"time,attr"`
		Error     *junitReason `xml:"error"`
		Failure   *junitReason `xml:"failure"`
		Skipped   *junitSkip   `xml:"skipped"`
	}
	junitSkip struct {
		Message string `xml:"message,attr"`
	}
	junitReason struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes all archives as JUnit XML, for CI: one test suite for each archive. A
// suite has a test case for the validity of each run and one for each expectation.
//
// An expectation that was not met is a failure, with the expected and the seen value.
// These are errors: an invalid run, a run that was left out of a comparison, and an
// expectation that could not be checked. One that a real client does not tell is skipped.
// A comparison itself passes, whatever it found.
func JUnit(w io.Writer, all ...*record.Archive) (notes []string, err error) {
	doc := junitSuites{Name: "kabench"}
	var took float64
	for i, k := range all {
		s := junitSuiteOf(k, i)
		doc.Tests += s.Tests
		doc.Failures += s.Failures
		doc.Errors += s.Errors
		doc.Suites = append(doc.Suites, s)
		for _, r := range k.Runs {
			took += secondsOf(&r)
		}
		notes = append(notes, k.Notes...)
	}
	doc.Time = junitSeconds(took)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return nil, err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return nil, err
	}
	_, err = io.WriteString(w, "\n")
	return notes, err
}

func junitSuiteOf(k *record.Archive, id int) junitSuite {
	h := text.HeadlineOf(k)
	s := junitSuite{
		Name: xmlText(cmp.Or(k.Title(), record.KindRun)), Package: "kabench", ID: id, Hostname: "localhost",
		Timestamp:  cmp.Or(k.Start(), time.Unix(0, 0)).UTC().Format("2006-01-02T15:04:05"), // the schema requires one
		Properties: []junitProperty{{"kabench", xmlText(k.Version())}, {"kind", k.Kind()}},
		Out:        xmlText(text.OutcomeOf(k) + ". " + strings.Join(append([]string{h.Answer}, h.More...), "\n") + "\n"),
		Err:        xmlText(strings.Join(k.Notes, "\n")),
	}
	if q := k.Question(); q != "" {
		s.Properties = append(s.Properties, junitProperty{"question", xmlText(q)})
	}
	took := 0.0
	for _, r := range k.Runs {
		took += secondsOf(&r)
		class := cmp.Or(k.Title(), record.KindRun)
		if k.Run == nil {
			class += "." + r.Name
		}
		if r.Block > 0 {
			class += fmt.Sprintf(".block %d", r.Block)
		}
		add := func(name string, seconds float64, failure, trouble *junitReason) {
			s.Cases = append(s.Cases, junitCase{Name: xmlText(name), Classname: xmlText(class), Time: junitSeconds(seconds), Error: trouble, Failure: failure})
			s.Tests++
			if failure != nil {
				s.Failures++
			}
			if trouble != nil {
				s.Errors++
			}
		}
		add("the run is valid", secondsOf(&r), nil, junitTrouble(&r))
		if r.Run == nil {
			continue
		}
		for _, e := range r.Run.Expect {
			failure, trouble := junitOf(e)
			add(e.Path+" "+e.Want, 0, failure, trouble)
			if e.Unknown {
				s.Cases[len(s.Cases)-1].Skipped = &junitSkip{xmlText("not judged: " + e.Why)}
				s.Skipped++
			}
		}
	}
	s.Time = junitSeconds(took)
	return s
}

// junitTrouble returns the reason why the run's figures cannot be relied on, or nil.
func junitTrouble(r *record.ArchivedRun) *junitReason {
	var why []string
	kind := "invalid"
	switch {
	case r.Run == nil:
		kind, why = "missing", []string{"it has no document"}
	case !r.Run.Valid:
		why = r.Run.Invalid
	case r.Excluded != "":
		kind, why = "excluded", []string{r.Excluded}
	case r.Run.Interrupted:
		kind, why = "interrupted", []string{"the run was stopped early by a signal"}
	case r.Run.Degraded() != "":
		kind, why = "degraded", []string{r.Run.Degraded() + ", so the load was lower than the profile asks"}
	case !r.Run.Complete:
		kind, why = "incomplete", []string{"the run was cut off: this is what was recorded until then"}
	default:
		return nil
	}
	text := cmp.Or(strings.Join(why, "\n"), "no reason was recorded")
	return &junitReason{Message: xmlText(text), Type: kind, Text: xmlText(text)}
}

// junitOf returns the expectation as a failure or as an error; both are nil if it was met.
func junitOf(e results.Expectation) (failure, trouble *junitReason) {
	switch {
	case e.Met, e.Unknown:
		return nil, nil
	case e.Why != "":
		text := fmt.Sprintf("%s: expected %s, not checked: %s", e.Path, e.Want, e.Why)
		return nil, &junitReason{Message: xmlText(text), Type: "unchecked", Text: xmlText(text)}
	}
	text := fmt.Sprintf("%s: expected %s, seen %s", e.Path, e.Want, e.Seen)
	return &junitReason{Message: xmlText(text), Type: "expectation", Text: xmlText(text)}, nil
}

// secondsOf returns how long the run took; 0 if this is not known.
func secondsOf(r *record.ArchivedRun) float64 {
	if r.Run == nil || r.Run.Start.IsZero() {
		return 0
	}
	return max(r.Run.End.Sub(r.Run.Start), 0).Round(time.Millisecond).Seconds()
}

func junitSeconds(s float64) string { return strconv.FormatFloat(s, 'f', 3, 64) }

// xmlText returns text without the characters that XML 1.0 cannot express.
// encoding/xml would replace them with U+FFFD.
func xmlText(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\r',
			r >= 0x20 && r <= 0xD7FF, r >= 0xE000 && r <= 0xFFFD, r >= 0x10000 && r <= 0x10FFFF:
			return r
		}
		return -1
	}, strings.ToValidUTF8(text, "\uFFFD"))
}
