package kernel

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
)

// types makes a kernel's types.
func types(t *testing.T, all ...btf.Type) *btf.Spec {
	t.Helper()
	b, err := btf.NewBuilder(all, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := b.Marshal(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := btf.LoadSpecFromReader(strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func TestFieldsAreFoundByName(t *testing.T) {
	u16, u32 := &btf.Int{Name: "u16", Size: 2}, &btf.Int{Name: "u32", Size: 4}
	inner := &btf.Struct{Size: 8, Members: []btf.Member{{Name: "a", Type: u32}, {Name: "b", Type: u32, Offset: 32}}}
	named := &btf.Struct{Name: "named", Size: 8, Members: []btf.Member{{Name: "first", Type: u32}, {Name: "second", Type: u16, Offset: 32}}}
	spec := types(t, &btf.Struct{Name: "outer", Size: 40, Members: []btf.Member{
		{Name: "begin", Type: u32},
		{Type: &btf.Union{Size: 8, Members: []btf.Member{{Name: "whole", Type: &btf.Int{Name: "u64", Size: 8}}, {Type: inner}}}, Offset: 64},
		{Name: "deep", Type: named, Offset: 128},
		{Name: "bits", Type: u32, Offset: 192, BitfieldSize: 3},
	}})
	for _, c := range []struct {
		path string
		size uint32
		want int32
		err  string
	}{
		{"begin", 4, 0, ""},
		{"b", 4, 12, ""},
		{"deep.second", 2, 20, ""},
		{"deep.third", 2, -1, "struct outer of this kernel has no field deep.third"},
		{"bits", 4, -1, "has no field bits"},
		{"begin", 8, -1, "field begin of struct outer has 4 bytes in this kernel, not 8"},
	} {
		f := fields{spec: spec}
		got := f.offset("outer", c.path, c.size)
		if got != c.want || (f.err == nil) != (c.err == "") || f.err != nil && !strings.Contains(f.err.Error(), c.err) {
			t.Errorf("%s: %d, %v; want %d, %q", c.path, got, f.err, c.want, c.err)
		}
		f.offset("outer", "begin", 4)
		if c.err != "" && (f.err == nil || !strings.Contains(f.err.Error(), c.err)) {
			t.Errorf("%s: the first error is forgotten: %v", c.path, f.err)
		}
	}
	if _, err := readLayout(spec); err == nil || !strings.Contains(err.Error(), "no struct sock_common") {
		t.Errorf("a kernel without sockets: %v", err)
	}
}

// The arguments of a tracepoint have changed: newer kernels pass more.
func TestArgumentsAreFoundByType(t *testing.T) {
	pointer := func(to btf.Type) btf.Type { return &btf.Pointer{Target: &btf.Const{Type: to}} }
	sock, skb := pointer(&btf.Struct{Name: "sock", Size: 8}), pointer(&btf.Struct{Name: "sk_buff", Size: 8})
	reason := &btf.Const{Type: &btf.Enum{Name: "sk_rst_reason", Size: 4, Values: []btf.EnumValue{
		{Name: "SK_RST_REASON_NOT_SPECIFIED", Value: 0}, {Name: "SK_RST_REASON_NO_SOCKET", Value: 1}, {Name: "SK_RST_REASON_MAX", Value: 2},
	}}}
	point := func(name string, args ...btf.Type) btf.Type {
		proto := &btf.FuncProto{Return: &btf.Void{}, Params: []btf.FuncParam{{Type: &btf.Pointer{Target: &btf.Void{}}}}}
		for _, a := range args {
			proto.Params = append(proto.Params, btf.FuncParam{Type: a})
		}
		return &btf.Typedef{Name: "btf_trace_" + name, Type: &btf.Pointer{Target: proto}}
	}
	spec := types(t, point("old", sock, skb), point("new", sock, skb, reason), point("turned", skb, sock), point("alone", sock), point("strange", skb))
	for _, want := range []tracepoint{{"old", 0, 1, -1}, {"new", 0, 1, 2}, {"turned", 1, 0, -1}, {"alone", 0, -1, -1}} {
		if got, err := readTracepoint(spec, want.name); err != nil || got != want {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	for name, want := range map[string]string{"strange": "passes no socket", "none": "the kernel has no tracepoint none"} {
		if _, err := readTracepoint(spec, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if got := readReasons(spec); len(got) != 1 || got[1] != "NO_SOCKET" {
		t.Errorf("%v", got)
	}
}
