package probe

import (
	"testing"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// A process that was stopped reads a response and the close behind it in one go.
func TestWhatAStoppedProcessReads(t *testing.T) {
	began := time.Now()
	stopped := began.Add(time.Second)
	c := &canary{late: []stall{{stopped, stopped.Add(600 * ms)}}}
	closed := func(idle time.Duration, read time.Time, unstamped bool) *conn {
		c := newConn(Opening{Role: Used})
		done := read.Sub(began)
		c.seen.Opened, c.seen.Ready = 0, 0
		c.seen.Exchanges = []evidence.Exchange{{Done: done, Status: 200}}
		c.seen.Close = evidence.Close{How: evidence.FIN, By: evidence.ByServer, At: done + idle, FIN: evidence.NotSeen}
		c.readAt, c.unstamped, c.endedAt, c.endedTick = read, unstamped, read.Add(idle), 4*ms
		return c
	}
	woken, quiet := stopped.Add(600*ms), began.Add(5*time.Second)
	for name, test := range map[string]struct {
		conn  *conn
		seen  bool
		slack time.Duration // at least
	}{
		"both in one go":                     {closed(0, woken, false), false, 0},
		"only the response was late":         {closed(3*time.Second, woken, false), true, 0},
		"it was late, and nothing stamps it": {closed(3*time.Second, woken, true), true, 600 * ms},
		"a server that closes at once":       {closed(0, quiet, false), true, 0},
	} {
		s := &site{began: began, canary: c, conns: []*conn{test.conn}}
		list := s.observations()
		if len(list) == 1 != test.seen {
			t.Errorf("%s: %d connections count", name, len(list))
			continue
		}
		if test.seen && (list[0].Slack < test.slack || test.slack == 0 && list[0].Slack > 4*ms) {
			t.Errorf("%s: the slack is %v", name, list[0].Slack)
		}
	}
}
