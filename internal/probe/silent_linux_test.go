package probe

import (
	"bytes"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/sandbox"
	"github.com/kabench/kabench/profiles/network"
)

// aloneInSandbox runs the test that calls it by itself in a network namespace of its own;
// it reports whether this is there.
func aloneInSandbox(t *testing.T) bool {
	t.Helper()
	if sandbox.Inside() {
		return true
	}
	if err := sandbox.Available(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	var out bytes.Buffer
	code, err := sandbox.Reexec(t.Context(), []string{os.Args[0], "-test.run=^" + t.Name() + "$", "-test.v"}, sandbox.Stdio{Out: &out, Err: &out})
	if err != nil || code != 0 || !strings.Contains(out.String(), "--- PASS: "+t.Name()) {
		t.Fatalf("exit code %d, %v:\n%s", code, err, &out)
	}
	return false
}

// overNetwork probes a server behind a link.
func overNetwork(t *testing.T, link network.Link, keep time.Duration, o Options) (*Result, error) {
	t.Helper()
	link.Between = [2]string{network.ClientName, "server"}
	net, err := sandbox.Start(network.Config{Hosts: []network.Host{{Name: "server"}}, Links: []network.Link{link}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { net.Close() })
	ln, err := net.Host("server").Listen(t.Context(), "tcp4", ":80")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NotFoundHandler(), IdleTimeout: keep}
	go server.Serve(ln)
	t.Cleanup(func() { server.Close() })
	at := netip.AddrPortFrom(net.Addr("server"), 80)
	target, err := Resolve(t.Context(), Request{URL: "http://" + at.String() + "/"})
	if err != nil {
		t.Fatal(err)
	}
	return Run(t.Context(), target, o)
}

// A middlebox that forgets connections is found by requests that are never acknowledged,
// or met by its RST.
func TestMiddleboxThatForgets(t *testing.T) {
	t.Parallel()
	if !aloneInSandbox(t) {
		return
	}
	looksAt = []time.Duration{time.Second, 3 * time.Second}
	for how, unknown := range map[evidence.Kind]network.Unknown{evidence.Silent: network.UnknownDrop, evidence.RST: network.UnknownRST} {
		t.Run(how.String(), func(t *testing.T) {
			link := network.Link{Conditions: network.Conditions{Delay: 2 * time.Millisecond}, Flows: &network.Flows{Idle: 2 * time.Second, Unknown: unknown}}
			r, err := overNetwork(t, link, time.Hour, Options{Limit: 30 * time.Second})
			site, s := one(t, r, err)
			f := s.Forgets
			if f == nil || f.How != how || f.Count < enoughLost {
				t.Fatalf("forgets %+v; %s", f, s.Sentence())
			}
			if f.After < 500*time.Millisecond || f.After > 2*time.Second || f.Until < 2*time.Second {
				t.Errorf("forgotten between %v and %v", f.After, f.Until)
			}
			if site.Ended != "kept connections were forgotten on the way" || r.Took > 20*time.Second {
				t.Errorf("ended %q after %v", site.Ended, r.Took)
			}
		})
	}
}

// On a long way, the late requests still meet the timer: they leave a round trip sooner.
func TestFarServer(t *testing.T) {
	t.Parallel()
	if !aloneInSandbox(t) {
		return
	}
	link := network.Link{Conditions: network.Conditions{Delay: 40 * time.Millisecond}}
	r, err := overNetwork(t, link, time.Second, Options{})
	site, s := one(t, r, err)
	if s.RoundTrip.Median < 80*time.Millisecond || s.RoundTrip.Median > 200*time.Millisecond {
		t.Errorf("the round trip is %v", s.RoundTrip.Median)
	}
	met := map[string]int{}
	for _, l := range site.Late {
		met[l.Met]++
	}
	if met["response"] == 0 || met["fin"]+met["rst"] < 3 {
		t.Errorf("late requests met %v", met)
	}
	if s.Keeping != evidence.KeepsUntilIdle || s.Idle.Closes < 20 || s.Idle.Median < time.Second {
		t.Errorf("%s", s.Sentence())
	}
}
