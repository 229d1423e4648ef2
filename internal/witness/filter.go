package witness

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/bpf"
)

// most is how much of a packet is taken: all of it. A packet is larger than the MTU where
// the kernel or the network card cuts it into segments later.
const most = 1 << 18

const (
	packetHost  = 0 // PACKET_HOST of linux/if_packet.h: the packet is received here
	loopback    = 1 // LOOPBACK_IFINDEX: the number of lo in every namespace
	protocolTCP = 6
)

// filter returns a program that takes the packets to and from servers, and nothing else.
// It sees a packet from the IP header on. A packet on the loopback passes twice; it is
// taken when it is sent. A server without an address stands for all addresses.
func filter(servers []netip.AddrPort) ([]bpf.RawInstruction, error) {
	var v4, v6 []bpf.Instruction
	for _, s := range servers {
		if a := s.Addr().Unmap(); a.Is4() || a.IsUnspecified() {
			v4 = append(append(v4, end(a, s.Port(), 12, 0, true)...), end(a, s.Port(), 16, 2, true)...)
		}
		if a := s.Addr().Unmap(); a.Is6() || a.IsUnspecified() {
			v6 = append(append(v6, end(a, s.Port(), 8, 0, false)...), end(a, s.Port(), 24, 2, false)...)
		}
	}
	drop := bpf.RetConstant{Val: 0}
	program := []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: packetHost, SkipTrue: 3},
		bpf.LoadExtension{Num: bpf.ExtInterfaceIndex},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: loopback, SkipTrue: 1},
		drop,
		bpf.LoadAbsolute{Off: 0, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 4, SkipTrue: 1},
		bpf.Jump{Skip: uint32(5 + len(v4) + 1)}, // to the last part
		// IPv4: a whole TCP segment or its first fragment
		bpf.LoadAbsolute{Off: 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protocolTCP, SkipTrue: 2},
		bpf.LoadAbsolute{Off: 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: 0x1fff, SkipTrue: 1},
		drop,
	}
	program = append(append(program, v4...), drop)
	program = append(program,
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 6, SkipTrue: 2},
		bpf.LoadAbsolute{Off: 6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolTCP, SkipTrue: 1},
		drop,
	)
	program = append(append(program, v6...), drop)
	return bpf.Assemble(program)
}

// end takes the packet if one of its ends is this one: its address is at the offset, and
// its port at an offset behind the IP header. Otherwise it goes on behind itself.
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
	return append(all,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(port), SkipFalse: 1},
		bpf.RetConstant{Val: most})
}
