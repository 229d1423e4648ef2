package target

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"time"
)

// clientCertificate reads the certificate that a client shows, with its private key. keyFile
// "" means that certFile has both. The error is a sentence with the field and the file; it
// holds nothing of the key.
func clientCertificate(certFile, keyFile string, now time.Time) (tls.Certificate, error) {
	var none tls.Certificate
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return none, fmt.Errorf("target.tls.cert_file: %w", err)
	}
	key, field := cert, "target.tls.cert_file"
	if keyFile == "" {
		keyFile = certFile
	} else {
		field = "target.tls.key_file"
		if key, err = os.ReadFile(keyFile); err != nil {
			return none, fmt.Errorf("target.tls.key_file: %w", err)
		}
	}
	if !hasBlock(cert, "CERTIFICATE") {
		return none, fmt.Errorf("target.tls.cert_file: %s holds no certificate in PEM form", certFile)
	}
	switch {
	case hasBlock(key, "ENCRYPTED PRIVATE KEY"), bytes.Contains(key, []byte("Proc-Type: 4,ENCRYPTED")):
		return none, fmt.Errorf("%s: the key in %s is encrypted; write it without a password, for example with 'openssl pkey -in %[2]s -out key.pem'", field, keyFile)
	case !hasBlock(key, "PRIVATE KEY") && field == "target.tls.cert_file":
		return none, fmt.Errorf("target.tls.cert_file: %s holds no private key; name the file that has it in target.tls.key_file (--key)", certFile)
	case !hasBlock(key, "PRIVATE KEY"):
		return none, fmt.Errorf("target.tls.key_file: %s holds no private key in PEM form", keyFile)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return none, fmt.Errorf("%s: the key in %s and the certificate in %s cannot be used together: %s", field, keyFile, certFile, strings.TrimPrefix(err.Error(), "tls: "))
	}
	switch leaf := pair.Leaf; {
	case leaf == nil:
	case now.After(leaf.NotAfter):
		return none, fmt.Errorf("target.tls.cert_file: the certificate in %s expired on %s UTC; name a valid one", certFile, leaf.NotAfter.UTC().Format(time.DateTime))
	case now.Before(leaf.NotBefore):
		return none, fmt.Errorf("target.tls.cert_file: the certificate in %s is not valid before %s UTC", certFile, leaf.NotBefore.UTC().Format(time.DateTime))
	}
	return pair, nil
}

// hasBlock reports whether PEM text has a block whose type ends so.
func hasBlock(text []byte, kind string) bool {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, kind) {
			return true
		}
	}
	return false
}
