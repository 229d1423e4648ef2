package probe

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"

	"github.com/kabench/kabench/dialers"
)

// Request is what a probe sends over and over.
type Request struct {
	URL, Method string
	Header      http.Header
	Body        []byte
}

// messages are the bytes of a request: as the user wants it, with Connection: keep-alive,
// and half a head.
type messages struct {
	plain, asking, half []byte
	origin              dialers.Origin
	method              string
}

// prepare makes the bytes of r. A user's own Connection header stays in both forms.
func (r Request) prepare() (messages, error) {
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	plain, err := dialers.NewRequest(r.Method, r.URL, r.Header, r.Body)
	if err != nil {
		return messages{}, err
	}
	header, own := r.Header.Clone(), false
	if header == nil {
		header = http.Header{}
	}
	for name, values := range header {
		if !strings.EqualFold(name, "Connection") {
			continue
		}
		own = true
		if strings.EqualFold(strings.Join(values, ","), "close") {
			return messages{}, fmt.Errorf("the header %q ends each connection with its first response; leave it out to see how the server keeps connections", name+": close")
		}
	}
	if !own {
		header.Set("Connection", "keep-alive")
	}
	asking, err := dialers.NewRequest(r.Method, r.URL, header, r.Body)
	if err != nil {
		return messages{}, err
	}
	head, _, _ := bytes.Cut(plain.Bytes(), []byte("\r\n\r\n"))
	half := append(bytes.Clone(head), "\r\nX-Unfinished: "...)
	return messages{plain: plain.Bytes(), asking: asking.Bytes(), half: half, origin: plain.Origin(), method: r.Method}, nil
}

// backendHeaders name the machine, or the kind of machine, that has responded.
var backendHeaders = []string{"Server", "Via", "X-Served-By", "X-Backend", "X-Backend-Server", "X-Upstream", "X-Instance", "X-Server", "X-Node"}

// says is what a response's head says about the connection and the sender.
type says struct{ hint, backend, location string }

// readHead returns what a whole head says. What cannot be read says nothing.
func readHead(head []byte) (s says) {
	_, fields, _ := bytes.Cut(head, []byte("\n"))
	h := http.Header{}
	for line := range bytes.SplitSeq(fields, []byte("\n")) {
		if name, value, found := strings.Cut(string(bytes.TrimSpace(line)), ":"); found {
			h.Add(name, strings.TrimSpace(value))
		}
	}
	s.hint, s.location = short(h.Get("Keep-Alive")), short(h.Get("Location"))
	var names []string
	for _, name := range backendHeaders {
		if value := h.Get(name); value != "" {
			names = append(names, value)
		}
	}
	s.backend = short(strings.Join(names, " "))
	return s
}

// short bounds what a server can put into the results.
func short(text string) string {
	const most = 120
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
