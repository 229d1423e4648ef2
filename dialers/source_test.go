package dialers

import (
	"context"
	"net/netip"
	"sync"
	"syscall"
	"testing"

	"github.com/kabench/kabench/internal/transport"
	"github.com/kabench/kabench/results"
)

func ips(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func TestSourcesTakeTurnsWithinTheirFamily(t *testing.T) {
	d := &Dialer{Sources: ips("127.0.0.2", "fd00::2", "127.0.0.3")}
	four, six := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("fd00::1")
	for i, want := range ips("127.0.0.2", "127.0.0.3", "127.0.0.2", "127.0.0.3") {
		if got, ok := d.source(four); !ok || got != want {
			t.Errorf("connection %d comes from %v, want %v", i, got, want)
		}
		if got, ok := d.source(six); !ok || got != d.Sources[1] {
			t.Errorf("to %v from %v, want %v", six, got, d.Sources[1])
		}
	}
	if got, _ := d.source(netip.MustParseAddr("::ffff:127.0.0.1")); got != d.Sources[0] {
		t.Errorf("a mapped address is met from %v, want %v", got, d.Sources[0])
	}
	if got, ok := (&Dialer{}).source(four); ok {
		t.Errorf("without sources %v", got)
	}
	if got, ok := (&Dialer{Sources: ips("fd00::2")}).source(four); ok {
		t.Errorf("to IPv4 from %v", got)
	}
}

func TestSourcesAreSharedEvenly(t *testing.T) {
	d := &Dialer{Sources: ips("127.0.0.2", "127.0.0.3", "127.0.0.4")}
	var mu sync.Mutex
	seen := map[netip.Addr]int{}
	var wg sync.WaitGroup
	for range 9 {
		wg.Go(func() {
			for range 10 {
				s, _ := d.source(netip.MustParseAddr("127.0.0.1"))
				mu.Lock()
				seen[s]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for _, s := range d.Sources {
		if seen[s] != 30 {
			t.Errorf("%v: %d of 90", s, seen[s])
		}
	}
}

// A name is looked up as if it had no addresses of a family without a source.
func TestResolveLeavesOutFamiliesWithoutASource(t *testing.T) {
	d := &Dialer{Sources: ips("127.0.0.2")}
	if got, err := d.resolve(context.Background(), Origin{Host: "127.0.0.1", Port: "80"}, nil); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	_, err := d.resolve(context.Background(), Origin{Host: "::1", Port: "80"}, nil)
	if CauseOf(err) != results.CauseNXDomain {
		t.Errorf("%v is %v", err, CauseOf(err))
	}
}

// An address that is gone is not a port that is lacking, though the kernel says
// EADDRNOTAVAIL of both.
func TestLostSourceIsNotAnExhaustedPort(t *testing.T) {
	lost := &DialError{results.PhaseConnect, &transport.SourceError{Source: netip.MustParseAddr("192.0.2.1"), Err: syscall.EADDRNOTAVAIL}}
	if phase, cause := Classify(Facts{Dial: lost}); phase != results.PhaseConnect || cause != results.CauseUnreachable {
		t.Errorf("%v/%v", phase, cause)
	}
	if cause := CauseOf(&DialError{results.PhaseConnect, syscall.EADDRNOTAVAIL}); cause != results.CausePortExhausted {
		t.Errorf("a connect without a port is %v", cause)
	}
}
