package results

// Kernel is how far the kernel's TCP counters rose in the course of a run, the
// warm-up included, up to where the idle connections are closed at its end. They
// are of the whole network namespace: of both sides when the server is in it,
// and of every other program in it.
type Kernel struct {
	Available bool              `json:"available"` // false: they could not be read; Why says
	Why       string            `json:"why,omitempty"`
	Counters  map[string]uint64 `json:"counters"` // those of KernelCounters that this kernel has
	// Hosts are the same of each host of a private network, which has a namespace
	// of its own; the client's are the ones above.
	Hosts map[string]map[string]uint64 `json:"hosts,omitempty"`
}

// KernelCounter is a counter of the kernel's, as /proc/net names it.
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

// Connections counts connections by how they came and went.
type Connections struct {
	Opened       uint64            `json:"opened"`                         // TCP (and TLS) handshakes completed
	ClosedByUs   uint64            `json:"closed_by_us"`                   // our FIN left before anything of the peer's had come, the end of the run included
	ClosedByPeer uint64            `json:"closed_by_peer"`                 // the peer's FIN had come by then
	Reset        uint64            `json:"reset"`                          // the peer's RST had, with no FIN before it
	Unknown      uint64            `json:"closed_unknown"`                 // whose was first cannot be told from our side
	NotifiedUs   uint64            `json:"close_notify_by_us,omitempty"`   // TLS: our close_notify left before the peer's was read. It goes before a FIN, and is none
	NotifiedPeer uint64            `json:"close_notify_by_peer,omitempty"` // TLS: the peer's had been read by then
	MaxOpen      int               `json:"max_open"`                       // most that were open at once
	Evictions    map[string]uint64 `json:"evictions"`                      // why each left the pool: expired, lifetime, max_requests, surplus, made_room, hint, peer_closed, reset, server_said_close, broken, shutdown
}

// Reuse counts exchanges by whether their connection had served before.
type Reuse struct {
	Fresh        uint64 `json:"fresh"`
	Reused       uint64 `json:"reused"`
	NoConnection uint64 `json:"no_connection"` // started, but never put on a connection, in no attempt
}

// PoolPeaks are the highest values the pool's gauges reached.
type PoolPeaks struct {
	PeakPending int `json:"peak_pending"` // requests waiting for a connection
	PeakLeased  int `json:"peak_leased"`
	PeakIdle    int `json:"peak_idle"`
	PeakDialing int `json:"peak_dialing"`
}

// Sockets is what the kernel said of the sockets to the target. TIME_WAIT is
// held for 60 s by the side that closed first. The server's side is who accepts
// the client's connections, be it a proxy. When it is on another machine it
// cannot be seen and ServerSide is false.
type Sockets struct {
	Available       bool   `json:"available"` // false: not on Linux, or sock_diag refused; Why says
	Why             string `json:"why,omitempty"`
	TimeWaitPeak    int    `json:"time_wait_peak"` // on the client's side
	TimeWaitServer  int    `json:"time_wait_server_peak"`
	ServerSide      bool   `json:"server_side"` // the target is on this machine, or in the run's private network, so its side was seen
	EstablishedPeak int    `json:"established_peak"`
	CloseWaitPeak   int    `json:"close_wait_peak"`
	PortsUsedPeak   int    `json:"ports_used_peak"` // local ports in use towards the target, TIME_WAIT included, those of each local address apart
	PortsAvailable  int    `json:"ports_available"` // size of the ephemeral range less the reserved ones, times the source addresses
}

// Add raises the peaks to what s shows, and marks the sockets as available. A
// Server that is not nil, even if empty, is a server side that was seen.
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

// Ports say when the local ports towards the target ran out. Times are in
// seconds since the start of the run.
type Ports struct {
	Predicted float64 `json:"predicted"` // ports ÷ new connections per second; 0: they were not to run out
	FirstFail float64 `json:"first"`     // when the first request that got none was started; 0: all got one
	LastFail  float64 `json:"last"`      // when the last of them was
	Back      float64 `json:"back"`      // when the first request that was ok on a new connection after the first failure was; 0: none was
	Recovered uint64  `json:"recovered"` // requests that were ok on a new connection after the first failure
}

// Met is how the moment compares with the prediction: 1 when it is the same, 0
// when one of them is missing.
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

	Leased  int `json:"leased"`
	Idle    int `json:"idle"`
	Dialing int `json:"dialing"`
	Pending int `json:"pending"`

	Due     uint64 `json:"due"` // running totals, warm-up included
	Started uint64 `json:"started"`
	OK      uint64 `json:"ok"`
	Failed  uint64 `json:"failed"`
	Opened  uint64 `json:"opened"`

	Sockets *SocketSample `json:"sockets,omitempty"` // absent when not looked at in this sample

	CPU        float64 `json:"cpu"` // of one core, since the sample before
	Goroutines int     `json:"goroutines"`
	OpenFiles  int     `json:"open_files"`
}

// SocketSample counts sockets to the target by TCP state.
type SocketSample struct {
	Client    map[string]int `json:"client"`          // state -> sockets, ours
	Server    map[string]int `json:"server,omitzero"` // the target's; absent when they cannot be seen
	PortsUsed int            `json:"ports_used"`
}
