package results

import (
	"net/netip"
	"time"

	"github.com/kabench/kabench/internal/enum"
)

// Kernel is how far the kernel's TCP counters rose during a run: from the start of
// the warm-up until kabench begins to close the idle connections at the end. The
// counters cover the whole network namespace: both sides when the server is in it,
// and every other program in it.
type Kernel struct {
	Available bool              `json:"available"` // false: they could not be read; Why gives the reason
	Why       string            `json:"why,omitempty"`
	Counters  map[string]uint64 `json:"counters"` // those of KernelCounters that this kernel has
	// Hosts has the counters of each host of a private network, because every host has
	// its own namespace. Those of the host "client" are also in Counters.
	Hosts map[string]map[string]uint64 `json:"hosts,omitempty"`
}

// KernelCounter is one of the kernel's counters, as /proc/net names it.
type KernelCounter struct {
	Group string // "Tcp": in /proc/net/snmp; "TcpExt": in /proc/net/netstat
	Name  string
}

// KernelCounters are the counters that a Kernel has. docs/results.md says what
// each counts.
var KernelCounters = []KernelCounter{
	{"Tcp", "ActiveOpens"}, {"Tcp", "PassiveOpens"}, {"Tcp", "AttemptFails"}, {"Tcp", "EstabResets"},
	{"Tcp", "OutRsts"}, {"Tcp", "RetransSegs"},
	{"TcpExt", "TW"}, {"TcpExt", "TWRecycled"}, {"TcpExt", "TWKilled"}, {"TcpExt", "TCPTimeWaitOverflow"},
	{"TcpExt", "ListenOverflows"}, {"TcpExt", "ListenDrops"},
	{"TcpExt", "TCPReqQFullDrop"}, {"TcpExt", "TCPReqQFullDoCookies"}, {"TcpExt", "TCPBacklogDrop"},
	{"TcpExt", "TCPAbortOnData"}, {"TcpExt", "TCPAbortOnClose"}, {"TcpExt", "TCPAbortOnTimeout"},
	{"TcpExt", "TCPAbortOnMemory"}, {"TcpExt", "TCPAbortFailed"},
	{"TcpExt", "TCPTimeouts"}, {"TcpExt", "TCPSynRetrans"}, {"TcpExt", "TCPLostRetransmit"},
	{"TcpExt", "TCPSlowStartRetrans"}, {"TcpExt", "TCPKeepAlive"}, {"TcpExt", "DelayedACKs"}, {"TcpExt", "PAWSEstab"},
}

// Connections counts connections by how they were opened and closed.
type Connections struct {
	Opened       uint64            `json:"opened"`                         // TCP (and TLS) handshakes completed
	ClosedByUs   uint64            `json:"closed_by_us"`                   // our FIN was sent before a FIN or RST of the peer had arrived, also at the end of the run
	ClosedByPeer uint64            `json:"closed_by_peer"`                 // the peer's FIN arrived before ours was sent
	Reset        uint64            `json:"reset"`                          // the peer's RST arrived, without a FIN before it
	Unknown      uint64            `json:"closed_unknown"`                 // our side cannot see who was first
	NotifiedUs   uint64            `json:"close_notify_by_us,omitempty"`   // TLS: our close_notify was sent before the peer's was read. A close_notify precedes a FIN and does not count as one
	NotifiedPeer uint64            `json:"close_notify_by_peer,omitempty"` // TLS: the peer's close_notify was read before ours was sent
	TLSResumed   uint64            `json:"tls_resumed,omitempty"`          // TLS handshakes that took up an earlier session; the others were full
	Leaked       uint64            `json:"leaked,omitempty"`               // leases that the caller did not give back to the pool, because it left a response half-read
	MaxOpen      int               `json:"max_open"`                       // the largest number open at once
	Evictions    map[string]uint64 `json:"evictions"`                      // why each left the pool: expired, lifetime, max_requests, surplus, made_room, hint, peer_closed, reset, server_said_close, broken, shutdown
}

// Reuse counts exchanges by whether their connection had served before.
type Reuse struct {
	Fresh        uint64 `json:"fresh"`
	Reused       uint64 `json:"reused"`
	NoConnection uint64 `json:"no_connection"` // started, but no attempt was put on a connection
}

// PoolPeaks are the highest values the pool's gauges reached.
type PoolPeaks struct {
	PeakPending int `json:"peak_pending"` // requests waiting for a connection
	PeakLeased  int `json:"peak_leased"`
	PeakIdle    int `json:"peak_idle"`
	PeakDialing int `json:"peak_dialing"`
}

// LimitSeen is what an adaptive load.limit was, in exchanges that may be in flight. Each agent
// has a limit of its own; of several agents, the numbers are sums.
type LimitSeen struct {
	Algorithm string `json:"algorithm"` // aimd, vegas or gradient2
	Initial   int    `json:"initial"`
	Lowest    int    `json:"lowest"`
	Highest   int    `json:"highest"`
	Final     int    `json:"final"`
}

// Sockets counts the sockets to the target, as the kernel lists them. The side that
// closed first keeps a TIME_WAIT socket for 60 s. The server's side is the process
// that accepts the client's connections; it may be a proxy. If that process is on
// another machine, kabench cannot see its sockets and ServerSide is false.
type Sockets struct {
	Available       bool   `json:"available"` // false: not on Linux, or sock_diag refused; Why gives the reason
	Why             string `json:"why,omitempty"`
	TimeWaitPeak    int    `json:"time_wait_peak"` // on the client's side
	TimeWaitServer  int    `json:"time_wait_server_peak"`
	ServerSide      bool   `json:"server_side"` // the target is on this machine or in the run's private network, so the server's side is visible
	EstablishedPeak int    `json:"established_peak"`
	CloseWaitPeak   int    `json:"close_wait_peak"`
	PortsUsedPeak   int    `json:"ports_used_peak"` // local ports in use towards the target, TIME_WAIT included; a port counts once for each local address
	PortsAvailable  int    `json:"ports_available"` // ports in the ephemeral range, without the reserved ones, times the number of source addresses
}

// Add raises the peaks to the values in s, and marks the sockets as available. If
// s.Server is not nil, even if it is empty, the server's side was visible.
func (k *Sockets) Add(s *SocketSample) {
	k.Available = true
	k.TimeWaitPeak = max(k.TimeWaitPeak, s.Client["TIME_WAIT"])
	k.CloseWaitPeak = max(k.CloseWaitPeak, s.Client["CLOSE_WAIT"])
	k.EstablishedPeak = max(k.EstablishedPeak, s.Client["ESTABLISHED"])
	k.PortsUsedPeak = max(k.PortsUsedPeak, s.PortsUsed)
	if s.Server != nil {
		k.ServerSide = true
		k.TimeWaitServer = max(k.TimeWaitServer, s.Server["TIME_WAIT"])
	}
}

// Times say when things happened, without the warm-up.
type Times struct {
	FirstFailure float64 `json:"first_failure"` // when the first request that failed was due, in seconds since the start of the run; 0: none failed
	LastFailure  float64 `json:"last_failure"`  // the same of the last one
	FreshPeak    uint64  `json:"fresh_peak"`    // the most exchanges that got a fresh connection within 100 ms
	FreshPeriod  float64 `json:"fresh_period"`  // if fresh connections come in waves: the time from one wave to the next, in seconds; 0: they do not
}

const (
	// waveStep is the length of the steps in which exchanges on fresh connections are counted.
	waveStep = 100 * time.Millisecond
	// waveSteps is how many steps are counted: ten minutes.
	waveSteps = 6000
)

// Moments collect what Times tell. The zero Moments are empty. They are not safe for concurrent
// use.
type Moments struct {
	failed      bool
	first, last time.Duration // of those that failed, by when they were due
	fresh       []uint32      // exchanges that got a fresh connection, by step
}

// Add counts e, which is over. It does not keep e.
func (m *Moments) Add(e *Exchange) {
	if e.WarmUp {
		return
	}
	if e.Failed() {
		if !m.failed || e.Due < m.first {
			m.first = e.Due
		}
		m.failed, m.last = true, max(m.last, e.Due)
	}
	step := int(e.Leased / waveStep)
	if e.Use != 1 || e.Leased < 0 || step >= waveSteps {
		return
	}
	for len(m.fresh) <= step {
		m.fresh = append(m.fresh, 0)
	}
	m.fresh[step]++
}

// Times returns what was collected. warmUp is the length of the warm-up, and walked how long
// requests were due.
func (m *Moments) Times(warmUp, walked time.Duration) *Times {
	t := &Times{FirstFailure: m.first.Seconds(), LastFailure: m.last.Seconds()}
	steps := make([]float64, min(max(int((walked-warmUp)/waveStep), 0), waveSteps))
	for i := range steps {
		if at := i + int(warmUp/waveStep); at < len(m.fresh) {
			steps[i] = float64(m.fresh[at])
			t.FreshPeak = max(t.FreshPeak, uint64(m.fresh[at]))
		}
	}
	t.FreshPeriod = (time.Duration(period(steps)) * waveStep).Seconds()
	return t
}

// leastAlike is the autocorrelation from which counts are said to come in waves.
const leastAlike = 0.3

// period returns after how many steps the counts are most like themselves, by their
// autocorrelation; 0: they are like themselves after none. Waves that lie across two steps are
// found too, because each step counts with its neighbours.
func period(counts []float64) int {
	n := len(counts)
	smooth, mean := make([]float64, n), 0.0
	for i := range counts {
		for j := max(i-1, 0); j <= min(i+1, n-1); j++ {
			smooth[i] += counts[j]
		}
		mean += smooth[i] / float64(n)
	}
	alike := func(lag int) (sum float64) {
		for i := lag; i < n; i++ {
			sum += (smooth[i] - mean) * (smooth[i-lag] - mean)
		}
		return sum
	}
	best, most := 0, leastAlike*alike(0)
	apart := false // from a wave itself
	for lag := 1; lag <= n/2; lag++ {
		a := alike(lag)
		apart = apart || a <= 0
		if apart && a > most {
			best, most = lag, a
		}
	}
	return best
}

// Ports say when the local ports towards the target ran out. Times are in
// seconds since the start of the run.
type Ports struct {
	Predicted float64 `json:"predicted"` // ports ÷ new connections per second; 0: they were not expected to run out
	FirstFail float64 `json:"first"`     // when the first request started that got no port; 0: all got one
	LastFail  float64 `json:"last"`      // when the last request started that got no port
	Back      float64 `json:"back"`      // when the first request started that was ok on a new connection after the first failure; 0: there was none
	Recovered uint64  `json:"recovered"` // requests that were ok on a new connection after the first failure
}

// Met is FirstFail ÷ Predicted: 1 when the ports ran out exactly as predicted, 0
// when one of the two is missing.
func (p Ports) Met() float64 {
	if p.Predicted == 0 {
		return 0
	}
	return p.FirstFail / p.Predicted
}

// Sample is one line of samples.ndjson: the gauges at one moment.
type Sample struct {
	T        float64 `json:"t"` // seconds since the start of the run
	InFlight int     `json:"in_flight"`
	Buffered int     `json:"buffered"`
	Limit    int     `json:"limit,omitempty"` // what an adaptive load.limit allows in flight; 0: it is fixed

	Leased  int `json:"leased"`
	Idle    int `json:"idle"`
	Dialing int `json:"dialing"`
	Pending int `json:"pending"`

	Due     uint64 `json:"due"` // running totals, warm-up included
	Started uint64 `json:"started"`
	OK      uint64 `json:"ok"`
	Failed  uint64 `json:"failed"`
	Opened  uint64 `json:"opened"`

	Sockets *SocketSample `json:"sockets,omitempty"` // absent when this sample did not count them

	CPU        float64 `json:"cpu"` // in cores, since the previous sample
	Goroutines int     `json:"goroutines"`
	OpenFiles  int     `json:"open_files"`
}

// SocketSample counts sockets to the target by TCP state.
type SocketSample struct {
	Client    map[string]int `json:"client"`          // state -> sockets, ours
	Server    map[string]int `json:"server,omitzero"` // the target's; absent when they cannot be seen
	PortsUsed int            `json:"ports_used"`
}

// AddTotals adds o's running totals to s: those of another agent of the same run.
func (s *Sample) AddTotals(o *Sample) {
	s.Due += o.Due
	s.Started += o.Started
	s.OK += o.OK
	s.Failed += o.Failed
	s.Opened += o.Opened
}

// AddGauges adds o's gauges to s, without the sockets, which agents may share.
func (s *Sample) AddGauges(o *Sample) {
	s.InFlight += o.InFlight
	s.Buffered += o.Buffered
	s.Limit += o.Limit
	s.Leased += o.Leased
	s.Idle += o.Idle
	s.Dialing += o.Dialing
	s.Pending += o.Pending
	s.CPU += o.CPU
	s.Goroutines += o.Goroutines
	s.OpenFiles += o.OpenFiles
}

// ConnectionEnd is how a connection of the client ended. Stamps are offsets from the start
// of the run; a stamp that is not known is Never.
type ConnectionEnd struct {
	Conn   uint64        // as Exchange.Conn
	Opened time.Duration // its handshakes were done
	Ended  time.Duration // the first end of a side, as the client saw it: of the peer, when it was noticed; of the client, when it closed
	Closed time.Duration // the client closed its socket: Ended, or later
	Uses   int           // how often a request was put on it
	Idle   time.Duration // how long it had been idle at Ended; Never: a request was on it, or that is not known
	By     Ender
	How    EndedHow
	Reason string // why it left the client's pool: the name of an eviction; "": not known

	// What a server of kabench's own reports about a connection that it closed first.
	Server   string        // why, as idle_timeout; "": it is not kabench's, or not first
	ServerAt time.Duration // when it closed its side

	Local  netip.AddrPort // the client's address. Not recorded
	Failed bool           // a request was on it and failed, or may have: then the record has it. Not recorded
}

// Ender is which side ended a connection first. A TLS close_notify counts as an end.
type Ender uint8

// The sides, as Connections counts them, except that there a close_notify does not count.
const (
	EndUnknown Ender = iota // which was first could not be seen
	EndUs                   // the client
	EndPeer                 // the peer, without a reset
	EndReset                // the peer, by a reset
)

// EndedHow is how the first side ended a connection.
type EndedHow uint8

// The ways.
const (
	HowUnknown EndedHow = iota
	HowFIN
	HowRST
	HowCloseNotify
)

var (
	enders = enum.Names[Ender]{"unknown", "us", "peer", "reset"}
	ways   = enum.Names[EndedHow]{"unknown", "fin", "rst", "close_notify"}
)

func (e Ender) String() string                      { return enders.Text(e) }
func (e Ender) MarshalText() ([]byte, error)        { return enders.Marshal(e) }
func (e *Ender) UnmarshalText(text []byte) error    { return enders.Unmarshal(text, e) }
func (h EndedHow) String() string                   { return ways.Text(h) }
func (h EndedHow) MarshalText() ([]byte, error)     { return ways.Marshal(h) }
func (h *EndedHow) UnmarshalText(text []byte) error { return ways.Unmarshal(text, h) }
