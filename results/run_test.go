package results

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOutcomeConnection(t *testing.T) {
	for _, tt := range []struct {
		o    Outcome
		want string
	}{
		{Outcome{Phase: PhaseSchedule, Cause: CauseDropped}, "no connection"},
		{Outcome{Phase: PhaseAcquire, Cause: CauseQueueFull}, "no connection"},
		{Outcome{Phase: PhaseResolve, Cause: CauseNXDomain}, "no connection"},
		{Outcome{Phase: PhaseConnect, Cause: CauseRefused}, "no connection"},
		{Outcome{Phase: PhaseTLS, Cause: CauseAlert}, "no connection"},
		{Outcome{Phase: PhaseWriteHeaders, Cause: CauseRST}, "fresh"},
		{Outcome{Phase: PhaseBeforeResponse, Cause: CauseFIN, Reused: true}, "reused"},
		{Outcome{Phase: PhaseDone}, "fresh"},
		{Outcome{Phase: PhaseDone, Reused: true}, "reused"},
	} {
		if got := tt.o.Connection(); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.o, got, tt.want)
		}
	}
}

func TestSocketsAdd(t *testing.T) {
	var k Sockets
	k.Add(&SocketSample{Client: map[string]int{"TIME_WAIT": 4, "ESTABLISHED": 10}, PortsUsed: 14})
	if want := (Sockets{Available: true, TimeWaitPeak: 4, EstablishedPeak: 10, PortsUsedPeak: 14}); k != want {
		t.Errorf("%+v, want %+v", k, want)
	}
	k.Add(&SocketSample{Client: map[string]int{"TIME_WAIT": 2, "CLOSE_WAIT": 3}, Server: map[string]int{"TIME_WAIT": 7}, PortsUsed: 5})
	want := Sockets{Available: true, TimeWaitPeak: 4, TimeWaitServer: 7, ServerSide: true, EstablishedPeak: 10, CloseWaitPeak: 3, PortsUsedPeak: 14}
	if k != want {
		t.Errorf("%+v, want %+v", k, want)
	}
}

// TestServerWithoutSockets: a visible server side without sockets differs from one that
// is not visible, also in samples.ndjson.
func TestServerWithoutSockets(t *testing.T) {
	for seen, server := range map[bool]map[string]int{true: {}, false: nil} {
		text, err := json.Marshal(Sample{Sockets: &SocketSample{Client: map[string]int{}, Server: server}})
		must(t, err)
		var s Sample
		must(t, json.Unmarshal(text, &s))
		var k Sockets
		k.Add(s.Sockets)
		if k.ServerSide != seen {
			t.Errorf("%s: server_side %v, want %v", text, k.ServerSide, seen)
		}
	}
}

func TestCPUPerExchange(t *testing.T) {
	i := Instrument{CPUSeconds: 3}
	i.SetCPUPerExchange(Counts{Due: 12, Started: 10, Dropped: 2, OK: 8, Failed: 1, Unfinished: 1, WarmUp: 5})
	if diff := cmp.Diff(Instrument{CPUSeconds: 3, CPUPerExchange: 0.2}, i); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	i.SetCPUPerExchange(Counts{})
	if i.CPUPerExchange != 0 {
		t.Errorf("%v of no exchange", i.CPUPerExchange)
	}
}
