package targets

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/kabench/kabench/internal/secrets"
	"golang.org/x/net/http/httpguts"
)

// A Request is a request to send.
type Request struct {
	Method string
	URL    string      // absolute
	Header http.Header // names in their original spelling; includes Host if the target has one
	Body   []byte      // shared; do not change
}

// Values returns the values of a header, in any spelling of its name.
func (r Request) Values(name string) []string {
	var all []string
	for _, spelled := range slices.Sorted(maps.Keys(r.Header)) {
		if strings.EqualFold(spelled, name) {
			all = append(all, r.Header[spelled]...)
		}
	}
	return all
}

func (t Request) check() error {
	if !ValidMethod(t.Method) {
		return fmt.Errorf("%q is not an HTTP method", t.Method)
	}
	if err := CheckURL(t.URL); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(t.Header)) {
		if len(t.Header[name]) == 0 {
			return aboutHeader(name, errors.New("has no value; give one or remove it"))
		}
		for _, value := range t.Header[name] {
			if err := CheckHeader(name, value); err != nil {
				return aboutHeader(name, err)
			}
		}
	}
	if len(t.Values("Host")) > 1 {
		return aboutHeader("Host", errors.New("given twice; remove one"))
	}
	return nil
}

// aboutHeader adds the header's name to an error. It leaves out a name that is not
// valid, because that may be anything.
func aboutHeader(name string, err error) error {
	if !httpguts.ValidHeaderFieldName(name) {
		return fmt.Errorf("a header: %w", err)
	}
	return fmt.Errorf("header %q: %w", name, err)
}

// CheckURL says why text cannot be the URL of a target; nil if it can.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	var bad *url.Error
	switch {
	case !strings.Contains(text, "://") && err != nil: // a host and a port
		return errors.New("a URL must begin with http:// or https://")
	case errors.As(err, &bad):
		return fmt.Errorf("not a URL: %w", bad.Err)
	case err != nil:
		return fmt.Errorf("not a URL: %w", err)
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%q must begin with http:// or https://", secrets.RedactURL(text))
	case u.Hostname() == "":
		return fmt.Errorf("%q names no host; write it as http://127.0.0.1:8080/", secrets.RedactURL(text))
	case !validPort(u.Port()):
		return fmt.Errorf("port %s is not between 1 and 65535", u.Port())
	}
	return nil
}

func validPort(port string) bool {
	if port == "" {
		return true // the scheme's default port
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// ValidMethod reports whether a method is a token, as header names are.
func ValidMethod(method string) bool { return httpguts.ValidHeaderFieldName(method) }

// CheckHeader says why a header cannot be sent; nil if it can.
func CheckHeader(name, value string) error {
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return errors.New("not a valid header name")
	case !httpguts.ValidHeaderFieldValue(value):
		return errors.New("the value has characters that a header cannot carry")
	}
	switch http.CanonicalHeaderKey(name) {
	case "Content-Length", "Transfer-Encoding":
		return errors.New("kabench sets it by the body; remove it")
	case "Trailer":
		return errors.New("kabench sends no trailers; remove it")
	}
	return nil
}
