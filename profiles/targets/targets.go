package targets

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"
)

// The formats of target files.
const (
	FormatHTTP = "http"
	FormatJSON = "json"
)

// Bounds of a target file: its size in bytes, the number of targets in it, and
// for the http format the length of a line, in bytes.
const (
	MaxFile    = 64 << 20
	MaxTargets = 100_000
	MaxLine    = 64 << 10
)

// Parse reads targets in vegeta's formats, strictly: what vegeta's own parsers drop
// silently is an error. Errors name the target and its line, and never quote a
// header's value or a body.
func Parse(data []byte, format string) ([]Request, error) {
	if len(data) > MaxFile {
		return nil, fmt.Errorf("longer than %d MiB", MaxFile>>20)
	}
	data, err := targetText(data)
	if err != nil {
		return nil, err
	}
	read := readHTTPTargets
	if format == FormatJSON {
		read = readJSONTargets
	}
	var requests []Request
	err = read(data, func(line int, r Request, err error) error {
		if err == nil {
			err = r.check()
		}
		switch {
		case err != nil:
			return fmt.Errorf("target %d (line %d): %w", len(requests)+1, line, err)
		case len(requests) == MaxTargets:
			return fmt.Errorf("more than %d targets", MaxTargets)
		}
		requests = append(requests, r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(requests) == 0 {
		return nil, errors.New("no targets in it")
	}
	return requests, nil
}

// targetText removes the byte order mark that editors on Windows put before UTF-8. It
// refuses other encodings.
func targetText(data []byte) ([]byte, error) {
	const save = "save it as UTF-8 (in PowerShell: Set-Content -Encoding utf8)"
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		return nil, errors.New("the file begins with the byte order mark of UTF-16 or UTF-32; " + save)
	case bytes.IndexByte(data, 0) >= 0:
		line := 1 + bytes.Count(data[:bytes.IndexByte(data, 0)], []byte("\n"))
		return nil, fmt.Errorf("line %d: a zero byte, as in UTF-16 text without a byte order mark; %s", line, save)
	}
	return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), nil
}

// take receives each target with its line, or the error and the line of the error.
type take func(line int, r Request, err error) error

// requestLine matches the beginning of a target in the http format.
var requestLine = regexp.MustCompile(`^[A-Z]+\s+\S+://`)

// readHTTPTargets reads the http format: a line with method and URL, then headers,
// then optionally @ and the name of a file with the body. A blank line or the body
// ends the target. Lines that begin with # are comments.
func readHTTPTargets(data []byte, take take) error {
	var open *Request // the target whose headers are being read
	number, begun := 0, 0
	done := func() (err error) {
		if open != nil {
			err = take(begun, *open, nil)
			open = nil
		}
		return err
	}
	for raw := range bytes.Lines(data) {
		number++
		if len(raw) >= MaxLine {
			return fmt.Errorf("line %d is longer than %d bytes", number, MaxLine)
		}
		line, err := strings.TrimSpace(string(raw)), error(nil)
		switch {
		case line == "":
			err = done()
		case line[0] == '#':
		case open != nil && line[0] == '@':
			body, unread := os.ReadFile(strings.TrimSpace(line[1:]))
			if unread != nil {
				return take(number, Request{}, fmt.Errorf("its body: %w", unread))
			}
			open.Body = body
			err = done()
		case open != nil && number == begun+1 && requestLine.MatchString(line): // as vegeta reads it
			if err = done(); err == nil {
				open, begun, err = beginTarget(line, number, take)
			}
		case open != nil:
			if bad := open.addHeader(line); bad != nil {
				return take(number, Request{}, bad)
			}
		default:
			open, begun, err = beginTarget(line, number, take)
		}
		if err != nil {
			return err
		}
	}
	return done()
}

// beginTarget reads the first line of a target.
func beginTarget(line string, number int, take take) (*Request, int, error) {
	bad := func(format string, args ...any) (*Request, int, error) {
		return nil, 0, take(number, Request{}, fmt.Errorf(format, args...))
	}
	words := strings.Fields(line)
	method := words[0]
	switch {
	case strings.HasPrefix(line, "{"), strings.HasPrefix(line, "["):
		return bad("it looks like JSON, and the format is http; set target.format: json (--format json)")
	case strings.HasPrefix(line, "@"):
		return bad("a body without a target; remove the blank line before it")
	case strings.Contains(method, "://"):
		return bad("the method is missing; write it before the URL, as in GET http://127.0.0.1:8080/")
	case strings.HasSuffix(method, ":"):
		return bad("a header without a target; remove the blank line before it, or write headers before the body")
	case strings.ToUpper(method) != method || !ValidMethod(method):
		return bad("it does not begin with a method in capitals, as GET http://127.0.0.1:8080/ does")
	case len(words) == 1:
		return bad("the URL is missing; write it after the method, as in GET http://127.0.0.1:8080/")
	case len(words) > 2:
		return bad("there is more after the URL; a line holds a method and a URL, in which a space is %%20, and no version of HTTP")
	}
	return &Request{Method: method, URL: words[1], Header: http.Header{}}, number, nil
}

// addHeader reads a line after the first one of a target in the http format.
func (r *Request) addHeader(line string) error {
	if requestLine.MatchString(line) {
		return errors.New("another target begins here; put a blank line before it")
	}
	name, value, found := strings.Cut(line, ":")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	switch {
	case !found || name == "":
		return errors.New("not a header; write Name: value, and @FILE for a body")
	case value == "":
		return aboutHeader(name, errors.New("has no value; give one or remove it"))
	}
	if err := CheckHeader(name, value); err != nil {
		return aboutHeader(name, err)
	}
	r.Header[name] = append(r.Header[name], value)
	return nil
}

// readJSONTargets reads the json format: one object on each line.
func readJSONTargets(data []byte, take take) error {
	number := 0
	for raw := range bytes.Lines(data) {
		number++
		raw = bytes.TrimSpace(raw)
		if len(raw) == 0 {
			continue
		}
		if !utf8.Valid(raw) {
			return take(number, Request{}, errors.New("not UTF-8 text; save the file as UTF-8"))
		}
		r, err := jsonTarget(raw)
		if err = take(number, r, err); err != nil {
			return err
		}
	}
	return nil
}
