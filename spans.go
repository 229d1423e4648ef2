package kabench

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
	"github.com/kabench/kabench/results/record"
)

// spanCount counts, in each of the parts into which a run is cut, what a condition
// "not worse than baseline" is about.
type spanCount struct {
	path   string
	limit  time.Duration
	event  expect.Event
	length time.Duration // of the run

	mu    sync.Mutex
	spans []results.Span // guarded by mu
}

func (g *spanCount) Observe(e *results.Exchange) {
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

// spanCounts returns a count for each such condition of p; none unless there is exactly
// one baseline. With several, the differences between those runs say more.
func (b *Baseline) spanCounts(p *profiles.Profile) (list []*spanCount) {
	if b == nil || len(b.Others) > 0 {
		return nil
	}
	for path, limit := range expect.TestedAgainst(b.Run, p.Expect) {
		if event := expect.EventAt(path, limit); event != nil {
			list = append(list, &spanCount{
				path: path, limit: limit, event: event, length: p.Sending(), spans: make([]results.Span, results.Spans),
			})
		}
	}
	return list
}

// spans returns the run's expect.References.Spans; nil if nothing was counted. The
// baseline's counts are read from its record.
func (r *run) spans() func(string, time.Duration) (own, baseline []results.Span) {
	if len(r.watch.spans) == 0 {
		return nil
	}
	return func(path string, limit time.Duration) (own, baseline []results.Span) {
		i := slices.IndexFunc(r.watch.spans, func(g *spanCount) bool { return g.path == path && g.limit == limit })
		if i < 0 {
			return nil, nil
		}
		own = slices.Clone(r.watch.spans[i].spans)
		if dir, err := record.OpenOnly(r.baseline.Dir); err == nil {
			baseline = dir.SpansOf(r.baseline.Run, r.watch.spans[i].event)
		}
		return own, baseline
	}
}

// weighs returns a note on how much chance alone may change the figures of the baseline,
// if there is only one.
func (b *Baseline) weighs(conditions map[string]string) (notes []string) {
	if b == nil || len(b.Others) > 0 {
		return nil
	}
	var says []string
	tested := expect.TestedAgainst(b.Run, conditions)
	for _, path := range slices.Sorted(maps.Keys(tested)) {
		if text := expect.ChanceOf(b.Run, path); text != "" {
			says = append(says, text)
		}
	}
	if len(says) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("With one baseline it is not known how much such runs differ from each other. Only chance within the two runs is allowed for, so a run of the same setting may be called worse. By that chance alone, %s. Give several baselines: repeat --baseline, or name a directory of several runs", strings.Join(says, "; "))}
}
