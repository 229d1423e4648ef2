package kernel

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// layout is where the running kernel keeps what the programs read: offsets in bytes.
type layout struct {
	// Of struct sock_common, with which every kind of socket begins.
	family, state      int32
	daddr, saddr       int32
	daddr6, saddr6     int32 // -1: the kernel has no IPv6
	dport, num         int32
	net, cookie        int32
	common             int32 // how many bytes hold all of these
	protocol           int32 // struct sock
	sport              int32 // struct inet_sock
	inum               int32 // of the namespace: struct net
	head, device       int32 // struct sk_buff
	network, transport int32
	deviceNet          int32 // struct net_device
	reasons            map[uint32]string
}

// tracepoint is where a program sits.
type tracepoint struct {
	name              string
	sock, skb, reason int // which argument it is, from 0; -1: the kernel does not pass it
}

var errNoTypes = errors.New("the kernel does not describe its types (BTF: CONFIG_DEBUG_INFO_BTF)")

// readLayout reads the running kernel's layout.
func readLayout(spec *btf.Spec) (*layout, error) {
	l := &layout{}
	find := fields{spec: spec}
	for _, f := range []struct {
		to         *int32
		size       uint32
		in, member string
	}{
		{&l.family, 2, "sock_common", "skc_family"},
		{&l.state, 1, "sock_common", "skc_state"},
		{&l.daddr, 4, "sock_common", "skc_daddr"},
		{&l.saddr, 4, "sock_common", "skc_rcv_saddr"},
		{&l.dport, 2, "sock_common", "skc_dport"},
		{&l.num, 2, "sock_common", "skc_num"},
		{&l.net, 8, "sock_common", "skc_net.net"},
		{&l.cookie, 8, "sock_common", "skc_cookie"},
		{&l.protocol, 2, "sock", "sk_protocol"},
		{&l.sport, 2, "inet_sock", "inet_sport"},
		{&l.inum, 4, "net", "ns.inum"},
		{&l.head, 8, "sk_buff", "head"},
		{&l.device, 8, "sk_buff", "dev"},
		{&l.network, 2, "sk_buff", "network_header"},
		{&l.transport, 2, "sk_buff", "transport_header"},
		{&l.deviceNet, 8, "net_device", "nd_net.net"},
	} {
		*f.to = find.offset(f.in, f.member, f.size)
	}
	if find.err != nil {
		return nil, find.err
	}
	l.daddr6, l.saddr6 = find.offset("sock_common", "skc_v6_daddr", 16), find.offset("sock_common", "skc_v6_rcv_saddr", 16)
	if find.err != nil {
		l.daddr6, l.saddr6 = -1, -1
	}
	l.common = max(l.family+2, l.state+1, l.daddr+4, l.saddr+4, l.daddr6+16, l.saddr6+16, l.dport+2, l.num+2, l.net+8, l.cookie+8)
	l.common = (l.common + 7) &^ 7
	if l.common > commonRoom {
		return nil, fmt.Errorf("struct sock_common of this kernel has its fields in %d bytes; the programs have room for %d", l.common, commonRoom)
	}
	l.reasons = readReasons(spec)
	return l, nil
}

// fields finds fields of structures, until one is not there.
type fields struct {
	spec *btf.Spec
	err  error
}

// offset returns where a field is in a structure: its name may be a path, and it may be in
// a structure or a union without a name. size is what the programs read of it.
func (f *fields) offset(in, path string, size uint32) int32 {
	if f.err != nil {
		return -1
	}
	var at btf.Type
	var s *btf.Struct
	if err := f.spec.TypeByName(in, &s); err != nil {
		f.err = fmt.Errorf("the kernel's types have no struct %s: %w", in, err)
		return -1
	}
	at = s
	sum := uint32(0)
	for name := range strings.SplitSeq(path, ".") {
		m, offset, ok := member(at, name)
		if !ok || m.BitfieldSize != 0 {
			f.err = fmt.Errorf("struct %s of this kernel has no field %s", in, path)
			return -1
		}
		sum += offset
		at = m.Type
	}
	if have, err := btf.Sizeof(at); err != nil || uint32(have) != size {
		f.err = fmt.Errorf("field %s of struct %s has %d bytes in this kernel, not %d", path, in, have, size)
		return -1
	}
	return int32(sum)
}

func member(of btf.Type, name string) (btf.Member, uint32, bool) {
	var all []btf.Member
	switch t := btf.UnderlyingType(of).(type) {
	case *btf.Struct:
		all = t.Members
	case *btf.Union:
		all = t.Members
	}
	for _, m := range all {
		if m.Name == name {
			return m, m.Offset.Bytes(), true
		}
		if m.Name != "" {
			continue
		}
		if inner, offset, ok := member(m.Type, name); ok {
			return inner, m.Offset.Bytes() + offset, true
		}
	}
	return btf.Member{}, 0, false
}

// readReasons returns the kernel's names of the reasons of a RST, without their prefix; none
// before Linux 6.10.
func readReasons(spec *btf.Spec) map[uint32]string {
	names := map[uint32]string{}
	var e *btf.Enum
	if spec.TypeByName("sk_rst_reason", &e) != nil {
		return names
	}
	for _, v := range e.Values {
		name := strings.TrimPrefix(v.Name, "SK_RST_REASON_")
		if name != "NOT_SPECIFIED" && name != "MAX" {
			names[uint32(v.Value)] = name
		}
	}
	return names
}

// readTracepoint finds the arguments of a tracepoint by their types: their order has changed,
// and newer kernels have more of them.
func readTracepoint(spec *btf.Spec, name string) (tracepoint, error) {
	tp := tracepoint{name: name, sock: -1, skb: -1, reason: -1}
	var t *btf.Typedef
	if err := spec.TypeByName("btf_trace_"+name, &t); err != nil {
		return tp, fmt.Errorf("the kernel has no tracepoint %s", name)
	}
	pointer, _ := t.Type.(*btf.Pointer)
	if pointer == nil {
		return tp, fmt.Errorf("the kernel's types do not describe the arguments of the tracepoint %s", name)
	}
	proto, _ := pointer.Target.(*btf.FuncProto)
	if proto == nil || len(proto.Params) == 0 {
		return tp, fmt.Errorf("the kernel's types do not describe the arguments of the tracepoint %s", name)
	}
	for i, p := range proto.Params[1:] { // the first one is the tracepoint's own
		switch kind := btf.UnderlyingType(p.Type).(type) {
		case *btf.Pointer:
			s, _ := btf.UnderlyingType(kind.Target).(*btf.Struct)
			switch {
			case s != nil && s.Name == "sock":
				tp.sock = i
			case s != nil && s.Name == "sk_buff":
				tp.skb = i
			}
		case *btf.Enum:
			if kind.Name == "sk_rst_reason" {
				tp.reason = i
			}
		}
	}
	if tp.sock < 0 {
		return tp, fmt.Errorf("the tracepoint %s of this kernel passes no socket", name)
	}
	return tp, nil
}
