package software

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// wireConn is a connection as a packet capture shows it. Times are since 1970.
type wireConn struct {
	server         netip.AddrPort
	requests       int           // segments with data from the client; each of the probe's is a request, or half a head
	asked          time.Duration // the client's first segment with data since lastResponse; 0: none
	lastResponse   time.Duration // the server's last segment with data, close_notify left out
	notify         time.Duration // the server's close_notify; 0: none
	serverFIN      time.Duration // its first
	serverRST      time.Duration
	clientClose    time.Duration // the client's first FIN or RST
	announcedClose bool          // a response said Connection: close; under TLS this cannot be seen
	secure         bool          // it began with a TLS handshake
}

// capture is tcpdump on the loopback, which writes a file.
type capture struct {
	file  string
	cmd   *exec.Cmd
	log   *bytes.Buffer
	after net.Listener // the connection to it is the last of the capture
}

// startCapture captures the segments of the ports of addrs. tcpdump is not our code, and
// takes the kernel's times of the segments.
func startCapture(t *testing.T, addrs []string) *capture {
	t.Helper()
	tcpdump := program(t, "tcpdump", "tcpdump")
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("a capture takes root, and under CI nothing is skipped")
		}
		t.Skip("a capture takes root")
	}
	after, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { after.Close() })
	var ports []string
	for _, a := range append([]string{after.Addr().String()}, addrs...) {
		ports = append(ports, "tcp port "+portOf(a))
	}
	c := &capture{file: filepath.Join(t.TempDir(), "wire.pcap"), log: &bytes.Buffer{}, after: after}
	c.cmd = exec.Command(tcpdump, "-i", "lo", "-Z", "root", "-U", "--immediate-mode", "-B", "16384", "--time-stamp-precision=nano", "-w", c.file, strings.Join(ports, " or "))
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.cmd.Process.Kill() })
	lines := bufio.NewReader(stderr)
	for !strings.Contains(c.log.String(), "listening on") {
		line, err := lines.ReadString('\n')
		c.log.WriteString(line)
		if err != nil {
			t.Fatalf("tcpdump: %v: %s", err, c.log)
		}
	}
	go io.Copy(c.log, lines)
	return c
}

// stop ends the capture and returns its connections. tcpdump writes what the kernel has
// handed to it, and may be behind; so the capture ends when it shows a connection that
// was made after all others.
func (c *capture) stop(t *testing.T) []*wireConn {
	t.Helper()
	last, err := net.Dial("tcp", c.after.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	last.Close()
	ours := func(conn *wireConn) bool { return conn.server.String() == c.after.Addr().String() }
	for end := time.Now().Add(30 * time.Second); !slices.ContainsFunc(c.read(t), ours); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("tcpdump does not write what it sees")
		}
	}
	c.cmd.Process.Signal(syscall.SIGINT)
	if err := c.cmd.Wait(); err != nil {
		t.Fatalf("tcpdump: %v: %s", err, c.log)
	}
	return c.read(t)
}

// read reads the file, as far as it is written.
func (c *capture) read(t *testing.T) []*wireConn {
	t.Helper()
	f, err := os.Open(c.file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	conns, err := readCapture(bufio.NewReader(f))
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("%s: %v", c.file, err)
	}
	return conns
}

// readCapture reads a capture file with times of nanoseconds, as tcpdump writes it on
// this machine, of Ethernet frames, which the loopback has. A reader of kabench's own
// could share a fault with what it is compared with.
func readCapture(r io.Reader) ([]*wireConn, error) {
	order := binary.NativeEndian
	var head [24]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	if magic, link := order.Uint32(head[:]), order.Uint32(head[20:]); magic != 0xa1b23c4d || link != 1 {
		return nil, fmt.Errorf("magic number %x, link type %d", magic, link)
	}
	found := map[[2]netip.AddrPort]*wireConn{} // by client and server
	var conns []*wireConn
	for {
		var head [16]byte
		if _, err := io.ReadFull(r, head[:]); errors.Is(err, io.EOF) {
			return conns, nil
		} else if err != nil {
			return conns, err
		}
		frame := make([]byte, order.Uint32(head[8:]))
		if _, err := io.ReadFull(r, frame); err != nil {
			return conns, err
		}
		at := time.Duration(order.Uint32(head[:]))*time.Second + time.Duration(order.Uint32(head[4:]))
		s, err := segmentOf(frame)
		if err != nil {
			return nil, err
		}
		if s.flags&(syn|ack) == syn {
			conn := &wireConn{server: s.to}
			found[[2]netip.AddrPort{s.from, s.to}] = conn
			conns = append(conns, conn)
		}
		if conn := found[[2]netip.AddrPort{s.from, s.to}]; conn != nil {
			conn.fromClient(at, s)
		} else if conn := found[[2]netip.AddrPort{s.to, s.from}]; conn != nil {
			conn.fromServer(at, s)
		}
	}
}

// segment is a TCP segment.
type segment struct {
	from, to netip.AddrPort
	flags    byte
	data     []byte
}

const fin, syn, rst, ack = 1, 2, 4, 16

// segmentOf reads an Ethernet frame with IPv4 and TCP in it.
func segmentOf(frame []byte) (segment, error) {
	var s segment
	if len(frame) < 14+20 || frame[14]>>4 != 4 {
		return s, fmt.Errorf("not IPv4: % x", frame)
	}
	ip := frame[14:]
	if size := int(binary.BigEndian.Uint16(ip[2:])); size <= len(ip) {
		ip = ip[:size]
	}
	tcp := ip[4*int(ip[0]&15):]
	if len(tcp) < 20 {
		return s, fmt.Errorf("not TCP: % x", frame)
	}
	s.from = netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[12:16])), binary.BigEndian.Uint16(tcp))
	s.to = netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[16:20])), binary.BigEndian.Uint16(tcp[2:]))
	s.flags = tcp[13]
	s.data = tcp[4*int(tcp[12]>>4):]
	return s, nil
}

func (c *wireConn) fromClient(at time.Duration, s segment) {
	if len(s.data) > 0 {
		c.secure = c.secure || c.requests == 0 && s.data[0] == handshake
		c.requests++
		if c.asked == 0 {
			c.asked = at
		}
	}
	if s.flags&(fin|rst) != 0 && c.clientClose == 0 {
		c.clientClose = at
	}
}

// handshake is the type of a TLS record.
const handshake = 22

func (c *wireConn) fromServer(at time.Duration, s segment) {
	switch {
	case len(s.data) == 0:
	case isCloseNotify(s.data):
		c.notify = at
	default:
		c.lastResponse, c.asked, c.notify = at, 0, 0
		c.announcedClose = c.announcedClose || bytes.Contains(bytes.ToLower(s.data), []byte("\nconnection: close\r"))
	}
	if s.flags&fin != 0 && c.serverFIN == 0 {
		c.serverFIN = at
	}
	if s.flags&rst != 0 && c.serverRST == 0 {
		c.serverRST = at
	}
}

// isCloseNotify says whether the data is one TLS record with an alert and nothing else,
// of TLS 1.2 (type 21) or of TLS 1.3, which hides the type: two bytes, the type, and the
// tag of 16 bytes.
func isCloseNotify(data []byte) bool {
	return len(data) == 24 && bytes.HasPrefix(data, []byte{23, 3, 3, 0, 19}) || len(data) == 31 && bytes.HasPrefix(data, []byte{21, 3, 3, 0, 26})
}

// idleClose is how long a connection was idle when the server closed it, and the kind of
// close. ok is false if something else than an idle timer can have ended it: the client
// closed or sent something before, no response came, or the response announced the close.
func (c *wireConn) idleClose() (idle time.Duration, kind string, ok bool) {
	at, kind := c.serverFIN, "fin"
	if c.serverRST != 0 && (at == 0 || c.serverRST < at) {
		at, kind = c.serverRST, "rst"
	}
	if c.notify != 0 && (at == 0 || c.notify <= at) {
		at, kind = c.notify, "close_notify"
	}
	switch {
	case at == 0, c.lastResponse == 0, c.announcedClose, c.asked != 0 && c.asked < at:
		return 0, "", false
	case c.clientClose != 0 && c.clientClose < at:
		return 0, "", false
	case c.secure && at-c.lastResponse < 100*time.Millisecond: // as after Connection: close
		return 0, "", false
	}
	return at - c.lastResponse, kind, true
}

// truth is what a capture shows of a server's idle timer.
type truth struct {
	idle []time.Duration // sorted
	kind string          // of the closes, with all kinds if there are several
}

// truthOf is the truth about the server at addr, and how many requests it got.
func truthOf(conns []*wireConn, addr string) (t truth, requests int) {
	var kinds []string
	for _, c := range conns {
		if c.server.String() != addr {
			continue
		}
		requests += c.requests
		if idle, kind, ok := c.idleClose(); ok {
			t.idle = append(t.idle, idle)
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(t.idle)
	slices.Sort(kinds)
	t.kind = strings.Join(slices.Compact(kinds), " and ")
	return t, requests
}

// ends are the shortest and the longest idle time.
func (t truth) ends() (first, last time.Duration) {
	if len(t.idle) == 0 {
		return 0, 0
	}
	return t.idle[0], t.idle[len(t.idle)-1]
}

// median is the middle of the idle times.
func (t truth) median() time.Duration {
	n := len(t.idle)
	if n == 0 {
		return 0
	}
	return (t.idle[(n-1)/2] + t.idle[n/2]) / 2
}
