package segments

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// What follows for the server is the same from the client's and from the server's view.
func TestServerOfSegments(t *testing.T) {
	for name, beginning := range map[string]string{"client": atClient, "server": atServer} {
		var all []evidence.Connection
		v := NewLives(func(c *evidence.Connection) { all = append(all, *c) }, nil)
		for n := range 20 {
			text := beginning
			done := 31
			if name == "server" {
				done = 26
			}
			for i := range n % 3 {
				at := done + 1000*(i+1)
				text += fmt.Sprintf("%d c P. GET\n%d s P. OK\n%d c .\n", at-5, at, at+5)
				done = at
			}
			text += fmt.Sprintf("%d s F.\n%d c F.\n%d s .", done+5000, done+5010, done+5020)
			for _, s := range story(t, text, [2]uint32{1, 1}) {
				port := uint16(20000 + n)
				if s.Src == clientEnd {
					s.Src = netip.AddrPortFrom(clientEnd.Addr(), port)
				} else {
					s.Dst = netip.AddrPortFrom(clientEnd.Addr(), port)
				}
				v.Add(&s)
			}
		}
		v.End()
		got := evidence.Infer(all)
		if got.Idle.Closes != 20 || got.Idle.Median != 5*time.Second || got.Keeping != evidence.KeepsUntilIdle || got.Close != evidence.FIN {
			t.Errorf("%s: %d closes, %+v", name, len(all), got.Idle)
		}
		if got.Lifetime.Known() || len(got.Bursts) > 0 || got.Limit.Requests != 0 {
			t.Errorf("%s: lifetime %+v, bursts %v, limit %+v", name, got.Lifetime, got.Bursts, got.Limit)
		}
	}
}
