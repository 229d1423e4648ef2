package lab

import (
	"time"

	"github.com/kabench/kabench/internal/lab/serve"
)

// Event does what the script says for that event of the run: it begins or ends the stall, and
// reloads or stops the server. The script has the events of one host: see script.Server.On.
func (s *Server) Event(name string) {
	if name == "" {
		return
	}
	s.stall.event(s.cfg.Stall, name)
	if s.cfg.ReloadOn.Of("") == name {
		s.Reload()
	}
	if s.cfg.StopOn.Of("") == name {
		s.Stop()
	}
}

// Reload ends the connections that are open now, in the way that the script says, and
// returns how many there are. A connection that has not sent a request yet does not
// count as idle: its first response says close.
func (s *Server) Reload() int {
	s.reloads.Add(1)
	return s.doom(false)
}

// Stop ends the open connections as Reload does, and accepts no others: connects are
// refused. It returns how many connections are open.
func (s *Server) Stop() int {
	s.ln.Refuse()
	return s.doom(true)
}

// doom tells the open connections that the server was reloaded. With ever it tells those
// too that are about to be opened.
func (s *Server) doom(ever bool) int {
	s.openMu.Lock()
	defer s.openMu.Unlock()
	s.stopped = s.stopped || ever
	for c := range s.open {
		c.doom()
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
	if s.stopped {
		c.doom()
	}
}

func (s *Server) gone(c *conn) {
	s.openMu.Lock()
	defer s.openMu.Unlock()
	delete(s.open, c)
}
