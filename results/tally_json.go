package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
)

// tallyDocument is a Tally as JSON, in tally.json and in beats.
type tallyDocument struct {
	Counts   Counts                     `json:"counts"`
	Attempts uint64                     `json:"attempts"`
	Statuses map[int]uint64             `json:"statuses,omitempty"`
	Cut      map[int]uint64             `json:"statuses_failed,omitempty"`
	Outcomes []Outcome                  `json:"outcomes"`
	Fresh    map[string]*seriesDocument `json:"latency_fresh,omitempty"`
	Reused   map[string]*seriesDocument `json:"latency_reused,omitempty"`
	Failed   map[string]*seriesDocument `json:"latency_failed,omitempty"`
	Lag      *seriesDocument            `json:"lag,omitempty"`
	Idle     *seriesDocument            `json:"idle_at_failure,omitempty"`
	AtLease  *seriesDocument            `json:"idle_at_lease,omitempty"`
	Reuse    Reuse                      `json:"reuse"`
	Resends  Resends                    `json:"resends"`
}

// MarshalJSON writes all that t knows, so that UnmarshalJSON returns the same Tally.
func (t *Tally) MarshalJSON() ([]byte, error) {
	d := tallyDocument{
		Counts: t.counts, Attempts: t.attempts, Statuses: t.statuses, Cut: t.cut, Outcomes: t.sortedOutcomes(), Reuse: t.reuse, Resends: t.resends,
	}
	d.Resends.Causes = t.sortedRetries()
	err := errors.Join(
		documentOf(&d.Lag, &t.lag), documentOf(&d.Idle, &t.idle), documentOf(&d.AtLease, &t.atLease),
		documentsOf(&d.Fresh, &t.ok[0]), documentsOf(&d.Reused, &t.ok[1]), documentsOf(&d.Failed, &t.failed),
	)
	if err != nil {
		return nil, err
	}
	return json.Marshal(d)
}

// UnmarshalJSON sets t to the Tally in text. It takes at most about 8 MiB beside the
// text, whatever the text says.
func (t *Tally) UnmarshalJSON(text []byte) error {
	var d tallyDocument
	if err := json.Unmarshal(text, &d); err != nil {
		return err
	}
	read := Tally{counts: d.Counts, attempts: d.Attempts, statuses: d.Statuses, cut: d.Cut, reuse: d.Reuse, resends: d.Resends}
	read.resends.Causes = nil
	for _, o := range d.Outcomes {
		reused := b2i(o.Reused)
		to := &read.outcomes[o.Phase][o.Cause][reused]
		if to.count > 0 {
			return fmt.Errorf("the outcome %v / %v is listed twice", o.Phase, o.Cause)
		}
		to.count, to.example, to.looked, to.stale = o.Count, o.Example, o.Looked, o.Stale
	}
	for _, c := range d.Resends.Causes {
		if read.retried == nil {
			read.retried = make(map[ResendCause]uint64)
		}
		n := c.Count
		c.Count = 0
		read.retried[c] += n
	}
	err := errors.Join(
		d.Lag.into(&read.lag, LatencyLag), d.Idle.into(&read.idle, "idle_at_failure"), d.AtLease.into(&read.atLease, "idle_at_lease"),
		latenciesInto(&read.ok[0], d.Fresh), latenciesInto(&read.ok[1], d.Reused), latenciesInto(&read.failed, d.Failed),
	)
	if err != nil {
		return err
	}
	*t = read
	return nil
}

func documentOf(to **seriesDocument, s *series) (err error) {
	*to, err = s.document()
	return err
}

// documentsOf sets *to to the series of l that have a value, by their names.
func documentsOf(to *map[string]*seriesDocument, l *latencies) error {
	docs := map[string]*seriesDocument{}
	for name, s := range l.named() {
		d, err := s.document()
		if err != nil {
			return err
		}
		if d != nil {
			docs[name] = d
		}
	}
	*to = docs
	return nil
}

func latenciesInto(l *latencies, docs map[string]*seriesDocument) error {
	named := maps.Collect(l.named())
	for name, d := range docs {
		s, known := named[name]
		if !known {
			return fmt.Errorf("there is no latency %q", name)
		}
		if err := d.into(s, name); err != nil {
			return err
		}
	}
	return nil
}

// named yields the series of l by the names that they have in a Run.
func (l *latencies) named() func(yield func(string, *series) bool) {
	return func(yield func(string, *series) bool) {
		for _, name := range LatencyNames() {
			for _, s := range pick(name, l) {
				if !yield(name, s) {
					return
				}
			}
		}
	}
}

// MarshalJSON writes the durations with their histogram, so that UnmarshalJSON returns
// the same; null if there are none.
func (d *Durations) MarshalJSON() ([]byte, error) {
	doc, err := d.s.document()
	if err != nil {
		return nil, err
	}
	return json.Marshal(doc)
}

// UnmarshalJSON sets d to the durations in text.
func (d *Durations) UnmarshalJSON(text []byte) error {
	var doc *seriesDocument
	if err := json.Unmarshal(text, &doc); err != nil {
		return err
	}
	var read series
	if err := doc.into(&read, "durations"); err != nil {
		return err
	}
	d.s = read
	return nil
}
