package harness

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// grouping counts, in each part of a run, what a condition "not worse than
// baseline" is asked of.
type grouping struct {
	path   string
	limit  time.Duration
	event  results.Event
	length time.Duration // of the run

	mu    sync.Mutex
	spans []results.Span // guarded by mu
}

func (g *grouping) observe(e *results.Exchange) {
	could, was := g.event(e)
	if !could || e.WarmUp {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &g.spans[results.SpanOf(e.Due, g.length)]
	s.N++
	if was {
		s.K++
	}
}

// groupings are those of p's conditions; none unless there is one baseline: with
// several, what differs from run to run says more.
func (b *Baseline) groupings(p *profiles.Profile) (list []*grouping) {
	if b == nil || len(b.Others) > 0 {
		return nil
	}
	for path, limit := range results.TestedAgainst(b.Run, p.Expect) {
		if event := results.EventAt(path, limit); event != nil {
			list = append(list, &grouping{
				path: path, limit: limit, event: event, length: p.Sending(), spans: make([]results.Span, results.Spans),
			})
		}
	}
	return list
}

// spans is results.Beside.Spans of the run; nil when there is nothing to say. The
// baseline's are read from its record.
func (r *run) spans() func(string, time.Duration) (own, baseline []results.Span) {
	if len(r.groups) == 0 {
		return nil
	}
	return func(path string, limit time.Duration) (own, baseline []results.Span) {
		i := slices.IndexFunc(r.groups, func(g *grouping) bool { return g.path == path && g.limit == limit })
		if i < 0 {
			return nil, nil
		}
		own = slices.Clone(r.groups[i].spans)
		if dir, err := results.OpenOnly(r.opts.Baseline.Dir); err == nil {
			baseline = dir.SpansOf(r.opts.Baseline.Run, r.groups[i].event)
		}
		return own, baseline
	}
}

// weighs says, before a run is held against one baseline, how much the chance of
// that run alone weighs.
func (b *Baseline) weighs(conditions map[string]string) (notes []string) {
	if b == nil || len(b.Others) > 0 {
		return nil
	}
	var says []string
	tested := results.TestedAgainst(b.Run, conditions)
	for _, path := range slices.Sorted(maps.Keys(tested)) {
		if text := results.ChanceOf(b.Run, path); text != "" {
			says = append(says, text)
		}
	}
	if len(says) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("there is one baseline, so what differs from run to run is not known: only the chance within the two runs is allowed for, and a run of the same may be called worse. By that chance alone, %s. Give several baselines: repeat --baseline, or name a directory of several runs", strings.Join(says, "; "))}
}
