package external

import (
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/wording"
	"github.com/kabench/kabench/results"
)

const ms = time.Millisecond

// attempt is one that was seen whole, and ended like this.
func attempt(phase results.Phase, cause results.Cause, status int) Attempt {
	return Attempt{Conn: 1, Use: 2, Began: 10 * ms, Sent: 11 * ms, First: results.Never, Done: 20 * ms, Opened: results.Never, Ready: results.Never,
		Secured: results.Never, Status: status, Phase: phase, Cause: cause, Basis: evidence.Seen}
}

func says(list ...wording.Outcome) words { return list }

var (
	closedBefore = wording.Outcome{Phase: results.PhaseBeforeResponse, Cause: results.CauseFIN}
	queueFull    = wording.Outcome{Phase: results.PhaseAcquire, Cause: results.CauseQueueFull}
	refused      = wording.Outcome{Phase: results.PhaseConnect, Cause: results.CauseRefused}
	timedOut     = wording.Outcome{Phase: results.PhaseBeforeResponse, Cause: results.CauseTimeout}
	brokenPipe   = wording.Outcome{Phase: results.PhaseWriteBody, Cause: results.CausePipe}
)

// The rule of truth: what was seen decides, and words decide only what no wire can show.
func TestDecide(t *testing.T) {
	failure := &Error{Class: "E", Text: "e"}
	done, fin, open := attempt(results.PhaseDone, results.CauseNone, 200), attempt(results.PhaseBeforeResponse, results.CauseFIN, 0), attempt(results.PhaseBeforeResponse, results.CauseNone, 0)
	reset := attempt(results.PhaseBeforeResponse, results.CauseRST, 0)
	cut := attempt(results.PhaseDuringResponse, results.CauseTruncated, 200)
	seen := func(all ...Attempt) Sight { return Sight{Seen: true, Attempts: all} }
	for name, c := range map[string]struct {
		told   told
		sight  Sight
		phase  results.Phase
		cause  results.Cause
		tries  int
		differ bool
		unseen bool
	}{
		"a response":                       {told{status: 200}, seen(done), results.PhaseDone, results.CauseNone, 0, false, false},
		"a response at the second attempt": {told{status: 200}, seen(fin, done), results.PhaseDone, results.CauseNone, 1, false, false},
		"a response that never was":        {told{status: 200}, seen(), results.PhaseAcquire, results.CauseOther, 0, false, true},
		"another status":                   {told{status: 500}, seen(done), results.PhaseDone, results.CauseNone, 0, false, true},
		"a status that was not sent":       {told{status: 200}, seen(open), results.PhaseBeforeResponse, results.CauseOther, 0, false, true},
		"a response that was cut":          {told{status: 200}, seen(cut), results.PhaseDuringResponse, results.CauseTruncated, 0, true, false},
		"a response whose end is not yet seen": {told{status: 200}, seen(attempt(results.PhaseDuringResponse, results.CauseNone, 200)),
			results.PhaseDone, results.CauseNone, 0, false, false},

		"the same in words":      {told{err: failure, said: says(closedBefore)}, seen(fin), results.PhaseBeforeResponse, results.CauseFIN, 0, false, false},
		"other words":            {told{err: failure, said: says(closedBefore)}, seen(reset), results.PhaseBeforeResponse, results.CauseRST, 0, true, false},
		"a write after a reset":  {told{err: failure, said: says(brokenPipe)}, seen(reset), results.PhaseBeforeResponse, results.CauseRST, 0, false, false},
		"unknown words":          {told{err: failure}, seen(fin), results.PhaseBeforeResponse, results.CauseFIN, 0, false, false},
		"the second of outcomes": {told{err: failure, said: says(timedOut, closedBefore)}, seen(fin), results.PhaseBeforeResponse, results.CauseFIN, 0, false, false},

		"a full queue":                       {told{err: failure, said: says(queueFull)}, seen(), results.PhaseAcquire, results.CauseQueueFull, 0, false, false},
		"no connection for the next attempt": {told{err: failure, said: says(refused)}, seen(fin), results.PhaseConnect, results.CauseRefused, 1, false, false},
		"a full queue although it was sent":  {told{err: failure, said: says(queueFull)}, seen(open), results.PhaseBeforeResponse, results.CauseQueueFull, 0, true, false},
		"closed, and nothing was sent":       {told{err: failure, said: says(closedBefore)}, seen(), results.PhaseAcquire, results.CauseOther, 0, true, false},
		"a write on a dead connection":       {told{err: failure, said: says(brokenPipe)}, seen(), results.PhaseWriteHeaders, results.CauseRST, 0, false, false},
		"nothing was sent in time":           {told{err: failure, late: true}, seen(), results.PhaseAcquire, results.CauseTimeout, 0, false, false},

		"the client gave up":           {told{err: failure, said: says(timedOut)}, seen(open), results.PhaseBeforeResponse, results.CauseTimeout, 0, false, false},
		"it gave up, in unknown words": {told{err: failure, late: true}, seen(open), results.PhaseBeforeResponse, results.CauseTimeout, 0, false, false},
		"it gave up before the end":    {told{err: failure, said: says(timedOut), finished: 15 * ms}, seen(done), results.PhaseBeforeResponse, results.CauseTimeout, 0, false, false},
		"it did not like the response": {told{err: failure, finished: 25 * ms}, seen(done), results.PhaseDuringResponse, results.CauseOther, 0, false, false},
		"closed, and it was not":       {told{err: failure, said: says(closedBefore), finished: 25 * ms}, seen(done), results.PhaseBeforeResponse, results.CauseFIN, 0, true, false},

		"aborted":                {told{how: byAbort}, seen(open), results.PhaseBeforeResponse, results.CauseAborted, 0, false, false},
		"aborted, never sent":    {told{how: byAbort}, seen(), results.PhaseAcquire, results.CauseAborted, 0, false, false},
		"silence about the done": {told{how: bySilence}, seen(done), results.PhaseDuringResponse, results.CauseTimeout, 0, false, false},
		"silence":                {told{how: bySilence}, seen(), results.PhaseAcquire, results.CauseTimeout, 0, false, false},
		"death":                  {told{how: byDeath}, seen(open), results.PhaseBeforeResponse, results.CauseOther, 0, false, false},

		"nobody looked":                {told{status: 200}, Sight{}, results.PhaseDone, results.CauseNone, 0, false, false},
		"nobody looked; an error":      {told{err: failure, said: says(closedBefore)}, Sight{}, results.PhaseBeforeResponse, results.CauseFIN, 0, false, false},
		"nobody looked; unknown words": {told{err: failure}, Sight{}, results.PhaseBeforeResponse, results.CauseOther, 0, false, false},
		"nobody looked; silence":       {told{how: bySilence}, Sight{}, results.PhaseBeforeResponse, results.CauseTimeout, 0, false, false},
	} {
		v := decide(c.told, c.sight)
		if v.phase != c.phase || v.cause != c.cause || len(v.tries) != c.tries || (v.differ != "") != c.differ || (v.unseen != "") != c.unseen {
			t.Errorf("%s: %v / %v, %d tries, differ %q, unseen %q", name, v.phase, v.cause, len(v.tries), v.differ, v.unseen)
		}
		if (v.phase == results.PhaseDone) != (v.cause == results.CauseNone) {
			t.Errorf("%s: %v with cause %v", name, v.phase, v.cause)
		}
	}
}

// A record's stamps are in order, whatever the clocks say, and its attempts are there.
func TestFill(t *testing.T) {
	e := &Engine{methods: []string{"POST"}, bodies: []int64{10}}
	x := &results.Exchange{}
	x.Reset(3, 0)
	x.Start = 12 * ms // after the first attempt began, by another clock
	first, second := attempt(results.PhaseBeforeResponse, results.CauseRST, 0), attempt(results.PhaseDone, results.CauseNone, 200)
	second.Conn, second.Use, second.Opened, second.Ready = 2, 1, 21*ms, 22*ms
	second.Began, second.Sent, second.First, second.Done = 23*ms, 24*ms, 30*ms, 31*ms
	sight := Sight{Seen: true, Attempts: []Attempt{first, second}}
	told := told{status: 200, finished: 29 * ms}
	e.fill(x, told, decide(told, sight), sight)
	if len(x.Tries) != 1 || x.Attempts != 2 || !x.Twice || x.Conn != 2 || x.Use != 1 || x.BytesOut != 20 {
		t.Errorf("%+v", x)
	}
	last := x.Start
	for _, stamp := range []time.Duration{x.Tries[0].Leased, x.Tries[0].Done, x.Leased, x.Connected, x.WroteHeaders, x.Wrote, x.FirstByte, x.GotHeaders, x.Done} {
		if stamp < last {
			t.Errorf("%v after %v: %+v", stamp, last, x)
		}
		last = stamp
	}
	if x.Leased != 21*ms || x.Connected != 22*ms || x.Secured != results.Never {
		t.Errorf("%+v", x)
	}
}

// Texts that differ in numbers only are one kind of error.
func TestErrorKinds(t *testing.T) {
	s := seen{errors: map[string]*results.DriverError{}}
	for i := range uint64(3) {
		f := &flight{record: &results.Exchange{Seq: i}}
		told := told{err: &Error{Class: "E", Text: "port " + strings.Repeat("4", int(i+1))}}
		s.note(f, told, decide(told, Sight{}), Sight{})
	}
	for i := range 2 * maxErrors {
		f := &flight{record: &results.Exchange{Seq: 9}}
		told := told{err: &Error{Class: "E" + strings.Repeat("x", i), Text: "e"}}
		s.note(f, told, decide(told, Sight{}), Sight{})
	}
	if len(s.errors) != maxErrors+1 {
		t.Error(len(s.errors))
	}
	r := reader{client: "reactor-netty"}
	o := r.read(&Error{Class: "reactor.netty.http.client.PrematureCloseException", Text: "Connection prematurely closed BEFORE response"})
	if len(o) == 0 || o[0] != closedBefore {
		t.Error(o)
	}
	if o := r.read(&Error{Class: "x.Y", Text: "gibberish of no client"}); len(o) != 0 {
		t.Error(o)
	}
}
