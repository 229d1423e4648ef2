package sockets

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/internal/watch"
)

// found is a socket of a dump.
type found struct {
	watch.Socket
	waits bool          // nothing is left of it but its port, which the kernel frees after frees
	frees time.Duration // may be negative by a tick
}

// listener is a socket that listens.
type listener struct {
	port  uint16
	inode uint32
}

var (
	stateTimeWait = host.TimeWait.String()
	timerOfWait   = uint8(3)
)

// Places in the kernel's struct tcp_info, of linux/tcp.h. Kernels before 4.6 have no bytes.
const (
	infoUnacked  = 24
	infoLastSent = 44
	infoLastRecv = 52
	infoRTT      = 68
	infoAcked    = 120
	infoReceived = 128
)

// read reads a socket that the kernel described.
func (f *found) read(d *host.DiagSocket) {
	*f = found{Socket: watch.Socket{
		Flow: watch.Flow{Local: d.Local, Remote: d.Remote}, Cookie: d.Cookie, Inode: uint64(d.Inode),
		State: d.State.String(), Sent: -1, Received: -1, Retransmits: int(d.Retransmits),
		Unread: int(d.Unread), Unsent: int(d.Unsent),
	}}
	if d.Timer == timerOfWait {
		// TIME_WAIT, or FIN_WAIT2 without an owner: another structure stands for the socket, with
		// a cookie of its own.
		f.waits, f.frees = true, d.Expires
		f.Cookie, f.Inode, f.Retransmits = 0, 0, 0
		return
	}
	in := d.Info
	if len(in) < infoRTT+4 {
		return
	}
	at := func(place int) uint32 { return binary.NativeEndian.Uint32(in[place:]) }
	f.Sent = time.Duration(at(infoLastSent)) * time.Millisecond
	f.Received = time.Duration(at(infoLastRecv)) * time.Millisecond
	f.RoundTrip = time.Duration(at(infoRTT)) * time.Microsecond
	f.Unacked = int(at(infoUnacked))
	if len(in) >= infoReceived+8 {
		f.Bytes = [2]uint64{binary.NativeEndian.Uint64(in[infoAcked:]), binary.NativeEndian.Uint64(in[infoReceived:])}
	}
}

// known is what a Watcher remembers from look to look: whose sockets there are, and where to
// and where from the service has connections. By that it knows sockets without an owner.
type known struct {
	byProcess bool // sockets of processes only
	everyPeer bool // all of their connections
	targets   map[netip.AddrPort]bool
	listens   map[uint16]bool
	owned     map[uint64]bool // by cookie: the service's, or not
	doors     map[uint32]bool // by inode: listeners, the service's or not
	skipped   int             // sockets of the present look
	anyDoor   map[uint16]bool // ports at which anybody listens now
}

// mostTargets bounds what is learned from a service that calls very many addresses.
const mostTargets = 4096

func newKnown(cfg Config) known {
	k := known{
		byProcess: len(cfg.PIDs) > 0, everyPeer: len(cfg.Targets)+len(cfg.Listen) == 0,
		targets: map[netip.AddrPort]bool{}, listens: map[uint16]bool{}, anyDoor: map[uint16]bool{},
	}
	k.forget()
	for _, t := range cfg.Targets {
		k.targets[netip.AddrPortFrom(t.Addr().Unmap().WithZone(""), t.Port())] = true
	}
	for _, port := range cfg.Listen {
		k.listens[port] = true
	}
	return k
}

// forget forgets whose sockets there are.
func (k *known) forget() { k.owned, k.doors = map[uint64]bool{}, map[uint32]bool{} }

// skip reports that a socket is another process's and leads nowhere that matters.
func (k *known) skip(d *host.DiagSocket) bool {
	ours, known := k.owned[d.Cookie]
	skip := k.byProcess && known && !ours && d.Timer != timerOfWait && !k.targets[d.Remote]
	if skip {
		k.skipped++
	}
	return skip
}

// asks reports whether there is a socket with an owner that is not known.
func (k *known) asks(list []found, listeners []listener) bool {
	for i := range list {
		if _, known := k.owned[list[i].Cookie]; !known && list[i].Inode != 0 {
			return true
		}
	}
	for _, l := range listeners {
		if _, known := k.doors[l.inode]; !known {
			return true
		}
	}
	return false
}

// answer keeps which sockets are among those of the processes.
func (k *known) answer(list []found, listeners []listener, inodes map[uint32]struct{}) {
	for i := range list {
		if _, known := k.owned[list[i].Cookie]; !known && list[i].Inode != 0 {
			_, k.owned[list[i].Cookie] = inodes[uint32(list[i].Inode)]
		}
	}
	for _, l := range listeners {
		_, k.doors[l.inode] = inodes[l.inode]
	}
}

// learn learns the ports and the peers of a service whose connections are all watched.
func (k *known) learn(list []found, listeners []listener) {
	clear(k.anyDoor)
	for _, l := range listeners {
		k.anyDoor[l.port] = true
		if k.everyPeer && k.doors[l.inode] {
			k.listens[l.port] = true
		}
	}
	if !k.everyPeer {
		return
	}
	for i := range list {
		f := &list[i]
		if !k.owned[f.Cookie] || f.waits {
			continue
		}
		if port := f.Local.Port(); k.anyDoor[port] {
			k.listens[port] = true
		} else if !k.listens[port] && len(k.targets) < mostTargets {
			k.targets[f.Remote] = true
		}
	}
}

// judge says whether a socket is the service's, and whether it leads to a target with a local
// port that the kernel chose, also if the socket is another process's. It notes in the socket who opened the connection.
func (k *known) judge(f *found) (ours, leads bool) {
	to, from := k.targets[f.Remote], k.listens[f.Local.Port()]
	if k.everyPeer && from {
		to = false // a client's address can be one that the service calls, but not at the port where it listens
	}
	f.Accepted = from && !to
	leads = to
	if !to && !from {
		return k.everyPeer && k.owned[f.Cookie], false
	}
	if !k.byProcess || f.Cookie == 0 {
		return true, leads
	}
	ours, known := k.owned[f.Cookie]
	return ours || !known && f.Inode == 0, leads // no owner: in the queue of a listener, or closed by its owner
}

// sweep forgets sockets that are gone, when they are more than those that are there. It forgets
// the owners of skipped ones too, which are then asked for once more.
func (k *known) sweep(list []found) {
	if len(k.owned) < 2*(len(list)+k.skipped)+1024 {
		return
	}
	there := make(map[uint64]bool, len(list))
	for i := range list {
		if ours, known := k.owned[list[i].Cookie]; known {
			there[list[i].Cookie] = ours
		}
	}
	k.owned = there
}
