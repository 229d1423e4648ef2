package expect

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kabench/kabench/results"
)

// Abort holds the conditions under which a run is stopped before its end. Make one
// with ParseAbort. A nil *Abort has no conditions.
type Abort struct {
	conditions []abortCondition // in the order of their paths
}

// abortCondition is one condition of an Abort.
type abortCondition struct {
	path, text string        // text: as written
	condition  string        // text without its "after" clause
	after      time.Duration // it is not judged before the run has measured for this long
	requests   uint64        // it is not judged before this many requests were started
}

// ParseAbort reads a profile's abort_when. It maps a path to a condition, as expect
// does. A clause after the condition says when kabench begins to judge it: "> 50%",
// "> 50% after 5s", "> 50% after 200 requests", "> 2s after 5s and 200 requests".
// The error joins all complaints, and each begins with its path. A path that is
// known only at the end of a run is a complaint too.
func ParseAbort(conditions map[string]string) (*Abort, error) {
	if len(conditions) == 0 {
		return nil, nil
	}
	a := &Abort{}
	var errs []error
	for _, path := range slices.Sorted(maps.Keys(conditions)) {
		c, err := parseAbort(path, conditions[path])
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
			continue
		}
		a.conditions = append(a.conditions, c)
	}
	return a, errors.Join(errs...)
}

// ValidateAbort returns the complaints of ParseAbort.
func ValidateAbort(conditions map[string]string) error {
	_, err := ParseAbort(conditions)
	return err
}

var abortForm = regexp.MustCompile(`^(.*?) after (?:(\S+) and )?(?:([0-9]+) requests?|(\S+))$`)

func parseAbort(path, text string) (abortCondition, error) {
	c := abortCondition{path: path, text: text, condition: text}
	var length string
	if parts := abortForm.FindStringSubmatch(strings.Join(strings.Fields(text), " ")); parts != nil {
		c.condition, length = parts[1], parts[2]+parts[4]
		var err error
		if parts[3] != "" {
			c.requests, err = strconv.ParseUint(parts[3], 10, 64)
		}
		if err == nil && length != "" {
			c.after, err = time.ParseDuration(length)
		}
		if err != nil || c.after < 0 || parts[2] != "" && parts[4] != "" {
			return c, fmt.Errorf("%q: what is after \"after\" is neither a time nor a number of requests; write for example > 50%% after 5s, after 200 requests, or after 5s and 200 requests", text)
		}
	}
	known := []string{path}
	if parsed, err := ParseCondition(c.condition); err == nil {
		if parsed.Op == opNotWorse {
			return c, fmt.Errorf("%s cannot be asked again and again while a run goes on: sooner or later chance would stop it; write for example > 200%% of %s", opNotWorse, parsed.LowOf.Of)
		}
		for _, ref := range []*Reference{parsed.LowOf, parsed.HighOf} {
			if ref != nil && ref.Of == "" {
				known = append(known, ref.Path)
			}
		}
	}
	in := figures{own: &results.Run{}, References: References{Baseline: &results.Run{}}}
	if _, err := in.ask(path, c.condition); err != nil {
		return c, errors.New(strings.TrimPrefix(err.Error(), path+": "))
	}
	for _, path := range known {
		if !liveKnown(path) {
			return c, fmt.Errorf("%s is known at the end of a run only; while it goes on there are %s", path, liveWords)
		}
	}
	return c, nil
}

// liveSections are the first words of the paths whose figures are known during a
// run. Latencies are known during a run too.
var liveSections = []string{
	"attempts", "connections", "counts", "error_answers", "failed", "failures", "fresh", "idle_at_failure", "pool", "rate", "resends", "reuse", "reused", "sockets", "statuses",
}

var liveWords = strings.Join(liveSections, ", ") + ", and the latencies (response, service, acquire and so on)"

func liveKnown(path string) bool {
	head, _, _ := strings.Cut(path, ".")
	return slices.Contains(liveSections, head) || slices.Contains(results.LatencyNames(), head)
}

// Latencies names the latencies whose percentiles the conditions ask for, in the
// form that Tally.Glance takes.
func (a *Abort) Latencies() []string {
	if a == nil {
		return nil
	}
	var names []string
	add := func(path string) {
		name := path[:max(strings.LastIndexByte(path, '.'), 0)]
		if results.IsLatency(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, c := range a.conditions {
		add(c.path)
		parsed, err := ParseCondition(c.condition)
		if err != nil {
			continue
		}
		for _, ref := range []*Reference{parsed.LowOf, parsed.HighOf} {
			if ref != nil && ref.Of == "" {
				add(ref.Path)
			}
		}
	}
	return names
}

// NamingBaseline lists the paths, in order, whose conditions name the baseline.
func (a *Abort) NamingBaseline() []string {
	if a == nil {
		return nil
	}
	expect := map[string]string{}
	for _, c := range a.conditions {
		expect[c.path] = c.condition
	}
	return NamingBaseline(expect)
}

// Check returns the first condition that run meets so far. It returns nil if run
// meets none, or if it is too early to judge any. measured is how long the run has
// measured, without the warm-up; elapsed is the time since the run started. A figure
// that is not known yet meets no condition.
func (a *Abort) Check(run *results.Run, beside References, measured, elapsed time.Duration) *results.Stopped {
	if a == nil || measured <= 0 {
		return nil
	}
	for _, c := range a.conditions {
		if measured < c.after || run.Counts.Started < c.requests {
			continue
		}
		e := CheckAgainst(run, beside, map[string]string{c.path: c.condition})[0]
		if e.Met {
			return &results.Stopped{Path: c.path, When: c.text, Seen: e.Seen, At: elapsed.Seconds()}
		}
	}
	return nil
}
