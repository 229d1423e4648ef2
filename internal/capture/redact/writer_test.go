package redact

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/capture"
	"github.com/kabench/kabench/internal/evidence/segments"
)

// segmentsOf makes segments of two connections from bytes of any kind.
func segmentsOf(b []byte) (list []segments.Segment) {
	ends := []netip.AddrPort{netip.MustParseAddrPort("10.9.8.7:40000"), netip.MustParseAddrPort("10.9.8.6:8080"), netip.MustParseAddrPort("[2a02::7]:9000")}
	at := time.Duration(0)
	for len(b) >= 12 {
		s := segments.Segment{
			Src: ends[int(b[0])%2], Dst: ends[1-int(b[0])%2], Flags: segments.Flags(b[1] & 0x3f), TTL: b[2], ID: binary.BigEndian.Uint16(b[3:]), HasID: true,
			Seq: uint32(b[5])*50 - 300, Ack: uint32(b[6]) * 50, Len: int(b[7]) % 200, Number: int64(len(list) + 1),
		}
		if b[0]&8 != 0 {
			s.Src, s.Dst, s.HasID, s.ID = ends[2], netip.AddrPortFrom(ends[2].Addr().Next(), 80), false, 0
		}
		at += time.Duration(b[8]) * time.Millisecond
		s.At = at
		kept := min(int(b[9])%200, s.Len)
		b = b[12:]
		s.Payload = b[:min(kept, len(b))]
		b = b[len(s.Payload):]
		list = append(list, s)
	}
	return list
}

// FuzzWriter: each segment is written once, in its place, with its flags, lengths and time,
// whatever its numbers are.
func FuzzWriter(f *testing.F) {
	f.Add(bytes.Repeat([]byte("\x00\x02\x40\x00\x01\x08\x07\x30\x05\x30..GET /a HTTP/1.1\r\nHost: b\r\n\r\n"), 5))
	f.Add(bytes.Repeat([]byte("\x01\x18\x39\x00\x09\x08\x07\x90\x05\x20..HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n"), 9))
	f.Fuzz(func(t *testing.T, b []byte) {
		list := segmentsOf(b)
		if len(list) == 0 {
			return
		}
		path := filepath.Join(t.TempDir(), "out.pcapng")
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		w := NewWriter(file)
		for i := range list {
			w.Take(i%2, &list[i])
		}
		if err := errors.Join(w.End(), file.Close()); err != nil {
			t.Fatal(err)
		}
		n := 0
		sum, err := capture.Read([]string{path}, func(_ int, s *segments.Segment) {
			want := list[n]
			n++
			if s.Len != want.Len || s.Flags != want.Flags || s.At != want.At-list[0].At || len(s.Payload) != len(want.Payload) || s.Number != want.Number {
				t.Fatalf("segment %d: %+v\nbecomes %+v", n, want, s)
			}
			if begun(s.TTL) != begun(want.TTL) || s.Src == want.Src || s.Dst.Addr() == want.Dst.Addr() && !want.Dst.Addr().IsLoopback() {
				t.Fatalf("segment %d: %+v\nbecomes %+v", n, want, s)
			}
		})
		if err != nil || n != len(list) || len(sum.Notes) > 0 {
			t.Fatalf("%d of %d segments are in the file: %v, %v", n, len(list), err, sum)
		}
	})
}

// A file without segments is a capture, and the list of its content is in it.
func TestEmptyFile(t *testing.T) {
	var b bytes.Buffer
	if err := NewWriter(&b).End(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "Still in it: ") {
		t.Errorf("the file is %q", &b)
	}
}

// An error of the disk is reported, once.
func TestFullDisk(t *testing.T) {
	full := errors.New("the disk is full")
	w := NewWriter(failing{full})
	s := segments.Segment{Src: netip.MustParseAddrPort("10.0.0.1:1"), Dst: netip.MustParseAddrPort("10.0.0.2:2"), Len: 1400, Payload: make([]byte, 1400)}
	for range 100 {
		s.Seq += 1400
		w.Take(0, &s)
	}
	if err := w.End(); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
