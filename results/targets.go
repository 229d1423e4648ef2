package results

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"github.com/kabench/kabench/internal/layout"
)

// maxTargets is how many targets of a run have figures of their own: each has a
// histogram. Those that come after them in the target file have theirs together.
const maxTargets = 20

// OtherTargets is the name under which they have them.
const OtherTargets = "other targets"

// TargetFigures is what came of the requests to one of several targets, without
// the warm-up.
type TargetFigures struct {
	Target       string    `json:"target"` // method and URL, as "GET http://host/path"
	Started      uint64    `json:"started"`
	OK           uint64    `json:"ok"`
	Failed       uint64    `json:"failed"`
	ErrorAnswers uint64    `json:"error_answers"` // of OK: those with a status of 400 or above
	Response     Quantiles `json:"response"`      // response time of OK, seconds
}

// ByTarget adds up exchanges by target. Several goroutines may use it. A nil
// ByTarget, of a run with one target, adds up nothing.
type ByTarget struct {
	of []int // the index in figures of each of the run's requests

	mu       sync.Mutex
	figures  []TargetFigures // guarded by mu
	response []series        // guarded by mu; of figures
}

// NewByTarget makes one for requests to targets of these names, one name for each
// request; nil if they are all the same.
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

// Observe adds e, which is over. It does not keep e.
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

// TargetRows is a table of the figures of run's targets, its head first; nil if it
// had one target.
func (run *Run) TargetRows() [][]string {
	if len(run.Targets) == 0 {
		return nil
	}
	rows := [][]string{{"target", "started", "ok", "failed", "error answers", "response p50", "p99"}}
	for _, f := range run.Targets {
		p50, p99 := unknown, unknown
		if f.Response.Count > 0 {
			p50, p99 = humanSeconds(f.Response.P50), humanSeconds(f.Response.P99)
		}
		rows = append(rows, []string{f.Target, fmt.Sprint(f.Started), fmt.Sprint(f.OK), fmt.Sprint(f.Failed), fmt.Sprint(f.ErrorAnswers), p50, p99})
	}
	return rows
}

// renderTargets writes the figures of each target, if there are several: the
// target in a line of its own, as it can be long.
func renderTargets(b *bytes.Buffer, run *Run) {
	rows := run.TargetRows()
	if rows == nil {
		return
	}
	fmt.Fprintln(b, "\nBy target")
	t := layout.Grid(b, 1)
	for i, row := range rows {
		label := fmt.Sprintf("  [%d]", i)
		if i == 0 {
			label = ""
		}
		fmt.Fprint(t, label)
		for _, cell := range row[1:] {
			fmt.Fprint(t, "\t"+cell)
		}
		fmt.Fprintln(t)
	}
	t.Flush()
	for i, row := range rows[1:] {
		wrap(b, fmt.Sprintf("  [%d] ", i+1), row[0])
	}
}

// markdownTargets is the figures of the targets of each run that has several.
func (k *Kept) markdownTargets() string {
	var rows [][]string
	for _, r := range k.Runs {
		if r.Run == nil || len(r.Run.Targets) == 0 {
			continue
		}
		for i, row := range r.Run.TargetRows() {
			if i == 0 && rows != nil {
				continue
			}
			for j := range row {
				row[j] = inline(row[j], maxLabel)
			}
			if len(k.Runs) > 1 {
				name := inline(r.Name, maxLabel)
				if i == 0 {
					name = "run"
				}
				row = append([]string{name}, row...)
			}
			rows = append(rows, row)
		}
	}
	if rows == nil {
		return ""
	}
	var b strings.Builder
	markdownRows(&b, rows, ":---")
	return b.String()
}
