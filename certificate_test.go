package kabench

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// clientFiles writes a certificate with its key, valid until then, as cert.pem, key.pem and
// both.pem in a new directory, which it returns.
func clientFiles(t *testing.T, until time.Time) (dir string, authority *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a client of kabench"}, NotBefore: until.Add(-48 * time.Hour), NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	cert, secret := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	for name, text := range map[string][]byte{"cert.pem": cert, "key.pem": secret, "both.pem": append(append([]byte{}, cert...), secret...)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	authority = x509.NewCertPool()
	authority.AppendCertsFromPEM(cert)
	return dir, authority
}

// demanding serves TLS of that version to clients that show a certificate of authority, and
// counts the requests of each.
func demanding(t *testing.T, version uint16, authority *x509.CertPool) (url string, seen func() map[string]int) {
	t.Helper()
	var mu sync.Mutex
	requests := map[string]int{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		requests[r.TLS.PeerCertificates[0].Subject.CommonName]++
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authority, MinVersion: version, MaxVersion: version}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it logs each refusal
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL, func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		return requests
	}
}

// certified asks for 20 requests to a server that demands a certificate.
func certified(t *testing.T, url string, sets ...string) (*profiles.Profile, error) {
	t.Helper()
	return profiles.Load("certified", nil, append([]string{"target.url=" + url, "target.tls.insecure=true", "load.rate=100/s", "load.count=20", "load.max_lag=0"}, sets...))
}

func TestClientCertificate(t *testing.T) {
	dir, authority := clientFiles(t, time.Now().Add(time.Hour))
	file := func(name string) string { return filepath.Join(dir, name) }
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		// In TLS 1.3 the handshake is over for the client before the server has looked at its
		// certificate, so the refusal meets the request.
		refused := map[uint16]results.Phase{tls.VersionTLS12: results.PhaseTLS, tls.VersionTLS13: results.PhaseBeforeResponse}[version]
		for _, client := range []string{profiles.ClientPolicy, profiles.ClientStock} {
			t.Run(tls.VersionName(version)+" "+client, func(t *testing.T) {
				t.Parallel()
				url, seen := demanding(t, version, authority)
				for _, sets := range [][]string{
					{"target.tls.cert_file=" + file("cert.pem"), "target.tls.key_file=" + file("key.pem")},
					{"target.tls.cert_file=" + file("both.pem")},
				} {
					p, err := certified(t, url, append(sets, "client="+client)...)
					if err != nil {
						t.Fatal(err)
					}
					out := filepath.Join(t.TempDir(), "run")
					run, err := Run(t.Context(), p, Options{Out: out})
					if err != nil || run.Counts.OK != 20 {
						t.Fatalf("%+v, %v", run, err)
					}
					holdsNo(t, out, file("key.pem"))
				}
				if n := seen()["a client of kabench"]; n != 40 {
					t.Errorf("the server has counted %d requests of this client", n)
				}
				p, err := certified(t, url, "client="+client)
				if err != nil {
					t.Fatal(err)
				}
				run, err := Run(t.Context(), p, Options{})
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range run.Outcomes {
					// Before the request had left; its write may meet the RST of a server that has closed.
					early := version == tls.VersionTLS13 && (o.Phase == results.PhaseWriteHeaders || o.Phase == results.PhaseWriteBody)
					if o.Phase != refused && !early || o.Cause != results.CauseAlert && (!early || o.Cause != results.CauseRST && o.Cause != results.CausePipe) {
						t.Errorf("%d requests without a certificate: %v / %v, want %v / alert", o.Count, o.Phase, o.Cause, refused)
					}
				}
				if run.Counts.Failed != 20 {
					t.Errorf("%+v", run.Counts)
				}
			})
		}
	}
}

// holdsNo complains about a file below dir that has a line of the key in a file.
func holdsNo(t *testing.T, dir, file string) {
	t.Helper()
	key, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Split(string(key), "\n")[1]
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil || strings.Contains(string(text), line) {
			t.Errorf("%s holds the key (%v)", e.Name(), err)
		}
	}
}

func TestClientCertificateBadFiles(t *testing.T) {
	dir, _ := clientFiles(t, time.Now().Add(time.Hour))
	other, _ := clientFiles(t, time.Now().Add(time.Hour))
	old, _ := clientFiles(t, time.Now().Add(-time.Hour))
	early, _ := clientFiles(t, time.Now().Add(96*time.Hour))
	locked := filepath.Join(dir, "locked.pem")
	if err := os.WriteFile(locked, pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{1, 2}}), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ cert, key, want string }{
		"nothing there":       {"/nowhere/c.pem", "", "target.tls.cert_file: open /nowhere/c.pem"},
		"no key there":        {dir + "/cert.pem", "/nowhere/k.pem", "target.tls.key_file: open /nowhere/k.pem"},
		"no certificate":      {dir + "/key.pem", "", "key.pem holds no certificate in PEM form"},
		"a key is missing":    {dir + "/cert.pem", "", "cert.pem holds no private key; name the file"},
		"no key in the file":  {dir + "/cert.pem", dir + "/cert.pem", "target.tls.key_file: " + dir + "/cert.pem holds no private key"},
		"another key":         {dir + "/cert.pem", other + "/key.pem", "cannot be used together: private key does not match public key"},
		"expired":             {old + "/both.pem", "", "both.pem expired on "},
		"not yet valid":       {early + "/both.pem", "", "both.pem is not valid before "},
		"an encrypted key":    {dir + "/cert.pem", locked, "is encrypted; write it without a password"},
		"a key by itself":     {"", dir + "/key.pem", "target.tls.key_file=" + dir + "/key.pem: needs tls.cert_file"},
		"an empty file":       {os.DevNull, "", "holds no certificate"},
		"a directory":         {dir, "", "is a directory"},
		"no TLS at the place": {"x", "", "has no effect, because the target does not speak TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			url := "https://127.0.0.1:9/"
			if name == "no TLS at the place" {
				url = "http://127.0.0.1:9/"
			}
			p, err := certified(t, url, "target.tls.cert_file="+test.cert, "target.tls.key_file="+test.key)
			if err == nil {
				_, err = Run(t.Context(), p, Options{})
				if _, input := errors.AsType[*InputError](err); !input {
					t.Errorf("%T", err)
				}
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v; want %q", err, test.want)
			}
		})
	}
}
