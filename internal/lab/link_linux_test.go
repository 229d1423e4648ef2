package lab

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/lab/labtest"
	"github.com/kabench/kabench/internal/lab/story"
)

// inTimeWait reports whether the socket of local towards remote is in TIME_WAIT.
func inTimeWait(t *testing.T, local, remote net.Addr) bool {
	t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Skip(err)
	}
	row := fmt.Sprintf(" %s %s 06 ", hexAddr(local), hexAddr(remote))
	return strings.Contains(string(table), row)
}

func hexAddr(addr net.Addr) string {
	tcp := addr.(*net.TCPAddr)
	return fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(tcp.IP.To4()), tcp.Port)
}

// TIME_WAIT is on the side that closed first, on both legs.
func TestLinkTimeWait(t *testing.T) {
	for _, first := range []story.Side{story.ByServer, story.ByClient} {
		c, s, _ := accept(t, 5*time.Millisecond)
		one, other := s, c
		if first == story.ByClient {
			one, other = c, s
		}
		one.Close()
		other.Ends(io.EOF)
		other.Close()
		for _, leg := range []struct{ client, server net.Addr }{
			{c.LocalAddr(), c.RemoteAddr()}, // between client and link
			{s.RemoteAddr(), s.LocalAddr()}, // between link and server
		} {
			holder, peer := leg.client, leg.server
			if first == story.ByServer {
				holder, peer = leg.server, leg.client
			}
			labtest.Eventually(t, "TIME_WAIT where it belongs", func() bool { return inTimeWait(t, holder, peer) })
			if inTimeWait(t, peer, holder) {
				t.Errorf("%s closed first: TIME_WAIT on the other side too", first)
			}
		}
	}
}

// When both close before they hear of it, both hold one: each on its leg.
func TestLinkTimeWaitOfBoth(t *testing.T) {
	delay := 100 * time.Millisecond
	c, s, _ := accept(t, delay)
	for {
		begin := time.Now()
		c.Close()
		s.Close()
		if time.Since(begin) < delay {
			break
		}
		delay *= 4 // one of them may have heard in time
		c, s, _ = accept(t, delay)
	}
	labtest.Eventually(t, "TIME_WAIT at the client", func() bool { return inTimeWait(t, c.LocalAddr(), c.RemoteAddr()) })
	labtest.Eventually(t, "TIME_WAIT at the server", func() bool { return inTimeWait(t, s.LocalAddr(), s.RemoteAddr()) })
}
