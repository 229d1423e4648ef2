package collectors

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
)

func TestTracerLines(t *testing.T) {
	var b bytes.Buffer
	tr := NewTracer(&b, 1)
	ms := time.Millisecond
	tr.Begin("run 1 of 2, incident")
	for _, e := range []dialers.TraceEvent{
		{State: dialers.Registered, Text: "http://127.0.0.1:80"},
		{At: 250 * time.Microsecond, State: dialers.Connected, Took: 250 * time.Microsecond},
		{At: ms, State: dialers.Configured, Use: 1, On: true},
		{At: ms, State: dialers.RequestPrepared, Text: "GET", Bytes: 102, On: true},
		{At: ms, State: dialers.RequestSent, Bytes: 102, On: true},
		{At: 1001 * ms, State: dialers.ResponseReceived, Status: 200, Took: time.Second, On: true},
		{At: 1001 * ms, State: dialers.ResponseCompleted, Bytes: 142, On: true},
		{At: 1001 * ms, State: dialers.Disconnecting, On: true},
		{At: 1001 * ms, State: dialers.Idle},
		{At: 1500 * ms, State: dialers.Acquired, Took: 499 * ms, On: true, Seq: 7},
		{At: 1600 * ms, State: dialers.ResetByPeer, On: true, Seq: 7},
		{At: 1600 * ms, State: dialers.RequestFailed, Phase: results.PhaseBeforeResponse, Cause: results.CauseRST, On: true, Seq: 7},
		{At: 1600 * ms, State: dialers.ResponseIncomplete, Phase: results.PhaseDuringResponse, Cause: results.CauseFIN, On: true, Seq: 7},
		{At: 4002*ms + 1, State: dialers.ClosedByPeer, Cause: results.CauseCloseNotify, Took: 3001 * ms},
		{At: 4003 * ms, State: dialers.Unregistered, Reason: pool.PeerClosed, First: dialers.CloserUs},
		{At: 4003 * ms, State: dialers.Unregistered}, // by a pool that does not say why
	} {
		e.Conn, e.Port = 1, 40211
		tr.Add(e)
	}
	tr.Add(dialers.TraceEvent{At: 5 * time.Second, State: dialers.ConnectFailed, Text: "http://127.0.0.1:80", Phase: results.PhaseConnect, Cause: results.CauseRefused})
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	want := `# run 1 of 2, incident
   0.000000  conn 1    port 40211 exchange -      registered  http://127.0.0.1:80
   0.000250  conn 1    port 40211 exchange -      connected  after 250µs
   0.001000  conn 1    port 40211 exchange 0      configured  use 1
   0.001000  conn 1    port 40211 exchange 0      request_prepared  GET, 102 B
   0.001000  conn 1    port 40211 exchange 0      request_sent  102 B
   1.001000  conn 1    port 40211 exchange 0      response_received  200 after 1s
   1.001000  conn 1    port 40211 exchange 0      response_completed  142 B
   1.001000  conn 1    port 40211 exchange 0      disconnecting
   1.001000  conn 1    port 40211 exchange -      idle
   1.500000  conn 1    port 40211 exchange 7      acquired  idle for 499ms
   1.600000  conn 1    port 40211 exchange 7      reset by peer
   1.600000  conn 1    port 40211 exchange 7      request_failed  before_response/rst
   1.600000  conn 1    port 40211 exchange 7      response_incomplete  during_response/fin
   4.002000  conn 1    port 40211 exchange -      closed by peer  by close_notify, idle for 3.001s
   4.003000  conn 1    port 40211 exchange -      unregistered  peer_closed, closed first by us
   4.003000  conn 1    port 40211 exchange -      unregistered
   5.000000  conn -    port -     exchange -      connect failed  http://127.0.0.1:80: connect/refused
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Each run shows its first connections, and says how many there were beside.
func TestTracerIsBounded(t *testing.T) {
	var b bytes.Buffer
	tr := NewTracer(&b, 2)
	for _, run := range []struct {
		title string
		conns []uint64 // 0: a dial that failed
	}{{"one", []uint64{1, 2, 3, 2, 4, 4}}, {"two", []uint64{1, 0, 0, 0, 3}}, {"three", []uint64{2}}} {
		tr.Begin(run.title)
		for _, n := range run.conns {
			tr.Add(dialers.TraceEvent{State: dialers.Idle, Conn: n})
		}
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(b.String()) {
		fields := strings.Fields(line)
		if fields[0] == "#" {
			got = append(got, strings.Join(fields[1:min(len(fields), 4)], " "))
		} else {
			got = append(got, fields[2])
		}
	}
	want := []string{"one", "1", "2", "2", "2 more connections", "two", "1", "-", "-", "2 more connections", "three", "2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// stuck is a writer that takes nothing until it is released.
type stuck struct {
	bytes.Buffer
	begun chan struct{} // closed by the first write
	goOn  chan struct{}
	first bool
}

func (s *stuck) Write(b []byte) (int, error) {
	if !s.first {
		s.first = true
		close(s.begun)
	}
	<-s.goOn
	return s.Buffer.Write(b)
}

// A writer that hangs holds nobody up: what does not fit is counted, and said.
func TestTracerNeverWaits(t *testing.T) {
	w := &stuck{begun: make(chan struct{}), goOn: make(chan struct{})}
	tr := NewTracer(w, 1)
	tr.limit = 3
	event := dialers.TraceEvent{State: dialers.Idle, Conn: 1}
	tr.Add(event)
	<-w.begun
	for range 10 {
		tr.Add(event)
	}
	close(w.goOn)
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(w.String(), "idle"); lines != 4 || !strings.Contains(w.String(), "# 7 lines are missing") {
		t.Errorf("%d lines of 11:\n%s", lines, w.String())
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestTracerTellsOfTheWritersError(t *testing.T) {
	tr := NewTracer(broken{}, 1)
	tr.Add(dialers.TraceEvent{Conn: 1})
	if err := tr.Close(); err == nil || err.Error() != "no space left" {
		t.Error(err)
	}
}

func BenchmarkTracerAdd(b *testing.B) {
	tr := NewTracer(&bytes.Buffer{}, 1)
	defer tr.Close()
	b.ReportAllocs()
	for b.Loop() {
		tr.Add(dialers.TraceEvent{State: dialers.Idle, Conn: 1})
	}
}
