package kernel

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/kabench/kabench/internal/watch"
)

const (
	ringSize = 4 << 20 // 52,000 events: 2.5 s at 2,000 connections/s that open and close
	maxEnds  = 10_000
)

// ring is ringSize; a test has a smaller one.
var ring uint32 = ringSize

// Layer watches the sockets. Its methods may not be called concurrently.
type Layer struct {
	sees   watch.Sees
	all    bool
	ends   *ebpf.Map
	events *ebpf.Map
	lost   *ebpf.Map
	links  []link.Link
	reader *ringbuf.Reader
	record ringbuf.Record
	decoder
}

// Open begins to watch. start is the beginning of the watch: times of events are since then.
// It never fails: if the kernel or the rights of this process do not allow it, the layer is
// off and Sees says why.
func Open(want Want, start time.Time) *Layer {
	l := &Layer{all: want.All(), sees: watch.Sees{Layer: watch.Kernel, On: true, Says: says}}
	if err := l.open(want, start); err != nil {
		_ = l.Close()
		return off(lacks(err))
	}
	return l
}

func (l *Layer) open(want Want, start time.Time) error {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return fmt.Errorf("%w: %w", errNoTypes, err)
	}
	layout, err := readLayout(spec)
	if err != nil {
		return err
	}
	l.decoder = decoder{reasons: layout.reasons, start: ktime(start)}
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	l.mask = binary.NativeEndian.Uint64(random[:])
	_ = rlimit.RemoveMemlock() // before Linux 5.11, maps count as locked memory
	for _, m := range []struct {
		to   **ebpf.Map
		spec ebpf.MapSpec
	}{
		{&l.events, ebpf.MapSpec{Name: "kabench_events", Type: ebpf.RingBuf, MaxEntries: ring}},
		{&l.ends, ebpf.MapSpec{Name: "kabench_ends", Type: ebpf.Hash, KeySize: endSize, ValueSize: 4, MaxEntries: maxEnds}},
		{&l.lost, ebpf.MapSpec{Name: "kabench_lost", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}},
	} {
		if *m.to, err = ebpf.NewMap(&m.spec); err != nil {
			return fmt.Errorf("a map: %w", err)
		}
	}
	if l.reader, err = ringbuf.NewReader(l.events); err != nil {
		return fmt.Errorf("the ring: %w", err)
	}
	if err := l.Add(want.Ends); err != nil {
		return err
	}
	return l.attach(spec, layout, want.Namespace)
}

// attach puts the programs on the tracepoints. Without the first one there is nothing to
// see; of the others, those that are missing are named.
func (l *Layer) attach(spec *btf.Spec, layout *layout, namespace uint32) error {
	var missing []string
	for i, one := range []struct {
		name string
		make func(*program, tracepoint) asm.Instructions
	}{
		{"inet_sock_set_state", (*program).onState},
		{"tcp_receive_reset", func(p *program, tp tracepoint) asm.Instructions { return p.onSocket(watch.ResetReceived, tp) }},
		{"tcp_send_reset", (*program).onReset},
		{"tcp_retransmit_skb", func(p *program, tp tracepoint) asm.Instructions { return p.onSocket(watch.Retransmitted, tp) }},
	} {
		tp, err := readTracepoint(spec, one.name)
		if err == nil {
			p := &program{l: layout, ns: namespace, all: l.all, m: maps{ends: l.ends.FD(), events: l.events.FD(), lost: l.lost.FD()}}
			err = l.load(one.name, one.make(p, tp))
		}
		if err != nil && i == 0 {
			return err
		}
		if err != nil {
			missing = append(missing, err.Error())
		}
		if err == nil && one.name == "tcp_send_reset" && tp.reason < 0 {
			missing = append(missing, "Linux 6.10 for the reasons of RSTs, and for those that no connection sends")
		}
	}
	l.sees.Lacks = strings.Join(missing, "; ")
	return nil
}

func (l *Layer) load(name string, code asm.Instructions) error {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "kabench", Type: ebpf.RawTracepoint, Instructions: code, License: "GPL"})
	if err != nil {
		return fmt.Errorf("the program of tracepoint %s: %w", name, err)
	}
	defer p.Close() // the link holds it
	on, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: name, Program: p})
	if err != nil {
		return fmt.Errorf("tracepoint %s: %w", name, err)
	}
	l.links = append(l.links, on)
	return nil
}

// Add watches more ends. It does nothing where all connections are watched.
func (l *Layer) Add(ends watch.Ends) error {
	if l.ends == nil || l.all {
		return nil
	}
	for role, list := range [][]netip.AddrPort{ends.Listens, ends.Targets} {
		for _, a := range list {
			if err := l.add(a, uint16(role)); err != nil {
				return fmt.Errorf("watching %v: %w", a, err)
			}
		}
	}
	return nil
}

func (l *Layer) add(a netip.AddrPort, role uint16) error {
	every := key(a, role, true)
	if a.Addr().IsUnspecified() {
		return l.ends.Put(every[:], uint32(passes))
	}
	one := key(a, role, false)
	if err := l.ends.Put(one[:], uint32(passes)); err != nil {
		return err
	}
	if err := l.ends.Update(every[:], uint32(byAddress), ebpf.UpdateNoExist); !errors.Is(err, ebpf.ErrKeyExist) {
		return err
	}
	return nil
}

// Take calls do with each event that has come since the last call, in the order in which the
// kernel put them into the ring. The ring holds 52,000 of them.
func (l *Layer) Take(do func(watch.Event)) {
	if l.reader == nil {
		return
	}
	l.reader.SetDeadline(time.Now())
	for n := 0; n < ringSize/eventSize; n++ { // it returns even if events come faster than they are taken
		if err := l.reader.ReadInto(&l.record); err != nil {
			return
		}
		if len(l.record.RawSample) >= eventSize {
			do(l.event(l.record.RawSample))
		}
	}
}

// Sees says what the layer sees, and counts the events for which there was no room.
func (l *Layer) Sees() watch.Sees {
	if l.lost != nil {
		var n uint64
		if l.lost.Lookup(uint32(0), &n) == nil {
			l.sees.Lost = n
		}
	}
	return l.sees
}

// Close stops watching. Sees still says what was lost.
func (l *Layer) Close() error {
	l.Sees()
	var all []error
	for _, on := range l.links {
		all = append(all, on.Close())
	}
	l.links = nil
	if l.reader != nil {
		all = append(all, l.reader.Close())
		l.reader = nil
	}
	for _, m := range []**ebpf.Map{&l.ends, &l.events, &l.lost} {
		all = append(all, (*m).Close())
		*m = nil
	}
	return errors.Join(all...)
}

// ktime is a time as ns of CLOCK_MONOTONIC, which stands still in sleep as Go's clock does.
// The two clocks are read one after the other: of some readings, the quickest one is taken.
func ktime(t time.Time) int64 {
	best, at := time.Duration(1<<62), int64(0)
	for range 5 {
		var ts unix.Timespec
		before := time.Now()
		if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
			continue
		}
		if took := time.Since(before); took < best {
			best, at = took, ts.Nano()-int64(took/2)-int64(before.Sub(t))
		}
	}
	return at
}

// lacks says what is missing, for people.
func lacks(err error) string {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		if rights := missingRights(); rights != "" {
			return rights + ", or root"
		}
		return "CAP_BPF and CAP_PERFMON outside of a user namespace; this process has them only inside of one, or the kernel is locked down"
	case errors.Is(err, os.ErrNotExist) && errors.Is(err, errNoTypes), errors.Is(err, ebpf.ErrNotSupported) && errors.Is(err, errNoTypes):
		return errNoTypes.Error()
	case errors.Is(err, ebpf.ErrNotSupported):
		return "Linux 5.8 or newer with BPF: " + err.Error()
	}
	return err.Error()
}

// missingRights names those of the two rights that this process does not have.
func missingRights() string {
	var data [2]unix.CapUserData
	if unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0]) != nil {
		return ""
	}
	has := func(right int) bool { return data[right/32].Effective&(1<<(right%32)) != 0 }
	var names []string
	if has(unix.CAP_SYS_ADMIN) {
		return ""
	}
	if !has(unix.CAP_BPF) {
		names = append(names, "CAP_BPF")
	}
	if !has(unix.CAP_PERFMON) {
		names = append(names, "CAP_PERFMON")
	}
	return strings.Join(names, " and ")
}
