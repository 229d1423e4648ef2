package witness

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/profiles/network"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// agreement counts how far the two agree.
type agreement struct {
	exchanges, attempts, failures, reused     int
	phase, conn, use, idle, inferred, unknown int
	explained, swapped, lost, unwritten       int
	worst                                     time.Duration // between the two idle times
	differ                                    []string
}

func (a agreement) String() string {
	return fmt.Sprintf("%d exchanges, %d attempts, %d failed, %d on reused connections: phase and cause %d, connection %d, use %d, idle %d within 1 ms (off by %v at most, %d explained to the millisecond); %d inferred, %d of them on another connection, %d with lost packets, %d that left nothing, %d unknown",
		a.exchanges, a.attempts, a.failures, a.reused, a.phase, a.conn, a.use, a.idle, a.worst.Round(time.Microsecond), a.explained, a.inferred, a.swapped, a.lost, a.unwritten, a.unknown)
}

// lateness is how late the client read the response of a connection's use.
type lateness struct {
	use  int
	read time.Duration
}

// compare compares each attempt of each exchange. The client's idle times begin when it has
// read a response and end before it writes a request; on a busy machine it does both
// late. What it was late by is taken off.
func compare(pairs []pair) (a agreement) {
	ours, theirs := map[uint64]uint64{}, map[uint64]uint64{}
	last := map[uint64]lateness{}
	for _, p := range pairs {
		a.exchanges++
		tries := append([]results.Try(nil), p.e.Tries...)
		tries = append(tries, results.Try{Phase: p.e.Phase, Cause: p.e.Cause, Leased: p.e.Leased, Done: p.e.Done, Conn: p.e.Conn, Use: p.e.Use, Idle: p.e.Idle})
		differ := func(format string, args ...any) {
			a.differ = append(a.differ, fmt.Sprintf("%d: ", p.e.Seq)+fmt.Sprintf(format, args...)+fmt.Sprintf("\n\tclient %v/%v conn %d use %d idle %v leased %v first %v done %v: %v\n\twitness %+v", p.e.Phase, p.e.Cause, p.e.Conn, p.e.Use, p.e.Idle, p.e.Leased, p.e.FirstByte, p.e.Done, p.e.Err, p.seen))
		}
		if !p.seen.Seen {
			a.attempts += len(tries)
			a.unknown += len(tries)
			continue
		}
		if len(p.seen.Attempts) == 0 && len(tries) == 1 && p.e.Phase == results.PhaseWriteHeaders && either(p.e.Cause, results.CauseRST) {
			a.attempts++
			a.failures++
			a.unwritten++ // a RST had closed the connection, and a busy client did not know it yet
			continue
		}
		if len(tries) != len(p.seen.Attempts) {
			differ("%d attempts, seen %d", len(tries), len(p.seen.Attempts))
			continue
		}
		for i, try := range tries {
			a.attempts++
			got := p.seen.Attempts[i]
			if try.Phase != results.PhaseDone {
				a.failures++
			}
			if try.Use > 1 {
				a.reused++
			}
			if strings.Contains(got.Why, "packets were lost") {
				a.lost++ // on a busy machine; it says so itself, and may be wrong
				continue
			}
			switch got.Basis {
			case evidence.Inferred:
				a.inferred++
			case evidence.Unknown:
				a.unknown++
				continue
			}
			cause := got.Cause
			if cause == results.CauseNone && got.Phase != results.PhaseDone && try.Cause == results.CauseTimeout {
				cause = results.CauseTimeout // that the client gave up, the wire need not show
			}
			dial := try.Conn == 0 && got.Basis == evidence.Inferred // of several that failed at one time, perhaps another one
			// A busy client gives up what the kernel has already for it.
			missed := try.Cause == results.CauseTimeout && got.Phase == results.PhaseDone && (try.Done-got.Done).Abs() < 250*time.Millisecond
			if got.Phase == try.Phase && (cause == try.Cause || either(cause, try.Cause) || dial) || missed {
				a.phase++
			} else {
				differ("attempt %d: %v/%v, seen %v/%v", i+1, try.Phase, try.Cause, got.Phase, got.Cause)
			}
			if try.Conn == 0 {
				continue
			}
			if mine, known := ours[try.Conn]; !known && theirs[got.Conn] == 0 {
				ours[try.Conn], theirs[got.Conn] = got.Conn, try.Conn
				a.conn++
			} else if mine == got.Conn {
				a.conn++
			} else if got.Basis == evidence.Inferred {
				a.swapped++ // of several that ended alike at one time, another one
				continue
			} else {
				differ("attempt %d: connection %d was %d, is %d", i+1, try.Conn, mine, got.Conn)
			}
			if got.Use == try.Use {
				a.use++
			} else {
				differ("attempt %d: use %d, seen %d", i+1, try.Use, got.Use)
			}
			off := (got.Idle - try.Idle).Abs()
			a.worst = max(a.worst, off)
			if off <= time.Millisecond {
				a.idle++
			}
			before, known := last[got.Conn]
			last[got.Conn] = lateness{got.Use, try.Done - got.Done}
			if got.Began == results.Never {
				continue // nothing of it was on the wire
			}
			if late := before.read + got.Began - try.Leased; known && before.use == got.Use-1 && (got.Idle-try.Idle-late).Abs() > time.Millisecond {
				differ("attempt %d: the client says it was idle for %v, the packets say %v; the client was late by %v", i+1, try.Idle, got.Idle, late)
			} else if known && before.use == got.Use-1 {
				a.explained++
			}
		}
	}
	return a
}

// either reports whether two causes are one event to a client that writes: which of them
// it meets depends on whether its write or its read came first.
func either(a, b results.Cause) bool {
	write := func(c results.Cause) bool { return c == results.CausePipe || c == results.CauseRST }
	return write(a) && write(b)
}

// check fails unless the two agree, wherever the witness knows.
func check(t *testing.T, a agreement, failures, unknown int) {
	t.Helper()
	t.Log(a)
	for i, d := range a.differ {
		if i == 8 {
			t.Errorf("and %d more", len(a.differ)-i)
			break
		}
		t.Error(d)
	}
	if a.unknown > unknown {
		t.Errorf("%d are unknown", a.unknown)
	}
	if a.failures < failures {
		t.Errorf("%d failures, want at least %d for the comparison to mean something", a.failures, failures)
	}
}

// agrees makes a run and checks it. On a busy machine a client may be too late for the race
// that the run is about; then there is another one.
func agrees(t *testing.T, s served, l load, failures int) *Witness {
	t.Helper()
	const most = 4
	for runs := 1; ; runs++ {
		pairs, w := run(t, s, l)
		if a := compare(pairs); a.failures >= failures || runs == most {
			check(t, a, failures, 0)
			return w
		}
	}
}

// bursts are requests whose silences are about as long as a server keeps connections.
func bursts(rate float64, off time.Duration, count uint64) generator.Load {
	return generator.Load{
		Rate: generator.Rate(rate), Count: count, Timeout: 10 * time.Second, Seed: 1,
		Arrivals: generator.Arrivals{Process: generator.Burst, On: 50 * time.Millisecond, Off: off - 10*time.Millisecond, OffMax: off + 10*time.Millisecond, Within: generator.Poisson},
	}
}

func fifo(liveness pool.Liveness) pool.Policy {
	p := pool.Default()
	p.LeaseOrder, p.Liveness = pool.FIFO, liveness
	return p
}

const keeps = 150 * time.Millisecond // how long the servers of the tests keep connections

func TestAgreesInAnIdleRace(t *testing.T) {
	for _, c := range []struct {
		name     string
		server   script.Server
		network  bool
		delay    time.Duration
		liveness pool.Liveness
		off      time.Duration
		failures int
	}{
		{"lo, blind", script.Server{IdleTimeout: keeps}, false, 0, pool.None, keeps, 1},
		{"lo, events", script.Server{IdleTimeout: keeps, Delay: script.Delay{}}, false, 0, pool.Events, keeps, 0},
		{"lo, link", script.Server{IdleTimeout: keeps}, false, 5 * time.Millisecond, pool.Events, keeps, 1},
		{"network", script.Server{IdleTimeout: keeps}, true, 5 * time.Millisecond, pool.Events, keeps, 1},
		{"network, blind", script.Server{IdleTimeout: keeps}, true, 5 * time.Millisecond, pool.None, keeps, 1},
		{"lo, TLS, blind", script.Server{IdleTimeout: keeps, TLS: true}, false, 0, pool.None, keeps, 1},
		{"network, TLS", script.Server{IdleTimeout: keeps, TLS: true}, true, 5 * time.Millisecond, pool.Events, keeps, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			serve := onLoopback
			if c.network {
				serve = inNetwork
			}
			w := agrees(t, serve(t, c.server, c.delay), load{policy: fifo(c.liveness), load: bursts(600, c.off, 150), stories: c.server.TLS}, c.failures)
			if n := w.Lost(); n > 0 {
				t.Errorf("%d packets were lost", n)
			}
		})
	}
}

// A machine on the way forgets idle connections: it says so with a RST, or says nothing.
func TestAgreesBehindAMiddlebox(t *testing.T) {
	for name, flows := range map[string]network.Flows{
		"RST":           {Idle: keeps, Unknown: network.UnknownRST},
		"silent":        {Idle: keeps, Unknown: network.UnknownDrop},
		"RST at expiry": {Idle: keeps, Unknown: network.UnknownRST, AtExpiry: network.ExpiryRST},
	} {
		t.Run(name, func(t *testing.T) {
			s := behind(t, script.Server{}, network.Link{Conditions: network.Conditions{Delay: 2 * time.Millisecond}, Flows: &flows})
			l := load{policy: fifo(pool.Events), load: bursts(400, keeps+20*time.Millisecond, 150)}
			l.load.Timeout = time.Second
			failures := 1
			if flows.AtExpiry == network.ExpiryRST {
				failures = 0 // the client mostly learns of it in time
			}
			agrees(t, s, l, failures)
		})
	}
}

func TestAgreesOnEveryFault(t *testing.T) {
	upload := bytes.Repeat([]byte("x"), 12<<20) // more than the buffers of both kernels hold
	for _, fault := range []script.Server{
		{Fault: script.CloseBeforeResponse}, {Fault: script.ResetBeforeResponse},
		{Fault: script.CloseInHeaders}, {Fault: script.ResetInHeaders},
		{Fault: script.CloseDuringResponse, Body: 1000}, {Fault: script.ResetDuringResponse, Body: 1000},
		{Fault: script.CloseDuringResponse, Body: 1000, Chunked: true}, {Fault: script.ResetDuringResponse, Body: 1000, Chunked: true},
		{Fault: script.Garbage}, {Fault: script.EndlessHeaders}, {Fault: script.EndlessBody}, {Fault: script.EndlessBody, Chunked: true}, {Fault: script.Silent},
		{Fault: script.CloseOnIdle}, {Fault: script.ResetOnIdle}, {Fault: script.CloseOnAccept}, {Fault: script.ResetOnAccept},
		{Fault: script.CloseWhileReading}, {Fault: script.ResetWhileReading},
		{MaxRequests: 3, Body: 100_000, Chunked: true}, {SayClose: true},
	} {
		for _, place := range []struct {
			name  string
			serve func(*testing.T, script.Server, time.Duration) served
		}{{"lo", onLoopback}, {"network", inNetwork}} {
			name := fmt.Sprintf("%v chunked=%v %s", fault.Fault, fault.Chunked, place.name)
			t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
				l := load{policy: pool.Default(), load: generator.Load{Rate: 100, Count: 12, Timeout: 10 * time.Second, Seed: 1, Arrivals: generator.Arrivals{Process: generator.Poisson}}}
				cfg := fault
				if cfg.Fault != script.FaultNone && !cfg.Fault.OnConnection() {
					cfg.FaultOn = 2
				}
				if cfg.Fault.WhileReading() {
					l.method, l.body, l.load.Count, l.load.Rate, l.load.Timeout = "POST", upload, 4, 4, 10*time.Second
				}
				switch cfg.Fault {
				case script.EndlessHeaders, script.EndlessBody:
					l.load.Count, l.load.Timeout = 4, time.Second
				case script.Silent:
					l.load.Timeout = time.Second
				}
				pairs, w := run(t, place.serve(t, cfg, 0), l)
				unknown := 0
				if cfg.Fault == script.EndlessBody {
					unknown = 2 // no ring holds what it sends
				}
				if lost := w.Lost(); lost > 0 && (cfg.Fault.WhileReading() || cfg.Fault == script.EndlessBody) {
					t.Logf("%d packets were lost", lost)
					unknown = len(pairs) // a busy machine reads the ring too late for that many bytes
				}
				check(t, compare(pairs), 0, unknown)
			})
		}
	}
}

// Over TLS the wire shows less: where a response is cut is not known, and a request that
// the server has not read is found by its time.
func TestAgreesOnFaultsOverTLS(t *testing.T) {
	for _, fault := range []script.Server{
		{Fault: script.CloseBeforeResponse}, {Fault: script.ResetBeforeResponse},
		{Fault: script.CloseDuringResponse, Body: 1000}, {Fault: script.ResetDuringResponse, Body: 1000},
		{Fault: script.Silent}, {Fault: script.CloseOnIdle}, {Fault: script.ResetOnIdle},
		{Fault: script.CloseOnAccept}, {Fault: script.ResetOnAccept}, {Fault: script.TLSAlert}, {Fault: script.TLSNoCloseNotify},
		{MaxRequests: 3, Body: 100_000}, {SayClose: true},
	} {
		t.Run(fault.Fault.String(), func(t *testing.T) {
			cfg := fault
			cfg.TLS = true
			if cfg.Fault != script.FaultNone && !cfg.Fault.OnConnection() {
				cfg.FaultOn = 2
			}
			l := load{policy: pool.Default(), stories: true, load: steady(100, 20)}
			l.load.Timeout = 10 * time.Second
			unknown := 0
			if cfg.Fault == script.Silent {
				l.load.Timeout, unknown = time.Second, 20 // on a busy machine some do not get that far
			}
			pairs, _ := run(t, onLoopback(t, cfg, 0), l)
			check(t, compare(pairs), 0, unknown)
		})
	}
}
