package results

import (
	"encoding/json"
	"fmt"
	"sync"
)

// maxTargets is how many targets of a run have their own figures; each needs a
// histogram. All later targets in the target file share one set of figures.
const maxTargets = 20

// OtherTargets is the name of the figures that the targets after maxTargets share.
const OtherTargets = "other targets"

// TargetFigures counts and times the requests to one of several targets, without the
// warm-up.
type TargetFigures struct {
	Target       string    `json:"target"` // method and URL, as "GET http://host/path"
	Started      uint64    `json:"started"`
	OK           uint64    `json:"ok"`
	Failed       uint64    `json:"failed"`
	ErrorAnswers uint64    `json:"error_answers"` // of OK: those with a status of 400 or above
	Response     Quantiles `json:"response"`      // response times of the exchanges that are ok, seconds
}

// ByTarget counts exchanges by target. Several goroutines may use it. A run with one
// target has a nil ByTarget, which counts nothing.
type ByTarget struct {
	of []int // the index in figures of each of the run's requests

	mu       sync.Mutex
	figures  []TargetFigures // guarded by mu
	response []series        // guarded by mu; one for each of figures
}

// NewByTarget makes a ByTarget. names has the target's name of each of the run's
// requests. It returns nil if all names are equal.
func NewByTarget(names []string) *ByTarget {
	t := &ByTarget{}
	index := map[string]int{}
	for _, name := range names {
		if _, known := index[name]; !known && len(index) >= maxTargets {
			name = OtherTargets
		}
		i, known := index[name]
		if !known {
			i = len(t.figures)
			index[name] = i
			t.figures = append(t.figures, TargetFigures{Target: name})
		}
		t.of = append(t.of, i)
	}
	if len(t.figures) < 2 {
		return nil
	}
	t.response = make([]series, len(t.figures))
	return t
}

// Observe counts e, which has ended. It does not keep e.
func (t *ByTarget) Observe(e *Exchange) { t.AddTimes(e, 1) }

// AddTimes counts n exchanges that are equal to e.
func (t *ByTarget) AddTimes(e *Exchange, n uint64) {
	if t == nil || e.WarmUp || e.Phase == PhaseSchedule || e.Target < 0 || e.Target >= len(t.of) {
		return
	}
	i := t.of[e.Target]
	t.mu.Lock()
	defer t.mu.Unlock()
	f := &t.figures[i]
	f.Started += n
	switch {
	case e.OK():
		f.OK += n
		if e.Status >= 400 {
			f.ErrorAnswers += n
		}
		t.response[i].add(e.ResponseTime(), n)
	case e.Failed():
		f.Failed += n
	}
}

// Fill sets run.Targets.
func (t *ByTarget) Fill(run *Run) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	run.Targets = nil
	for i, f := range t.figures {
		f.Response = t.response[i].quantiles()
		run.Targets = append(run.Targets, f)
	}
}

// byTargetDocument is a ByTarget as JSON.
type byTargetDocument struct {
	Targets []targetDocument `json:"targets"`
	Of      []int            `json:"of"` // the index in Targets of each of the run's requests
}

type targetDocument struct {
	Target       string          `json:"target"`
	Started      uint64          `json:"started"`
	OK           uint64          `json:"ok"`
	Failed       uint64          `json:"failed"`
	ErrorAnswers uint64          `json:"error_answers"`
	Response     *seriesDocument `json:"response,omitempty"`
}

// MarshalJSON writes all that t knows, so that UnmarshalJSON returns the same ByTarget.
func (t *ByTarget) MarshalJSON() ([]byte, error) {
	if t == nil {
		return []byte("null"), nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	d := byTargetDocument{Of: t.of}
	for i, f := range t.figures {
		response, err := t.response[i].document()
		if err != nil {
			return nil, err
		}
		d.Targets = append(d.Targets, targetDocument{f.Target, f.Started, f.OK, f.Failed, f.ErrorAnswers, response})
	}
	return json.Marshal(d)
}

// UnmarshalJSON sets t to the ByTarget in text.
func (t *ByTarget) UnmarshalJSON(text []byte) error {
	var d byTargetDocument
	if err := json.Unmarshal(text, &d); err != nil {
		return err
	}
	if len(d.Targets) < 2 || len(d.Targets) > maxTargets+1 {
		return fmt.Errorf("it has %d targets", len(d.Targets))
	}
	for _, i := range d.Of {
		if i < 0 || i >= len(d.Targets) {
			return fmt.Errorf("there is no target %d", i)
		}
	}
	figures, response := make([]TargetFigures, len(d.Targets)), make([]series, len(d.Targets))
	for i, f := range d.Targets {
		figures[i] = TargetFigures{Target: f.Target, Started: f.Started, OK: f.OK, Failed: f.Failed, ErrorAnswers: f.ErrorAnswers}
		if err := f.Response.into(&response[i], f.Target); err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.of, t.figures, t.response = d.Of, figures, response
	return nil
}

// Empty makes a ByTarget of the same targets that has counted nothing.
func (t *ByTarget) Empty() *ByTarget {
	if t == nil {
		return nil
	}
	e := &ByTarget{of: t.of, response: make([]series, len(t.figures))}
	for _, f := range t.figures {
		e.figures = append(e.figures, TargetFigures{Target: f.Target})
	}
	return e
}

// Merge adds the figures of o, which must be of the same targets, to t. It does not
// change o.
func (t *ByTarget) Merge(o *ByTarget) error {
	if len(t.figures) != len(o.figures) {
		return fmt.Errorf("one counted %d targets, and the other %d", len(t.figures), len(o.figures))
	}
	for i, f := range o.figures {
		if t.figures[i].Target != f.Target {
			return fmt.Errorf("one counted %s where the other counted %s", t.figures[i].Target, f.Target)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, f := range o.figures {
		to := &t.figures[i]
		to.Started += f.Started
		to.OK += f.OK
		to.Failed += f.Failed
		to.ErrorAnswers += f.ErrorAnswers
		t.response[i].merge(&o.response[i])
	}
	return nil
}
