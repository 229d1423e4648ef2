package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"time"
)

// server sends the same response to every request and keeps a recording.
type server interface {
	// listen opens a free port on an address, and returns address and port.
	listen(host string, as manner) (addr string, err error)
	// do runs f while nothing else uses the recording.
	do(f func(*recording)) error
	close() error
}

// serveCommand is the hidden sub-command with which bench starts itself as the recording
// server.
const serveCommand = "recording-server"

// seen is the part of a recording that the server returns; see recording.
type seen struct {
	requests, accepted, used, refused, broken, open, peak int64
	shaken, resumed                                       int64
	first, last                                           int64
	cpu                                                   int64 // CPU time of the server since the reset, ns; 0: not known

	stamps []int64
}

// serve is the process of the recording server. It reads commands, one per line, and
// writes one line for each, "ok ..." or "error ...". It ends at the end of in.
//
//	listen HOST MANNER      ok HOST:PORT    MANNER: http, tls or tls-resume
//	reset CAPACITY CLOSE    ok              CLOSE: true if each response ends its connection
//	count                   ok REQUESTS OPEN
//	take                    ok REQUESTS ACCEPTED USED REFUSED BROKEN OPEN PEAK SHAKEN RESUMED FIRST LAST CPU STAMPS,
//	                                        after the line that many stamps of 8 bytes, little-endian
func serve(srv server, in io.Reader, out io.Writer) error {
	w := bufio.NewWriter(out)
	cpuAtReset := cpuTime()
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if err := serveLine(srv, lines.Text(), &cpuAtReset, w); err != nil {
			fmt.Fprintf(w, "error %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
		}
		if err := w.Flush(); err != nil {
			return errors.Join(err, srv.close())
		}
	}
	return errors.Join(lines.Err(), srv.close())
}

func serveLine(srv server, line string, cpuAtReset *int64, w *bufio.Writer) error {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "listen":
		host, name, _ := strings.Cut(rest, " ")
		as := slices.Index(manners, name)
		if as < 0 {
			return fmt.Errorf("listen %q: want an address and one of %s", rest, strings.Join(manners, ", "))
		}
		addr, err := srv.listen(host, manner(as))
		if err == nil {
			fmt.Fprintf(w, "ok %s\n", addr)
		}
		return err
	case "reset":
		var capacity int
		var closeEach bool
		if _, err := fmt.Sscan(rest, &capacity, &closeEach); err != nil || capacity < 0 {
			return fmt.Errorf("reset %q: want a capacity and true or false", rest)
		}
		err := srv.do(func(r *recording) { r.reset(capacity, closeEach) })
		*cpuAtReset = cpuTime()
		if err == nil {
			fmt.Fprintln(w, "ok")
		}
		return err
	case "count":
		var requests, open int64
		err := srv.do(func(r *recording) { requests, open = r.requests, r.open })
		if err == nil {
			fmt.Fprintf(w, "ok %d %d\n", requests, open)
		}
		return err
	case "take":
		return srv.do(func(r *recording) {
			fmt.Fprintf(w, "ok %d %d %d %d %d %d %d %d %d %d %d %d %d\n", r.requests, r.accepted, r.used, r.refused, r.broken,
				r.open, r.peak, r.shaken, r.resumed, r.first, r.last, cpuTime()-*cpuAtReset, len(r.stamps))
			var b [8]byte
			for _, stamp := range r.stamps {
				binary.LittleEndian.PutUint64(b[:], uint64(stamp))
				w.Write(b[:]) // Flush returns its error
			}
		})
	default:
		return fmt.Errorf("there is no command %q", word)
	}
}

// manner is how the recording server speaks with the clients of one address.
type manner int

const (
	overHTTP   manner = iota // without encryption
	overTLS                  // TLS; every connection makes a full handshake
	overResume               // TLS; a client may take up its earlier session
)

// manners are the names of the manners in the commands of the recording server.
var manners = []string{"http", "tls", "tls-resume"}

func (m manner) String() string { return manners[m] }

// scheme is how URLs of such an address begin.
func (m manner) scheme() string {
	if m == overHTTP {
		return "http://"
	}
	return "https://"
}

// config returns how the server agrees on TLS, with a certificate made now, or nil for
// HTTP. Clients cannot verify the certificate, and bench turns that off. Versions and ciphers
// are those of crypto/tls, so clients of today take TLS 1.3 with AES-128-GCM.
func (m manner) config() (*tls.Config, error) {
	if m == overHTTP {
		return nil, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates:           []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		NextProtos:             []string{"http/1.1"}, // clients that could speak HTTP/2 must not
		SessionTicketsDisabled: m != overResume,
	}, nil
}

// shook counts a handshake that ended with err.
func (r *recording) shook(state tls.ConnectionState, err error) {
	if err != nil {
		r.broken++
		return
	}
	r.shaken++
	if state.DidResume {
		r.resumed++
	}
}
