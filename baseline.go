package kabench

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
	"github.com/kabench/kabench/results/record"
)

// Baseline is an earlier run that a run is compared with.
type Baseline struct {
	Dir string       `json:"dir"` // as it was given, for the record
	Run *results.Run `json:"run"`
	// Others are more runs of the same setting. They show how much such runs differ from
	// each other.
	Others []*Baseline `json:"others,omitempty"`
	// Sifted means that the runs come from one directory, and those of other settings
	// are left out.
	Sifted bool `json:"sifted,omitempty"`
	// Latest, if above 0, means that the runs come from a store: the newest ones that asked
	// the question of the run are taken, at most this number. If fewer than FewestLatest fit,
	// the run has no baseline yet, and the conditions that name one are left out. Run is nil
	// if the store is empty.
	Latest int    `json:"latest,omitempty"`
	Store  string `json:"store,omitempty"` // directory of the store, for messages
}

// FewestLatest is how many runs of a store must fit: one run does not show how much such runs
// differ from each other, so a comparison with it has many false alarms.
const FewestLatest = 2

// all returns the documents of b's runs; nil unless there are several.
func (b *Baseline) all() []*results.Run {
	if b == nil || len(b.Others) == 0 {
		return nil
	}
	list := []*results.Run{b.Run}
	for _, other := range b.Others {
		list = append(list, other.Run)
	}
	return list
}

// sift leaves out runs of another pool or client than p's, which the directory of a
// comparison has, and runs that are invalid or not complete. From a store it takes the newest
// runs of the same question; none gives a note on that.
func (b *Baseline) sift(p *profiles.Profile) (_ *Baseline, none string, err error) {
	if b == nil || !b.Sifted && b.Latest == 0 {
		return b, "", nil
	}
	ours, err := json.Marshal(profiles.Redact(*p))
	if err != nil {
		return nil, "", err
	}
	var fit []*Baseline
	var near string // how the newest run of this name differs
	for _, one := range append([]*Baseline{{Dir: b.Dir, Run: b.Run}}, b.Others...) {
		if one.Run == nil || b.Latest > 0 && one.Run.Name != p.Name {
			continue
		}
		differ, known := differences(one.Run.Profile, ours)
		i := slices.IndexFunc(differ, func(d difference) bool { return d.otherPool() || b.Latest > 0 && d.otherQuestion() })
		switch {
		case !known:
		case i >= 0:
			near = cmp.Or(near, fmt.Sprintf("; in %s, %s", one.Dir, differ[i]))
		case one.Run.Valid && one.Run.Complete && !one.Run.Interrupted && one.Run.Degraded() == "":
			fit = append(fit, one)
		}
	}
	if b.Latest > 0 {
		slices.SortStableFunc(fit, func(x, y *Baseline) int { return y.Run.Start.Compare(x.Run.Start) })
		if fit = fit[:min(len(fit), b.Latest)]; len(fit) < FewestLatest {
			return nil, fmt.Sprintf("No baseline yet: %s has %s of this question, and a comparison needs %d%s", b.Store, results.FormatCount(uint64(len(fit)), "run"), FewestLatest, near), nil
		}
	}
	if len(fit) == 0 {
		return nil, "", fmt.Errorf("no run given as a baseline is complete and valid and has the pool and client of this run: name runs of the same setting, each with --baseline")
	}
	fit[0].Others = fit[1:]
	return fit[0], "", nil
}

// without removes from p the conditions that name a baseline, and returns them.
func (b *Baseline) without(p *profiles.Profile, abort *expect.Abort) (named []string) {
	named = namingBaseline(p, abort)
	for _, path := range named {
		delete(p.Expect, path)
		if path, is := strings.CutPrefix(path, "abort_when."); is {
			delete(p.AbortWhen, path)
		}
	}
	return named
}

func (b *Baseline) run() *results.Run {
	if b == nil {
		return nil
	}
	return b.Run
}

// document is what the run's document says about b; nil if b is nil.
func (b *Baseline) document() *results.Baseline {
	if b == nil {
		return nil
	}
	doc := &results.Baseline{Dir: b.Dir, Name: b.Run.Name, Version: b.Run.Version, Start: b.Run.Start}
	for _, other := range b.Others {
		doc.Others = append(doc.Others, results.BaselineRun{Dir: other.Dir, Start: other.Run.Start})
	}
	return doc
}

// fits returns, before there is any traffic, why a run of p by that number of processes
// cannot be compared with b, or notes on what limits the comparison. A nil b fits a p that names no baseline.
func (b *Baseline) fits(p *profiles.Profile, abort *expect.Abort, processes int) (notes []string, err error) {
	if b != nil {
		for _, other := range b.Others {
			if _, err := other.fits(p, nil, processes); err != nil {
				return nil, err
			}
		}
	}
	named := namingBaseline(p, abort)
	switch {
	case b == nil && len(named) > 0:
		return nil, fmt.Errorf("no baseline is given, and these conditions name one: %s; give an earlier run with 'kabench run --baseline DIR', or make that run first, with --set expect=null --set abort_when=null", strings.Join(named, ", "))
	case b == nil:
		return nil, nil
	case len(named) == 0:
		notes = append(notes, "no condition of expect or abort_when names the baseline, so nothing is compared with it; write for example failures: not worse than baseline")
	}
	switch run := b.Run; {
	case !run.Valid:
		return nil, fmt.Errorf("the baseline %s is invalid, so nothing can be compared with it: %s", b.Dir, strings.Join(run.Invalid, "; "))
	case !run.Complete:
		return nil, fmt.Errorf("the baseline %s was cut off: choose a complete run", b.Dir)
	case run.Interrupted:
		return nil, fmt.Errorf("the baseline %s was stopped early: choose a complete run", b.Dir)
	case run.Degraded() != "":
		return nil, fmt.Errorf("the baseline %s had less load than its profile asks for: %s; choose a run that lost none", b.Dir, run.Degraded())
	}
	if before := max(len(b.Run.Agents), 1); before != processes {
		notes = append(notes, fmt.Sprintf("the baseline had %s, and this run has %d, one for each agent: limits of the pool hold for each of them",
			results.FormatCount(uint64(before), "pool"), processes))
	}
	ours, err := json.Marshal(profiles.Redact(*p))
	if err != nil {
		return nil, err
	}
	differ, known := differences(b.Run.Profile, ours)
	if !known {
		return append(notes, "the baseline's profile cannot be read, so it is not known whether it asked the same question"), nil
	}
	other, minor := classify(differ)
	if len(other) > 0 {
		return nil, fmt.Errorf("the baseline %s has another load, so its figures cannot be compared: %s; give a baseline of the same load, or make one with this profile", b.Dir, strings.Join(other, ", "))
	}
	if len(minor) > 0 {
		notes = append(notes, "the baseline may have asked another question: "+strings.Join(minor, ", "))
	}
	return notes, nil
}

// namingBaseline returns the conditions of p that name a baseline.
func namingBaseline(p *profiles.Profile, abort *expect.Abort) []string {
	named := expect.NamingBaseline(p.Expect)
	for _, path := range abort.NamingBaseline() {
		named = append(named, "abort_when."+path)
	}
	return named
}

// difference is a field in which two profiles differ, with its values as JSON; "": not set.
type difference struct{ path, before, now string }

// otherPool reports whether runs that differ in this are what a comparison compares.
func (d difference) otherPool() bool {
	section, _, _ := strings.Cut(d.path, ".")
	return section == "pool" || section == "client" || section == "driver"
}

// otherQuestion reports whether a run that differs in this asked another question: it had
// another load, sent other requests, or had another network or server of kabench's own. The
// target may have moved to another host.
func (d difference) otherQuestion() bool {
	switch other, _ := classify([]difference{d}); {
	case len(other) > 0:
		return true
	case d.path == "target.url":
		return pathOf(d.before) != pathOf(d.now)
	}
	return slices.ContainsFunc([]string{
		"network", "target.method", "target.body", "target.body_size", "target.file", "target.pipeline", "target.lab", "target.link", "target.proxies",
	}, func(within string) bool { return d.path == within || strings.HasPrefix(d.path, within+".") })
}

// pathOf returns what follows the host in a URL that is quoted as JSON.
func pathOf(quoted string) string {
	u, err := url.Parse(strings.Trim(quoted, `"`))
	if err != nil {
		return quoted
	}
	return u.RequestURI()
}

func (d difference) String() string {
	return fmt.Sprintf("%s was %s and is %s", d.path, shortened(d.before), shortened(d.now))
}

func shortened(value string) string {
	const most = 40
	if r := []rune(value); len(r) > most {
		value = string(r[:most]) + "..."
	}
	return cmp.Or(value, "not set")
}

// differences returns the fields in which two profiles differ, ordered by path; false if
// one of them cannot be read.
func differences(before, now []byte) ([]difference, bool) {
	a, b := map[string]string{}, map[string]string{}
	for doc, to := range map[*[]byte]map[string]string{&before: a, &now: b} {
		decoder := json.NewDecoder(bytes.NewReader(*doc))
		decoder.UseNumber()
		var tree map[string]any
		if decoder.Decode(&tree) != nil {
			return nil, false
		}
		flatten(tree, "", to)
	}
	all := maps.Clone(a)
	maps.Copy(all, b)
	var list []difference
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if a[path] != b[path] {
			list = append(list, difference{path, a[path], b[path]})
		}
	}
	return list, true
}

// flatten puts the leaves of a document into a map, by their dotted paths.
func flatten(node any, path string, to map[string]string) {
	switch node := node.(type) {
	case map[string]any:
		for key, child := range node {
			under := key
			if path != "" {
				under = path + "." + key
			}
			flatten(child, under, to)
		}
	default:
		text, err := json.Marshal(node)
		if err != nil {
			text = fmt.Append(nil, node)
		}
		to[path] = string(text)
	}
}

// classify separates fields that make another load, with which nothing can be compared,
// from fields that make another length or another target, which may be intended. Pool
// and client are what runs are compared for, and the seed is chance.
func classify(list []difference) (other, minor []string) {
	lengths := []string{"load.duration", "load.count", "load.warm_up", "load.max_lag"}
	for _, d := range list {
		section, _, _ := strings.Cut(d.path, ".")
		switch {
		case d.path == "load.seed":
		case slices.Contains(lengths, d.path), section == "target", section == "network":
			minor = append(minor, d.String())
		case section == "load":
			other = append(other, d.String())
		}
	}
	return other, minor
}

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

// spans returns the run's expect.References.Spans; nil if nothing was counted.
func (r *run) spans() func(string, time.Duration) (own, baseline []results.Span) {
	return spansOf(r.watch.spans, r.baseline, func(s *spanCount) []results.Span { return slices.Clone(s.spans) })
}

// spansOf returns expect.References.Spans of counts; nil if there are none. own returns a
// run's own counts; the baseline's are read from its record.
func spansOf(counts []*spanCount, b *Baseline, of func(*spanCount) []results.Span) func(string, time.Duration) (own, baseline []results.Span) {
	if len(counts) == 0 {
		return nil
	}
	return func(path string, limit time.Duration) (own, baseline []results.Span) {
		i := slices.IndexFunc(counts, func(g *spanCount) bool { return g.path == path && g.limit == limit })
		if i < 0 {
			return nil, nil
		}
		own = of(counts[i])
		if dir, err := record.OpenOnly(b.Dir); err == nil {
			baseline = dir.SpansOf(b.Run, counts[i].event)
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
