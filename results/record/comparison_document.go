package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"

	"github.com/kabench/kabench/results"
)

// EncodeComparison writes c as the document of `kabench compare --json`, under
// the same rules as EncodeRun. It returns an error if a figure is not a finite number.
func EncodeComparison(w io.Writer, c *results.Comparison) error {
	doc := filledComparison(c)
	if err := checkFinite(doc); err != nil {
		return err
	}
	return encode(w, doc)
}

// SaveComparison writes c to dir, which must exist, as comparison.json, completely or
// not at all.
func SaveComparison(dir string, c *results.Comparison) error {
	var b bytes.Buffer
	if err := EncodeComparison(&b, c); err != nil {
		return fmt.Errorf("writing %s: %w", fileComparison, err)
	}
	return writeWhole(dir, fileComparison, b.Bytes())
}

// OpenComparison reads the comparison.json of dir. If the comparison was cut off in
// its first run, OpenComparison returns the planned comparison, without runs. The
// error is os.ErrNotExist when dir has neither comparison.json nor a plan, and
// ErrNewerSchema when a newer kabench made it. If the document exists but cannot be
// read, the error names the runs beside it, which can still be read.
func OpenComparison(dir string) (*results.Comparison, error) {
	c, err := openBeside(dir, fileComparison, DecodeComparison)
	if !errors.Is(err, fs.ErrNotExist) {
		return c, err
	}
	plan, planErr := OpenPlan(dir)
	switch {
	case planErr != nil && !errors.Is(planErr, fs.ErrNotExist):
		return nil, planErr
	case planErr != nil || plan.Kind != KindComparison || len(plan.Settings) == 0:
		return nil, err
	}
	return plannedComparison(plan), nil
}

// plannedComparison is the comparison that p plans, before its first run.
func plannedComparison(p *results.Plan) *results.Comparison {
	c := &results.Comparison{
		Version: p.Version, Name: p.Name, Question: p.Question, Interrupted: true, Start: p.Start, End: p.Start,
		Seed: p.Seed, Repeats: p.Repeats, Confidence: 0.95, Axes: p.Axes,
		Verdict: "No run of this comparison was finished, so that there is nothing to compare.",
	}
	for _, s := range p.Settings {
		c.Arms = append(c.Arms, results.Arm{Name: s.Name, Change: s.Change})
	}
	c.Warnings = append(c.Warnings, c.Missing())
	return filledComparison(c)
}

// DecodeComparison reads the document comparison.json, as DecodeRun does.
func DecodeComparison(data []byte) (*results.Comparison, error) {
	if err := checkSchema(data, results.ComparisonSchema, "comparison"); err != nil {
		return nil, err
	}
	c := &results.Comparison{}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("not a valid comparison document: %w", err)
	}
	if len(c.Arms) == 0 {
		return nil, errors.New("not a valid comparison document: it has no arms")
	}
	return filledComparison(c), nil
}

// filledComparison copies c and fills the copy as filledRun does.
func filledComparison(c *results.Comparison) *results.Comparison {
	doc := *c
	doc.Schema = results.ComparisonSchema
	doc.Axes = make([]results.Axis, len(c.Axes))
	for i, axis := range c.Axes {
		axis.Values = filledList(axis.Values)
		doc.Axes[i] = axis
	}
	doc.Arms = make([]results.Arm, len(c.Arms))
	for i, arm := range c.Arms {
		arm.Change = filledMap(arm.Change)
		measures := make(map[string]results.Measure, len(arm.Measures))
		for name, m := range arm.Measures {
			m.Per = filledList(m.Per)
			measures[name] = m
		}
		arm.Measures = measures
		doc.Arms[i] = arm
	}
	doc.Pairs = make([]results.Pair, len(c.Pairs))
	for i, pair := range c.Pairs {
		pair.Tests = filledList(pair.Tests)
		doc.Pairs[i] = pair
	}
	doc.Runs = filledList(c.Runs)
	doc.Warnings = filledList(c.Warnings)
	return &doc
}

// checkFinite returns an error for the first figure that JSON cannot represent.
func checkFinite(c *results.Comparison) error {
	isFinite := func(values ...float64) bool {
		for _, v := range values {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return false
			}
		}
		return true
	}
	for _, arm := range c.Arms {
		for name, m := range arm.Measures {
			if !isFinite(m.Value, m.Low, m.High) || !isFinite(m.Per...) {
				return fmt.Errorf("arm %s: %s is not a finite number: %+v", arm.Name, name, m)
			}
		}
	}
	for _, pair := range c.Pairs {
		for _, t := range pair.Tests {
			if !isFinite(t.Difference, t.Low, t.High, t.Effect, t.P, t.PAdjusted, t.Detectable) {
				return fmt.Errorf("%s against %s: %s is not a finite number: %+v", pair.B, pair.A, t.Measure, t)
			}
		}
	}
	return nil
}
