package kabench

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/kabench/kabench/internal/sandbox"
	"github.com/kabench/kabench/results"
)

// aloneInSandbox runs the test that calls it by itself in a namespace of its own; it
// reports whether this is there.
func aloneInSandbox(t *testing.T) bool {
	t.Helper()
	if sandbox.Inside() {
		return true
	}
	needSandbox(t)
	var out bytes.Buffer
	code, err := sandbox.Reexec(t.Context(), []string{os.Args[0], "-test.run=^" + t.Name() + "$", "-test.v"}, sandbox.Stdio{Out: &out, Err: &out})
	if err != nil || code != 0 || !strings.Contains(out.String(), "--- PASS: "+t.Name()) {
		t.Fatalf("exit code %d, %v:\n%s", code, err, &out)
	}
	return false
}

// A run whose network broke says so, and is invalid.
func TestBrokenNetwork(t *testing.T) {
	t.Parallel()
	if !aloneInSandbox(t) {
		return
	}
	p := networked(t, "name: n\nload: {rate: 100/s, duration: 3s, timeout: 1s}\nnetwork: {hosts: [{name: server}]}\ntarget: {lab: {}}")
	cut := sync.OnceFunc(func() {
		links, err := netlink.LinkList()
		if err != nil {
			t.Error(err)
		}
		for _, l := range links {
			if strings.HasPrefix(l.Attrs().Name, "kab") {
				if err := netlink.LinkDel(l); err != nil {
					t.Error(err)
				}
			}
		}
	})
	run, err := Run(t.Context(), p, Options{Progress: func(Progress) { cut() }})
	if err != nil {
		t.Fatal(err)
	}
	if run.Valid || !strings.Contains(strings.Join(run.Invalid, "\n"), "the private network broke before the run was over: the wire broke: ") {
		t.Errorf("valid %v, %q; %+v", run.Valid, run.Invalid, run.Counts)
	}
}

// An event of the profile comes at its time: the rule that waits for it strikes between its
// events, and not before or after.
func TestEventsComeInARun(t *testing.T) {
	t.Parallel()
	if !aloneInSandbox(t) {
		return
	}
	p := networked(t, `name: n
load: {rate: 50/s, arrivals: constant, duration: 3s, warm_up: 0s, timeout: 300ms}
pool: {idle_timeout: 0s}
network:
  hosts: [{name: server}]
  links: [{between: [client, server], rules: [{name: silence, after: cut, until: mended}]}]
events: {cut: 1s, mended: 2s}
target: {lab: {}}`)
	var failed []time.Duration
	run, err := Run(t.Context(), p, Options{Failure: func(e *results.Exchange) {
		failed = append(failed, e.Due)
	}})
	if err != nil {
		t.Fatal(err)
	}
	if run.Packets.Struck["client-server: silence"] == 0 || len(failed) < 20 || run.Counts.OK < 60 {
		t.Errorf("struck %v, failed %v, %+v", run.Packets.Struck, failed, run.Counts)
	}
	for _, due := range failed {
		if due < 500*time.Millisecond || due > 2500*time.Millisecond {
			t.Errorf("a request due at %v failed", due)
		}
	}
}

// With a user timeout, a peer that vanishes ends the connection soon: the kernel's
// ETIMEDOUT, which is no timeout of kabench's own.
func TestUserTimeout(t *testing.T) {
	t.Parallel()
	if !aloneInSandbox(t) {
		return
	}
	for _, client := range []string{"policy", "stock"} {
		p := networked(t, `name: n
load: {rate: 20/s, arrivals: constant, duration: 1500ms, warm_up: 0s, max_lag: 0}
pool: {idle_timeout: 0s}
network:
  hosts: [{name: server}]
  links: [{between: [client, server], rules: [{after: cut, until: mended}]}]
events: {cut: 500ms, mended: 1s}
target: {method: POST, lab: {}, tcp: {user_timeout: 300ms}} # net/http sends a GET again
client: `+client)
		var mu sync.Mutex
		reused := 0
		run, err := Run(t.Context(), p, Options{Failure: func(e *results.Exchange) {
			mu.Lock()
			defer mu.Unlock()
			if e.Cause != results.CauseTimeout || !errors.Is(e.Err, syscall.ETIMEDOUT) {
				t.Errorf("%s: %v/%v: %v", client, e.Phase, e.Cause, e.Err)
			}
			if e.Phase == results.PhaseBeforeResponse && e.Reused() {
				reused++
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if reused == 0 || run.Counts.OK == 0 {
			t.Errorf("%s: %+v, %+v", client, run.Counts, run.Outcomes)
		}
	}
}
