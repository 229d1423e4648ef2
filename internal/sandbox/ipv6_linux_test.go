package sandbox

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/profiles/network"
)

// ip6 reads a counter of the client's IPv6.
func ip6(t *testing.T, name string) int {
	t.Helper()
	text, err := os.ReadFile("/proc/thread-self/net/snmp6")
	if err != nil {
		t.Skip(err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == name {
			n, _ := strconv.Atoi(fields[1])
			return n
		}
	}
	t.Fatalf("%s is not counted", name)
	return 0
}

// With broken IPv6 a SYN leaves the client and vanishes, while IPv4 works.
func TestBrokenIPv6(t *testing.T) {
	cfg := network.Config{Hosts: []network.Host{{Name: "server"}}, BrokenIPv6: true}
	n := startNetwork(t, cfg)
	port := echo(t, n.Host("server"), 0)
	if got, err := ask(dial(t, n.Addr("server"), port)); err != nil || got != "server" {
		t.Errorf("over IPv4: %q, %v", got, err)
	}
	before := ip6(t, "Ip6OutRequests")
	six := net.JoinHostPort(network.IPv6Of(n.Addr("server")).String(), strconv.Itoa(port))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if conn, err := (&net.Dialer{}).DialContext(ctx, "tcp6", six); !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err) {
		t.Errorf("over IPv6: %v, %v; want no answer", conn, err)
	}
	if sent := ip6(t, "Ip6OutRequests") - before; sent < 1 {
		t.Errorf("%d packets were sent over IPv6", sent)
	}
	if lost := n.Stats().Fates["not_carried"]; lost < 1 {
		t.Errorf("%d packets were not carried", lost)
	}
}

func isTimeout(err error) bool {
	timeout, is := errors.AsType[net.Error](err)
	return is && timeout.Timeout()
}
