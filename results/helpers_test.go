package results

import (
	"errors"
	"testing"
	"time"
)

const ms = time.Millisecond

// done is an exchange that went well: due every 2.5 ms, started 50 µs late,
// answered after 3 ms, on a connection of ten.
func done(seq uint64) *Exchange {
	e := &Exchange{}
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
	e.Attempts, e.Phase, e.Status, e.BytesOut, e.BytesIn = 1, PhaseDone, 200, 120, 340
	return e
}

var errEOF = errors.New(`read tcp 127.0.0.1:40211->127.0.0.1:80: "EOF"`)

// stale is an exchange that met the peer's FIN.
func stale(seq uint64) *Exchange {
	e := done(seq)
	e.FirstByte, e.GotHeaders = Never, Never
	e.Done = e.Due + 5*ms
	e.Use, e.Idle, e.Age = 7, 998*ms, 3*time.Second
	e.Phase, e.Cause, e.Status, e.BytesIn, e.Err = PhaseBeforeResponse, CauseFIN, 0, 0, errEOF
	return e
}

// looked is a stale exchange whose connection the kernel was asked about: the
// FIN came after it was leased, and segments had been lost on it before.
func looked(seq uint64) *Exchange {
	e := stale(seq)
	e.AtLease = &TCPInfo{
		State: "ESTABLISHED", RTT: 10100 * time.Microsecond, RTTVar: 900 * time.Microsecond, TotalRetrans: 2,
		SinceSent: 998 * ms, SinceReceived: 988 * ms, BytesAcked: 721, BytesReceived: 2040,
	}
	e.AtFailure = &TCPInfo{
		State: "CLOSE_WAIT", RTT: 10100 * time.Microsecond, RTTVar: 900 * time.Microsecond, Unacked: 1, Retransmits: 1, TotalRetrans: 3,
		SinceSent: 5 * ms, SinceReceived: 993 * ms, BytesAcked: 721, BytesReceived: 2041,
	}
	return e
}

// resent is an exchange that met the peer's RST, and was answered on a fresh
// connection. It is a POST.
func resent(seq uint64) *Exchange {
	e := stale(seq)
	e.Phase, e.Cause, e.Done = PhaseBeforeResponse, CauseRST, e.Due+2050*time.Microsecond
	e.Again()
	e.Twice = true
	e.Leased, e.Connected = e.Due+2060*time.Microsecond, e.Due+2100*time.Microsecond
	e.WroteHeaders = e.Due + 2150*time.Microsecond
	e.Wrote = e.WroteHeaders
	e.FirstByte, e.GotHeaders, e.Done = e.Due+4900*time.Microsecond, e.Due+4950*time.Microsecond, e.Due+5*ms
	e.Conn, e.Use, e.Attempts, e.Phase, e.Status, e.BytesOut, e.BytesIn = 11, 1, 2, PhaseDone, 200, 240, 340
	return e
}

// resentInVain is an exchange of which no attempt came to anything: two met the
// peer's FIN, and for the third there was no connection.
func resentInVain(seq uint64) *Exchange {
	e := stale(seq)
	e.Again()
	e.Leased, e.Conn, e.Use, e.Idle = e.Due+5*ms, 4, 2, ms
	e.Phase, e.Cause, e.Done, e.Err = PhaseBeforeResponse, CauseFIN, e.Due+6*ms, errEOF
	e.Again()
	e.Attempts, e.Done, e.Phase, e.Cause, e.Err = 2, e.Due+7*ms, PhaseConnect, CauseRefused, errors.New("connection refused")
	return e
}

// refused is an exchange that got no connection.
func refused(seq uint64) *Exchange {
	e := &Exchange{}
	e.Reset(seq, time.Duration(seq)*2500*time.Microsecond)
	e.Start = e.Due + 100*time.Microsecond
	e.Done = e.Start + 20*time.Microsecond
	e.Phase, e.Cause, e.Err = PhaseAcquire, CauseQueueFull, errors.New("pending queue is full (max 32)")
	return e
}

func dropped(seq uint64) *Exchange {
	e := &Exchange{}
	e.Reset(seq, time.Duration(seq)*2500*time.Microsecond)
	e.Cause = CauseDropped
	return e
}

func aborted(seq uint64) *Exchange {
	e := done(seq)
	e.FirstByte, e.GotHeaders, e.Phase, e.Cause, e.Status, e.BytesIn = Never, Never, PhaseBeforeResponse, CauseAborted, 0, 0
	return e
}

// mixed is a short run's exchanges: n well, and some of every other kind.
func mixed(n int) []*Exchange {
	var list []*Exchange
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

// begun is a document as known when a run begins.
func begun() *Run {
	return &Run{
		Version: "v0.1.0", Name: "idle-race", Question: "How many requests meet a connection the server is closing?",
		Start:   time.Date(2026, 3, 1, 12, 0, 0, 123e6, time.UTC),
		Profile: []byte(`{"name":"idle-race","load":{"rate":"400/s","duration":"1m0s","warm_up":"0s","max_lag":"50ms"},"target":{"url":"http://127.0.0.1:8080/","method":"POST"}}`),
		Host:    Host{OS: "linux", Arch: "amd64", Kernel: "6.1", CPUs: 2, GoVersion: "go1.26"},
	}
}

// must is for what cannot fail unless the test is wrong.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
