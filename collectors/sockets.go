package collectors

import (
	"errors"
	"time"

	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/results"
)

// sockets looks at the sockets towards the target and keeps the peaks. Owned by
// the Sampler's goroutine while that runs.
type sockets struct {
	count func() (host.SocketCount, error) // nil: there is nothing to look with
	close func() error

	why    string          // why they cannot be seen, or from some moment on could not
	peaks  results.Sockets // of all looks; Available and Why are set by Fill
	before int             // in TIME_WAIT on the client's side before the run
	took   time.Duration   // how long the last look took
}

// watchers look at the client's side, and at the server's where that is in other
// network namespaces.
type watchers struct {
	client  *host.SocketWatcher // nil: there is none
	servers []*host.SocketWatcher
}

func (w *watchers) count() (host.SocketCount, error) {
	sum, err := w.client.Count()
	for _, s := range w.servers {
		if err != nil {
			break
		}
		var c host.SocketCount
		c, err = s.Count()
		for state, n := range c.Server {
			sum.Server[state] += n
		}
		sum.ServerSide = true
	}
	return sum, err
}

func (w *watchers) close() error {
	var err error
	if w.client != nil {
		err = w.client.Close()
	}
	for _, s := range w.servers {
		err = errors.Join(err, s.Close())
	}
	return err
}

// look counts once. It returns nil when the sockets cannot be seen; the first
// error ends the looking, because the answers after it could not be trusted.
func (s *sockets) look() *results.SocketSample {
	if s.why != "" {
		return nil
	}
	start := time.Now()
	c, err := s.count()
	s.took = time.Since(start)
	if err != nil {
		s.why = err.Error()
		return nil
	}
	sample := &results.SocketSample{Client: c.Client.Map(), PortsUsed: c.PortsUsed}
	if c.ServerSide {
		sample.Server = c.Server.Map()
	}
	s.peaks.Add(sample)
	return sample
}

// release gives back what the looking needs.
func (s *sockets) release() {
	if s.close != nil {
		// A read-only socket to the kernel: nothing can be lost by its close.
		_ = s.close()
	}
}
