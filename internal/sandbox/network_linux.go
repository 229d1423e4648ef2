package sandbox

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/kabench/kabench/profiles/network"
	"golang.org/x/sys/unix"
)

// Network is a number of hosts and the links between them, inside the sandbox.
type Network struct {
	core    *core
	wire    *wire
	hosts   []*Host
	device  string // the TUN device's name, in each host
	start   time.Time
	closing atomic.Bool
	unseen  uint64 // set by Close
}

var networks atomic.Uint32 // for device names: the client is in all of them

// Start makes the network of cfg. It must be called inside the sandbox ([Inside]),
// because it sets addresses and settings of the client, which is this process.
func Start(cfg network.Config) (*Network, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if !Inside() {
		return nil, errors.New("a network can be made only inside the sandbox; re-execute with sandbox.Reexec")
	}
	cfg = cfg.WithDefaults()
	core, err := newCore(cfg)
	if err != nil {
		return nil, err
	}
	n := &Network{core: core, device: "kab" + strconv.Itoa(int(networks.Add(1)))}
	var fds []int
	defer func() {
		if n.wire != nil {
			return
		}
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
		for _, h := range n.hosts {
			h.close()
		}
	}()
	for i, hc := range cfg.Hosts {
		h, err := newHost(hc.Name, core.addrs[i], i > 0)
		if err != nil {
			return nil, err
		}
		n.hosts = append(n.hosts, h)
		if err := h.configure(hc, i == 0 && cfg.BrokenIPv6); err != nil {
			return nil, err
		}
		err = h.onThread(func() error {
			fd, err := openTUN(n.device, h.addrs, cfg.Subnet, cfg.MTU)
			if err == nil {
				fds = append(fds, fd)
			}
			if err == nil && i == 0 && cfg.BrokenIPv6 {
				err = loseIPv6(n.device, h.addrs[0])
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("host %s: %w", hc.Name, err)
		}
	}
	n.start = time.Now()
	if n.wire, err = startWire(core, n.start, fds); err != nil {
		return nil, err
	}
	return n, nil
}

// Began returns the moment from which all times of packets are counted.
func (n *Network) Began() time.Time { return n.start }

// Host returns the host with this name; nil if there is none.
func (n *Network) Host(name string) *Host {
	for _, h := range n.hosts {
		if h.name == name {
			return h
		}
	}
	return nil
}

// Addr returns the first address of the host, balancer or NAT with this name; invalid
// if there is none.
func (n *Network) Addr(name string) netip.Addr {
	if i, err := n.core.find(name); err == nil {
		return n.core.addrs[i][0]
	}
	return netip.Addr{}
}

// Event activates the rules that start on name and deactivates those that end on it, and
// lets backends join and leave. It is an error if nothing mentions name.
func (n *Network) Event(name string) error {
	cares := false
	n.wire.do(func() { cares = n.core.event(name) })
	if !cares {
		return fmt.Errorf("event %q: nothing waits for it", name)
	}
	return nil
}

// Forget makes the balancer, NAT or link with this name forget all its flows at once, as if
// it had been restarted or replaced. It returns how many there were.
func (n *Network) Forget(name string) (flows int, err error) {
	err = fmt.Errorf("forget %q: no balancer or NAT, and no link with flows, has that name", name)
	n.wire.do(func() {
		for i, l := range n.core.links {
			if i < len(n.core.cfg.Links) && l.flows != nil && n.core.cfg.Links[i].Name() == name {
				flows, err = l.flows.forget(), nil
			}
		}
		for _, b := range n.core.balancers() {
			if b.cfg.Name == name {
				flows, err = b.flows.forget(), nil
			}
		}
		for _, nat := range n.core.nats {
			if nat.cfg.Name == name {
				flows, err = nat.forgetAll(), nil
			}
		}
	})
	return flows, err
}

// Connection returns the packets of the connection between a and b that are still
// kept, oldest first, and only the last ones if last is above 0. Behind a balancer,
// the connection may be given with the balancer's address or with the backend's. The
// wire stands still during the call, so ask for few packets while the network runs.
func (n *Network) Connection(a, b netip.AddrPort, last int) []Packet {
	if !a.Addr().Unmap().Is4() || !b.Addr().Unmap().Is4() {
		return nil
	}
	key := keyOf(addrNumber(a.Addr()), a.Port(), addrNumber(b.Addr()), b.Port())
	var packets []Packet
	n.wire.do(func() {
		packets = n.core.rec.connection(key, last)
		if packets == nil {
			packets = n.core.rec.connection(n.core.throughBalancer(a, b), last)
		}
	})
	return packets
}

// Packets calls each with the packets that are still kept, in the order of sending, and
// with the two ends of their connection: the same ones for all packets of it, also
// behind a balancer or NAT. The wire stands still for short times during the call, and each
// may not use the network.
func (n *Network) Packets(each func(between [2]netip.AddrPort, p Packet)) {
	rec := n.core.rec
	var id, end uint64
	var of map[uint64]flowKey // the connections, if a NAT gives them ports that are given again
	n.wire.do(func() {
		id, end = rec.oldest(), rec.count
		if n.core.nats != nil {
			of = rec.connections()
		}
	})
	const chunk = 128
	for id <= end {
		n.wire.do(func() {
			id = max(id, rec.oldest())
			for until := min(id+chunk-1, end); id <= until; id++ {
				p := rec.packet(id)
				if p.Proto == protoTCP {
					key, known := of[id]
					if !known {
						key = n.core.throughBalancer(p.Src, p.Dst)
					}
					each(key.ends(), p)
				}
			}
		})
	}
}

// Stats returns the counters of the wire.
func (n *Network) Stats() Stats {
	s := Stats{Fates: map[string]uint64{}, Struck: map[string]uint64{}}
	n.wire.do(func() {
		c := n.core
		s.Packets, s.Overwritten = c.rec.count, c.rec.oldest()-1
		for i, count := range c.rec.fates {
			if count > 0 {
				s.Fates[Fate(i).String()] = count
			}
		}
		tables := func(t *flowTable) {
			s.Forgotten += t.forgotten
			if t.most > 0 {
				s.Flows.add(t.room)
			}
		}
		for _, b := range c.balancers() {
			tables(b.flows)
		}
		for _, n := range c.nats {
			tables(n.flows)
			s.Ports.add(n.room)
		}
		for _, l := range c.links {
			if l.flows != nil {
				tables(l.flows)
			}
			for _, r := range l.rules {
				s.Struck[c.rec.names[l.by]+": "+c.rec.names[r.by]] += r.struck
			}
		}
		s.LateP50, s.LateP99, s.LateP999 = c.late.quantile(.5), c.late.quantile(.99), c.late.quantile(.999)
		s.LateMax = time.Duration(c.late.max)
		s.Unseen = n.unseen
	})
	return s
}

// Close stops the wire, kills the programs that were started in the hosts and removes
// the hosts. The record can still be read. Close may be called again.
func (n *Network) Close() error {
	if n.closing.Swap(true) {
		return nil
	}
	err := n.wire.stop()
	var unseen uint64
	for i, h := range n.hosts {
		err = errors.Join(err, h.onThread(func() error {
			drops, err := unseenDrops(n.device)
			unseen += drops
			return err
		}))
		_ = unix.Close(n.wire.fds[i])
	}
	_ = unix.Close(n.wire.wake)
	n.wire.do(func() { n.unseen = unseen })
	for _, h := range n.hosts {
		h.close()
	}
	return err
}

// Blank overwrites parts of the kept payloads with stars. find is given what one end
// of a connection sent, in the order of sequence numbers and without a gap, and
// returns the beginning and end of each part, in order. Lengths stay the same and
// checksums are corrected. Call Blank after Close, because the wire stands still
// during the call.
func (n *Network) Blank(find func(sent []byte) [][2]int) {
	n.wire.do(func() { n.core.rec.blank(find) })
}

// WriteFile writes the record to the file path, as [Network.WritePcapng].
func (n *Network) WriteFile(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(n.WritePcapng(f), f.Close())
}

// WritePcapng writes the packets that are still kept as a pcapng file for Wireshark or
// tcpdump. Each host is an interface. A packet stands at the interface of the host that
// sent it and at that of the host that received it, with the same packet id. A packet
// that did not arrive has a comment that says why. Packets that the wire made stand at
// the interface "wire" and where they arrived. Packets sent after the call are not in
// the file.
func (n *Network) WritePcapng(w io.Writer) error {
	rec := n.core.rec
	var id, end, lost uint64
	n.wire.do(func() { id, end, lost = rec.oldest(), rec.count, rec.oldest()-1 })
	comment := "the times are those of the wire: when it read a packet from a host's TUN device, and when it wrote it to one"
	if lost > 0 {
		comment += fmt.Sprintf("; %d earlier packets were not kept", lost)
	}
	hosts := n.core.names[:n.core.hosts]
	out, err := newPcapWriter(w, hosts, n.start, comment)
	if err != nil {
		return err
	}
	// A few at a time, because the wire stands still during each call.
	const chunk = 128
	slots, data := make([]slot, 0, chunk), make([]byte, 0, chunk*rec.snap)
	for id <= end {
		slots, data = slots[:0], data[:0]
		n.wire.do(func() {
			for id = max(id, rec.oldest()); id <= end && len(slots) < chunk; id++ {
				s, b := rec.raw(id)
				slots, data = append(slots, s), append(data, b...)
			}
		})
		at := 0
		for _, s := range slots {
			if err := out.add(s, data[at:at+int(s.kept)], len(hosts), rec.names[s.by]); err != nil {
				return err
			}
			at += int(s.kept)
		}
	}
	return out.end()
}
