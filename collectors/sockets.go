package collectors

import (
	"time"

	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/results"
)

// sockets looks at the sockets towards the target and keeps the peaks. Owned by
// the Sampler's goroutine while that runs.
type sockets struct {
	count func() (host.SocketCount, error) // nil: there is nothing to look with
	close func() error
	// servers count the server's side where that is in other network namespaces.
	servers []func() (map[string]int, error)

	why    string          // why they cannot be seen, or from some moment on could not
	peaks  results.Sockets // of all looks; Available and Why are set by Fill
	before int             // in TIME_WAIT on the client's side before the run
	took   time.Duration   // how long the last look took
}

// look counts once. It returns nil if the sockets cannot be seen. After the first error it
// does not count again, because the counts after it could not be trusted.
func (s *sockets) look() *results.SocketSample {
	if s.why != "" {
		return nil
	}
	start := time.Now()
	sample, err := s.read()
	s.took = time.Since(start)
	if err != nil {
		s.why = err.Error()
		return nil
	}
	s.peaks.Add(sample)
	return sample
}

// pause is how long the next look should wait after the last one.
func (s *sockets) pause() time.Duration {
	return max(min(costFactor*s.took, mostSocketWait), fullCostFactor*s.took)
}

func (s *sockets) read() (*results.SocketSample, error) {
	c, err := s.count()
	if err != nil {
		return nil, err
	}
	sample := &results.SocketSample{Client: c.Client.Map(), PortsUsed: c.PortsUsed}
	if c.ServerSide || len(s.servers) > 0 {
		sample.Server = c.Server.Map()
	}
	for _, count := range s.servers {
		states, err := count()
		if err != nil {
			return nil, err
		}
		for state, n := range states {
			sample.Server[state] += n
		}
	}
	return sample, nil
}

// release closes what look needs.
func (s *sockets) release() {
	if s.close != nil {
		// A read-only socket to the kernel: closing it loses nothing.
		_ = s.close()
	}
}
