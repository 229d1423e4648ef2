package labtest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"
)

// Tap keeps what is read from a connection.
type Tap struct {
	net.Conn
	seen bytes.Buffer
}

func (c *Tap) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.seen.Write(p[:n])
	return n, err
}

// LastRecord is the content type of the last TLS record.
func (c *Tap) LastRecord() (last byte) {
	for b := c.seen.Bytes(); len(b) >= 5; {
		last = b[0]
		b = b[min(len(b), 5+int(b[3])<<8+int(b[4])):]
	}
	return last
}

// RecordAlert is the content type of alerts.
const RecordAlert = 21

// DialTLS speaks TLS 1.2, in which the type of a record shows that it is an alert.
func DialTLS(t *testing.T, s interface {
	Addr() string
	CertPEM() []byte
}) (*Client, *Tap, *tls.Conn) {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(s.CertPEM()) {
		t.Fatal("no certificate")
	}
	raw := Dial(t, s.Addr())
	tapped := &Tap{Conn: raw}
	secure := tls.Client(tapped, &tls.Config{RootCAs: roots, ServerName: "localhost", MaxVersion: tls.VersionTLS12})
	return &Client{raw.TCPConn, t, bufio.NewReader(secure)}, tapped, secure
}
