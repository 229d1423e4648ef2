package capture

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Stdin is the name of the standard input among files.
const Stdin = "-"

// readAhead is the size of the buffer of a file in bytes.
const readAhead = 1 << 20

// zstdWindow bounds the memory of a zstd stream; zstd itself wants no more without
// --long.
const zstdWindow = 64 << 20

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
	f := &file{name: name, close: func() {}}
	var in io.Reader = os.Stdin
	if name != Stdin {
		opened, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		info, err := opened.Stat()
		if err == nil && info.IsDir() {
			err = fmt.Errorf("%s is a directory: name the capture files in it", name)
		}
		if err != nil {
			opened.Close()
			return nil, err
		}
		in, f.close = opened, func() { opened.Close() }
	}
	if err := f.begin(in); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *file) begin(in io.Reader) error {
	r, err := f.unpacked(bufio.NewReaderSize(in, readAhead))
	if err != nil {
		return err
	}
	magic, err := r.Peek(4)
	switch {
	case len(magic) == 0 && err != io.EOF:
		return fmt.Errorf("%s cannot be read: %v", f.label(), err)
	case len(magic) == 0:
		return fmt.Errorf("%s is empty: capture again, and end tcpdump with Ctrl-C so that it writes its last packets", f.label())
	case bytes.Equal(magic, []byte{0x0a, 0x0d, 0x0d, 0x0a}):
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

// unpacked returns the uncompressed bytes of a file.
func (f *file) unpacked(r *bufio.Reader) (*bufio.Reader, error) {
	magic, _ := r.Peek(4)
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("%s begins as a gzip file, but cannot be unpacked: %v", f.label(), err)
		}
		return bufio.NewReaderSize(z, readAhead), nil
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, fmt.Errorf("%s begins as a zstd file, but cannot be unpacked: %v", f.label(), err)
		}
		before := f.close
		f.close = func() { z.Close(); before() }
		return bufio.NewReaderSize(z, readAhead), nil
	case bytes.HasPrefix(magic, []byte("BZh")):
		return bufio.NewReaderSize(bzip2.NewReader(r), readAhead), nil
	}
	return r, nil
}

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
func (f *file) label() string {
	if f.name == Stdin {
		return "the standard input"
	}
	return f.name
}

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
