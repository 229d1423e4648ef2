package transport

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// The content types of records.
const (
	recordAlert     = 21
	recordHandshake = 22
	recordData      = 23
)

// Messages that a server sends in records.
var (
	closeNotify   = []byte{1, 0}
	internalError = []byte{2, 80}
	newKeys       = []byte{24, 0, 0, 1, 0} // KeyUpdate
	newKeysAsked  = []byte{24, 0, 0, 1, 1} // KeyUpdate that asks for another
	helloRequest  = []byte{0, 0, 0, 0}
)

// half is the keys of one direction of a connection.
type half struct {
	version uint16
	secret  []byte
	aead    cipher.AEAD
	iv      []byte
	seq     uint64
}

func newHalf(t testing.TB, version uint16, secret, key, iv []byte) *half {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return &half{version: version, secret: secret, aead: aead, iv: iv}
}

// half13 makes the keys of a secret of TLS 1.3 (RFC 8446, section 7.3).
func half13(t testing.TB, secret []byte) *half {
	t.Helper()
	return newHalf(t, tls.VersionTLS13, secret, expand(t, secret, "key", 16), expand(t, secret, "iv", 12))
}

// next makes the keys that follow a KeyUpdate.
func (h *half) next(t testing.TB) *half { return half13(t, expand(t, h.secret, "traffic upd", 32)) }

// expand is HKDF-Expand-Label with an empty context.
func expand(t testing.TB, secret []byte, label string, n int) []byte {
	t.Helper()
	label = "tls13 " + label
	info := append([]byte{byte(n >> 8), byte(n), byte(len(label))}, label...)
	out, err := hkdf.Expand(sha256.New, secret, string(append(info, 0)), n)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// half12 makes the keys of a master secret of TLS 1.2 for the server's direction
// (RFC 5246, sections 5 and 6.3). One record has been sent with them, the Finished.
func half12(t testing.TB, master, client, server []byte) *half {
	t.Helper()
	sum := func(b []byte) []byte { m := hmac.New(sha256.New, master); m.Write(b); return m.Sum(nil) }
	seed := append(append([]byte("key expansion"), server...), client...)
	var keys []byte
	for a := sum(seed); len(keys) < 40; a = sum(a) {
		keys = append(keys, sum(append(bytes.Clone(a), seed...))...)
	}
	h := newHalf(t, tls.VersionTLS12, nil, keys[16:32], keys[36:40])
	h.seq = 1
	return h
}

// seal makes a record.
func (h *half) seal(kind byte, data []byte) []byte {
	number := binary.BigEndian.AppendUint64(nil, h.seq)
	h.seq++
	if h.version == tls.VersionTLS12 {
		head := []byte{kind, 3, 3, 0, 0}
		sum := append(bytes.Clone(number), kind, 3, 3, byte(len(data)>>8), byte(len(data)))
		binary.BigEndian.PutUint16(head[3:], uint16(len(data)+8+16))
		return h.aead.Seal(append(head, number...), append(bytes.Clone(h.iv), number...), data, sum)
	}
	head := []byte{recordData, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(head[3:], uint16(len(data)+1+16))
	return h.aead.Seal(head, h.nonce(number), append(bytes.Clone(data), kind), bytes.Clone(head))
}

func (h *half) nonce(number []byte) []byte {
	nonce := bytes.Clone(h.iv)
	for i, b := range number {
		nonce[4+i] ^= b
	}
	return nonce
}

// open reads one record of TLS 1.3.
func (h *half) open(t testing.TB, record []byte) (kind byte, data []byte) {
	t.Helper()
	data, err := h.aead.Open(nil, h.nonce(binary.BigEndian.AppendUint64(nil, h.seq)), record[5:], record[:5])
	if err != nil {
		t.Fatalf("record %d cannot be opened: %v", h.seq, err)
	}
	h.seq++
	return data[len(data)-1], data[:len(data)-1]
}

// certificate makes a certificate that nobody trusts.
func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	from := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, from, from, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// sealing is a server that seals its records itself after the handshake.
type sealing struct {
	*net.TCPConn
	out, in *half // in is nil for TLS 1.2
}

// accept performs the handshake of a server.
func accept(t testing.TB, conn *net.TCPConn, cert tls.Certificate, version uint16) (*sealing, error) {
	var keys bytes.Buffer
	tapped := &tap{Conn: conn}
	config := &tls.Config{
		Certificates: []tls.Certificate{cert}, MinVersion: version, MaxVersion: version, KeyLogWriter: &keys, SessionTicketsDisabled: true,
		CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}, // of TLS 1.2
	}
	secure := tls.Server(tapped, config)
	if err := secure.Handshake(); err != nil {
		return nil, err
	}
	if got := secure.ConnectionState().CipherSuite; version == tls.VersionTLS13 && got != tls.TLS_AES_128_GCM_SHA256 {
		t.Skipf("this machine prefers %s", tls.CipherSuiteName(got))
	}
	s := &sealing{TCPConn: conn}
	for line := range strings.Lines(keys.String()) {
		words := strings.Fields(line)
		random, _ := hex.DecodeString(words[1])
		secret, _ := hex.DecodeString(words[2])
		switch words[0] {
		case "SERVER_TRAFFIC_SECRET_0":
			s.out = half13(t, secret)
		case "CLIENT_TRAFFIC_SECRET_0":
			s.in = half13(t, secret)
		case "CLIENT_RANDOM":
			s.out = half12(t, secret, random, tapped.sent[5+4+2:][:32]) // in the ServerHello
		}
	}
	return s, nil
}

// tap keeps what is written.
type tap struct {
	net.Conn
	sent []byte
}

func (c *tap) Write(b []byte) (int, error) {
	c.sent = append(c.sent, b...)
	return c.Conn.Write(b)
}
