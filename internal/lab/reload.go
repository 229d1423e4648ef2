package lab

import (
	"time"

	"github.com/kabench/kabench/internal/lab/serve"
	"github.com/kabench/kabench/profiles/script"
)

// Reload ends the connections that are open now, as Config.Reload says, and
// returns how many there are. One that has not sent a request yet is not idle:
// its first answer says close.
func (s *Server) Reload() int {
	s.reloads.Add(1)
	s.openMu.Lock()
	defer s.openMu.Unlock()
	for c := range s.open {
		c.condemn()
	}
	return len(s.open)
}

func (s *Server) reloadEvery(d time.Duration) {
	for serve.Sleep(s.ln.Ctx, d) {
		s.Reload()
	}
}

func (s *Server) opened(c *conn) {
	s.openMu.Lock()
	defer s.openMu.Unlock()
	s.open[c] = struct{}{}
}

func (s *Server) gone(c *conn) {
	s.openMu.Lock()
	defer s.openMu.Unlock()
	delete(s.open, c)
}

// condemn tells the connection of a reload, and wakes it if it is idle.
func (c *conn) condemn() {
	c.idleMu.Lock()
	defer c.idleMu.Unlock()
	c.doomed = true
	if c.idle && c.s.cfg.Reload == script.CloseIdle {
		c.raw.SetReadDeadline(serve.LongAgo)
	}
}

func (c *conn) condemned() bool {
	c.idleMu.Lock()
	defer c.idleMu.Unlock()
	return c.doomed
}

// rest begins the wait for the next request, at most until the deadline;
// reloads may end it. It is over with rise.
func (c *conn) rest(until time.Time) {
	c.idleMu.Lock()
	defer c.idleMu.Unlock()
	c.idle = c.use > 1
	if c.idle && c.doomed && c.s.cfg.Reload == script.CloseIdle {
		until = serve.LongAgo
	}
	c.arm(until)
}

// rise ends the wait: no reload interrupts the connection any more. It reports
// whether one has.
func (c *conn) rise() (reloaded bool) {
	c.idleMu.Lock()
	defer c.idleMu.Unlock()
	reloaded = c.idle && c.doomed && c.s.cfg.Reload == script.CloseIdle
	c.idle = false
	return reloaded
}
