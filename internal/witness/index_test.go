package witness

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
	"github.com/kabench/kabench/internal/packetring"
	"github.com/kabench/kabench/results"
)

// wire makes packets of one connection, as the ring hands them over.
type wire struct {
	w        *Witness
	port     uint16
	seq, ack uint32
}

var (
	clientAddr = netip.MustParseAddr("127.0.0.1")
	serverEnd  = netip.MustParseAddrPort("127.0.0.1:80")
)

func (p *wire) send(fromClient bool, flags segments.Flags, payload string) {
	src, dst, seq, ack := netip.AddrPortFrom(clientAddr, p.port), serverEnd, &p.seq, p.ack
	if !fromClient {
		src, dst, seq, ack = dst, src, &p.ack, p.seq
	}
	tcp := make([]byte, 20, 20+len(payload))
	binary.BigEndian.PutUint16(tcp, src.Port())
	binary.BigEndian.PutUint16(tcp[2:], dst.Port())
	binary.BigEndian.PutUint32(tcp[4:], *seq)
	binary.BigEndian.PutUint32(tcp[8:], ack)
	tcp[12], tcp[13] = 5<<4, byte(flags)
	tcp = append(tcp, payload...)
	packet := append(ipHeader(src.Addr(), dst.Addr(), 64, len(tcp)), tcp...)
	*seq += uint32(len(payload))
	if flags&(segments.FlagSYN|segments.FlagFIN) != 0 {
		*seq++
	}
	p.w.take(packet, len(packet), p.w.clock.Base.UnixNano()+int64(p.w.packets)*1000)
}

func (p *wire) open() {
	p.send(true, segments.FlagSYN, "")
	p.send(false, segments.FlagSYN|segments.FlagACK, "")
	p.send(true, segments.FlagACK, "")
}

func (p *wire) ask(seq uint64) {
	p.send(true, segments.FlagPSH|segments.FlagACK, "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: "+idOf(seq)+"\r\n\r\n")
}

func (p *wire) answer() {
	p.send(false, segments.FlagPSH|segments.FlagACK, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
}

// What is remembered is bounded, and what is forgotten is not called unseen.
func TestIndexIsBounded(t *testing.T) {
	w := newWitness([]netip.AddrPort{serverEnd}, packetring.NewClock(time.Now))
	p := &wire{w: w, port: 40000}
	p.open()
	const most, more = keptPackets / 2, 10 // maxAsked would take long with the race detector
	w.asked.most = most
	for seq := range uint64(most + more) {
		p.ask(seq)
		p.answer()
	}
	epoch := w.clock.Base
	if s := w.Saw(more-1, epoch); s.Seen {
		t.Errorf("one that is forgotten: %+v", s)
	}
	for _, seq := range []uint64{more, most, most + more - 1} {
		s := w.Saw(seq, epoch)
		if !s.Seen || len(s.Attempts) != 1 || s.Attempts[0].Use != int(seq)+1 || s.Attempts[0].Phase != results.PhaseDone || s.Attempts[0].Basis != evidence.Seen {
			t.Errorf("%d: %+v", seq, s)
		}
	}
	if len(w.asked.order) != most || len(w.asked.of) != most || len(w.kept.slots) != keptPackets {
		t.Errorf("%d attempts, %d ids, %d packets", len(w.asked.order), len(w.asked.of), len(w.kept.slots))
	}
}

// A connection that the witness did not see the beginning of is not its client's.
func TestLeavesOutEarlierConnections(t *testing.T) {
	w := newWitness([]netip.AddrPort{serverEnd}, packetring.NewClock(time.Now))
	p := &wire{w: w, port: 40000, seq: 1, ack: 1}
	p.ask(1)
	p.send(false, segments.FlagRST, "")
	if s := w.Saw(1, w.clock.Base); !s.Seen || s.Attempts != nil {
		t.Errorf("%+v", s)
	}
	if s := w.Stats(); s.Opened != 0 || len(w.Conns(w.clock.Base)) != 0 {
		t.Errorf("%d opened", s.Opened)
	}
	p = &wire{w: w, port: 40000, seq: 1000, ack: 2000} // the same ports
	p.open()
	p.ask(1)
	s := w.Saw(1, w.clock.Base)
	if len(s.Attempts) != 1 || s.Attempts[0].Conn != 1 || s.Attempts[0].Phase != results.PhaseBeforeResponse || s.Attempts[0].Cause != results.CauseNone {
		t.Errorf("%+v", s)
	}
}

func BenchmarkPacket(b *testing.B) {
	w := newWitness([]netip.AddrPort{serverEnd}, packetring.NewClock(time.Now))
	var conns []*wire
	for i := range 100 {
		conns = append(conns, &wire{w: w, port: uint16(40000 + i)})
		conns[i].open()
	}
	b.ReportAllocs()
	for i := 0; i < b.N; i += 2 {
		p := conns[i%len(conns)]
		p.ask(uint64(i))
		p.answer()
	}
}
