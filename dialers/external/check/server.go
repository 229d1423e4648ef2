package check

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/kabench/kabench/dialers"
)

// arrival is a request as the server saw it.
type arrival struct {
	method, uri, from string
	header            http.Header
	length            int64
	body              []byte
}

// server responds as a rule needs it, by path, and remembers what arrived.
type server struct {
	plain, secure *http.Server
	url, secured  string

	mu       sync.Mutex
	arrived  map[uint64][]arrival // guarded by mu: by request id
	without  int                  // guarded by mu: requests without an id
	held     int                  // guarded by mu: at once, now
	mostHeld int                  // guarded by mu
	release  chan struct{}        // guarded by mu: ends what is held
}

// largeBody is how long the response of /large is, and of /chunked.
const largeBody = 100_000

func newServer() (*server, error) {
	s := &server{arrived: map[uint64][]arrival{}, release: make(chan struct{})}
	certificate, err := selfSigned()
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	secure, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		l.Close()
		return nil, err
	}
	quiet := log.New(io.Discard, "", 0)
	s.plain = &http.Server{Handler: s, ErrorLog: quiet, ReadHeaderTimeout: time.Minute}
	s.secure = &http.Server{Handler: s, ErrorLog: quiet, ReadHeaderTimeout: time.Minute,
		TLSConfig:    &tls.Config{Certificates: []tls.Certificate{certificate}},
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}} // HTTP/1.1 only
	s.url, s.secured = "http://"+l.Addr().String(), "https://"+secure.Addr().String()
	go func() { _ = s.plain.Serve(l) }()
	go func() { _ = s.secure.ServeTLS(secure, "", "") }()
	return s, nil
}

func (s *server) close() {
	s.let()
	_ = s.plain.Close()
	_ = s.secure.Close()
}

// ServeHTTP implements http.Handler.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	s.note(r, body)
	switch r.URL.Path {
	case "/404":
		w.WriteHeader(http.StatusNotFound)
	case "/500":
		w.WriteHeader(http.StatusInternalServerError)
	case "/redirect":
		http.Redirect(w, r, "/followed", http.StatusFound)
	case "/cookie":
		http.SetCookie(w, &http.Cookie{Name: "kabench", Value: "1", Path: "/"})
	case "/close":
		panic(http.ErrAbortHandler) // closes the connection without a response
	case "/large", "/chunked":
		if r.URL.Path == "/large" {
			w.Header().Set("Content-Length", strconv.Itoa(largeBody))
		}
		_, _ = w.Write(make([]byte, largeBody))
	case "/hold":
		s.hold(r)
		_, _ = io.WriteString(w, "held\n")
	default:
		_, _ = io.WriteString(w, "ok\n")
	}
}

func (s *server) note(r *http.Request, body []byte) {
	id, err := strconv.ParseUint(r.Header.Get(dialers.RequestID), 10, 64)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.without++
		return
	}
	s.arrived[id] = append(s.arrived[id], arrival{r.Method, r.RequestURI, r.RemoteAddr, r.Header.Clone(), r.ContentLength, body})
}

// hold keeps a request without a response until let is called.
func (s *server) hold(r *http.Request) {
	s.mu.Lock()
	s.held++
	s.mostHeld = max(s.mostHeld, s.held)
	release := s.release
	s.mu.Unlock()
	select {
	case <-release:
	case <-r.Context().Done():
	}
	s.mu.Lock()
	s.held--
	s.mu.Unlock()
}

// again begins to hold requests again.
func (s *server) again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release, s.mostHeld = make(chan struct{}), 0
}

// let responds to what is held, and holds nothing any more.
func (s *server) let() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.release:
	default:
		close(s.release)
	}
}

// heldAtOnce is how many requests were held at once at most, since again.
func (s *server) heldAtOnce() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mostHeld
}

// of returns what arrived with a number.
func (s *server) of(seq uint64) []arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]arrival(nil), s.arrived[seq]...)
}

// followed is how many requests arrived at the place of the redirect.
func (s *server) followed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, all := range s.arrived {
		for _, a := range all {
			if a.uri == "/followed" {
				n++
			}
		}
	}
	return n + s.without
}

// selfSigned makes a certificate for 127.0.0.1 that nobody trusts.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kabench"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
