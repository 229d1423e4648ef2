package host

import (
	"net"
	"testing"
)

// Each connect that is answered counts, on both sides of a loopback.
func TestReadCountersCount(t *testing.T) {
	before, err := ReadCounters()
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	const n = 5
	for range n {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	after, err := ReadCounters()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"TcpActiveOpens", "TcpOutSegs"} {
		if after[name] < before[name]+n { // others' connections count too
			t.Errorf("%s went from %d to %d, want %d more at least", name, before[name], after[name], n)
		}
	}
}
