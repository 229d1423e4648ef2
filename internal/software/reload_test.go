package software

import (
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/internal/sandbox"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// reloadable starts a server and returns its address and what reloads it.
type reloadable func(t *testing.T) (addr string, reload func())

// A server that closes idle connections when it is reloaded under load: nginx and HAProxy
// have the signature of the lab. What fails is what leaves within a round trip around the
// close, about 450/s x 50 ms = 22 requests, each on a connection that was kept, at any idle
// age; the server closed it first.
func TestReloadClosesIdle(t *testing.T) {
	for name, start := range map[string]reloadable{"nginx": nginxReload, "haproxy": haproxyReload(""), "lab": labReload(script.CloseIdle)} {
		t.Run(name, func(t *testing.T) {
			run := reloadedUnderLoad(t, start)
			for _, o := range run.Outcomes {
				if o.Failed() && (!o.Reused || o.Phase != results.PhaseBeforeResponse || o.Cause != results.CauseFIN && o.Cause != results.CauseRST) {
					t.Errorf("an outcome that no reload explains: %+v", o)
				}
			}
			if run.Counts.Failed < 3 || run.Connections.ClosedByPeer < 10 {
				t.Fatalf("%d failed; %+v", run.Counts.Failed, run.Connections)
			}
			t.Logf("%d of %d failed, at an idle age of at most %.0f ms; the server closed %d connections first",
				run.Counts.Failed, run.Counts.Started, 1000*run.IdleAtFailure.Max, run.Connections.ClosedByPeer)
		})
	}
}

// A server that announces its reload, as HAProxy does with idle-close-on-response and the
// lab: no request fails, and responses say close.
func TestReloadAnnounced(t *testing.T) {
	for name, start := range map[string]reloadable{"haproxy": haproxyReload("option idle-close-on-response"), "lab": labReload(script.Announce)} {
		t.Run(name, func(t *testing.T) {
			run := reloadedUnderLoad(t, start)
			said := run.Connections.Evictions["server_said_close"]
			if run.Counts.Failed != 0 || said < 10 {
				t.Errorf("%d connections said close; %+v", said, run.Outcomes)
			}
			t.Logf("none of %d failed; responses on %d connections said close", run.Counts.Started, said)
		})
	}
}

// reloadedUnderLoad is a run over a round trip of 50 ms. After half of it the server is
// reloaded. The rate falls, so that connections are idle then.
func reloadedUnderLoad(t *testing.T, start reloadable) *results.Run {
	t.Helper()
	addr, reload := start(t)
	p := profile(t, "", "target.url=http://"+addr+"/", "target.link.delay=25ms",
		"load.rate=600/s", "load.arrivals={process: ramp, to: 300/s}", "load.duration=3s", "load.warm_up=0s",
		"pool.lease_order=fifo", "pool.idle_timeout=0s")
	reloading := make(chan struct{})
	timer := time.AfterFunc(1500*time.Millisecond, func() { defer close(reloading); reload() })
	run, err := kabench.Run(t.Context(), p, kabench.Options{})
	if !timer.Stop() {
		<-reloading
	}
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func labReload(how script.Reload) reloadable {
	return func(t *testing.T) (string, func()) {
		s, err := lab.Start(script.Server{Reload: how}, "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s.Addr(), func() { s.Reload() }
	}
}

// nginxReload reloads as `nginx -s reload` does.
func nginxReload(t *testing.T) (string, func()) {
	addr, log := nginxWith(t, 1, `keepalive_timeout 75s; keepalive_requests 100000; server { listen %s; location / { return 200 "hello\n"; } }`)
	config := filepath.Join(filepath.Dir(log), "nginx.conf")
	return addr, func() {
		if out, err := exec.Command(program(t, "nginx", "nginx-light"), "-s", "reload", "-c", config, "-e", log).CombinedOutput(); err != nil {
			t.Errorf("nginx -s reload: %v: %s", err, out)
		}
	}
}

// haproxyReload reloads as a service does: a new process takes over with -sf.
func haproxyReload(option string) reloadable {
	return func(t *testing.T) (string, func()) {
		path, addr := program(t, "haproxy", "haproxy"), freeAddr(t)
		config := write(t, t.TempDir(), "haproxy.cfg", fmt.Sprintf(`
global
	nbthread 1
	maxconn 1000
defaults
	mode http
	timeout client 50s
	timeout server 50s
	timeout connect 5s
	timeout http-keep-alive 50s
	%s
frontend front
	bind %s
	http-request return status 200 content-type text/plain string hello
`, option, addr))
		old := exec.Command(path, "-db", "-f", config)
		launchCmd(t, "", []string{addr}, old)
		return addr, func() {
			launchCmd(t, "", []string{addr}, exec.Command(path, "-db", "-f", config, "-sf", fmt.Sprint(old.Process.Pid)))
		}
	}
}

// A server that a real HAProxy drains keeps its connections: requests go on there, no new
// connection comes, and none fails. So does a backend of kabench's balancer that leaves. Of
// 600 requests 200 are due before.
func TestHAProxyDrainKeepsConnections(t *testing.T) {
	var servers [2]*lab.Server
	for i := range servers {
		s, err := lab.Start(script.Server{Delay: script.Delay{A: 20 * time.Millisecond}}, "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		servers[i] = s
	}
	socket := filepath.Join(t.TempDir(), "haproxy.sock")
	addr := haproxyWith(t, fmt.Sprintf(`	stats socket %s level admin
defaults
	mode tcp
	timeout client 50s
	timeout server 50s
	timeout connect 5s
frontend front
	bind %%s
	default_backend back
backend back
	balance roundrobin
	server old %s
	server new %s disabled
`, socket, servers[0].Addr(), servers[1].Addr()))
	p := profile(t, "", "target.url=http://"+addr+"/", "load.rate=200/s", "load.duration=3s", "load.warm_up=0s",
		"pool.lease_order=fifo", "pool.idle_timeout=0s")
	var drained lab.Seen
	draining := make(chan struct{})
	timer := time.AfterFunc(time.Second, func() {
		defer close(draining)
		haproxySays(t, socket, "enable server back/new")
		haproxySays(t, socket, "set server back/old state drain")
		drained = servers[0].Seen()
	})
	run, err := kabench.Run(t.Context(), p, kabench.Options{})
	if !timer.Stop() {
		<-draining
	}
	if err != nil {
		t.Fatal(err)
	}
	end := servers[0].Seen()
	kept := end.Requests - drained.Requests
	if run.Counts.Failed != 0 || kept < 50 || end.Connections > drained.Connections {
		t.Errorf("after the drain: %d requests, %d connections; %+v", kept, end.Connections-drained.Connections, run.Outcomes)
	}
	t.Logf("HAProxy: after the drain %d requests came to the server, and no connection", kept)

	if err := sandbox.Available(); err != nil {
		lacking(t, "a private network ("+err.Error()+")", "uidmap")
	}
	file := write(t, t.TempDir(), "drain.yaml", `
name: drain
load: {rate: 200/s, arrivals: constant, duration: 3s, warm_up: 0s, max_lag: 0s}
pool: {lease_order: fifo, idle_timeout: 0s}
network:
  hosts: [{name: old}, {name: new}]
  balancers: [{name: balancer, backends: [old, new], choose: round_robin, joins: {new: drain}, leaves: {old: drain}}]
events: {drain: 1s}
target: {lab: {delay: 20ms}}
`)
	out, err := exec.Command(built(t), "run", file, "--json", "--out", "none").Output()
	if err != nil {
		t.Fatal(err)
	}
	var emulated results.Run
	if err := json.Unmarshal(out, &emulated); err != nil {
		t.Fatal(err)
	}
	if emulated.Counts.Failed != 0 || emulated.Lab.Hosts["old"] < 250 {
		t.Errorf("%+v, %v", emulated.Outcomes, emulated.Lab.Hosts)
	}
	t.Logf("kabench's balancer: %d of %d requests came to the server that left", emulated.Lab.Hosts["old"], emulated.Lab.Requests)
}

// haproxySays gives a command to a running HAProxy.
func haproxySays(t *testing.T, socket, command string) {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	fmt.Fprintln(conn, command)
	reply := make([]byte, 1000)
	n, _ := conn.Read(reply) // nothing is success
	if text := strings.TrimSpace(string(reply[:n])); text != "" {
		t.Errorf("%s: %s", command, text)
	}
}
