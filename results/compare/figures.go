package compare

import (
	"maps"
	"slices"

	"github.com/kabench/kabench/results"
)

// A measure says how one figure is taken from a run: a rate of counted things, or
// a level.
type measure struct {
	name string
	unit results.Unit
	// counts returns k of n for a rate; with n = 0 there is no rate. Each of the n
	// things is one of the k or is not.
	counts func(*results.Run) (k, n uint64)
	// per is the unit of the rate, as 1000 requests; 0: 1.
	per float64
	// event reports whether a recorded exchange is one of the k. It is set if the
	// record can show clusters within a run.
	event func(*results.Exchange) bool
	// level returns the figure of a level, and whether the run knows it.
	level func(*results.Run) (float64, bool)
	// scaled levels are above 0 and vary by a factor rather than by an amount, as
	// times do.
	scaled bool
	// missing says why a run may not know it.
	missing string
}

const noneStarted = "no request was started"

// measuresOf lists the measures that at least one of the runs has.
func measuresOf(runs []*results.Run) []measure {
	list := []measure{{
		name: results.MeasureFailureRate, unit: results.UnitRatio, missing: noneStarted,
		counts: func(r *results.Run) (uint64, uint64) { return r.Counts.Failed, r.Counts.Started },
		event:  func(e *results.Exchange) bool { return e.Phase != results.PhaseDone },
	}}
	ways := map[string]bool{}
	dropped := false
	for _, run := range runs {
		for way := range run.FailureCounts() {
			ways[way] = true
		}
		dropped = dropped || run.Counts.Dropped > 0
	}
	if len(ways) > 1 { // one alone is the failure rate
		for _, way := range slices.Sorted(maps.Keys(ways)) {
			list = append(list, measure{
				name: way, unit: results.UnitRatio, missing: noneStarted,
				counts: func(r *results.Run) (uint64, uint64) { return r.FailureCounts()[way], r.Counts.Started },
				event: func(e *results.Exchange) bool {
					return e.Phase != results.PhaseDone && way == results.MeasureFailureRate+"."+e.Phase.String()+"."+e.Cause.String()
				},
			})
		}
	}
	if dropped {
		list = append(list, measure{
			name: results.MeasureDropped, unit: results.UnitRatio, missing: "no request was due",
			counts: func(r *results.Run) (uint64, uint64) { return r.Counts.Dropped, r.Counts.Due },
		})
	}
	for _, of := range []string{results.MeasureResponse, results.MeasureService, results.MeasureAcquire} {
		for _, stat := range []struct {
			name string
			of   func(results.Quantiles) float64
		}{
			{"p50", func(q results.Quantiles) float64 { return q.P50 }},
			{"p99", func(q results.Quantiles) float64 { return q.P99 }},
			{"p999", func(q results.Quantiles) float64 { return q.P999 }},
		} {
			list = append(list, measure{
				name: of + "." + stat.name, unit: results.UnitSeconds, scaled: true, missing: "no request succeeded",
				level: func(r *results.Run) (float64, bool) {
					q := r.Latency[of]
					return stat.of(q), q.Count > 0
				},
			})
		}
	}
	return append(list, costs...)
}

// costs are the measures of a pool's resources: connections, sockets, ports, CPU.
var costs = []measure{
	{
		name: results.MeasureOpened, unit: results.UnitCount, per: 1000, missing: noneStarted,
		counts: func(r *results.Run) (uint64, uint64) {
			if !r.CountsConnections() {
				return 0, 0
			}
			n := r.Counts.Started + r.Counts.WarmUp // connections are counted in the warm-up too
			return min(r.Connections.Opened, n), n
		},
		event: func(e *results.Exchange) bool { return e.Use == 1 },
	},
	{
		name: results.MeasureHandshakes, unit: results.UnitRatio, missing: "no request succeeded",
		level: func(r *results.Run) (float64, bool) {
			sum := func(name string) float64 { q := r.Latency[name]; return q.Mean * float64(q.Count) }
			service := sum(results.LatencyService)
			if service <= 0 {
				return 0, false
			}
			setup := sum(results.PhaseResolve.String()) + sum(results.PhaseConnect.String()) + sum(results.PhaseTLS.String())
			return setup / service, true
		},
	},
	{
		name: results.MeasurePending, unit: results.UnitCount, missing: "the client does not tell it",
		level: func(r *results.Run) (float64, bool) { return float64(r.Pool.PeakPending), r.Tells("pending") },
	},
	socketMeasure(results.MeasureTimeWait, func(s results.Sockets) (int, bool) { return s.TimeWaitPeak, true }),
	socketMeasure(results.MeasureTimeWaitPeer, func(s results.Sockets) (int, bool) { return s.TimeWaitServer, s.ServerSide }),
	socketMeasure(results.MeasurePorts, func(s results.Sockets) (int, bool) { return s.PortsUsedPeak, true }),
	{
		name: results.MeasureCPU, unit: results.UnitSeconds, scaled: true, missing: "the CPU time is not known",
		level: func(r *results.Run) (float64, bool) {
			return r.Instrument.CPUPerExchange, r.Instrument.CPUPerExchange > 0
		},
	},
}

func socketMeasure(name string, of func(results.Sockets) (int, bool)) measure {
	return measure{
		name: name, unit: results.UnitCount, missing: "the sockets of that side were not seen",
		level: func(r *results.Run) (float64, bool) {
			n, seen := of(r.Sockets)
			return float64(n), seen && r.Sockets.Available
		},
	}
}

// scale is the factor from the rate of one thing to the unit of the measure.
func (m measure) scale() float64 {
	if m.per > 0 {
		return m.per
	}
	return 1
}

// counted is a rate of a run: k of n.
type counted struct{ k, n uint64 }

func (c counted) rate() float64 { return float64(c.k) / float64(max(c.n, 1)) }

func (c *counted) add(other counted) {
	c.k += other.k
	c.n += other.n
}

func total(list []counted) (t counted) {
	for _, c := range list {
		t.add(c)
	}
	return t
}

// sample has the values of one measure in an arm's valid runs. The three lists
// are parallel, with one entry per run.
type sample struct {
	values []float64
	counts []counted // for a rate
	blocks []int     // 0: the run has no block
}

func (m measure) sample(a *arm) sample {
	var s sample
	for i, run := range a.docs() {
		var value float64
		var known bool
		if m.counts == nil {
			value, known = m.level(run)
		} else {
			k, n := m.counts(run)
			value, known = m.scale()*float64(k)/float64(max(n, 1)), n > 0
			if known {
				s.counts = append(s.counts, counted{k, n})
			}
		}
		if known {
			s.values, s.blocks = append(s.values, value), append(s.blocks, a.blocks[i])
		}
	}
	return s
}

// total is the sum of all runs' counts.
func (s sample) total() counted { return total(s.counts) }
