package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/kabench/kabench/internal/judge"
	"github.com/kabench/kabench/results"
)

// rebuild makes the document of a run that was cut off. It uses the files that the run
// had written: the document of its beginning, the record and the samples.
// exchanges are those of the record, and agents is how many there were: each numbers its
// connections in steps of that.
func (d *Dir) rebuild(exchanges iter.Seq2[*results.Exchange, error], agents uint64) (*results.Run, error) {
	run, err := d.beginning()
	if err != nil {
		return nil, err
	}
	run.Complete = false
	run.Warnings = append(run.Warnings, "the run was cut off: this is what was recorded until then")
	if r := run.Recording; r.Error != "" {
		run.Warnings = append(run.Warnings, fmt.Sprintf(
			"the record stopped before the run did, with at least %s missing (%s): counts, outcomes and latencies end there",
			results.FormatCount(r.Lost, "exchange"), r.Error))
	}
	run.Kernel.Why = "the run was cut off, and its counters at the end are not known"
	last := d.rebuildFromRecord(run, exchanges, agents)
	last = max(last, d.rebuildFromSamples(run))
	if run.Start.IsZero() {
		run.Start = d.made()
	}
	run.End = run.Start.Add(last)
	run.Warnings = append(run.Warnings,
		"how connections were closed is written at the end of a run and is not known for this one; "+
			"what is known about connections, pool and sockets comes from the samples")
	judge.Run(run, judge.Limits{MaxLag: results.SetupOf(run).MaxLag})
	return filledRun(run), nil
}

// beginning is the document that Writer.Begin wrote, or else one with the name and
// question of the profile.
func (d *Dir) beginning() (*results.Run, error) {
	run, err := d.document(fileBegun)
	if err == nil {
		return run, nil
	}
	if errors.Is(err, ErrNewerSchema) {
		return nil, err
	}
	run = &results.Run{}
	run.Warnings = append(run.Warnings, "when the run began is estimated from its oldest file, and where is not known: "+fileBegun+" is missing or damaged")
	text, err := os.ReadFile(d.file(fileProfile))
	if err == nil {
		run.Profile, err = yaml.YAMLToJSON(text)
	}
	if err != nil || !json.Valid(run.Profile) {
		run.Profile = nil
		run.Warnings = append(run.Warnings, "the profile is not known: "+fileProfile+" is missing or damaged")
		return run, nil
	}
	var named struct {
		Name     string `json:"name"`
		Question string `json:"question"`
	}
	if json.Unmarshal(run.Profile, &named) == nil {
		run.Name, run.Question = named.Name, named.Question
	}
	return run, nil
}

// made estimates when the run began: it is the oldest time of change of the files that
// were made before the run. The best estimate comes from a file that was not changed
// since then.
func (d *Dir) made() time.Time {
	var first time.Time
	for _, name := range []string{fileProfile, fileExchanges, fileSamples, FileLatency} {
		info, err := os.Stat(d.file(name))
		if err == nil && (first.IsZero() || info.ModTime().Before(first)) {
			first = info.ModTime()
		}
	}
	return first
}

// rebuildFromRecord sets the fields of run that a Tally fills, and returns the last
// stamp.
func (d *Dir) rebuildFromRecord(run *results.Run, exchanges iter.Seq2[*results.Exchange, error], agents uint64) (last time.Duration) {
	var tally results.Tally
	var conns, written uint64
	firstCounted := results.Never
	oneIn := max(run.Recording.SuccessesOneIn, 1)
	for e, err := range exchanges {
		if err != nil {
			run.Warnings = append(run.Warnings, endOfFile(fileExchanges, written, "exchanges", err))
			break
		}
		weight := uint64(1)
		if optional(e) {
			weight = oneIn
		}
		tally.AddTimes(e, weight)
		written++
		conns = max(conns, e.Conn)
		for _, try := range e.Tries {
			conns = max(conns, try.Conn)
		}
		last = max(last, e.Due, e.Done)
		if !e.WarmUp && (firstCounted == results.Never || e.Due < firstCounted) {
			firstCounted = e.Due
		}
	}
	if oneIn > 1 {
		run.Warnings = append(run.Warnings, fmt.Sprintf(
			"counts of successes are estimates: one in %d was recorded, and each stands for %d", oneIn, oneIn))
	}
	setup := results.SetupOf(run)
	measured := last - max(firstCounted, 0)
	if setup.WarmUp > 0 {
		measured = last - setup.WarmUp
	}
	if setup.Duration > 0 {
		measured = min(measured, setup.Duration)
	}
	tally.Fill(run, measured)
	run.Recording.Written, run.Recording.LeftOut = written, 0 // how many were left out is not known
	run.Connections.Opened = (conns + agents - 1) / agents
	d.rebuildConnections(run)
	return last
}

// rebuildConnections counts the ends of connections that the record has, if it has any.
func (d *Dir) rebuildConnections(run *results.Run) {
	recorded := &results.RecordedConnections{}
	for _, err := range d.Connections() {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return // an earlier kabench made the record
		case err == nil:
			recorded.Written++
		case !errors.Is(err, ErrTorn): // those of the last second are missing anyway
			run.Warnings = append(run.Warnings, endOfFile(fileConnections, recorded.Written, "ends of connections", err))
		}
	}
	run.Recording.Connections = recorded
}

// rebuildFromSamples sets the fields of run that the samples contain, and returns the
// time of the last sample.
func (d *Dir) rebuildFromSamples(run *results.Run) (last time.Duration) {
	var read uint64
	before := 0.0
	for s, err := range d.Samples() {
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				run.Warnings = append(run.Warnings, endOfFile(fileSamples, read, "samples", err))
			}
			break
		}
		read++
		run.Connections.Opened = max(run.Connections.Opened, s.Opened)
		run.Connections.MaxOpen = max(run.Connections.MaxOpen, s.Leased+s.Idle)
		run.Pool.PeakLeased = max(run.Pool.PeakLeased, s.Leased)
		run.Pool.PeakIdle = max(run.Pool.PeakIdle, s.Idle)
		run.Pool.PeakDialing = max(run.Pool.PeakDialing, s.Dialing)
		run.Pool.PeakPending = max(run.Pool.PeakPending, s.Pending)
		run.Instrument.PeakGoroutines = max(run.Instrument.PeakGoroutines, s.Goroutines)
		run.Instrument.PeakOpenFiles = max(run.Instrument.PeakOpenFiles, s.OpenFiles)
		if s.T > before {
			run.Instrument.CPUSeconds += s.CPU * (s.T - before)
			before = s.T
		}
		if s.Sockets != nil {
			run.Sockets.Add(s.Sockets)
		}
	}
	run.Instrument.SetCPUPerExchange(run.Counts)
	// A sample's time comes from a file, so limit it to the longest time a run can have.
	return time.Duration(min(before, float64(maxMicros)/1e6) * float64(time.Second))
}

// endOfFile says why the end of a file could not be read, and how many things were
// read before it.
func endOfFile(name string, read uint64, things string, err error) string {
	if errors.Is(err, ErrTorn) {
		return fmt.Sprintf("the end of %s was not written whole: %d %s could be read", name, read, things)
	}
	return fmt.Sprintf("reading stopped after %d %s: %v", read, things, err)
}
