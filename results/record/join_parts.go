package record

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/kabench/kabench/results"
)

// part is one agent's run as it is joined.
type part struct {
	agent    results.Agent
	name     string // of the agent, in sentences
	dir      *Dir   // nil: nothing survived
	warnings []string

	run    *results.Run // nil likewise
	cut    bool         // it has no run.json
	sums   Sums         // from tally.json, or counted from its record
	source *frameSource // of its record; nil: it has none

	// If sums are counted from its record:
	counted bool
	written uint64        // exchanges counted
	frames  int           // of its record: those whose exchanges are all counted
	tail    []byte        // lines of the exchanges that are counted of the frame after these
	seen    []uint64      // a bit for each arrival of its share that the record has
	last    time.Duration // the last stamp in the record

	whole   bool   // no arrival of its share is missing
	missing uint64 // arrivals
}

func (p *part) warn(format string, args ...any) {
	p.warnings = append(p.warnings, fmt.Sprintf(format, args...))
}

// read reads the documents of the run and opens its record. If that was removed after an
// earlier Join, the record in the directory joined has it.
func (p *part) read(joined string, agents uint64) error {
	if p.dir == nil {
		return nil
	}
	run, err := p.dir.document(fileRun)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.cut, p.counted = true, true
	case err != nil:
		return fmt.Errorf("the runs cannot be joined: agent %s: %w", p.name, err)
	default:
		p.run = run
		sums, err := p.dir.sums()
		if err != nil {
			p.counted = true
			p.warn("its counts and latencies were computed from its record, because %s is missing or damaged", fileTally)
		} else {
			p.sums = *sums
		}
	}
	f, err := os.Open(p.dir.file(fileExchanges))
	var only func(*results.Exchange) bool
	if errors.Is(err, fs.ErrNotExist) && p.run != nil && !p.counted && p.run.Recording.Written > 0 {
		// It was removed when it was in the joined record.
		f, err = os.Open(filepath.Join(joined, fileExchanges))
		only = func(e *results.Exchange) bool {
			return e.Seq%agents == uint64(p.agent.Index) && e.Cause != results.CauseAgentLost
		}
	}
	if errors.Is(err, fs.ErrNotExist) && (p.run == nil || p.run.Recording.Written == 0) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the runs cannot be joined: agent %s: its record of exchanges cannot be read: %w", p.name, err)
	}
	dec, err := newDecoder()
	if err != nil {
		f.Close()
		return err
	}
	p.source = &frameSource{file: f, frames: frameReader{in: bufio.NewReader(f)}, dec: dec, line: bufio.NewReaderSize(nil, maxLine), only: only}
	return nil
}

// rebuild counts the exchanges of the records whose agents have no tally, and makes the
// documents of those that were killed.
func (j *joint) rebuild() error {
	var targets *results.ByTarget
	for _, p := range j.parts {
		if p.sums.Targets != nil {
			targets = p.sums.Targets
		}
	}
	for _, p := range j.parts {
		if p.counted {
			p.sums = Sums{Tally: &results.Tally{}, Targets: targets.Empty()}
			if err := j.count(p); err != nil {
				return err
			}
		}
		if p.run != nil {
			j.tally.Merge(p.sums.Tally)
			j.seconds.Merge(p.sums.Seconds)
		}
	}
	return nil
}

// count counts the record of p.
func (j *joint) count(p *part) error {
	run := p.run
	if p.cut {
		begun, err := p.dir.beginning()
		if err != nil {
			return fmt.Errorf("the runs cannot be joined: agent %s: %w", p.name, err)
		}
		run = begun
	}
	maxLag, oneIn, n := results.SetupOf(run).MaxLag, max(run.Recording.SuccessesOneIn, 1), uint64(len(j.parts))
	share := j.arrivals/n + 1
	p.seen = make([]uint64, share/64+1)
	see := func(e *results.Exchange) error {
		if e.Seq%n != uint64(p.agent.Index) {
			return fmt.Errorf("exchange %d is another agent's", e.Seq)
		}
		if place := e.Seq / n; place < share {
			if p.seen[place/64]>>(place%64)&1 != 0 {
				return fmt.Errorf("exchange %d is there twice", e.Seq)
			}
			p.seen[place/64] |= 1 << (place % 64)
		}
		stands := uint64(1)
		if optional(e) {
			stands = oneIn
		}
		p.sums.Tally.AddTimes(e, stands)
		p.sums.Targets.AddTimes(e, stands)
		p.sums.Seconds.Add(e, stands, maxLag)
		p.written++
		p.last = max(p.last, e.Due, e.Done)
		return nil
	}
	if p.cut {
		run, err := p.dir.rebuild(p.exchanges(see), n)
		if err != nil {
			return fmt.Errorf("the runs cannot be joined: agent %s: %w", p.name, err)
		}
		p.run = run
		return nil
	}
	for _, err := range p.exchanges(see) {
		if err != nil {
			p.warn("%s", endOfFile(fileExchanges, p.written, "exchanges", err))
		}
	}
	if oneIn > 1 {
		p.warn("counts of successes are estimates: one in %d was recorded, and each stands for %d", oneIn, oneIn)
	}
	return nil
}

// exchanges yields the exchanges of the record that see accepts, a frame at a time, so
// that what is counted is what will be copied. It sets frames and tail.
func (p *part) exchanges(see func(*results.Exchange) error) func(yield func(*results.Exchange, error) bool) {
	return func(yield func(*results.Exchange, error) bool) {
		if p.source == nil {
			return
		}
		f := frameReader{in: bufio.NewReader(p.source.file)}
		defer p.source.file.Seek(0, io.SeekStart)
		var e results.Exchange
		for {
			err := f.next()
			if err == io.EOF {
				return
			}
			var text []byte
			if err == nil {
				text, err = p.source.dec.DecodeAll(f.frame.Bytes(), nil)
				if err != nil {
					err = damaged(err)
				}
			}
			rest := text
			for err == nil && len(rest) > 0 {
				line, after, _ := bytes.Cut(rest, []byte("\n"))
				if err = readLine(line, &e); err == nil {
					err = see(&e)
				}
				if err != nil {
					err = damaged(err)
					break
				}
				if !yield(&e, nil) {
					return
				}
				rest = after
			}
			if err != nil {
				p.tail = text[:len(text)-len(rest)]
				yield(nil, fmt.Errorf("%s: %w", p.dir.file(fileExchanges), err))
				return
			}
			p.frames++
		}
	}
}

// misses reports whether no record has the arrival of p's share at the given place, from
// 0, which was due at the given offset.
func (p *part) misses(place uint64, due time.Duration) bool {
	switch {
	case p.whole:
		return false
	case p.run == nil:
		return true
	case p.counted && max(p.run.Recording.SuccessesOneIn, 1) == 1:
		return p.seen[place/64]>>(place%64)&1 == 0
	case p.cut:
		return due > p.last // it may be one that the record left out
	}
	// An agent takes its arrivals in order, and each is over when its run is.
	counts := p.run.Counts
	if !p.counted {
		counts = p.sums.Tally.Counts()
	}
	return place >= counts.Due+counts.WarmUp
}

// next reads the next frame to be copied, and reports whether there is one.
func (p *part) next() bool {
	if p.counted && p.source.read == p.frames {
		return false
	}
	return p.source.next()
}

// inRecord is how many exchanges of the agent are in the joined record. Call it when the
// frames are copied.
func (p *part) inRecord() (uint64, error) {
	switch {
	case p.source == nil:
		return 0, nil
	case p.counted:
		return p.written, nil
	case p.source.only != nil && (p.source.err != io.EOF || p.source.lines != p.run.Recording.Written):
		return 0, fmt.Errorf("agent %s: its record is missing, and the record that was joined before has %d of its %d exchanges (%w)",
			p.name, p.source.lines, p.run.Recording.Written, p.source.err)
	case p.source.err == io.EOF:
		return p.run.Recording.Written, nil
	}
	written, err := countFrames(p.dir.file(fileExchanges), p.source.read)
	p.warn("%s", endOfFile(fileExchanges, written, "exchanges", p.source.err))
	return written, err
}

// setLost says in the agent's figures what is missing of its share; arrivals is the
// number of all agents' arrivals.
func (p *part) setLost(arrivals uint64) {
	if p.missing == 0 {
		p.agent.Lost = nil
		return
	}
	if p.agent.Lost == nil {
		p.agent.Lost = &results.AgentLost{Why: "it stopped before its share was sent", At: p.last.Seconds()}
		switch {
		case p.cut:
			p.agent.Lost.Why = "its run was cut off"
		case p.run != nil && len(p.run.Invalid) > 0:
			p.agent.Lost.Why = p.run.Invalid[0]
		}
		if p.run != nil && !p.cut {
			p.agent.Lost.At = p.run.End.Sub(p.run.Start).Seconds()
		}
	}
	lost := *p.agent.Lost // it is the caller's
	lost.Arrivals, lost.Share = p.missing, float64(p.missing)/float64(arrivals)
	p.agent.Lost = &lost
}

// lostSentence says what is missing of the agent's share.
func (p *part) lostSentence() (says []string) {
	lost := p.agent.Lost
	if lost == nil {
		return nil
	}
	text := fmt.Sprintf("Agent %s was lost after %s (%s). %s (%s of all) are in no record and count as dropped (agent_lost): whether they were sent is not known",
		p.name, results.FormatSeconds(lost.At), lost.Why, results.FormatCount(lost.Arrivals, "arrival"), results.FormatPercent(lost.Share))
	if p.cut && p.run.Recording.SuccessesOneIn > 1 {
		text += fmt.Sprintf(". Its record had one success in %d, so these are the arrivals that were due after its last line, and its counts are estimates", p.run.Recording.SuccessesOneIn)
	}
	return []string{text}
}

// fillDriver sets how late the drivers of a real client were, of all agents whose runs
// ended in order.
func (j *joint) fillDriver(run *results.Run) {
	if run.Driver == nil {
		return
	}
	times := &results.DriverTimes{}
	for _, p := range j.parts {
		if p.sums.Driver != nil {
			times.Merge(p.sums.Driver)
		}
	}
	if times.Late != nil {
		times.Fill(run.Driver)
	}
}

// samples yields the samples of the run as far as they can be read.
func (p *part) samples(yield func(results.Sample) bool) {
	if p.dir == nil {
		return
	}
	var read uint64
	for s, err := range p.dir.Samples() {
		if err != nil {
			if !p.cut && !errors.Is(err, fs.ErrNotExist) { // the document of one that was cut off says it
				p.warn("%s", endOfFile(fileSamples, read, "samples", err))
			}
			return
		}
		if read++; !yield(s) {
			return
		}
	}
}

// unrecorded counts the arrivals that no record has, by the tenths of a second in which
// they were due.
type unrecorded struct {
	due  []uint64 // by the tenth
	sum  uint64   // of those before next
	next int
}

func (m *unrecorded) add(due time.Duration) {
	n := int(max(due, 0) / (100 * time.Millisecond))
	for len(m.due) <= n {
		m.due = append(m.due, 0)
	}
	m.due[n]++
}

// until is how many were due until t, in seconds. t must not fall from call to call.
func (m *unrecorded) until(t float64) uint64 {
	for m.next < len(m.due) && float64(m.next+1)/10 <= t+1e-6 {
		m.sum += m.due[m.next]
		m.next++
	}
	return m.sum
}
