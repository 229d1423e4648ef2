package kabench

import (
	"bytes"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
	"github.com/kabench/kabench/results/text"
)

func printed(t *testing.T, run *results.Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := text.RenderRun(&b, run); err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// Traffic so steady that no connection is idle for long meets no timer, and the run
// says so with the longest it saw.
func TestNoTimerMet(t *testing.T) {
	t.Parallel()
	run, err := Run(t.Context(), load(t, "", "load.rate=200/s", "load.duration=1s", "load.max_lag=0", "load.arrivals=constant", "target.lab={idle_timeout: 20s}"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	i := run.Idle
	if i.AtLease.Count != run.Reuse.Reused || i.AtLease.Count == 0 || i.AtPeerClose == nil || i.AtPeerClose.Count != 0 {
		t.Errorf("%+v, reused %d", i, run.Reuse.Reused)
	}
	if i.AtLease.P50 <= 0 || i.AtLease.P50 > i.AtLease.Max || i.Longest < i.AtLease.Max || i.Longest > run.End.Sub(run.Start).Seconds() {
		t.Errorf("%+v", i)
	}
	if text := printed(t, run); !strings.Contains(text, "No connection was idle for more than "+results.FormatSeconds(i.Longest)+": idle timers above that") {
		t.Errorf("the text does not say that no timer was met:\n%s", text)
	}
}

// A server that closes what is idle for 300 ms meets a pool that asks for less: the
// idle times at its closes are its timer.
func TestIdleTimesAtThePeersClose(t *testing.T) {
	t.Parallel()
	for _, liveness := range []string{"events", "none", "probe"} {
		run, err := Run(t.Context(), load(t, "", "load.rate=2/s", "load.duration=4s", "load.max_lag=0", "load.arrivals=constant", "pool.liveness="+liveness, "target.lab={idle_timeout: 300ms}"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		q := run.Idle.AtPeerClose
		// On a busy machine a close is late, and seen late: not every one on each of 8 connections.
		if q == nil || q.Count == 0 || q.Max < 0.15 || q.Min >= 0.5 || run.Idle.Longest < q.P50 || run.Idle.Longest > run.End.Sub(run.Start).Seconds() {
			t.Errorf("%s: at the peer's close %+v, longest %v", liveness, q, run.Idle.Longest)
			continue
		}
		if text := printed(t, run); strings.Contains(text, "never met") || !strings.Contains(text, "at the peer's close "+results.FormatSeconds(q.P50)) {
			t.Errorf("%s: the text:\n%s", liveness, text)
		}
	}
}

// endsIn is what the record of a run says about the ends of its connections, each of another
// connection.
func endsIn(t *testing.T, dir string) (list []results.ConnectionEnd) {
	t.Helper()
	d, err := record.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]bool{}
	for e, err := range d.Connections() {
		if err != nil {
			t.Fatal(err)
		}
		if seen[e.Conn] {
			t.Errorf("connection %d has ended twice", e.Conn)
		}
		seen[e.Conn] = true
		list = append(list, *e)
	}
	return list
}

// The record says how each connection ended: as often as the document counts, and why the
// server closed, if it is kabench's own, also behind a link or with another client. A
// connection that the pool keeps for too long is closed by the server's timer, and
// one that it does not by ours.
func TestEndsOfConnections(t *testing.T) {
	const server, patient = "target.lab={idle_timeout: 200ms}", "target.lab={idle_timeout: 1h}"
	for name, c := range map[string]struct {
		sets   []string
		by     results.Ender // of the connections that ended before the end of the run
		reason string
		told   bool // the server says why
	}{
		"the server's timer":              {[]string{server}, results.EndPeer, "peer_closed", true},
		"the server's timer over a link":  {[]string{server, "target.link.delay=2ms"}, results.EndPeer, "peer_closed", true},
		"the server's timer over TLS":     {[]string{server, "target.lab.tls=true"}, results.EndPeer, "peer_closed", true},
		"the server's timer and net/http": {[]string{server, "client=stock", "pool=default"}, results.EndPeer, "", true},
		"our timer":                       {[]string{patient, "pool.idle_timeout=40ms", "pool.expiry=timer"}, results.EndUs, "expired", false},
		"our cap of requests":             {[]string{patient, "pool.max_requests=1"}, results.EndUs, "max_requests", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "run")
			run, err := Run(t.Context(), load(t, "", append([]string{"load.rate=3/s", "load.duration=2s", "load.arrivals=constant"}, c.sets...)...), Options{Out: out})
			if err != nil {
				t.Fatal(err)
			}
			var n uint64
			counts, reasons := map[results.Ender]uint64{}, map[string]uint64{}
			for _, e := range endsIn(t, out) {
				n++
				counts[e.By]++
				if e.Reason != "" {
					reasons[e.Reason]++
				}
				if e.Opened < 0 || e.Opened > e.Ended || e.Ended > e.Closed || e.Closed > run.End.Sub(run.Start) || e.Uses == 0 {
					t.Errorf("%+v of a run of %v", e, run.End.Sub(run.Start))
				}
				if e.Reason == "shutdown" || c.reason == "" && e.By == results.EndUs { // the end of the run
					continue
				}
				if e.Idle == results.Never { // a request met the end, on a machine that had stalled
					continue
				}
				if e.By != c.by && e.By != results.EndUnknown || e.Reason != c.reason {
					t.Errorf("by %v, because of %q, idle for %v", e.By, e.Reason, e.Idle)
				}
				if told := e.Server == "idle_timeout" && e.ServerAt > e.Opened && e.ServerAt <= e.Ended; e.By == results.EndPeer && told != c.told {
					t.Errorf("the server says %q at %v; it ended at %v", e.Server, e.ServerAt, e.Ended)
				}
			}
			k := run.Connections
			if n == 0 || n != k.Opened || run.Recording.Connections.Written != n || !maps.Equal(reasons, k.Evictions) {
				t.Errorf("%d ends, because of %v; recording %+v, connections %+v", n, reasons, run.Recording.Connections, k)
			}
			if strings.HasSuffix(name, "TLS") { // a close_notify is no end in the document
				return
			}
			if counts[results.EndUs] != k.ClosedByUs || counts[results.EndPeer] != k.ClosedByPeer || counts[results.EndReset] != k.Reset || counts[results.EndUnknown] != k.Unknown {
				t.Errorf("ended by %v, connections %+v", counts, k)
			}
		})
	}
}
