package kabench

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/kabench/kabench/internal/sandbox"
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
