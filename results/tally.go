package results

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Tally counts and measures exchanges, for the fields of a Run that Fill sets. Its
// memory does not grow with the number of exchanges. The zero Tally is empty and
// ready to use. It is not safe for concurrent use: keep one per shard and Merge them.
type Tally struct {
	counts   Counts
	attempts uint64
	statuses map[int]uint64 // of those that are ok
	cut      map[int]uint64 // of those that failed after the head had arrived
	outcomes [NumPhases][NumCauses][2]struct {
		count   uint64
		example string
		looked  uint64
		stale   uint64
	}
	ok      [2]latencies // on fresh connections, and on reused ones
	failed  latencies
	lag     series // of all started
	idle    series // failures on reused connections: how long the connection was idle when leased
	atLease series // the same for all exchanges on reused connections
	reuse   Reuse
	resends Resends                // without Causes, which are in retried
	retried map[ResendCause]uint64 // the key's Count is 0
}

// latencies are the times of exchanges with the same outcome.
type latencies struct {
	response, service, buffer series
	phases                    [NumPhases]series
}

// Add counts e, which has ended. An exchange that was due in the warm-up only counts
// in WarmUp. Add does not keep e.
func (t *Tally) Add(e *Exchange) { t.AddTimes(e, 1) }

// AddTimes counts n exchanges that are equal to e.
func (t *Tally) AddTimes(e *Exchange, n uint64) {
	if e.WarmUp {
		t.counts.WarmUp += n
		return
	}
	t.counts.Due += n
	t.outcome(e, n)
	if e.Phase == PhaseSchedule {
		t.counts.Dropped += n
		return
	}
	t.counts.Started += n
	t.attempts += n * uint64(max(e.Attempts, 0))
	t.lag.add(e.Lag(), n)
	if e.Buffered > 0 {
		t.counts.Waited += n
	}
	switch {
	case e.Attempts <= 0:
		t.reuse.NoConnection += n
	case e.lastUse() > 1:
		t.reuse.Reused += n
	default:
		t.reuse.Fresh += n
	}
	t.resent(e, n)
	if e.Reused() {
		t.atLease.add(e.Idle, n)
	}
	switch {
	case e.OK():
		t.counts.OK += n
		if e.Unbounded {
			t.counts.Unbounded += n
		}
		addTo(&t.statuses, e.Status, n)
		t.ok[b2i(e.Reused())].add(e, n)
	case e.Unfinished():
		t.counts.Unfinished += n
	default:
		t.counts.Failed += n
		if e.Status > 0 {
			addTo(&t.cut, e.Status, n)
		}
		if e.Reused() {
			t.idle.add(e.Idle, n)
		}
		t.failed.add(e, n)
	}
}

// resent counts the attempts of e before its last.
func (t *Tally) resent(e *Exchange, n uint64) {
	if e.Twice {
		t.resends.MaybeTwice += n
	}
	if len(e.Tries) == 0 {
		return
	}
	t.resends.Exchanges += n
	t.resends.Count += n * uint64(len(e.Tries))
	if e.OK() {
		t.resends.Rescued += n
	}
	if t.retried == nil {
		t.retried = make(map[ResendCause]uint64)
	}
	for i := range e.Tries {
		try := &e.Tries[i]
		t.retried[ResendCause{Phase: try.Phase, Cause: try.Cause, Reused: try.Reused()}] += n
	}
}

func (t *Tally) outcome(e *Exchange, n uint64) {
	reused := 0
	if e.Reused() {
		reused = 1
	}
	o := &t.outcomes[e.Phase][e.Cause][reused]
	o.count += n
	if e.AtLease != nil {
		o.looked += n
		if !e.AtLease.Established() {
			o.stale += n
		}
	}
	if o.example == "" && e.Err != nil {
		o.example = ErrorText(e.Err)
	}
}

func (l *latencies) add(e *Exchange, n uint64) {
	l.response.add(e.ResponseTime(), n)
	l.service.add(e.ServiceTime(), n)
	if e.Buffered > 0 {
		l.buffer.add(e.Buffered, n)
	}
	for phase, d := range e.Phases() {
		l.phases[phase].add(d, n)
	}
}

// Merge adds the counts and durations of o to t. It does not change o.
func (t *Tally) Merge(o *Tally) {
	t.mergeCounts(o)
	t.lag.merge(&o.lag)
	t.idle.merge(&o.idle)
	t.atLease.merge(&o.atLease)
	for i := range t.ok {
		t.ok[i].merge(&o.ok[i])
	}
	t.failed.merge(&o.failed)
}

// mergeCounts is Merge without the durations.
func (t *Tally) mergeCounts(o *Tally) {
	t.counts.Due += o.counts.Due
	t.counts.Started += o.counts.Started
	t.counts.Dropped += o.counts.Dropped
	t.counts.OK += o.counts.OK
	t.counts.Failed += o.counts.Failed
	t.counts.Unfinished += o.counts.Unfinished
	t.counts.Waited += o.counts.Waited
	t.counts.WarmUp += o.counts.WarmUp
	t.counts.Unbounded += o.counts.Unbounded
	t.attempts += o.attempts
	t.reuse.Fresh += o.reuse.Fresh
	t.reuse.Reused += o.reuse.Reused
	t.reuse.NoConnection += o.reuse.NoConnection
	t.resends.Count += o.resends.Count
	t.resends.Exchanges += o.resends.Exchanges
	t.resends.Rescued += o.resends.Rescued
	t.resends.MaybeTwice += o.resends.MaybeTwice
	if t.retried == nil && o.retried != nil {
		t.retried = make(map[ResendCause]uint64, len(o.retried))
	}
	for way, n := range o.retried {
		t.retried[way] += n
	}
	for status, n := range o.statuses {
		addTo(&t.statuses, status, n)
	}
	for status, n := range o.cut {
		addTo(&t.cut, status, n)
	}
	for p := range t.outcomes {
		for c := range t.outcomes[p] {
			for r := range t.outcomes[p][c] {
				to, from := &t.outcomes[p][c][r], &o.outcomes[p][c][r]
				to.count += from.count
				to.looked += from.looked
				to.stale += from.stale
				to.example = cmp.Or(to.example, from.example)
			}
		}
	}
}

func (l *latencies) merge(o *latencies) {
	l.response.merge(&o.response)
	l.service.merge(&o.service)
	l.buffer.merge(&o.buffer)
	for p := range l.phases {
		l.phases[p].merge(&o.phases[p])
	}
}

// Counts are the counts so far.
func (t *Tally) Counts() Counts { return t.counts }

// Fill sets the fields of run that t knows: Counts, Attempts, Resends, Statuses,
// ErrorAnswers, FailedStatuses, Outcomes, Latency, LatencyFresh, LatencyReused,
// FailedLatency, IdleAtFailure, Idle.AtLease, Rate and Reuse. It computes rates over
// measured, the length of the run without its warm-up; they are 0 if measured is not
// above 0.
func (t *Tally) Fill(run *Run, measured time.Duration) {
	run.Counts, run.Attempts, run.Reuse = t.counts, t.attempts, t.reuse
	run.Resends = t.resends
	run.Resends.Causes = t.sortedRetries()
	run.Statuses, run.FailedStatuses = byStatus(t.statuses), byStatus(t.cut)
	run.ErrorAnswers = CountErrorAnswers(run.Statuses)
	run.Outcomes = t.sortedOutcomes()
	var ok latencies
	for i := range t.ok {
		ok.merge(&t.ok[i])
	}
	run.Latency, run.FailedLatency = ok.quantiles(), t.failed.quantiles()
	run.LatencyFresh, run.LatencyReused = t.ok[0].quantiles(), t.ok[1].quantiles()
	run.Latency[LatencyLag] = t.lag.quantiles()
	run.IdleAtFailure = nil
	if t.idle.count > 0 {
		q := t.idle.quantiles()
		run.IdleAtFailure = &q
	}
	run.Idle.AtLease = t.atLease.quantiles()
	run.Idle.Longest = max(run.Idle.Longest, run.Idle.AtLease.Max)
	run.Rate = Rate{}
	if s := measured.Seconds(); s > 0 {
		run.Rate = Rate{
			Offered: float64(t.counts.Due) / s, Achieved: float64(t.counts.Started) / s, Throughput: float64(t.counts.OK) / s,
		}
	}
}

// addTo adds n to the count of a status. It makes the map when the first one comes.
func addTo(m *map[int]uint64, status int, n uint64) {
	if *m == nil {
		*m = make(map[int]uint64)
	}
	(*m)[status] += n
}

func byStatus(m map[int]uint64) map[string]uint64 {
	named := make(map[string]uint64, len(m))
	for status, n := range m {
		named[strconv.Itoa(status)] = n
	}
	return named
}

// sortedOutcomes lists the outcomes that occurred: done first, then by frequency,
// then by name, so that equal runs print equal tables.
func (t *Tally) sortedOutcomes() []Outcome {
	list := []Outcome{}
	for p := range t.outcomes {
		for c := range t.outcomes[p] {
			for r, o := range t.outcomes[p][c] {
				if o.count > 0 {
					list = append(list, Outcome{Phase: Phase(p), Cause: Cause(c), Reused: r == 1, Count: o.count, Example: o.example, Looked: o.looked, Stale: o.stale})
				}
			}
		}
	}
	slices.SortFunc(list, func(a, b Outcome) int {
		if done := cmp.Compare(b2i(b.Phase == PhaseDone), b2i(a.Phase == PhaseDone)); done != 0 {
			return done
		}
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Phase.String(), b.Phase.String()),
			cmp.Compare(a.Cause.String(), b.Cause.String()), cmp.Compare(b2i(a.Reused), b2i(b.Reused)))
	})
	return list
}

// sortedRetries lists how attempts failed before the request was sent again, the
// most frequent first.
func (t *Tally) sortedRetries() []ResendCause {
	list := []ResendCause{}
	for way, n := range t.retried {
		way.Count = n
		list = append(list, way)
	}
	slices.SortFunc(list, func(a, b ResendCause) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Phase.String(), b.Phase.String()),
			cmp.Compare(a.Cause.String(), b.Cause.String()), cmp.Compare(b2i(a.Reused), b2i(b.Reused)))
	})
	return list
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// quantiles has an entry for every phase, also for a phase that no exchange went
// through, so that a reader of run.json need not check which entries exist.
func (l *latencies) quantiles() map[string]Quantiles {
	m := map[string]Quantiles{
		LatencyResponse: l.response.quantiles(),
		LatencyService:  l.service.quantiles(),
		LatencyBuffer:   l.buffer.quantiles(),
	}
	for p := PhaseAcquire; p < PhaseDone; p++ {
		m[p.String()] = l.phases[p].quantiles()
	}
	return m
}

// of returns the series that belong to a latency's name: "response" is of all
// exchanges that are ok; "failed.response", "fresh.response" and "reused.response"
// are of some exchanges. It returns nil for an unknown name.
func (t *Tally) of(name string) []*series {
	kind, rest, found := strings.Cut(name, ".")
	switch {
	case name == LatencyLag:
		return []*series{&t.lag}
	case name == "idle_at_failure":
		return []*series{&t.idle}
	case !found:
		return pick(name, &t.ok[0], &t.ok[1])
	case kind == "fresh":
		return pick(rest, &t.ok[0])
	case kind == "reused":
		return pick(rest, &t.ok[1])
	case kind == "failed":
		return pick(rest, &t.failed)
	}
	return nil
}

// IsLatency reports whether a Tally has durations with this name, for example
// "response" or "failed.response".
func IsLatency(name string) bool { return len(new(Tally).of(name)) > 0 }

func pick(name string, from ...*latencies) []*series {
	var list []*series
	for _, l := range from {
		var phase Phase
		switch {
		case name == LatencyResponse:
			list = append(list, &l.response)
		case name == LatencyService:
			list = append(list, &l.service)
		case name == LatencyBuffer:
			list = append(list, &l.buffer)
		case phase.UnmarshalText([]byte(name)) == nil:
			list = append(list, &l.phases[phase])
		}
	}
	return list
}

// Above returns how many durations with this name are longer than d, and how many t
// has counted.
func (t *Tally) Above(name string, d time.Duration) (above, of uint64) {
	for _, s := range t.of(name) {
		above += s.above(d)
		of += s.count
	}
	return above, of
}

// Glance copies the counts of t, and only the durations of the named latencies. The
// copy is small enough to be made while t's owner waits.
func (t *Tally) Glance(latencies []string) *Tally {
	c := &Tally{}
	c.mergeCounts(t)
	for _, name := range latencies {
		to := c.of(name)
		for i, s := range t.of(name) {
			*to[i] = s.clone()
		}
	}
	return c
}
