package capture

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/kabench/kabench/internal/unpack"
)

// Stdin is the name of the standard input among files.
const Stdin = unpack.Stdin

// file is one capture that is being read.
type file struct {
	name  string
	close func()
	pcap  *pcapgo.Reader
	ng    *pcapgo.NgReader
	count int64 // packets so far
}

// packet is one packet of a file. data is valid until the next one is read.
type packet struct {
	at      time.Time
	data    []byte
	size    int // on the wire
	link    int
	channel int // the interface of a pcapng file
}

// open begins to read a capture. The errors of a file that is none say so, and what to
// do.
func open(name string) (*file, error) {
	in, err := unpack.Open(name)
	if err != nil {
		return nil, err
	}
	f := &file{name: name, close: in.Close}
	if err := f.begin(in.Reader); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *file) begin(r *bufio.Reader) error {
	magic, err := r.Peek(4)
	switch {
	case len(magic) == 0 && err != io.EOF:
		return fmt.Errorf("%s cannot be read: %v", f.label(), err)
	case len(magic) == 0:
		return fmt.Errorf("%s is empty: capture again, and end tcpdump with Ctrl-C so that it writes its last packets", f.label())
	case bytes.Equal(magic, pcapng):
		f.ng, err = pcapgo.NewNgReader(r, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
	case isPcap(magic):
		f.pcap, err = pcapgo.NewReader(r)
	default:
		return f.noCapture(magic)
	}
	if err != nil {
		return fmt.Errorf("%s begins as a capture, but its header cannot be read (%v): capture again with tcpdump -w FILE", f.label(), err)
	}
	return nil
}

// Is reports whether a file that begins with these bytes is a capture.
func Is(head []byte) bool {
	return len(head) >= 4 && (isPcap(head[:4]) || bytes.Equal(head[:4], pcapng))
}

// pcapng is how a pcapng file begins.
var pcapng = []byte{0x0a, 0x0d, 0x0d, 0x0a}

func isPcap(magic []byte) bool {
	for _, known := range [][]byte{{0xa1, 0xb2, 0xc3, 0xd4}, {0xd4, 0xc3, 0xb2, 0xa1}, {0xa1, 0xb2, 0x3c, 0x4d}, {0x4d, 0x3c, 0xb2, 0xa1}} {
		if bytes.Equal(magic, known) {
			return true
		}
	}
	return false
}

// noCapture is the error of a file that begins otherwise than a capture.
func (f *file) noCapture(magic []byte) error {
	what := fmt.Sprintf("it begins with % x", magic)
	switch {
	case bytes.HasPrefix(magic, []byte("PK")):
		what = "it is a zip archive, which must be unpacked"
	case bytes.HasPrefix(magic, []byte{0xfd, '7', 'z'}):
		what = "it is packed with xz, which must be unpacked"
	case bytes.HasPrefix(magic, []byte("snoo")):
		what = "it is in the format of snoop; convert it: editcap -F pcapng"
	case printable(magic):
		what = "it is a text"
	}
	return fmt.Errorf("%s is no packet capture: %s; make one with tcpdump -i any -w FILE tcp", f.label(), what)
}

func printable(b []byte) bool {
	for _, c := range b {
		if (c < ' ' || c > '~') && c != '\n' && c != '\t' && c != '\r' {
			return false
		}
	}
	return len(b) > 0
}

// label names the file in messages.
func (f *file) label() string { return unpack.Label(f.name) }

// errCut is the end of a file in the middle of a packet.
var errCut = errors.New("cut")

// next reads the next packet. The error is io.EOF at the end, errCut if the file ends
// within a packet, and says otherwise what is wrong.
func (f *file) next(p *packet) error {
	var info gopacket.CaptureInfo
	var err error
	if f.pcap != nil {
		p.data, info, err = f.pcap.ZeroCopyReadPacketData()
		p.link = int(f.pcap.LinkType()) & 0xffff // above are flags about frame check sequences
	} else {
		p.data, info, err = f.ng.ZeroCopyReadPacketData()
		p.link = -1
		if err == nil {
			if link, ok := info.AncillaryData[0].(layers.LinkType); ok {
				p.link = int(link)
			}
		}
	}
	switch {
	case err == io.EOF && info.CaptureLength == 0:
		return io.EOF
	case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
		return errCut
	case err != nil:
		return fmt.Errorf("%s is damaged behind packet %d: %v", f.label(), f.count, err)
	}
	f.count++
	p.at, p.size, p.channel = info.Timestamp, info.Length, info.InterfaceIndex
	return nil
}

// channel names an interface of the file; "" if the file does not.
func (f *file) channel(n int) string {
	if f.ng == nil {
		return ""
	}
	i, err := f.ng.Interface(n)
	if err != nil {
		return ""
	}
	return i.Name
}
