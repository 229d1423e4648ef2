package redact

import (
	crypto "crypto/rand"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/kabench/kabench/internal/capture/remade"
	"github.com/kabench/kabench/internal/evidence/segments"
)

// Bounds of the segments that wait for earlier bytes of their connection.
const (
	maxWaiting      = 50_000
	maxWaitingBytes = 32 << 20
	maxHeld         = 32     // segments of one direction
	maxConnections  = 60_000 // more than are followed at a time
)

// epoch is when a redacted capture begins.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// Writer writes segments as a pcapng file that may be shown.
type Writer struct {
	out     *pcapgo.NgWriter
	into    io.Writer
	places  int
	names   *names
	key     [32]byte
	open    recent[pairing, *link]
	known   recent[netip.AddrPort, bool] // servers
	queue   []*waiting                   // in the order of the file
	bytes   int                          // of the payloads in the queue
	err     error
	packets int
}

// waiting is a segment that is not written yet.
type waiting struct {
	s      segments.Segment
	place  int
	ready  bool
	stream *stream // where its payload belongs
	begin  uint32  // the number of its first byte
}

// pairing is a connection at one place. The smaller end comes first.
type pairing struct {
	place int
	a, b  netip.AddrPort
}

// link is a connection at one place.
type link struct {
	server   netip.AddrPort
	client   netip.AddrPort
	isn      uint32 // of the client, if shaken
	shaken   bool
	protocol protocol
	up, down stream
}

// stream is one direction of a connection.
type stream struct {
	half  half
	known bool   // next is
	guess bool   // next may be one too low: it is that of a keep-alive probe or of an ACK
	next  uint32 // the number of the next byte
	moved uint32 // what is added to its numbers
	held  []*waiting
}

// NewWriter begins a file. Every file has numbers of its own, so that two files of the
// same traffic cannot be compared.
func NewWriter(w io.Writer) *Writer {
	out := &Writer{into: w, open: recent[pairing, *link]{most: maxConnections}, known: recent[netip.AddrPort, bool]{most: maxEnds}}
	crypto.Read(out.key[:]) // it never fails
	out.names = newNames(rand.New(rand.NewChaCha8(out.key)))
	return out
}

// Take takes the next segment of a place. It keeps nothing of s.
func (w *Writer) Take(place int, s *segments.Segment) {
	if w.err != nil {
		return
	}
	one := &waiting{s: *s, place: place, ready: true}
	one.s.Payload = slices.Clone(s.Payload[:min(len(s.Payload), s.Len)])
	l := w.link(place, s)
	way, back := &l.up, &l.down
	if s.Src == l.server {
		way, back = back, way
	}
	w.rename(one, l, way, back)
	w.queue = append(w.queue, one)
	w.bytes += len(one.s.Payload)
	if s.Flags&segments.FlagRST == 0 || s.Len > 0 {
		if s.Flags&segments.FlagACK != 0 && !back.known {
			back.known, back.guess, back.next = true, true, s.Ack
		}
		way.take(one, s)
	}
	w.write(false)
}

// End writes what is left.
func (w *Writer) End() error {
	w.write(true)
	if w.err == nil && w.out == nil {
		w.err = w.begin()
	}
	if w.err == nil {
		w.err = w.out.Flush()
	}
	return w.err
}

// link returns the connection of a segment, a new one for a new handshake.
func (w *Writer) link(place int, s *segments.Segment) *link {
	key := pairing{place, s.Src, s.Dst}
	if s.Src.Compare(s.Dst) > 0 {
		key.a, key.b = s.Dst, s.Src
	}
	syn := s.Flags&(segments.FlagSYN|segments.FlagACK) == segments.FlagSYN
	l, ok := w.open.get(key)
	if ok && (!syn || s.Src == l.client && l.shaken && l.isn == s.Seq) {
		return l
	}
	l = &link{}
	l.client, l.server = w.ends(s, syn)
	switch {
	case syn:
		l.isn, l.shaken = s.Seq, true
	case s.Flags&segments.FlagSYN != 0:
		l.isn, l.shaken = s.Ack-1, true
	}
	w.move(l)
	l.up.half.protocol, l.down.half.protocol = &l.protocol, &l.protocol
	if l.shaken {
		l.up.half.role, l.down.half.role, l.down.half.response = true, true, true
	}
	w.open.put(key, l)
	return l
}

// move chooses what is added to the numbers of a connection. The same connection seen at
// two places must have the same numbers, even behind an address translation.
func (w *Writer) move(l *link) {
	seed := w.key
	text := "isn " + strconv.FormatUint(uint64(l.isn), 10)
	if !l.shaken {
		text = l.client.String() + " " + l.server.String()
		if l.client.Compare(l.server) > 0 {
			text = l.server.String() + " " + l.client.String()
		}
	}
	l.up.moved, l.down.moved = digest(seed, text)
	if !l.shaken && l.client.Compare(l.server) > 0 {
		l.up.moved, l.down.moved = l.down.moved, l.up.moved
	}
}

// ends says which end is the client, as the judgement will.
func (w *Writer) ends(s *segments.Segment, syn bool) (client, server netip.AddrPort) {
	from, _ := w.known.get(s.Src)
	to, _ := w.known.get(s.Dst)
	switch {
	case syn:
		w.known.put(s.Dst, true)
	case s.Flags&segments.FlagSYN != 0:
		w.known.put(s.Src, true)
		return s.Dst, s.Src
	case from != to && from, from == to && s.Src.Port() < s.Dst.Port():
		return s.Dst, s.Src
	}
	return s.Src, s.Dst
}

// rename replaces all that names somebody in the headers.
func (w *Writer) rename(one *waiting, l *link, way, back *stream) {
	s := &one.s
	src := w.names.host(s.Src.Addr())
	s.ID, s.TTL = src.id(s.ID), src.hop(s.TTL)
	s.Src, s.Dst = w.names.end(s.Src, s.Src == l.server), w.names.end(s.Dst, s.Dst == l.server)
	one.begin = s.Seq
	if s.Flags&segments.FlagSYN != 0 {
		one.begin++
	}
	s.Seq += way.moved
	if s.Flags&segments.FlagACK != 0 {
		s.Ack += back.moved
	} else {
		s.Ack = 0
	}
}

// take blanks the payload of a segment, now or when the bytes before have come.
func (t *stream) take(one *waiting, s *segments.Segment) {
	switch {
	case !t.known:
		t.known, t.guess, t.next = true, s.Len == 0 && s.Flags&segments.FlagSYN == 0, one.begin
	case t.guess && s.Len > 0:
		t.guess = false
		if one.begin == t.next+1 {
			t.next = one.begin
		}
	}
	if s.Len == 0 {
		return
	}
	if int32(one.begin-t.next) > 0 {
		one.ready, one.stream = false, t
		i := len(t.held) // behind those that begin with the same byte: they came first
		for i > 0 && int32(t.held[i-1].begin-one.begin) > 0 {
			i--
		}
		t.held = slices.Insert(t.held, i, one)
		if len(t.held) > maxHeld {
			t.skip()
		}
		return
	}
	t.blank(one)
	t.release()
}

// blank blanks a payload whose first new byte is the next one.
func (t *stream) blank(one *waiting) {
	one.ready = true
	old := int(t.next - one.begin)
	b := one.s.Payload
	for i := range b[:min(old, len(b))] {
		b[i] = blankByte
	}
	if old >= one.s.Len {
		return
	}
	fresh := b[min(old, len(b)):]
	t.half.blank(fresh, old == 0)
	if missing := one.s.Len - old - len(fresh); missing > 0 {
		t.half.miss(missing)
	}
	t.next = one.begin + uint32(one.s.Len)
}

// release blanks what waited for the bytes before.
func (t *stream) release() {
	for len(t.held) > 0 && int32(t.held[0].begin-t.next) <= 0 {
		one := t.held[0]
		t.held = slices.Delete(t.held, 0, 1)
		t.blank(one)
	}
}

// skip gives up the bytes before the first segment that waits.
func (t *stream) skip() {
	if len(t.held) == 0 {
		return
	}
	t.half.miss(int(t.held[0].begin - t.next))
	t.next = t.held[0].begin
	t.release()
}

// write writes the segments that are ready, or all of them.
func (w *Writer) write(all bool) {
	done := 0
	for ; done < len(w.queue) && w.err == nil; done++ {
		one := w.queue[done]
		if !one.ready && (all || len(w.queue)-done > maxWaiting || w.bytes > maxWaitingBytes) {
			for !one.ready {
				one.stream.skip()
			}
		}
		if !one.ready {
			break
		}
		w.bytes -= len(one.s.Payload)
		w.packet(one)
	}
	w.queue = slices.Delete(w.queue, 0, done)
}

// packet writes a segment.
func (w *Writer) packet(one *waiting) {
	if w.out == nil {
		if w.err = w.begin(); w.err != nil {
			return
		}
	}
	for ; w.places <= one.place && w.err == nil; w.places++ {
		_, w.err = w.out.AddInterface(placed(w.places))
	}
	if w.err != nil {
		return
	}
	data, size := remade.Packet(&one.s)
	w.err = w.out.WritePacket(gopacket.CaptureInfo{
		Timestamp: epoch.Add(one.s.At), CaptureLength: len(data), Length: size, InterfaceIndex: one.place,
	}, data)
	w.packets++
}

// begin writes the header, with the list of its content.
func (w *Writer) begin() (err error) {
	w.places = 1
	w.out, err = pcapgo.NewNgWriterInterface(w.into, placed(0), pcapgo.NgWriterOptions{
		SectionInfo: pcapgo.NgSectionInfo{Application: "kabench autopsy --redact", Comment: strings.Join(Says(), "\n")},
	})
	return err
}

func placed(n int) pcapgo.NgInterface {
	return pcapgo.NgInterface{Name: "place " + strconv.Itoa(n+1), LinkType: layers.LinkTypeRaw, TimestampResolution: 9}
}
