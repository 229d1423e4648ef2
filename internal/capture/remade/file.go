// Package remade makes packets of segments again, and writes them as a capture.
package remade

import (
	"io"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/kabench/kabench/internal/evidence/segments"
)

// File writes segments as a pcapng file, without link headers.
type File struct {
	out   *pcapgo.NgWriter
	begin time.Time
}

// NewFile begins a file. Times of segments are since begin; comment says what it holds.
func NewFile(w io.Writer, begin time.Time, comment string) (*File, error) {
	out, err := pcapgo.NewNgWriterInterface(w, pcapgo.NgInterface{LinkType: layers.LinkTypeRaw, TimestampResolution: 9}, pcapgo.NgWriterOptions{
		SectionInfo: pcapgo.NgSectionInfo{Application: "kabench", Comment: comment},
	})
	return &File{out, begin}, err
}

// Write writes a segment.
func (f *File) Write(s *segments.Segment) error {
	data, size := Packet(s)
	return f.out.WritePacket(gopacket.CaptureInfo{Timestamp: f.begin.Add(s.At), CaptureLength: len(data), Length: size}, data)
}

// End writes what is left.
func (f *File) End() error { return f.out.Flush() }
