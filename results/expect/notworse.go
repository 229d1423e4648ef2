package expect

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/results"
)

// test compares a with another run by Fisher's exact test, one-sided, and fills in
// a.worse and a.against. The run is worse if its p-value is below r.level: of runs of
// equal quality, fewer than this share would look this bad by chance.
//
//   - For a count of exchanges, such as failures, the test compares two shares: the
//     share of our exchanges that this count includes, and the other run's share.
//   - For a percentile, such as response.p99, the limit is the other run's percentile
//     times the share in the condition. The test compares the share of our durations
//     above the limit with the share of the other run's durations above its own
//     percentile. Without a tolerance, this is the exact precedence test, whatever
//     distribution the durations have in common: with m durations in the other run,
//     our k-th longest exceeds the other's r-th shortest if and only if at least k of
//     the longest k + (m - r) of all durations are ours.
//
// Both tests assume that exchanges are independent, and that the two runs differ only
// in what is under test. Where Spans shows that failures come in groups, test reduces
// the counts first.
func (r figures) test(a *asked, path string) error {
	other, err := r.run(a.LowOf.Of)
	if err != nil {
		return err
	}
	theirs, err := Lookup(other, path)
	if err != nil {
		return err
	}
	name, rank, isPercentile := percentile(path)
	part, whole := share(path)
	switch {
	case isPercentile:
	case part == "":
		return fmt.Errorf("there is no test for it: %s can be asked of failures, of counts.dropped and the like, and of percentiles; write for example <= 110%% of %s", opNotWorse, a.LowOf.Of)
	case a.LowOf.Share != 1:
		return fmt.Errorf("of a count only %s %s can be tested; for a tolerance write <= %.6g%% of %s", opNotWorse, a.LowOf.Of, a.LowOf.Share*100, a.LowOf.Of)
	}
	if a.LowOf.Of == ofBaseline && len(r.Baselines) > 1 {
		return r.testRuns(a, path)
	}
	if why := cmp.Or(a.Why, theirs.Why); why != "" {
		if a.Why == "" {
			a.Why = a.LowOf.name(path) + ": " + why
		}
		return nil
	}
	var k, n, k0, n0 uint64
	told := a.LowOf.name(path) + " " + theirs.String()
	limit := time.Duration(0)
	if isPercentile {
		if r.Above == nil {
			a.Why = "the run's durations are not available, only their percentiles"
			return nil
		}
		limit = secondsOf(theirs.Number * a.LowOf.Share)
		k, n = r.Above(name, limit)
		n0 = r.countOf(other, name)
		k0 = n0 - min(n0, max(1, uint64(math.Round(rank*float64(n0))))) // the rank that a histogram uses for this percentile
		told += fmt.Sprintf("; above %s are %d of %d, and at most %d of its %d", results.FormatSeconds(limit.Seconds()), k, n, k0, n0)
	} else {
		k, n = r.number(r.own, part), r.number(r.own, whole)
		k0, n0 = r.number(other, part), r.number(other, whole)
		told = fmt.Sprintf("of %d; %s %d of %d", n, a.LowOf.Of, k0, n0)
	}
	if k > n || k0 > n0 {
		return fmt.Errorf("the figures of the two runs do not fit: %d of %d, and %d of %d", k, n, k0, n0)
	}
	phi := 1.0
	if a.LowOf.Of == ofBaseline && r.Spans != nil {
		own, theirs := r.Spans(path, limit)
		phi = grouped(own, theirs)
	}
	if phi > 1 {
		k, n = thinned(k, n, phi)
		k0, n0 = thinned(k0, n0, phi)
		told += fmt.Sprintf("; they come in groups, %.3g count as one", phi)
	}
	from := worseFrom(n, k0, n0, r.level)
	if from > n {
		a.Why = fmt.Sprintf("too few to tell: with %d here and %d in the %s none would be seen as worse", n, n0, a.LowOf.Of)
		return nil
	}
	p := FisherMore(k, n, k0, n0)
	a.worse = k >= from
	if phi > 1 {
		from = uint64(math.Ceil(float64(from) * phi))
	}
	a.against = []string{fmt.Sprintf("%s; p %.2g, worse from %d on", told, p, from)}
	return nil
}

func secondsOf(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }

// share names the count at path, and the count that it is a part of. It returns "" if
// path has no such count, or if a higher count is not worse.
func share(path string) (part, whole string) {
	head, rest, _ := strings.Cut(path, ".")
	switch {
	case path == "failures.rate":
		return "failures", "counts.started"
	case head == "failures", path == "counts.failed", path == "resends.exchanges", path == "resends.maybe_twice", path == "reuse.no_connection":
		return path, "counts.started"
	case path == "counts.dropped":
		return path, "counts.due"
	case path == "error_answers.rate":
		return "error_answers", "counts.ok"
	case head == "statuses" && rest >= "400", head == "error_answers":
		return path, "counts.ok"
	}
	return "", ""
}

// percentile splits the path of a percentile: "fresh.response.p99" is the latency
// "fresh.response" and the rank 0.99.
func percentile(path string) (name string, rank float64, ok bool) {
	dot := max(strings.LastIndexByte(path, '.'), 0)
	ranks := map[string]float64{".p50": 0.5, ".p90": 0.9, ".p99": 0.99, ".p999": 0.999}
	rank, ok = ranks[path[dot:]]
	name = path[:dot]
	own := name
	for _, of := range []string{"failed.", "fresh.", "reused."} {
		own = strings.TrimPrefix(own, of)
	}
	return name, rank, ok && slices.Contains(results.LatencyNames(), own)
}

// number returns the count at path, or 0 if there is none.
func (r figures) number(run *results.Run, path string) uint64 {
	v, err := Lookup(run, path)
	if err != nil || v.Number < 0 {
		return 0
	}
	return uint64(v.Number)
}

// countOf returns the number of durations in the latency called name.
func (r figures) countOf(run *results.Run, name string) uint64 { return r.number(run, name+".count") }
