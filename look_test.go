package kabench

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
)

// The run's document has the look, and none of its figures has.
func TestRunTellsOfItsLook(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	p := load(t, "quick", "target.lab=null", "target.url="+server.URL, "load.duration=300ms", "load.warm_up=0", "load.rate=20/s", "load.max_lag=0")
	run, err := Run(t.Context(), p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if run.Before == nil || *run.Before != (results.Before{Connections: 1}) {
		t.Errorf("before: %+v", run.Before)
	}
	if run.Sockets.Available && (run.Sockets.TimeWaitPeak != 0 || run.Sockets.TimeWaitServer != 0 || run.Sockets.PortsUsedPeak > int(run.Connections.Opened)) {
		t.Errorf("%d connections opened; %+v", run.Connections.Opened, run.Sockets)
	}
	for _, w := range run.Warnings {
		if strings.Contains(w, "TIME_WAIT before") {
			t.Error(w)
		}
	}
	p = load(t, "quick", "load.duration=100ms", "load.warm_up=0", "load.max_lag=0")
	if run, err = Run(t.Context(), p, Options{}); err != nil || run.Before != nil {
		t.Errorf("with a server of its own: before %+v, %v", run.Before, err)
	}
}
