package imports

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/kabench/kabench/internal/secrets"
	"github.com/kabench/kabench/profiles/targets"
)

// Options say how requests are imported.
type Options struct {
	KeepSecrets bool // credentials are kept instead of left out
}

// hopByHop are the headers of one connection, and those that the client sets itself. The pool
// and the client of a run decide them.
var hopByHop = []string{
	"connection", "content-length", "http2-settings", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
}

func isHopByHop(name string) bool {
	return strings.HasPrefix(name, ":") || slices.Contains(hopByHop, strings.ToLower(name))
}

// removed counts, by name, what was left out because it may be a credential.
type removed map[string]int

func (r removed) add(what string) {
	what = cutLong(what)
	if _, known := r[what]; !known && len(r) >= maxWhys {
		what = "others"
	}
	r[what]++
}

// note says what was left out; "" if nothing was.
func (r removed) note() string {
	if len(r) == 0 {
		return ""
	}
	list := r.sorted()
	if more := len(list) - 12; more > 0 {
		list = append(list[:12], fmt.Sprintf("%d more", more))
	}
	return "left out, because they may be credentials: " + strings.Join(list, ", ") + ". --keep-secrets keeps them"
}

// sorted returns what was left out, in order.
func (r removed) sorted() (list []string) {
	for what, n := range r {
		if n > 1 {
			what = fmt.Sprintf("%s (%d times)", what, n)
		}
		list = append(list, what)
	}
	slices.Sort(list)
	return list
}

// withoutSecrets takes out of r what looks like a credential.
func (r removed) withoutSecrets(q *targets.Request) {
	for name := range q.Header {
		if secrets.Named(name) {
			delete(q.Header, name)
			r.add("header " + name)
		}
	}
	q.URL = r.fromURL(q.URL)
	q.Body = []byte(r.fromBody(string(q.Body)))
}

// fromURL takes the user, the fragment and the parameters out of a URL that may be
// credentials, and leaves the rest as it is.
func (r removed) fromURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return text // which is refused
	}
	if u.User != nil {
		u.User = nil
		r.add("user in the URL")
	}
	var kept []string
	for part := range strings.SplitSeq(u.RawQuery, "&") {
		name, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err != nil || secrets.Named(plain) {
			r.add("parameter " + name)
			continue
		}
		kept = append(kept, part)
	}
	u.RawQuery = strings.Join(kept, "&")
	if u.RawQuery == "" {
		u.ForceQuery = false
	}
	text = u.String()
	if shown := secrets.RedactURL(text); shown != text && strings.Contains(shown, secrets.Blanked) { // in the path
		r.add("parameter in the path")
		return shown
	}
	return text
}

// finish makes what was collected a request that can be sent. The error says what is wrong.
func finish(q targets.Request, o Options, left removed) (targets.Request, error) {
	if u, err := url.Parse(q.URL); err == nil && u.Fragment != "" {
		u.Fragment, u.RawFragment = "", "" // never sent
		q.URL = u.String()
	}
	if u, err := url.Parse(q.URL); err == nil && u.Path == "" && u.Opaque == "" {
		u.Path = "/"
		q.URL = u.String()
	}
	if !o.KeepSecrets {
		left.withoutSecrets(&q)
	}
	if err := targets.CheckURL(q.URL); err != nil {
		return q, err
	}
	if !targets.ValidMethod(q.Method) {
		return q, fmt.Errorf("%q is not an HTTP method", q.Method)
	}
	for name, values := range q.Header {
		for _, value := range values {
			if err := targets.CheckHeader(name, value); err != nil {
				return q, fmt.Errorf("header %q: %w", name, err)
			}
		}
	}
	return q, nil
}

// addHeader adds a value, below the spelling of the first header of that name.
func addHeader(h http.Header, name, value string) {
	for spelled := range h {
		if strings.EqualFold(spelled, name) {
			name = spelled
		}
	}
	h[name] = append(h[name], value)
}

// setDefault sets a header that is not there.
func setDefault(h http.Header, name, value string) {
	for spelled := range h {
		if strings.EqualFold(spelled, name) {
			return
		}
	}
	h[name] = []string{value}
}

// drop removes a header in any spelling.
func drop(h http.Header, name string) {
	for spelled := range h {
		if strings.EqualFold(spelled, name) {
			delete(h, spelled)
		}
	}
}
