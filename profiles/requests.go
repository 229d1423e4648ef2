package profiles

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/kabench/kabench/profiles/targets"
)

// Requests is what p's target says to send, at least one: the target itself, or
// those in its file, in order. When p's target is a lab, set Target.URL to where
// the lab listens first. Errors name the file and the target in it.
func Requests(p *Profile) ([]targets.Request, error) {
	t := p.Target
	if t.File == "" {
		if err := targets.CheckURL(t.URL); err != nil {
			return nil, fmt.Errorf("target.url: %w", err)
		}
	}
	return targetsOf(t)
}

// targetsOf is Requests of a target whose URL may be missing.
func targetsOf(t Target) ([]targets.Request, error) {
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
	return []targets.Request{{Method: t.Method, URL: t.URL, Header: header, Body: body}}, nil
}

func readTargets(path, format string) ([]targets.Request, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("target.file: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, targets.MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("target.file: %w", err)
	}
	requests, err := targets.Parse(data, format)
	if err != nil {
		return nil, fmt.Errorf("target.file: %s: %w", path, WithoutSecrets(err, string(data)))
	}
	return requests, nil
}
