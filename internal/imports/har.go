package imports

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/kabench/kabench/profiles/targets"
)

// Bounds for a HAR file of any size.
const (
	MaxRequests = 10_000  // that one file can give
	maxText     = 1 << 20 // bytes of one text, escapes counted; a body may be so long
	maxDepth    = 100     // of values in values
	maxHeaders  = 200     // of one request
)

// HAROptions say which requests of a file are imported.
type HAROptions struct {
	Options
	// Filters are hosts ("shop.example.com", "*.example.com") and beginnings of paths
	// ("/api/"). A request is taken if one of the hosts and one of the paths fits; without
	// hosts every host does, and without paths every path.
	Filters []string
	Max     int // how many requests are taken at most; 1 to MaxRequests
}

// Archive is what a HAR file gave.
type Archive struct {
	Requests []targets.Request
	Entries  int      // in the file
	Notes    []string // sentences: what was left out
}

// HAR reads a HAR file as a stream: what it holds in memory does not grow with the file. The
// error says what is wrong with the file.
func HAR(r io.Reader, o HAROptions) (*Archive, error) {
	h := &har{d: json.NewDecoder(newShortened(r, maxText)), o: o, left: removed{}, skipped: map[string]int{}}
	if err := h.file(); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("the file is cut off")
		}
		if at, is := errors.AsType[*json.SyntaxError](err); is {
			err = fmt.Errorf("no JSON: %w", at)
		}
		return nil, fmt.Errorf("%w; save it again as HAR in the browser's network panel", err)
	}
	h.note()
	return &h.Archive, nil
}

// har is a file that is being read.
type har struct {
	Archive
	d       *json.Decoder
	o       HAROptions
	left    removed
	skipped map[string]int // entries that were not taken, by the reason
	bytes   int            // of the requests so far
	log     bool           // there is a log with entries
}

const (
	// maxTogether bounds all requests together, as a target file has them, in bytes.
	maxTogether = targets.MaxFile / 2
	// maxWhys bounds the reasons, and the names of credentials, that are kept.
	maxWhys = 100
)

func (h *har) file() error {
	err := h.object(func(key string) error {
		if key != "log" {
			return h.skip()
		}
		return h.object(func(key string) error {
			if key != "entries" {
				return h.skip()
			}
			h.log = true
			return h.array(h.entry)
		})
	})
	if err == nil && !h.log {
		err = errors.New("there is no log with entries, so this is no HAR file")
	}
	return err
}

// entry reads one entry, and takes its request if it fits.
func (h *har) entry() error {
	var q raw
	err := h.object(func(key string) error {
		if key != "request" {
			return h.skip()
		}
		return h.request(&q)
	})
	if err != nil {
		return err
	}
	h.Entries++
	h.take(&q)
	return nil
}

// raw is a request as the file has it.
type raw struct {
	method, url, mime, text string
	headers                 [][2]string
	params                  [][2]string
	many, files, hasText    bool // too many headers; the body has files; there is a text
}

func (h *har) request(q *raw) error {
	return h.object(func(key string) (err error) {
		switch key {
		case "method":
			q.method, err = h.text()
		case "url":
			q.url, err = h.text()
		case "headers":
			return h.pairs(&q.headers, &q.many, nil)
		case "postData":
			return h.object(func(key string) (err error) {
				switch key {
				case "mimeType":
					q.mime, err = h.text()
				case "text":
					q.hasText = true
					q.text, err = h.text()
				case "params":
					return h.pairs(&q.params, &q.many, &q.files)
				default:
					return h.skip()
				}
				return err
			})
		default:
			return h.skip()
		}
		return err
	})
}

// pairs reads a list of objects with name and value. files is set if one has a file.
func (h *har) pairs(to *[][2]string, many, files *bool) error {
	return h.array(func() error {
		var pair [2]string
		err := h.object(func(key string) (err error) {
			switch key {
			case "name":
				pair[0], err = h.text()
			case "value":
				pair[1], err = h.text()
			case "fileName":
				if files != nil {
					*files = true
				}
				return h.skip()
			default:
				return h.skip()
			}
			return err
		})
		if len(*to) >= maxHeaders {
			*many = true
			return err
		}
		*to = append(*to, pair)
		return err
	})
}

// take adds a request if it can be sent and is asked for.
func (h *har) take(q *raw) {
	u, err := url.Parse(q.url)
	switch {
	case q.url == "" || err != nil:
		h.leave("without a URL that can be read")
		return
	case u.Scheme != "http" && u.Scheme != "https":
		h.leave("of another scheme than http and https, such as " + cut(u.Scheme))
		return
	case !fits(u, h.o.Filters):
		h.leave("that the filters leave out")
		return
	case q.many:
		h.leave(fmt.Sprintf("with more than %d headers or parameters", maxHeaders))
		return
	case q.files || strings.HasPrefix(q.mime, "multipart/") && !q.hasText:
		h.leave("with a multipart body that the file does not hold")
		return
	case len(h.Requests) >= h.o.Max:
		h.leave(fmt.Sprintf("beyond the first %d (--max)", h.o.Max))
		return
	}
	one := targets.Request{Method: q.method, URL: q.url, Header: http.Header{}}
	long := wasCut(q.url) || wasCut(q.text)
	for _, pair := range q.headers {
		long = long || wasCut(pair[0]) || wasCut(pair[1])
		if !isHopByHop(pair[0]) && !strings.EqualFold(pair[0], "Host") { // the URL has it
			addHeader(one.Header, pair[0], pair[1])
		}
	}
	if q.hasText {
		one.Body = []byte(q.text)
	} else if len(q.params) > 0 {
		one.Body = []byte(form(q.params))
	}
	if q.mime != "" && len(one.Body) > 0 {
		setDefault(one.Header, "Content-Type", q.mime)
	}
	for _, pair := range q.params {
		long = long || wasCut(pair[1])
	}
	size := len(one.URL) + len(one.Body)
	for name, values := range one.Header {
		size += len(name) + len(strings.Join(values, ""))
	}
	if long || h.bytes+size > maxTogether {
		h.leave("with a text that is too long")
		return
	}
	one, err = finish(one, h.o.Options, h.left)
	if err != nil {
		h.leave("that cannot be sent: " + err.Error())
		return
	}
	h.bytes += size
	h.Requests = append(h.Requests, one)
}

// leave counts an entry that is not taken. A file may give any number of reasons.
func (h *har) leave(why string) {
	why = cutLong(why)
	if _, known := h.skipped[why]; !known && len(h.skipped) >= maxWhys {
		why = "for other reasons"
	}
	h.skipped[why]++
}

// wasCut reports whether a text was longer than maxText bytes in the file.
func wasCut(text string) bool { return strings.HasSuffix(text, cutText) }

func form(params [][2]string) string {
	var list []string
	for _, p := range params {
		list = append(list, url.QueryEscape(p[0])+"="+url.QueryEscape(p[1]))
	}
	return strings.Join(list, "&")
}

// fits reports whether a URL is one that the filters ask for.
func fits(u *url.URL, filters []string) bool {
	hosts, paths, host, path := 0, 0, false, false
	for _, f := range filters {
		if strings.HasPrefix(f, "/") {
			paths++
			path = path || strings.HasPrefix(u.EscapedPath(), f)
			continue
		}
		hosts++
		name := strings.ToLower(f)
		domain, any := strings.CutPrefix(name, "*")
		is := strings.ToLower(u.Hostname())
		host = host || is == name || strings.ToLower(u.Host) == name || any && strings.HasSuffix(is, domain)
	}
	return (hosts == 0 || host) && (paths == 0 || path)
}

// maxReasons bounds the reasons in a note.
const maxReasons = 8

// note adds the notes about entries and credentials that are missing in the result.
func (h *har) note() {
	reasons := removed{}
	for why, n := range h.skipped {
		reasons[fmt.Sprintf("%d %s", n, why)] = 1
	}
	list := reasons.sorted()
	if more := len(list) - maxReasons; more > 0 {
		list = append(list[:maxReasons], fmt.Sprintf("others for %d more reasons", more))
	}
	if len(list) > 0 {
		h.Notes = append(h.Notes, fmt.Sprintf("of %d entries these were left out: %s", h.Entries, strings.Join(list, "; ")))
	}
	if note := h.left.note(); note != "" {
		h.Notes = append(h.Notes, note)
	}
}

func cutLong(text string) string {
	if r := []rune(text); len(r) > 120 {
		return string(r[:120]) + "…"
	}
	return text
}
