package dialers

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Request is a request prepared once and written many times.
type Request struct {
	origin          Origin
	bytes           []byte // as sent: request line, headers, blank line, body
	head            int    // length of all before the body
	last            bool   // it asks the server to close the connection after it
	method          string
	responses       int           // how many requests it is, sent at once: at least 1
	split           bool          // its head and its body are two writes
	expectsContinue bool          // it holds its body back until the server asks for it: Expect: 100-continue
	hasKey          bool          // it carries an idempotency key
	parse           *http.Request // what http.ReadResponse needs to know: the method
	template        *http.Request // without its body, for Stock
	id              int           // where in bytes the digits of its X-Request-Id begin; 0: it has none of ours
}

// continueTimeout is how long a request with Expect: 100-continue holds its body
// back. Then it sends the body without a 100 Continue, as RFC 9110, section 10.1.1,
// wants: the server may not know that header. curl waits as long.
const continueTimeout = time.Second

// RequestID is the header by which a server recognizes a request that is sent
// again.
const RequestID = "X-Request-Id"

// idDigits is the number of digits of the largest exchange number.
const idDigits = 20

// IDOf returns the value of RequestID for exchange number seq.
func IDOf(seq uint64) string { return fmt.Sprintf("%0*d", idDigits, seq) }

// Numbered returns r with a header X-Request-Id: the number of the exchange. All
// attempts of an exchange have the same, and no other exchange has it.
func (r *Request) Numbered() *Request {
	n := *r
	n.template = r.template.Clone(r.template.Context())
	fold(n.template.Header, RequestID)
	n.template.Header.Del(RequestID)
	var head bytes.Buffer
	lines := bytes.SplitAfter(r.bytes[:r.head-len("\r\n")], []byte("\r\n"))
	for _, line := range lines {
		if name, _, _ := bytes.Cut(line, []byte(":")); !strings.EqualFold(string(name), RequestID) {
			head.Write(line)
		}
	}
	head.WriteString(RequestID + ": ")
	n.id = head.Len()
	head.WriteString(IDOf(0) + "\r\n\r\n")
	n.head = head.Len()
	n.bytes = append(head.Bytes(), r.bytes[r.head:]...)
	return &n
}

// Pipelined returns r n times in a row, sent without waiting for a response (RFC
// 9112, section 9.3.2), in one exchange, which is done when the n-th response is
// complete. r must have no body. FirstByte, GotHeaders and the status are those of
// the first response. Stock sends r once.
func (r *Request) Pipelined(n int) *Request {
	p := *r
	p.bytes = bytes.Repeat(r.bytes, n)
	p.head, p.responses = len(p.bytes), n
	return &p
}

// Split returns r with its head and its body in two writes, as many clients send
// them. Otherwise the head leaves with the first 16 KiB of the body. Stock sends
// requests as net/http does.
func (r *Request) Split() *Request {
	s := *r
	s.split = true
	return &s
}

// sent returns the bytes that exchange number seq sends.
func (r *Request) sent(seq uint64) []byte {
	if r.id == 0 {
		return r.bytes
	}
	// A copy for each exchange: one that waits for the socket keeps its number.
	b := bytes.Clone(r.bytes)
	copy(b[r.id:], IDOf(seq))
	return b
}

// UserAgent is sent when a request names none.
const UserAgent = "kabench"

// readByName are the headers that net/http or kabench looks for by their
// canonical names. A server does not care how they are spelled (RFC 9110, section
// 5.1), but net/http's Transport finds no other spelling.
var readByName = []string{
	"Accept-Encoding", "Authorization", "Connection", "Expect", "Host", "Idempotency-Key", "Range", "X-Idempotency-Key",
}

// fold moves the values that h has under other spellings of a canonical name to
// that name.
func fold(h http.Header, name string) {
	for spelled, values := range h {
		if spelled != name && strings.EqualFold(spelled, name) {
			delete(h, spelled)
			h[name] = append(h[name], values...)
		}
	}
}

// NewRequest prepares a request with the given body; header may be nil, and its
// names are sent as they are spelled. The error says what is wrong with the
// method, the URL or a header.
func NewRequest(method, rawURL string, header http.Header, body []byte) (*Request, error) {
	u, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	hr, err := http.NewRequest(method, rawURL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	asked := setHeader(hr, u, header)
	if len(body) == 0 {
		hr.Body, hr.GetBody = nil, nil
	}
	var wire bytes.Buffer
	if err := hr.Write(&wire); err != nil {
		return nil, err
	}
	head, _, found := bytes.Cut(wire.Bytes(), []byte("\r\n\r\n"))
	if !found {
		return nil, errors.New("the request has no end of headers")
	}
	hr.Body, hr.GetBody = nil, nil
	for _, name := range readByName {
		fold(hr.Header, name) // for Stock
	}
	r := &Request{
		origin: Origin{Host: u.Hostname(), Port: u.Port(), TLS: u.Scheme == "https"},
		bytes:  wire.Bytes(), head: len(head) + len("\r\n\r\n"),
		responses:       1,
		last:            httpguts.HeaderValuesContainsToken(hr.Header["Connection"], "close"),
		parse:           &http.Request{Method: hr.Method},
		method:          hr.Method,
		expectsContinue: len(body) > 0 && httpguts.HeaderValuesContainsToken(hr.Header["Expect"], "100-continue"),
		hasKey:          asked.Get("Idempotency-Key") != "" || asked.Get("X-Idempotency-Key") != "",
		template:        hr,
	}
	if r.origin.Port == "" {
		r.origin.Port = map[bool]string{false: "80", true: "443"}[r.origin.TLS]
	}
	return r, nil
}

func parseURL(rawURL string) (*url.URL, error) {
	u, err := url.Parse(rawURL)
	switch {
	case err != nil:
		return nil, err
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%s: the scheme is %q, want http or https", rawURL, u.Scheme)
	case u.Hostname() == "":
		return nil, fmt.Errorf("%s: the URL has no host", rawURL)
	}
	return u, nil
}

// setHeader gives hr the header, and what the URL and net/http need in it. It
// returns the header by canonical names, to look names up in.
func setHeader(hr *http.Request, u *url.URL, header http.Header) (asked http.Header) {
	asked = http.Header{}
	if header != nil {
		asked, hr.Header = header.Clone(), header.Clone()
	}
	for _, name := range append(readByName, "User-Agent") {
		fold(asked, name)
	}
	fold(hr.Header, "Host") // which net/http writes
	if host := asked.Get("Host"); host != "" {
		hr.Host = host
	}
	if u.User != nil && asked.Get("Authorization") == "" {
		password, _ := u.User.Password()
		fold(hr.Header, "Authorization")
		hr.SetBasicAuth(u.User.Username(), password)
	}
	switch _, as := hr.Header["User-Agent"]; {
	case as: // net/http writes it
	case asked["User-Agent"] != nil:
		hr.Header["User-Agent"] = []string{""} // so that net/http does not add its own to the one spelled otherwise
	default:
		hr.Header.Set("User-Agent", UserAgent)
	}
	return asked
}

// Bytes returns what the request sends. The caller must not change it.
func (r *Request) Bytes() []byte { return r.bytes }

// Origin returns the server that the request goes to.
func (r *Request) Origin() Origin { return r.origin }

// Parts are what a request is made of, for a client that writes it itself.
type Parts struct {
	Method string
	URL    string      // without a user's name and password, which are in Headers
	Header [][2]string // in the order in which they are sent; without RequestID, and without what a client adds itself
	Body   int         // length
}

// Parts returns what r is made of. Left out are the headers that each client writes in
// its own way: Content-Length, Host unless it is not the URL's, and User-Agent unless
// the caller of NewRequest named one.
func (r *Request) Parts() Parts {
	u := *r.template.URL
	u.User = nil
	p := Parts{Method: r.method, URL: u.String(), Body: len(r.bytes) - r.head}
	if r.responses > 1 {
		p.Body = 0
	}
	head := r.bytes[:bytes.Index(r.bytes, []byte("\r\n\r\n"))]
	for line := range strings.SplitSeq(string(head), "\r\n") {
		name, value, isHeader := strings.Cut(line, ": ")
		switch {
		case !isHeader, strings.EqualFold(name, RequestID), strings.EqualFold(name, "Content-Length"):
		case strings.EqualFold(name, "Host") && value == u.Host, strings.EqualFold(name, "User-Agent") && value == UserAgent:
		default:
			p.Header = append(p.Header, [2]string{name, value})
		}
	}
	return p
}
