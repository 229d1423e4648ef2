package dialers

import (
	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
)

// Fill sets run.Connections and run.Pool.
func (s Stats) Fill(run *results.Run) {
	run.Connections = results.Connections{
		Opened: s.Opened, ClosedByUs: s.ClosedByUs, ClosedByPeer: s.ClosedByPeer, Reset: s.ClosedReset,
		Unknown: s.ClosedUnknown, NotifiedUs: s.NotifiedByUs, NotifiedPeer: s.NotifiedByPeer,
		MaxOpen: s.MaxOpen, Evictions: map[string]uint64{},
	}
	for reason, n := range s.Evicted {
		if n > 0 {
			run.Connections.Evictions[pool.Reason(reason).String()] = n
		}
	}
	run.Pool = results.PoolPeaks{PeakPending: s.PeakPending, PeakLeased: s.PeakLeased, PeakIdle: s.PeakIdle, PeakDialing: s.PeakDialing}
}

// Fill sets run.Connections, run.Pool and, of run.Idle, AtPeerClose and Longest. Call it
// after the collectors have filled theirs.
func (c *Client) Fill(run *results.Run) {
	c.Stats().Fill(run)
	idles := c.Idles()
	run.Idle.AtPeerClose, run.Idle.Longest = &idles.AtPeerClose, max(run.Idle.Longest, idles.Longest.Seconds())
}

// Fill sets run.Connections and run.Pool.
func (s *Stock) Fill(run *results.Run) { s.Stats().Fill(run) }
