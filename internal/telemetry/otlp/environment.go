package otlp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// checkEnvironment says what is wrong with the variables that OpenTelemetry's SDK reads. The SDK
// itself writes a header that it cannot read to standard error, with the token in it, and
// goes on without it.
func checkEnvironment() error {
	for _, of := range []string{"", "METRICS_", "TRACES_"} {
		name := "OTEL_EXPORTER_OTLP_" + of
		if err := checkHeaders(os.Getenv(name + "HEADERS")); err != nil {
			return fmt.Errorf("%sHEADERS: %w; write NAME=VALUE, as Authorization=Bearer%%20TOKEN, with commas between several", name, err)
		}
		if file := os.Getenv(name + "CERTIFICATE"); file != "" {
			text, err := os.ReadFile(file)
			if err == nil && !x509.NewCertPool().AppendCertsFromPEM(text) {
				err = fmt.Errorf("%s has no certificate in PEM", file)
			}
			if err != nil {
				return fmt.Errorf("%sCERTIFICATE: %w", name, err)
			}
		}
		cert, key := os.Getenv(name+"CLIENT_CERTIFICATE"), os.Getenv(name+"CLIENT_KEY")
		if cert == "" || key == "" {
			continue
		}
		if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
			return fmt.Errorf("%sCLIENT_CERTIFICATE and CLIENT_KEY: %w", name, err)
		}
	}
	return nil
}

// checkHeaders checks a list of headers. The error quotes nothing of it: it may be a token.
func checkHeaders(list string) error {
	if strings.TrimSpace(list) == "" {
		return nil
	}
	place := 0
	for header := range strings.SplitSeq(list, ",") {
		place++
		name, value, found := strings.Cut(header, "=")
		if !found {
			return fmt.Errorf("entry %d has no =", place)
		}
		if !httpguts.ValidHeaderFieldName(strings.TrimSpace(name)) {
			return fmt.Errorf("the name in entry %d is not that of a header", place)
		}
		plain, err := url.PathUnescape(value)
		if err == nil && !httpguts.ValidHeaderFieldValue(strings.TrimSpace(plain)) {
			err = errors.New("it has characters that a header cannot carry")
		}
		if err != nil {
			return fmt.Errorf("the value in entry %d cannot be read", place)
		}
	}
	return nil
}
