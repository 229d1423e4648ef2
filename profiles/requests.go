package profiles

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// A Request is one of the things to send.
type Request struct {
	Method string
	URL    string      // absolute
	Header http.Header // canonical names; Host too, if the target names one
	Body   []byte      // shared; not to be changed
}

// The formats of target files.
const (
	formatHTTP = "http"
	formatJSON = "json"
)

// Bounds of a target file: its size in bytes, the number of targets in it, and
// for the http format the length of a line.
const (
	maxTargetFile = 64 << 20
	maxTargets    = 100_000
	maxTargetLine = 64 << 10
)

// Requests is what p's target says to send, at least one: the target itself, or
// those in its file, in order. When p's target is a lab, set Target.URL to where
// the lab listens first. Errors name the file and the target in it.
func Requests(p *Profile) ([]Request, error) {
	t := p.Target
	if t.File == "" {
		if err := checkURL(t.URL); err != nil {
			return nil, fmt.Errorf("target.url: %w", err)
		}
	}
	return targetsOf(t)
}

// targetsOf is Requests of a target whose URL may be missing.
func targetsOf(t Target) ([]Request, error) {
	if t.File != "" {
		return readTargets(t.File, t.Format)
	}
	header := http.Header{}
	for name, value := range t.Headers {
		header.Set(name, value)
	}
	body := []byte(t.Body)
	if t.BodySize > 0 {
		body = bytes.Repeat([]byte("kabench "), t.BodySize/8+1)[:t.BodySize]
	}
	return []Request{{Method: t.Method, URL: t.URL, Header: header, Body: body}}, nil
}

func readTargets(path, format string) ([]Request, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("target.file: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxTargetFile+1))
	if err != nil {
		return nil, fmt.Errorf("target.file: %w", err)
	}
	requests, err := parseTargets(data, format)
	if err != nil {
		return nil, fmt.Errorf("target.file: %s: %w", path, WithoutSecrets(err, string(data)))
	}
	return requests, nil
}

// parseTargets reads targets with vegeta's parsers, and guards against what
// they drop without a word: a last line of JSON without a line break, and all
// that follows a line too long for them.
func parseTargets(data []byte, format string) ([]Request, error) {
	if len(data) > maxTargetFile {
		return nil, fmt.Errorf("longer than %d MiB", maxTargetFile>>20)
	}
	var next vegeta.Targeter
	if format == formatJSON {
		next = vegeta.NewJSONTargeter(io.MultiReader(bytes.NewReader(data), bytes.NewReader([]byte("\n"))), nil, nil)
	} else {
		number := 0
		for line := range bytes.Lines(data) {
			if number++; len(line) >= maxTargetLine {
				return nil, fmt.Errorf("line %d is longer than %d bytes", number, maxTargetLine)
			}
		}
		next = vegeta.NewHTTPTargeter(bytes.NewReader(data), nil, nil)
	}
	var requests []Request
	for {
		var t vegeta.Target
		err := next(&t)
		if errors.Is(err, vegeta.ErrNoTargets) {
			break
		}
		if err == nil {
			err = checkTarget(t)
		}
		if err != nil {
			return nil, fmt.Errorf("target %d: %w", len(requests)+1, err)
		}
		if len(requests) == maxTargets {
			return nil, fmt.Errorf("more than %d targets", maxTargets)
		}
		requests = append(requests, Request{Method: t.Method, URL: t.URL, Header: canonical(t.Header), Body: t.Body})
	}
	if len(requests) == 0 {
		return nil, errors.New("no targets in it")
	}
	return requests, nil
}

// canonical is h under the names that net/http looks for, which target files
// write as they like. Of a header written in several ways the values come in
// the order of the names.
func canonical(h http.Header) http.Header {
	c := make(http.Header, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		key := http.CanonicalHeaderKey(name)
		c[key] = append(c[key], h[name]...)
	}
	return c
}

func checkTarget(t vegeta.Target) error {
	if !validMethod(t.Method) {
		return fmt.Errorf("%q is not an HTTP method", t.Method)
	}
	if err := checkURL(t.URL); err != nil {
		return err
	}
	for name, values := range t.Header {
		for _, value := range values {
			if err := checkHeader(name, value); err != nil {
				return fmt.Errorf("header %q: %w", name, err)
			}
		}
	}
	return nil
}
