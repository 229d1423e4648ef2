package expect

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
)

func docs(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/results.md")
	must(t, err)
	return string(text)
}

// section is the text under one heading of docs, up to the next heading.
func section(t *testing.T, docs, heading string) string {
	t.Helper()
	_, text, found := strings.Cut(docs, "\n"+heading+"\n")
	if !found {
		t.Errorf("docs/results.md has no section %q", heading)
	}
	if end := regexp.MustCompile(`(?m)^#`).FindStringIndex(text); end != nil {
		text = text[:end[0]]
	}
	return text
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

// tabled lists the names in the first column of a section's table. A name that begins
// with a dot has the same prefix as the name before it.
func tabled(section string) []string {
	var names []string
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			continue
		}
		last := ""
		for _, span := range codeSpan.FindAllStringSubmatch(cells[1], -1) {
			name := span[1]
			if strings.HasPrefix(name, ".") {
				name = last[:max(strings.LastIndex(last, "."), 0)] + name
			}
			names = append(names, name)
			last = name
		}
	}
	return names
}

// aRun is a run in which every path has a value.
func aRun() *results.Run {
	run := filled(tallied(append(mixed(1000), aborted(1001))), 2500*ms)
	run.Complete, run.Valid = true, true
	run.Connections = results.Connections{Opened: 30, ClosedByUs: 12, ClosedByPeer: 17, Reset: 1, MaxOpen: 10,
		Evictions: map[string]uint64{"expired": 12, "peer_closed": 17, "reset": 1}}
	run.Pool = results.PoolPeaks{PeakPending: 4, PeakLeased: 10, PeakIdle: 10, PeakDialing: 3}
	run.Sockets = results.Sockets{Available: true, TimeWaitPeak: 12, TimeWaitServer: 17, ServerSide: true, EstablishedPeak: 10,
		PortsUsedPeak: 22, PortsAvailable: 28232}
	run.Lab = &results.LabSeen{Connections: 30, Requests: 990, ClosedIdle: 17, ClosedFirst: 18, ClientClosed: 12}
	return run
}

const ms = time.Millisecond

// done is an exchange that went well: due every 2.5 ms, started 50 µs late,
// answered after 3 ms, on a connection of ten.
func done(seq uint64) *results.Exchange {
	e := &results.Exchange{}
	due := time.Duration(seq) * 2500 * time.Microsecond
	e.Reset(seq, due)
	e.Start = due + 50*time.Microsecond
	e.Leased = due + 60*time.Microsecond
	e.WroteHeaders = due + 90*time.Microsecond
	e.Wrote = e.WroteHeaders
	e.FirstByte = due + 2900*time.Microsecond
	e.GotHeaders = due + 2950*time.Microsecond
	e.Done = due + 3*ms
	e.Conn, e.Use = seq%10+1, int(seq/10)+1
	if e.Use > 1 {
		e.Idle, e.Age = 22*ms, 25*ms*time.Duration(e.Use-1)
	}
	e.Attempts, e.Phase, e.Status, e.BytesOut, e.BytesIn = 1, results.PhaseDone, 200, 120, 340
	return e
}

var errEOF = errors.New(`read tcp 127.0.0.1:40211->127.0.0.1:80: "EOF"`)

// stale is an exchange that met the peer's FIN.
func stale(seq uint64) *results.Exchange {
	e := done(seq)
	e.FirstByte, e.GotHeaders = results.Never, results.Never
	e.Done = e.Due + 5*ms
	e.Use, e.Idle, e.Age = 7, 998*ms, 3*time.Second
	e.Phase, e.Cause, e.Status, e.BytesIn, e.Err = results.PhaseBeforeResponse, results.CauseFIN, 0, 0, errEOF
	return e
}

// resent is an exchange that met the peer's RST, and was answered on a fresh
// connection. It is a POST.
func resent(seq uint64) *results.Exchange {
	e := stale(seq)
	e.Phase, e.Cause, e.Done = results.PhaseBeforeResponse, results.CauseRST, e.Due+2050*time.Microsecond
	e.Again()
	e.Twice = true
	e.Leased, e.Connected = e.Due+2060*time.Microsecond, e.Due+2100*time.Microsecond
	e.WroteHeaders = e.Due + 2150*time.Microsecond
	e.Wrote = e.WroteHeaders
	e.FirstByte, e.GotHeaders, e.Done = e.Due+4900*time.Microsecond, e.Due+4950*time.Microsecond, e.Due+5*ms
	e.Conn, e.Use, e.Attempts, e.Phase, e.Status, e.BytesOut, e.BytesIn = 11, 1, 2, results.PhaseDone, 200, 240, 340
	return e
}

// resentInVain is an exchange whose attempts all failed: two met the peer's FIN, and
// the third got no connection.
func resentInVain(seq uint64) *results.Exchange {
	e := stale(seq)
	e.Again()
	e.Leased, e.Conn, e.Use, e.Idle = e.Due+5*ms, 4, 2, ms
	e.Phase, e.Cause, e.Done, e.Err = results.PhaseBeforeResponse, results.CauseFIN, e.Due+6*ms, errEOF
	e.Again()
	e.Attempts, e.Done, e.Phase, e.Cause, e.Err = 2, e.Due+7*ms, results.PhaseConnect, results.CauseRefused, errors.New("connection refused")
	return e
}

// refused is an exchange that got no connection.
func refused(seq uint64) *results.Exchange {
	e := &results.Exchange{}
	e.Reset(seq, time.Duration(seq)*2500*time.Microsecond)
	e.Start = e.Due + 100*time.Microsecond
	e.Done = e.Start + 20*time.Microsecond
	e.Phase, e.Cause, e.Err = results.PhaseAcquire, results.CauseQueueFull, errors.New("pending queue is full (max 32)")
	return e
}

func dropped(seq uint64) *results.Exchange {
	e := &results.Exchange{}
	e.Reset(seq, time.Duration(seq)*2500*time.Microsecond)
	e.Cause = results.CauseDropped
	return e
}

func aborted(seq uint64) *results.Exchange {
	e := done(seq)
	e.FirstByte, e.GotHeaders, e.Phase, e.Cause, e.Status, e.BytesIn = results.Never, results.Never, results.PhaseBeforeResponse, results.CauseAborted, 0, 0
	return e
}

// mixed returns the n exchanges of a short run: most succeed, and some are of each
// other kind.
func mixed(n int) []*results.Exchange {
	var list []*results.Exchange
	for seq := range uint64(n) {
		switch {
		case seq%50 == 49:
			list = append(list, stale(seq))
		case seq%100 == 10:
			list = append(list, dropped(seq))
		case seq%100 == 20:
			list = append(list, refused(seq))
		case seq%100 == 30:
			e := done(seq)
			e.Status = 503
			list = append(list, e)
		default:
			list = append(list, done(seq))
		}
	}
	return list
}

// must is for steps that fail only if the test itself is wrong.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func tallied(list []*results.Exchange) *results.Tally {
	t := &results.Tally{}
	for _, e := range list {
		t.Add(e)
	}
	return t
}

func filled(t *results.Tally, measured time.Duration) *results.Run {
	run := &results.Run{}
	t.Fill(run, measured)
	return run
}
