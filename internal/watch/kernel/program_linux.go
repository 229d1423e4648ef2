package kernel

import (
	"github.com/cilium/ebpf/asm"

	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/internal/watch"
)

// Where a program keeps what it reads: offsets from the end of its stack.
const (
	commonRoom = 136 // bytes for the beginning of a socket

	onEvent   = -eventSize
	onAnyEnd  = onEvent - endSize - 4 // an end without an address; 8 bytes are aligned
	onCommon  = onAnyEnd - commonRoom
	onScratch = onCommon - 8
	onState   = onAnyEnd + endSize // the state of the socket
)

// Linux: include/linux/socket.h, include/uapi/linux/in.h, net/tcp_states.h.
const (
	afINET, afINET6 = 2, 10
	protocolTCP     = 6
	newSynRecv      = 12 // a request for a connection, which is no whole socket
)

// The values of the filter.
const (
	passes    = 1 // it is watched
	byAddress = 2 // some addresses with this port are watched
)

// program is one that is being put together. In it, R6 is the socket, R7 the packet, and
// R10 the end of the stack.
type program struct {
	code asm.Instructions
	mark string // the next instruction gets this label
	l    *layout
	m    maps
	ns   uint32 // the network namespace; 0: every one
	all  bool   // every end is watched
}

// maps are the descriptors of the maps, which a program shares with this process.
type maps struct{ ends, events, lost int }

func (p *program) add(all ...asm.Instruction) {
	for _, one := range all {
		if p.mark != "" {
			one, p.mark = one.WithSymbol(p.mark), ""
		}
		p.code = append(p.code, one)
	}
}

// label names the place at which the next instruction is.
func (p *program) label(name string) {
	if p.mark != "" {
		p.add(asm.Mov.Reg(asm.R0, asm.R0)) // two names need two places
	}
	p.mark = name
}

// stack sets a register to a place on the stack.
func (p *program) stack(r asm.Register, at int32) {
	p.add(asm.Mov.Reg(r, asm.R10), asm.Add.Imm(r, at))
}

// read copies size bytes of the kernel's memory to the stack. What cannot be read is zero.
func (p *program) read(to, size int32, from asm.Register, offset int32) {
	p.add(asm.Mov.Reg(asm.R3, from), asm.Add.Imm(asm.R3, offset), asm.Mov.Imm(asm.R2, size))
	p.stack(asm.R1, to)
	p.add(asm.FnProbeReadKernel.Call())
}

// clear sets bytes of the stack to zero, eight at a time.
func (p *program) clear(at, bytes int16) {
	p.add(asm.Mov.Imm(asm.R0, 0))
	for end := at + bytes; at < end; at += 8 {
		p.add(asm.StoreMem(asm.R10, at, asm.R0, asm.DWord))
	}
}

// copy copies bytes from one place on the stack to another one.
func (p *program) copy(to, from, bytes int32) {
	for bytes > 0 {
		size, n := asm.Word, int32(4)
		if bytes < 4 {
			size, n = asm.Half, 2
		}
		p.add(asm.LoadMem(asm.R1, asm.R10, int16(from), size), asm.StoreMem(asm.R10, int16(to), asm.R1, size))
		to, from, bytes = to+n, from+n, bytes-n
	}
}

// onState is the program of inet_sock_set_state, which passes the old state and the new
// one as its second and third argument.
func (p *program) onState(tp tracepoint) asm.Instructions {
	// That a socket was made for a connection, and that the FIN was acknowledged, says nothing
	// that the next change does not say. These are two events of five.
	p.add(
		asm.LoadMem(asm.R2, asm.R1, int16(8*(tp.sock+1)), asm.DWord),
		asm.LoadMem(asm.R3, asm.R1, int16(8*(tp.sock+2)), asm.DWord),
		asm.JEq.Imm(asm.R3, int32(host.SynRecv), "out"),
		asm.JEq.Imm(asm.R3, int32(host.FinWait2), "out"),
	)
	p.begin(watch.StateChanged, tp)
	p.add(
		asm.StoreMem(asm.R10, onEvent+eventFrom, asm.R2, asm.Byte),
		asm.StoreMem(asm.R10, onEvent+eventTo, asm.R3, asm.Byte),
		asm.JEq.Imm(asm.R6, 0, "out"),
	)
	p.socket()
	p.namespace()
	p.emit()
	return p.code
}

// onSocket is the program of a tracepoint that passes a socket and nothing else that
// matters.
func (p *program) onSocket(kind watch.EventKind, tp tracepoint) asm.Instructions {
	p.begin(kind, tp)
	p.add(asm.JEq.Imm(asm.R6, 0, "out"))
	p.socket()
	p.namespace()
	p.emit()
	return p.code
}

// onReset is the program of tcp_send_reset. Where a RST answers a segment that belongs to no
// connection, there is no socket, or one that listens: the ends are then those of the segment.
func (p *program) onReset(tp tracepoint) asm.Instructions {
	p.begin(watch.ResetSent, tp)
	if tp.reason >= 0 {
		p.add(asm.LoadMem(asm.R2, asm.R9, int16(8*tp.reason), asm.DWord), asm.StoreMem(asm.R10, onEvent+eventReason, asm.R2, asm.Word))
	}
	p.add(asm.JEq.Imm(asm.R6, 0, "packet"))
	p.socket()
	p.add(
		asm.LoadMem(asm.R1, asm.R10, int16(onCommon+p.l.state), asm.Byte),
		asm.JNE.Imm(asm.R1, int32(host.Listen), "where"),
	)
	p.label("packet")
	if tp.skb < 0 {
		p.add(asm.Ja.Label("out"))
	} else {
		p.packet()
	}
	p.label("where")
	p.namespaceOfReset(tp.skb >= 0)
	p.emit()
	return p.code
}

// begin clears the event and keeps the arguments.
func (p *program) begin(kind watch.EventKind, tp tracepoint) {
	p.add(asm.Mov.Reg(asm.R9, asm.R1), asm.LoadMem(asm.R6, asm.R9, int16(8*tp.sock), asm.DWord), asm.Mov.Imm(asm.R7, 0))
	if tp.skb >= 0 {
		p.add(asm.LoadMem(asm.R7, asm.R9, int16(8*tp.skb), asm.DWord))
	}
	p.clear(onAnyEnd, -onAnyEnd)
	p.add(
		asm.StoreImm(asm.R10, onEvent+eventKind, int64(kind), asm.Byte),
		asm.StoreImm(asm.R10, onEvent+eventRemote+endRole, roleRemote, asm.Half),
	)
}

// unlessWhole jumps if the socket is in TIME_WAIT, or is a request for a connection: that is
// only the beginning of a socket.
func (p *program) unlessWhole(otherwise string) {
	p.add(
		asm.LoadMem(asm.R1, asm.R10, onState, asm.Byte),
		asm.JEq.Imm(asm.R1, int32(host.TimeWait), otherwise),
		asm.JEq.Imm(asm.R1, newSynRecv, otherwise),
	)
}

// tcp ends the program if the socket is of another protocol.
func (p *program) tcp() {
	p.unlessWhole("emit")
	p.read(onScratch, 2, asm.R6, p.l.protocol)
	p.add(asm.LoadMem(asm.R1, asm.R10, onScratch, asm.Half), asm.JNE.Imm(asm.R1, protocolTCP, "out"))
}

// socket reads the ends of the socket into the event.
func (p *program) socket() {
	l := p.l
	p.read(onCommon, l.common, asm.R6, 0)
	p.add(asm.StoreMem(asm.R10, onEvent+eventSocket, asm.R6, asm.DWord))
	p.add(asm.LoadMem(asm.R1, asm.R10, int16(onCommon+l.state), asm.Byte), asm.StoreMem(asm.R10, onState, asm.R1, asm.Byte))
	p.copy(onEvent+eventCookie, onCommon+l.cookie, 8)
	p.copy(onEvent+eventRemote+endPort, onCommon+l.dport, 2)
	// The local port is in skc_num until the socket is closed.
	p.add(
		asm.LoadMem(asm.R1, asm.R10, int16(onCommon+l.num), asm.Half),
		asm.HostTo(asm.BE, asm.R1, asm.Half),
		asm.StoreMem(asm.R10, onEvent+eventLocal+endPort, asm.R1, asm.Half),
		asm.JNE.Imm(asm.R1, 0, "ends"),
	)
	p.unlessWhole("ends")
	p.read(onEvent+eventLocal+endPort, 2, asm.R6, l.sport)
	p.label("ends")
	p.add(asm.LoadMem(asm.R1, asm.R10, int16(onCommon+l.family), asm.Half), asm.JEq.Imm(asm.R1, afINET, "v4"))
	if l.daddr6 >= 0 {
		p.add(asm.JNE.Imm(asm.R1, afINET6, "out"))
		p.copy(onEvent+eventLocal+endAddress, onCommon+l.saddr6, 16)
		p.copy(onEvent+eventRemote+endAddress, onCommon+l.daddr6, 16)
		p.add(asm.Ja.Label("socket"))
	} else {
		p.add(asm.Ja.Label("out"))
	}
	p.label("v4")
	p.mapped(onCommon+l.saddr, onCommon+l.daddr)
	p.label("socket")
}

// mapped writes two IPv4 addresses in IPv6.
func (p *program) mapped(local, remote int32) {
	p.copy(onEvent+eventLocal+endAddress+12, local, 4)
	p.copy(onEvent+eventRemote+endAddress+12, remote, 4)
	for _, at := range []int16{eventLocal, eventRemote} {
		p.add(
			asm.StoreImm(asm.R10, onEvent+at+endAddress, 0, asm.Word),
			asm.StoreImm(asm.R10, onEvent+at+endAddress+4, 0, asm.Word),
			asm.StoreImm(asm.R10, onEvent+at+endAddress+8, 0, asm.Half),
			asm.StoreImm(asm.R10, onEvent+at+endAddress+10, -1, asm.Half),
		)
	}
}

// packet reads the ends of the segment that is answered: its source is remote. The event has
// no socket then.
func (p *program) packet() {
	l := p.l
	p.add(
		asm.JEq.Imm(asm.R7, 0, "out"),
		asm.StoreImm(asm.R10, onState, int64(host.TimeWait), asm.Byte), // no whole socket, whose protocol would have to be asked for
	)
	p.clear(onEvent+eventSocket, 8)
	p.clear(onEvent+eventCookie, 8)
	p.read(onScratch, 8, asm.R7, l.head)
	p.add(asm.LoadMem(asm.R8, asm.R10, onScratch, asm.DWord))
	p.read(onScratch, 2, asm.R7, l.transport)
	p.add(asm.LoadMem(asm.R3, asm.R10, onScratch, asm.Half), asm.Add.Reg(asm.R3, asm.R8), asm.Mov.Imm(asm.R2, 4))
	p.stack(asm.R1, onScratch+4)
	p.add(asm.FnProbeReadKernel.Call())
	p.copy(onEvent+eventRemote+endPort, onScratch+4, 2)
	p.copy(onEvent+eventLocal+endPort, onScratch+6, 2)
	p.read(onScratch, 2, asm.R7, l.network)
	p.add(asm.LoadMem(asm.R1, asm.R10, onScratch, asm.Half), asm.Add.Reg(asm.R8, asm.R1))
	p.read(onCommon, 40, asm.R8, 0)
	p.add(asm.LoadMem(asm.R1, asm.R10, onCommon, asm.Byte), asm.RSh.Imm(asm.R1, 4), asm.JEq.Imm(asm.R1, 4, "packet4"), asm.JNE.Imm(asm.R1, 6, "out"))
	p.copy(onEvent+eventRemote+endAddress, onCommon+8, 16)
	p.copy(onEvent+eventLocal+endAddress, onCommon+24, 16)
	p.add(asm.Ja.Label("where"))
	p.label("packet4")
	p.mapped(onCommon+16, onCommon+12)
}

// namespace ends the program if the socket is in another network namespace.
func (p *program) namespace() {
	if p.ns == 0 {
		return
	}
	p.add(asm.LoadMem(asm.R8, asm.R10, int16(onCommon+p.l.net), asm.DWord))
	p.inside()
}

// namespaceOfReset does so where there may be only a packet. It came over a device of its
// namespace.
func (p *program) namespaceOfReset(packets bool) {
	if p.ns == 0 {
		return
	}
	if packets {
		p.add(asm.JNE.Imm(asm.R6, 0, "ofsocket"))
		p.read(onScratch, 8, asm.R7, p.l.device)
		p.add(asm.LoadMem(asm.R8, asm.R10, onScratch, asm.DWord), asm.JEq.Imm(asm.R8, 0, "out"))
		p.read(onScratch, 8, asm.R8, p.l.deviceNet)
		p.add(asm.LoadMem(asm.R8, asm.R10, onScratch, asm.DWord), asm.Ja.Label("namespace"))
		p.label("ofsocket")
	}
	// The beginning of the socket may have made room for a packet's.
	p.read(onScratch, 8, asm.R6, p.l.net)
	p.add(asm.LoadMem(asm.R8, asm.R10, onScratch, asm.DWord))
	p.label("namespace")
	p.inside()
}

func (p *program) inside() {
	p.read(onScratch, 4, asm.R8, p.l.inum)
	p.add(
		asm.LoadMem(asm.R1, asm.R10, onScratch, asm.Word),
		asm.Mov.Imm32(asm.R2, int32(p.ns)),
		asm.JNE.Reg(asm.R1, asm.R2, "out"),
	)
}

// emit puts the event into the ring if one of its ends is watched, and counts it if there
// is no room.
func (p *program) emit() {
	if !p.all {
		p.watched(eventLocal, "remote")
		p.label("remote")
		p.watched(eventRemote, "out")
	}
	p.label("wanted")
	p.tcp()
	p.label("emit")
	p.add(
		asm.FnKtimeGetNs.Call(),
		asm.StoreMem(asm.R10, onEvent+eventAt, asm.R0, asm.DWord),
		asm.LoadMapPtr(asm.R1, p.m.events),
	)
	p.stack(asm.R2, onEvent)
	const noWakeup = 1 // BPF_RB_NO_WAKEUP: this process looks when it wants to
	p.add(
		asm.Mov.Imm(asm.R3, eventSize), asm.Mov.Imm(asm.R4, noWakeup), asm.FnRingbufOutput.Call(),
		asm.JEq.Imm(asm.R0, 0, "out"),
		asm.StoreImm(asm.R10, onScratch, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, p.m.lost),
	)
	p.stack(asm.R2, onScratch)
	p.add(
		asm.FnMapLookupElem.Call(), asm.JEq.Imm(asm.R0, 0, "out"),
		asm.Mov.Imm(asm.R1, 1), asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, 0),
	)
	p.label("out")
	p.add(asm.Mov.Imm(asm.R0, 0), asm.Return())
}

// watched jumps to wanted if the end is watched, and to no otherwise.
func (p *program) watched(end int32, no string) {
	p.copy(onAnyEnd+endPort, onEvent+end+endPort, 4) // the port and the role
	p.add(asm.LoadMapPtr(asm.R1, p.m.ends))
	p.stack(asm.R2, onAnyEnd)
	p.add(
		asm.FnMapLookupElem.Call(), asm.JEq.Imm(asm.R0, 0, no),
		asm.LoadMem(asm.R1, asm.R0, 0, asm.Word), asm.JEq.Imm(asm.R1, passes, "wanted"),
		asm.LoadMapPtr(asm.R1, p.m.ends),
	)
	p.stack(asm.R2, onEvent+end)
	p.add(asm.FnMapLookupElem.Call(), asm.JNE.Imm(asm.R0, 0, "wanted"), asm.Ja.Label(no))
}
