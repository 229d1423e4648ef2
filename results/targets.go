package results

import (
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
func (t *ByTarget) Observe(e *Exchange) {
	if t == nil || e.WarmUp || e.Phase == PhaseSchedule || e.Target < 0 || e.Target >= len(t.of) {
		return
	}
	i := t.of[e.Target]
	t.mu.Lock()
	defer t.mu.Unlock()
	f := &t.figures[i]
	f.Started++
	switch {
	case e.OK():
		f.OK++
		if e.Status >= 400 {
			f.ErrorAnswers++
		}
		t.response[i].add(e.ResponseTime(), 1)
	case e.Failed():
		f.Failed++
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
