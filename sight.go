package kabench

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/dialers/external"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
	"github.com/kabench/kabench/internal/target"
	"github.com/kabench/kabench/internal/witness"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// sight is who sees what a real client does on its connections: packets, or where they
// cannot be watched the stories of kabench's own servers, or nobody.
type sight struct {
	packets *witness.Witness // nil: packets cannot be watched
	stories witness.Alone
	atClose *results.Durations // set by fill: how long connections had been idle when the server closed them
}

// open begins to look at the connections to t. The error is a warning of the run: not all
// can be seen.
func (s *sight) open(p *profiles.Profile, t *target.Target) (err error) {
	for _, teller := range t.Tellers() {
		teller.Follow()
		s.stories = append(s.stories, teller)
	}
	s.packets, err = witness.Listen(t.Remotes)
	switch {
	case err == nil:
		if secure(t) {
			for _, story := range s.stories {
				s.packets.Hear(story)
			}
		}
		return nil
	case !errors.Is(err, witness.ErrNotAllowed):
		err = fmt.Errorf("packets cannot be watched: %w", err)
	}
	s.packets = nil
	if len(s.stories) > 0 {
		return fmt.Errorf("%w. What happened to requests is what kabench's own server saw: of one that never reached it, only the client's words are known", err)
	}
	return fmt.Errorf("%w. Phases and causes are taken from the client's error texts alone, and how connections were used is not known. Run as root, or with a server of kabench's own", err)
}

// secure reports whether requests go over TLS.
func secure(t *target.Target) bool {
	return slices.ContainsFunc(t.Requests, func(r *dialers.Request) bool { return r.Origin().TLS })
}

// witness returns who can be asked; nil: nobody looks.
func (s *sight) witness() external.Witness {
	switch {
	case s.packets != nil:
		return s.packets
	case len(s.stories) > 0:
		return s.stories
	}
	return nil
}

// close ends looking. What was seen can still be asked for.
func (s *sight) close() {
	if s.packets != nil {
		_ = s.packets.Close()
	}
}

// fill sets what was seen of the idle times of connections in a run that began at epoch.
func (s *sight) fill(run *results.Run, epoch time.Time) {
	if s.packets == nil {
		return
	}
	var atClose results.Durations
	longest := time.Duration(run.Idle.Longest * float64(time.Second))
	for _, c := range s.packets.Conns(epoch) {
		if c.Idle == evidence.NotSeen {
			continue
		}
		longest = max(longest, c.Idle)
		if c.Close.By == evidence.ByServer {
			atClose.Add(c.Idle)
		}
	}
	q := atClose.Quantiles()
	s.atClose = &atClose
	run.Idle.AtPeerClose, run.Idle.Longest = &q, longest.Seconds()
	if lost := s.packets.Lost(); lost > 0 {
		run.Warnings = append(run.Warnings, fmt.Sprintf("%d packets of the client were not seen, because this machine was too busy. The entries about their connections are inferred. Free up CPU or lower load.rate", lost))
	}
}

// measure puts the packets of the failures into the document and the directory.
func (s *sight) measure(r *run) {
	if s.packets == nil {
		return
	}
	kept, shown := target.Observed(r.watch.failures.Kept(), func(conn uint64) []segments.Segment { return s.packets.Packets(r.share.own(conn), r.doc.Start) })
	r.doc.Packets = &results.Packets{
		Seen: s.packets.Seen(), Fates: map[string]uint64{}, Struck: map[string]uint64{}, Closed: []results.Closing{}, Failures: shown,
	}
	if r.record == nil {
		return
	}
	if err := r.record.WritePackets(s.packets.WritePcapng); err != nil {
		r.warnf("the packets are not kept: %v", err)
	}
	if err := r.record.WriteEvidence(kept); err != nil {
		r.warnf("the packets of the failures are not kept: %v", err)
	}
}

// endOf is how a connection of a real client ended, as its packets show it; nil if it is open
// or was never established.
func endOf(c *witness.Conn) *results.ConnectionEnd {
	if c.Close.How == evidence.Open || c.Close.At == results.Never || c.Ready == results.Never {
		return nil
	}
	e := &results.ConnectionEnd{
		Conn: c.N, Opened: max(c.Ready, c.Secured), Ended: c.Close.At, Closed: c.Close.At, Uses: c.Requests, Idle: c.Idle, ServerAt: results.Never, Local: c.Client,
	}
	switch c.Close.How {
	case evidence.FIN:
		e.How = results.HowFIN
	case evidence.RST:
		e.How = results.HowRST
	case evidence.Notify:
		e.How = results.HowCloseNotify
	}
	switch {
	case c.Close.By == evidence.ByClient:
		e.By = results.EndUs
	case e.How == results.HowRST && c.Close.By != evidence.Nobody:
		e.By = results.EndReset
	case c.Close.By == evidence.ByServer:
		e.By = results.EndPeer
	}
	e.Failed = c.Idle == results.Never
	return e
}
