package packetring

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/bpf"
)

// most is how much of a whole packet is taken: all of it. A packet is larger than the MTU
// where the kernel or the network card cuts it into segments later.
const most = 1 << 18

const (
	packetHost  = 0 // PACKET_HOST of linux/if_packet.h: the packet is received here
	loopback    = 1 // LOOPBACK_IFINDEX: the number of lo in every namespace
	protocolTCP = 6
)

// filter returns a program that takes the packets to and from ends, and nothing else;
// without ends, all of TCP. It sees a packet from the IP header on. A packet on the loopback
// passes twice; it is taken when it is sent, unless only what is received is looked at. An end without an address stands for all
// addresses.
func filter(ends []netip.AddrPort, what What, received bool) ([]bpf.RawInstruction, error) {
	var v4, v6 [][]bpf.Instruction
	for _, s := range ends {
		if a := s.Addr().Unmap(); a.Is4() || a.IsUnspecified() {
			v4 = append(v4, end(a, s.Port(), 12, 0, true), end(a, s.Port(), 16, 2, true))
		}
		if a := s.Addr().Unmap(); a.Is6() || a.IsUnspecified() {
			v6 = append(v6, end(a, s.Port(), 8, 0, false), end(a, s.Port(), 24, 2, false))
		}
	}
	drop := bpf.RetConstant{Val: 0}
	part4, part6 := oneOf(v4, len(ends) == 0, what.accept(true)), oneOf(v6, len(ends) == 0, what.accept(false))
	var program []bpf.Instruction
	if !received {
		program = []bpf.Instruction{
			bpf.LoadExtension{Num: bpf.ExtType},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: packetHost, SkipTrue: 3},
			bpf.LoadExtension{Num: bpf.ExtInterfaceIndex},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: loopback, SkipTrue: 1},
			drop,
		}
	}
	program = append(program,
		bpf.LoadAbsolute{Off: 0, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 4, SkipTrue: 1},
		bpf.Jump{Skip: uint32(5 + len(part4))}, // to the last part
		// IPv4: a whole TCP segment or its first fragment
		bpf.LoadAbsolute{Off: 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protocolTCP, SkipTrue: 2},
		bpf.LoadAbsolute{Off: 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: 0x1fff, SkipTrue: 1},
		drop,
	)
	program = append(program, part4...)
	program = append(program,
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 6, SkipTrue: 2},
		bpf.LoadAbsolute{Off: 6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolTCP, SkipTrue: 1},
		drop,
	)
	return bpf.Assemble(append(program, part6...))
}

// oneOf takes a packet if one of ends matches it, or if all do, and drops it otherwise.
func oneOf(ends [][]bpf.Instruction, all bool, accept []bpf.Instruction) (part []bpf.Instruction) {
	if all {
		return accept
	}
	rest := 1 // how many instructions come after an end: those of the other ends, and drop
	for _, e := range ends {
		rest += len(e) + 1
	}
	for _, e := range ends {
		rest -= len(e) + 1
		part = append(append(part, e...), bpf.Jump{Skip: uint32(rest)})
	}
	return append(append(part, bpf.RetConstant{Val: 0}), accept...)
}

// end goes on behind the next instruction unless one of the packet's ends is this one: its
// address is at the offset, and its port at an offset behind the IP header.
func end(a netip.Addr, port uint16, address, behind uint32, v4 bool) []bpf.Instruction {
	var words []uint32
	for b := a.AsSlice(); len(b) > 0 && !a.IsUnspecified(); b = b[4:] {
		words = append(words, binary.BigEndian.Uint32(b))
	}
	load := []bpf.Instruction{bpf.LoadAbsolute{Off: 40 + behind, Size: 2}}
	if v4 {
		load = []bpf.Instruction{bpf.LoadMemShift{Off: 0}, bpf.LoadIndirect{Off: behind, Size: 2}}
	}
	rest := 2*len(words) + len(load) + 2 // instructions
	var all []bpf.Instruction
	for i, word := range words {
		rest -= 2
		all = append(all,
			bpf.LoadAbsolute{Off: address + 4*uint32(i), Size: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: word, SkipFalse: uint8(rest)})
	}
	all = append(all, load...)
	return append(all, bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(port), SkipFalse: 1})
}

// accept takes the packet, or what is wanted of it.
func (w What) accept(v4 bool) []bpf.Instruction {
	if w == Whole {
		return []bpf.Instruction{bpf.RetConstant{Val: most}}
	}
	// X is the length of the IP header, A becomes that of both headers.
	part := []bpf.Instruction{bpf.LoadMemShift{Off: 0}}
	length := []bpf.Instruction{bpf.LoadAbsolute{Off: 2, Size: 2}}
	if !v4 {
		part = []bpf.Instruction{bpf.LoadConstant{Dst: bpf.RegX, Val: 40}}
		length = []bpf.Instruction{bpf.LoadAbsolute{Off: 4, Size: 2}} // without the IP header
	}
	part = append(part,
		bpf.LoadIndirect{Off: 12, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf0},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 2},
		bpf.ALUOpX{Op: bpf.ALUOpAdd},
	)
	if w == Headers {
		return append(part, bpf.RetA{})
	}
	const finSynRst = 0x07
	// What has a flag or payload is taken. A length of zero is that of a packet that is
	// longer than the field can say.
	payload := append(length, bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 4})
	if !v4 {
		payload = append(length, bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 5}, bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: 40})
	}
	payload = append(payload,
		bpf.LoadScratch{Dst: bpf.RegX, N: 0},
		bpf.ALUOpX{Op: bpf.ALUOpSub},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
	)
	part = append(part, bpf.StoreScratch{Src: bpf.RegA, N: 0}, bpf.LoadIndirect{Off: 13, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: finSynRst, SkipTrue: uint8(len(payload))})
	part = append(part, payload...)
	return append(part, bpf.LoadScratch{Dst: bpf.RegA, N: 0}, bpf.RetA{})
}
