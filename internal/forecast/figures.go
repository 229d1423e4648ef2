package forecast

import (
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/kabench/kabench/results"
)

const day = 24 * time.Hour

// confidence is that of all intervals.
const confidence = 0.95

// figures are the counts of the spans, by path, and their intervals.
func (r *Result) figures() []results.SimulatedCount {
	paths := map[string]bool{"failures": true, "connections.opened": true, "connections.closed_by_us": true, "connections.closed_by_peer": true}
	each := make([]map[string]float64, len(r.spans))
	for i, n := range r.spans {
		each[i] = n.figures()
		for path := range each[i] {
			paths[path] = true
		}
	}
	var list []results.SimulatedCount
	for path := range paths {
		counts := make([]float64, len(each))
		for i, m := range each {
			counts[i] = m[path]
		}
		f := results.SimulatedCount{Path: path}
		switch {
		case r.Whole && len(counts) == 1: // nothing shows how runs differ; independent events would do so
			f.Mean = counts[0]
			f.Low, f.High = poissonInterval(counts[0])
		case r.Whole:
			f.Mean, f.Low, f.High = ofRuns(counts)
		default:
			f.Mean, f.Low, f.High = r.perDay(counts)
		}
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b results.SimulatedCount) int {
		if a.Path < b.Path {
			return -1
		}
		return 1
	})
	return list
}

// figures are the counts of one span by path; those that are 0 may be missing.
func (n *counter) figures() map[string]float64 {
	var run results.Run
	n.tally.Fill(&run, time.Second)
	m := map[string]float64{
		"failures": float64(run.Counts.Failed), "connections.opened": float64(n.connections),
		"connections.closed_by_us": float64(n.byUs), "connections.closed_by_peer": float64(n.byPeer),
	}
	for path, count := range map[string]uint64{"counts.dropped": run.Counts.Dropped, "resends.count": run.Resends.Count} {
		if count > 0 {
			m[path] = float64(count)
		}
	}
	for _, o := range run.Outcomes {
		if o.Failed() {
			m["failures."+o.Phase.String()] += float64(o.Count)
			m["failures."+o.Phase.String()+"."+o.Cause.String()] += float64(o.Count)
		}
	}
	return m
}

// Range is the least and the most that a run counted. With 400 runs, one more lies outside once
// in 200 times. r must be of whole runs.
func (r *Result) Range(path string) (least, most float64) {
	least, most = math.Inf(1), 0
	for _, n := range r.spans {
		v := n.figures()[path]
		least, most = min(least, v), max(most, v)
	}
	return least, most
}

// ofRuns is the mean of counts, and the interval of the next run by ranks.
func ofRuns(counts []float64) (mean, low, high float64) {
	sorted := slices.Sorted(slices.Values(counts))
	n := float64(len(sorted))
	first, last := int(math.Floor(0.025*(n+1)))-1, int(math.Ceil(0.975*(n+1)))-1
	return stat.Mean(sorted, nil), sorted[max(first, 0)], sorted[min(last, len(sorted)-1)]
}

// perDay is how many there are a day, and the interval of that rate. Events that come in
// clusters vary more from span to span than independent ones would, and the interval is
// wider by that (quasi-Poisson: McCullagh and Nelder, Generalized Linear Models, 6.2.3).
func (r *Result) perDay(counts []float64) (mean, low, high float64) {
	sum, days := 0.0, 0.0
	for i, k := range counts {
		sum += k
		days += r.lasts[i].Hours() / 24
	}
	spread, spans := 0.0, 0
	for i, k := range counts {
		if expected := sum * r.lasts[i].Hours() / 24 / days; expected > 0 {
			spread += (k - expected) * (k - expected) / expected
			spans++
		}
	}
	clusters := 1.0
	if spans > 1 {
		clusters = max(clusters, spread/float64(spans-1))
	}
	low, high = poissonInterval(sum / clusters)
	return sum / days, low * clusters / days, high * clusters / days
}

// poissonInterval is the exact interval of the mean of a Poisson distribution, if k
// was counted (Garwood, Biometrika 28, 1936). k need not be a whole number.
func poissonInterval(k float64) (low, high float64) {
	tail := (1 - confidence) / 2
	if k > 0 {
		low = distuv.Gamma{Alpha: k, Beta: 1}.Quantile(tail)
	}
	return low, distuv.Gamma{Alpha: k + 1, Beta: 1}.Quantile(1 - tail)
}

// races compares what was integrated with what was counted; nil if nothing was integrated.
func (r *Result) races() *results.SimulatedRaces {
	if !r.facts.integrates() {
		return nil
	}
	out := &results.SimulatedRaces{}
	rates := make([]float64, len(r.spans)) // per second
	weights := make([]float64, len(r.spans))
	total := 0.0
	for i, n := range r.spans {
		out.Counted += n.met
		out.Expected += n.races
		weights[i] = r.lasts[i].Seconds()
		rates[i] = n.races / weights[i]
		total += weights[i]
	}
	out.Low, out.High = out.Expected, out.Expected
	if n := float64(len(rates)); n > 1 {
		t := distuv.StudentsT{Sigma: 1, Nu: n - 1}.Quantile(1 - (1-confidence)/2)
		off := t * stat.StdDev(rates, weights) / math.Sqrt(n) * total
		out.Low, out.High = max(out.Expected-off, 0), out.Expected+off
	}
	return out
}

// first is how long it takes to the first failure. Of whole runs, it is the median over
// those that had one; otherwise the inverse of the rate.
func (r *Result) first(figures []results.SimulatedCount, races *results.SimulatedRaces) *results.SimulatedTime {
	if r.Whole {
		var seen []float64
		for _, n := range r.spans {
			if n.first != never {
				seen = append(seen, n.first.Seconds())
			}
		}
		if 2*len(seen) <= len(r.spans) {
			return nil
		}
		_, low, high := ofRuns(seen)
		slices.Sort(seen)
		return &results.SimulatedTime{Mean: stat.Quantile(0.5, stat.Empirical, seen, nil), Low: low, High: high}
	}
	perDay := results.SimulatedCount{}
	for _, f := range figures {
		if f.Path == "failures" {
			perDay = f
		}
	}
	if races != nil && r.facts.neverResends() && r.onlyRaces() && races.Expected > 0 {
		days := r.For.Hours() / 24
		perDay.Mean, perDay.Low, perDay.High = races.Expected/days, races.Low/days, races.High/days
	}
	if perDay.Mean == 0 {
		return nil
	}
	t := &results.SimulatedTime{Mean: day.Seconds() / perDay.Mean, Low: day.Seconds() / perDay.High}
	if perDay.Low > 0 {
		t.High = day.Seconds() / perDay.Low
	}
	return t
}

// onlyRaces reports whether every failure is a request that met the server's close.
func (r *Result) onlyRaces() bool {
	for _, n := range r.spans {
		if n.met != n.tally.Counts().Failed {
			return false
		}
	}
	return true
}

// neverResends reports whether no rule sends a request again.
func (f *facts) neverResends() bool { return len(f.policy.Resend) == 0 }
