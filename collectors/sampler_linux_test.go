package collectors

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
)

// Real sockets towards a real listener, seen from both sides.
func TestSamplerSeesSockets(t *testing.T) {
	// An address few others use: towards 127.0.0.1 there may be sockets in
	// TIME_WAIT from other tests, even at the port the kernel picks.
	l, err := net.Listen("tcp4", fmt.Sprintf("127.%d.%d.%d:0", 1+rand.N(250), rand.N(250), 1+rand.N(250)))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const conns = 5
	var last results.Sample
	src := still(func(s results.Sample) error { last = s; return nil })
	src.Remotes = []netip.AddrPort{netip.MustParseAddrPort(l.Addr().String())}
	s := NewSampler(src)
	for range conns {
		c, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	s.Start(time.Now())
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	var run results.Run
	s.Fill(&run)
	if why := run.Sockets.Why; why != "" {
		if os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	k := run.Sockets
	if !k.Available || !k.ServerSide || k.EstablishedPeak != conns || k.PortsUsedPeak != conns || k.PortsAvailable < conns {
		t.Errorf("%+v", k)
	}
	if last.Sockets == nil || last.Sockets.Client["ESTABLISHED"] != conns || last.Sockets.Server["ESTABLISHED"] != conns {
		t.Errorf("%+v", last.Sockets)
	}
}
