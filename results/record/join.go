package record

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record/join"
)

// Part is the directory of one agent's run, to be joined with the others'.
type Part struct {
	Agent results.Agent
	Dir   string // "": nothing survived
}

// Joined is the run that the runs of several agents are together.
type Joined struct {
	// Run has what can be known by joining; it is not judged, and has no Expect.
	Run *results.Run
	// Tally has counted every exchange.
	Tally *results.Tally

	dir string
}

// Join writes into dir the records, the samples and the latency log of the run that parts
// are together, and returns its document. It copies the
// frames of the records, and decodes only records of agents that were killed.
//
// schedule is every arrival of the run that was due until it ended, as an offset from
// its start, in order; the one numbered i belongs to agent i modulo the number of parts.
// Arrivals of an agent that ended early are recorded as dropped, with the cause
// agent_lost, unless its record has them; the agent's Lost says how many. measured is
// the length of the run without its warm-up.
//
// Join may be called again for the same dir, also after it was killed: it writes the
// same files again, each completely or not at all. The record of a part whose run ended in
// order may have been removed since (DropExchanges): then it is taken from dir's.
func Join(dir string, parts []Part, schedule func(yield func(time.Duration) bool), warmUp, measured time.Duration) (*Joined, error) {
	j := &joint{dir: dir, schedule: schedule, warmUp: warmUp, measured: measured}
	if err := j.open(parts); err != nil {
		return nil, err
	}
	defer j.close()
	for _, p := range j.parts {
		if err := p.read(dir, uint64(len(parts))); err != nil {
			return nil, err
		}
	}
	if !slices.ContainsFunc(j.parts, func(p *part) bool { return p.dir != nil }) {
		return nil, errors.New("the runs cannot be joined: nothing survived of any agent's run")
	}
	for range schedule {
		j.arrivals++
	}
	if err := j.rebuild(); err != nil {
		return nil, err
	}
	j.findMissing()
	for _, write := range []func() error{j.writeSamples, j.writeLatencyLog, j.writeExchanges, j.writeConnections, j.writeProfile} {
		if err := write(); err != nil {
			return nil, err
		}
	}
	return &Joined{Run: j.document(), Tally: &j.tally, dir: dir}, nil
}

// Close writes run as run.json into the directory that was joined, completely or not at all.
func (j *Joined) Close(run *results.Run) error { return writeDocument(j.dir, fileRun, run) }

// joint is a Join that goes on.
type joint struct {
	dir              string
	schedule         func(yield func(time.Duration) bool)
	warmUp, measured time.Duration
	parts            []*part // by their agents' indices

	arrivals uint64 // in the schedule
	missing  unrecorded
	peaks    join.Peaks
	tally    results.Tally
	seconds  results.Seconds
	written  uint64 // exchanges in the joined record
}

// open finds the parts' directories.
func (j *joint) open(parts []Part) error {
	j.parts = make([]*part, len(parts))
	for _, given := range parts {
		i := given.Agent.Index
		if i < 0 || i >= len(parts) || j.parts[i] != nil {
			return fmt.Errorf("the runs cannot be joined: there are %d agents, and one of them, or two, have the index %d", len(parts), i)
		}
		p := &part{agent: given.Agent, name: join.Name(&given.Agent)}
		if j.parts[i] = p; given.Dir == "" {
			continue
		}
		d, err := Open(given.Dir)
		if errors.Is(err, ErrNotARun) {
			p.warn("nothing of its run survived: %s holds no record", filepath.Base(given.Dir))
			continue
		}
		if err != nil {
			return err
		}
		p.dir = d
	}
	if err := os.MkdirAll(j.dir, 0o755); err != nil {
		return fmt.Errorf("the runs cannot be joined: %w", err)
	}
	return nil
}

func (j *joint) close() {
	for _, p := range j.parts {
		if p.source != nil {
			p.source.file.Close()
			p.source.dec.Close()
		}
	}
}

// findMissing decides which agents have not sent their whole share, and finds the
// arrivals that no record has.
func (j *joint) findMissing() {
	// If each agent that is not lost was stopped, the run was, and nobody is to blame for
	// what was not due any more.
	stopped := !slices.ContainsFunc(j.parts, func(p *part) bool { return p.agent.Lost == nil && !p.cut && p.run != nil && !p.run.Interrupted })
	for _, p := range j.parts {
		p.whole = stopped && p.agent.Lost == nil && !p.cut && p.run != nil
	}
	for seq, due := range j.numbered {
		if p := j.partOf(seq); p.misses(seq/uint64(len(j.parts)), due) {
			p.missing++
			j.missing.add(due)
		}
	}
	for _, p := range j.parts {
		p.setLost(j.arrivals)
	}
}

// numbered yields the schedule with the number of each arrival.
func (j *joint) numbered(yield func(uint64, time.Duration) bool) {
	seq := uint64(0)
	for due := range j.schedule {
		if !yield(seq, due) {
			return
		}
		seq++
	}
}

// partOf is the part to which an arrival was dealt.
func (j *joint) partOf(seq uint64) *part { return j.parts[seq%uint64(len(j.parts))] }

// document is the document of the joined run.
func (j *joint) document() *results.Run {
	parts := make([]join.Part, len(j.parts))
	for i, p := range j.parts {
		parts[i] = join.Part{Agent: p.agent, Run: p.run}
		parts[i].Fill()
		parts[i].Agent.Warnings = append(parts[i].Agent.Warnings, p.warnings...)
	}
	run := join.Figures(parts, j.peaks)
	for _, p := range parts {
		run.Agents = append(run.Agents, p.Agent)
	}
	run.Recording.Written = j.written
	j.tally.Fill(run, j.measured)
	j.fillIdle(run)
	j.fillTargets(run)
	j.fillDriver(run)
	run.Instrument.Schedule = j.seconds.Kept(j.warmUp + j.measured)
	if m := run.Instrument.Machine; m != nil {
		m.Saturated = min(max(m.Saturated, j.seconds.Saturated()), m.Seconds)
	}
	run.Instrument.SetCPUPerExchange(run.Counts)
	for _, p := range j.parts {
		run.Warnings = append(run.Warnings, p.lostSentence()...)
	}
	return run
}

// fillIdle sets how long connections had been idle when the peer closed them, if every
// agent that is not lost saw it.
func (j *joint) fillIdle(run *results.Run) {
	var all results.Durations
	seen := false
	for _, p := range j.parts {
		switch {
		case p.sums.AtPeerClose != nil:
			all.Merge(p.sums.AtPeerClose)
			seen = true
		case p.run != nil && !p.cut && p.run.Idle.AtPeerClose != nil: // its tally.json is missing
			return
		}
	}
	if seen {
		q := all.Quantiles()
		run.Idle.AtPeerClose = &q
	}
}

// fillTargets sets the figures of each target, if there are several.
func (j *joint) fillTargets(run *results.Run) {
	var all *results.ByTarget
	for _, p := range j.parts {
		if p.sums.Targets == nil {
			continue
		}
		if all == nil {
			all = p.sums.Targets.Empty()
		}
		if err := all.Merge(p.sums.Targets); err != nil {
			run.Warnings = append(run.Warnings, fmt.Sprintf("agent %s: its figures of each target are left out: %v", p.name, err))
		}
	}
	all.Fill(run)
}

// writeProfile copies an agent's profile, if dir has none yet.
func (j *joint) writeProfile() error {
	path := filepath.Join(j.dir, fileProfile)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, p := range j.parts {
		if p.dir == nil {
			continue
		}
		if text, err := readDocument(p.dir.file(fileProfile)); err == nil {
			return writeWhole(j.dir, fileProfile, text)
		}
	}
	return nil
}

// writeSamples joins the samples.
func (j *joint) writeSamples() error {
	var sources []join.Source
	for _, p := range j.parts {
		sources = append(sources, join.Source{Network: p.agent.Network, Samples: p.samples})
	}
	return j.grow(fileSamples, func(f *appendFile) (err error) {
		j.peaks = join.Samples(sources, j.missing.until, func(s results.Sample) bool {
			err = f.appendJSON(s)
			return err == nil
		})
		return err
	})
}

// writeLatencyLog joins the latency logs.
func (j *joint) writeLatencyLog() error {
	var logs []*logReader
	var start time.Time
	for _, p := range j.parts {
		if p.run == nil {
			continue
		}
		if _, err := os.Stat(p.dir.file(FileLatency)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if start.IsZero() {
			start = p.run.Start.Add(-time.Duration(p.agent.Clock.Offset * float64(time.Second)))
		}
		logs = append(logs, &logReader{part: p})
	}
	return j.grow(FileLatency, func(f *appendFile) error { return joinLogs(f, start, logs) })
}

// writeExchanges copies the frames of the records, by the time of their first exchange,
// and appends the arrivals that no record has.
func (j *joint) writeExchanges() error {
	return j.grow(fileExchanges, func(f *appendFile) error {
		ahead := make([]*part, 0, len(j.parts))
		for _, p := range j.parts {
			if p.source != nil && p.next() {
				ahead = append(ahead, p)
			}
		}
		for len(ahead) > 0 {
			first := 0
			for i, p := range ahead {
				if p.source.at < ahead[first].source.at {
					first = i
				}
			}
			p := ahead[first]
			if err := f.append(p.source.frames.frame.Bytes()); err != nil {
				return err
			}
			if !p.next() {
				ahead = slices.Delete(ahead, first, first+1)
			}
		}
		for _, p := range j.parts {
			written, err := p.inRecord()
			if err != nil {
				return err
			}
			j.written += written
		}
		w, err := newFrameWriter(f)
		if err != nil {
			return err
		}
		for _, p := range j.parts {
			w.add(p.tail)
			if err := w.close(); err != nil { // a frame has exchanges of one agent
				return err
			}
		}
		j.addMissing(w)
		return w.close()
	})
}

// addMissing writes the arrivals that no record has, and counts them.
func (j *joint) addMissing(w *frameWriter) {
	var e results.Exchange
	var line []byte
	for seq, due := range j.numbered {
		p := j.partOf(seq)
		if p.missing == 0 || !p.misses(seq/uint64(len(j.parts)), due) {
			continue
		}
		e.Reset(seq, due)
		e.WarmUp, e.Cause = due < j.warmUp, results.CauseAgentLost
		line = appendLine(line[:0], &e)
		w.add(line)
		j.tally.Add(&e)
		j.seconds.Add(&e, 1, 0)
		j.written++
	}
}

// joining ends the name of a file that is not complete yet.
const joining = ".joining"

// grow writes a file of dir by pieces. The file gets its name when it is complete and
// on the disk.
func (j *joint) grow(name string, write func(*appendFile) error) error {
	path := filepath.Join(j.dir, name)
	if err := os.Remove(path + joining); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("writing %s: %w", name, withoutPath(err))
	}
	f, err := createAppend(path+joining, &growing{})
	if err != nil {
		return fmt.Errorf("writing %s: %w; free space or choose another --out", name, withoutPath(err))
	}
	f.name = name
	buffered := bufio.NewWriterSize(f.file, 1<<20)
	f.out = buffered
	err = write(f)
	err = cmp.Or(err, buffered.Flush())
	err = cmp.Or(err, f.file.Sync())
	err = cmp.Or(err, f.close())
	if err == nil {
		err = os.Rename(path+joining, path)
	}
	if err != nil {
		_ = os.Remove(path + joining)
		return fmt.Errorf("%s: %w; free space and join again with 'kabench fleet collect %s'", j.dir, withoutPath(err), j.dir)
	}
	syncDir(j.dir)
	return nil
}

// DropExchanges removes the record of exchanges of an agent's run, which a joined record
// has. The record of a run that was cut off stays, because nothing else describes that run.
func DropExchanges(dir string) error {
	d := &Dir{path: dir}
	if _, err := os.Stat(d.file(fileRun)); err != nil {
		return nil
	}
	if err := os.Remove(d.file(fileExchanges)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the record of an agent: %w", err)
	}
	return nil
}
