package broker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"
)

const (
	validFor    = 365 * 24 * time.Hour
	validBefore = 24 * time.Hour // clocks of agents may be behind
)

// certify makes an authority, and a server's certificate from it for hosts and the loopback,
// all as PEM, valid around now. The authority's key is not kept, so it can never sign another certificate.
func certify(hosts []string, now time.Time) (ca, certificate, key string, err error) {
	names, addresses, err := sort(hosts)
	if err != nil {
		return "", "", "", err
	}
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", "", err
	}
	serverKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", "", err
	}
	authority := template("kabench fleet", now)
	authority.IsCA, authority.BasicConstraintsValid, authority.MaxPathLenZero = true, true, true
	authority.KeyUsage = x509.KeyUsageCertSign
	authorityDER, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	if err != nil {
		return "", "", "", err
	}
	if authority, err = x509.ParseCertificate(authorityDER); err != nil {
		return "", "", "", err
	}
	broker := template("kabench broker", now)
	broker.DNSNames, broker.IPAddresses = names, addresses
	broker.KeyUsage = x509.KeyUsageDigitalSignature
	broker.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	brokerDER, err := x509.CreateCertificate(rand.Reader, broker, authority, serverKey.Public(), authorityKey)
	if err != nil {
		return "", "", "", fmt.Errorf("no certificate can be made for %s: %w", strings.Join(hosts, ", "), err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(serverKey)
	if err != nil {
		return "", "", "", err
	}
	text := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return text("CERTIFICATE", authorityDER), text("CERTIFICATE", brokerDER), text("PRIVATE KEY", keyDER), nil
}

func template(name string, now time.Time) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-validBefore),
		NotAfter:     now.Add(validFor),
	}
}

// sort divides hosts, with the loopback's, into names and addresses.
func sort(hosts []string) (names []string, addresses []net.IP, err error) {
	names, addresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	for _, host := range hosts {
		if ip := net.ParseIP(strings.Trim(host, "[]")); ip != nil {
			addresses = append(addresses, ip)
			continue
		}
		if host == "" || strings.ContainsAny(host, ":/@ ,") {
			return nil, nil, fmt.Errorf("%q is no host: give the name or address by which agents reach the broker, without scheme and port", host)
		}
		names = append(names, host)
	}
	return names, addresses, nil
}
