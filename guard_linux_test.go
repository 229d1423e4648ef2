package kabench

import (
	"strings"
	"testing"

	"github.com/kabench/kabench/profiles/network"

	"github.com/kabench/kabench/internal/sandbox"
)

// The guard stops a run for real: on the loopback of a namespace with 200 ports,
// by a profile without a network, so that to the run it is the machine it is to
// protect.
func TestGuardStopsARun(t *testing.T) {
	if !aloneInSandbox(t) {
		return
	}
	n, err := sandbox.Start(network.Config{Hosts: []network.Host{{
		Name: network.ClientName, PortRange: [2]int{40000, 40199}, Sysctls: map[string]string{"net.ipv4.tcp_tw_reuse": "0"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	fresh := []string{"pool.max_idle=0", "target.lab={}"} // each request leaves a port in TIME_WAIT
	run := func(sets ...string) (due, opened uint64, valid bool, why string) {
		t.Helper()
		run, err := Run(t.Context(), load(t, "", append(sets, fresh...)...), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if run.Sockets.PortsAvailable != 200 || !run.Counts.Balance() || run.Interrupted {
			t.Fatalf("%+v, %+v", run.Sockets, run.Counts)
		}
		return run.Counts.Due, run.Connections.Opened, run.Valid, strings.Join(run.Invalid, "; ")
	}
	// From 101 taken ports on, and they last for 200: the guard has two seconds to
	// see it, and the schedule goes on for twelve more.
	due, opened, valid, why := run("load.rate=50/s", "load.count=800")
	if valid || !strings.Contains(why, "stopped to protect this machine: ") || !strings.Contains(why, " of its 200 ephemeral ports towards the target were in use") {
		t.Errorf("not stopped: %q", why)
	}
	if due < 101 || due >= 800 || opened < 101 {
		t.Errorf("%d requests were due and %d connections opened", due, opened)
	}
	// However fast they go: at 500/s half of the ports are gone within a fifth of a second.
	_, opened, valid, why = run("load.rate=500/s", "load.count=4000", "load.max_lag=0")
	if valid || !strings.Contains(why, "stopped to protect this machine: ") || opened > 150 {
		t.Errorf("%d connections opened, where 101 of 200 ports are the limit: %q", opened, why)
	}
	// Told to, it goes on until there are no more.
	due, _, _, why = run("load.rate=1000/s", "load.count=400", "target.allow_port_exhaustion=true")
	if due != 400 || strings.Contains(why, "stopped") {
		t.Errorf("with allow_port_exhaustion %d of 400 were due: %q", due, why)
	}
}
