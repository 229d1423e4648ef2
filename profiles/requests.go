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
	"strings"

	"golang.org/x/net/http/httpguts"
)

// A Request is one of the things to send.
type Request struct {
	Method string
	URL    string      // absolute
	Header http.Header // names as they are spelled; Host too, if the target names one
	Body   []byte      // shared; not to be changed
}

// The formats of target files.
const (
	formatHTTP = "http"
	formatJSON = "json"
)

// Bounds of a target file: its size in bytes, the number of targets in it, and
// for the http format the length of a line, in bytes.
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
		header[name] = []string{value}
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

// Values are those of a header, however its name is spelled.
func (r Request) Values(name string) []string {
	var all []string
	for _, spelled := range slices.Sorted(maps.Keys(r.Header)) {
		if strings.EqualFold(spelled, name) {
			all = append(all, r.Header[spelled]...)
		}
	}
	return all
}

func checkTarget(t Request) error {
	if !validMethod(t.Method) {
		return fmt.Errorf("%q is not an HTTP method", t.Method)
	}
	if err := checkURL(t.URL); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(t.Header)) {
		if len(t.Header[name]) == 0 {
			return aboutHeader(name, errors.New("has no value; give one or remove it"))
		}
		for _, value := range t.Header[name] {
			if err := checkHeader(name, value); err != nil {
				return aboutHeader(name, err)
			}
		}
	}
	if len(t.Values("Host")) > 1 {
		return aboutHeader("Host", errors.New("given twice; remove one"))
	}
	return nil
}

// aboutHeader names the header that an error is about, unless the name is none
// and may be anything.
func aboutHeader(name string, err error) error {
	if !httpguts.ValidHeaderFieldName(name) {
		return fmt.Errorf("a header: %w", err)
	}
	return fmt.Errorf("header %q: %w", name, err)
}
