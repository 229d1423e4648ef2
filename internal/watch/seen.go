package watch

import (
	"net/netip"
	"time"
)

// All times are since the start of the watch, on the monotonic clock.

// Flow is a TCP connection by its ends. Local is the end of the service that is watched.
type Flow struct{ Local, Remote netip.AddrPort }

// Socket is a TCP socket as one look at the kernel's tables shows it.
type Socket struct {
	Flow
	Cookie         uint64        // the kernel's number of the socket, which is not used again; 0: it has none, as in TIME_WAIT
	Inode          uint64        // 0: no process has it
	State          string        // as internal/host.State names it, such as ESTABLISHED or TIME_WAIT
	Accepted       bool          // the service accepted it; false: the service opened it
	Sent, Received time.Duration // since the last data was sent and received; negative: not known
	RoundTrip      time.Duration // 0: not known
	Unacked        int           // segments sent and not acknowledged
	Retransmits    int           // of the segment that waits for its ACK now
	Unread, Unsent int           // bytes in the queues
	Bytes          [2]uint64     // acknowledged by the peer, and received, since the connection began
}

// Look is one look at the sockets of the service.
type Look struct {
	At       time.Duration
	Sockets  []Socket
	TimeWait [2]int        // sockets in TIME_WAIT of connections that the service opened, and that it accepted
	Ports    int           // local ports in use towards the target that has most
	Range    int           // local ports that the kernel may choose from; 0: not known
	Toward   []PortUse     // by local address and target, those with most ports first
	Took     time.Duration // processor time of the look
}

// PortUse says how many local ports of an address lead to one remote address. Each such pair has
// the whole range of ports for itself, and all processes of the network namespace share it.
type PortUse struct {
	Local  netip.Addr
	Remote netip.AddrPort
	Ports  int              // in use, those that only wait to be freed included
	Freed  [TimeWaitFor]int // of them, those that the kernel frees in the first, second, ... second from now
	Reuse  bool             // the kernel gives ports that wait to new connections: net.ipv4.tcp_tw_reuse
}

// TimeWaitFor is how many seconds a socket stays in TIME_WAIT: TCP_TIMEWAIT_LEN of linux/net/tcp.h.
const TimeWaitFor = 60

// EventKind is what happened to a socket.
type EventKind uint8

const (
	StateChanged  EventKind = iota // From and To say how
	ResetSent                      // this kernel sent a RST; Reason says why, if the kernel does
	ResetReceived                  // a RST was taken
	Retransmitted                  // a segment was sent again
)

// Event is what the kernel reported of a socket, as it happened.
type Event struct {
	At       time.Duration
	Kind     EventKind
	Flow     Flow
	Socket   uint64 // identifies the socket while it lives; 0: there is none any more
	Cookie   uint64 // as Socket.Cookie; 0: nobody has looked at the socket yet, so that it has none
	From, To string // states, as Socket.State
	Reason   string // the kernel's name of the reason of a RST; "": not known
}

// Gauges are what the service's own pool says about itself at one moment.
type Gauges struct {
	At                         time.Duration
	Pool                       string  // its client, and its labels
	Target                     string  // the server's address, host:port or as its labels have it; "": not exported
	Idle, Leased, Pending, Max float64 // -1: not exported
	Open                       float64 // idle and leased together; -1: not exported
}

// Layer names a way of looking.
type Layer uint8

const (
	Sockets Layer = iota // sock_diag and /proc
	Pools                // the service's own gauges
	Kernel               // tracepoints
	Packets              // AF_PACKET
)

// Sees says what a layer sees, and what it lacks.
type Sees struct {
	Layer Layer
	On    bool
	Says  string // what it sees, in a sentence
	Lacks string // the right or the feature that it would need for more; "": none
	Lost  uint64 // events that it did not see because it was too slow
}
