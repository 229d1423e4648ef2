package targets

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/kabench/kabench/internal/nearest"
)

// jsonTargetKeys are the keys of a target in the json format. They are vegeta's; no
// others are allowed.
var jsonTargetKeys = []string{"method", "url", "body", "header"}

// jsonTarget reads the target on one line of the json format.
func jsonTarget(line []byte) (Request, error) {
	switch {
	case line[0] == '[' || line[0] == ']':
		return Request{}, errors.New(`a JSON array; write one object on each line, without brackets and commas (jq -c ".[]")`)
	case line[0] == '#' || bytes.HasPrefix(line, []byte("//")):
		return Request{}, errors.New("a comment, which the json format does not have; remove it")
	case line[0] != '{' && requestLine.Match(line):
		return Request{}, errors.New("it looks like the http format; set target.format: http (--format http)")
	case line[0] != '{':
		return Request{}, errors.New(`not a JSON object; write one on each line (jq -c ".")`)
	}
	r := Request{}
	d := json.NewDecoder(bytes.NewReader(line))
	err := eachMember(d, func(key string) error {
		switch key {
		case "method":
			return jsonText(d, key, &r.Method)
		case "url":
			return jsonText(d, key, &r.URL)
		case "body":
			return jsonBody(d, &r)
		case "header":
			return jsonHeader(d, &r)
		}
		if near := nearest.Name(key, jsonTargetKeys); near != "" {
			return fmt.Errorf("unknown key %q; did you mean %s?", key, near)
		}
		return fmt.Errorf("unknown key %q; the keys are %s", key, strings.Join(jsonTargetKeys, ", "))
	})
	if err != nil {
		return Request{}, err
	}
	switch rest := bytes.TrimSpace(line[d.InputOffset():]); {
	case len(rest) == 1 && rest[0] == ',':
		return Request{}, errors.New(`a comma after the object; write one object on each line, without commas (jq -c ".[]" makes them of an array)`)
	case len(rest) > 0:
		return Request{}, errors.New(`more after the object; write one object on each line (jq -c ".")`)
	case r.Method == "":
		return Request{}, errors.New(`the method is missing; add "method": "GET"`)
	case r.URL == "":
		return Request{}, errors.New(`the URL is missing; add "url": "http://127.0.0.1:8080/"`)
	}
	return r, nil
}

// eachMember reads the object that d is at, and calls read at the value of each key. A
// repeated key is an error.
func eachMember(d *json.Decoder, read func(key string) error) error {
	if _, err := d.Token(); err != nil {
		return jsonFault(err)
	}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return jsonFault(err)
		}
		key := token.(string) // the decoder accepts only a string here
		if seen[key] {
			return fmt.Errorf("%q is given twice; remove one", key)
		}
		seen[key] = true
		if err := read(key); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return jsonFault(err)
}

// jsonFault says what is wrong with a line that is not JSON.
func jsonFault(err error) error {
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New(`the object does not end on its line; write each on one line (jq -c ".", or jq -c ".[]" for an array)`)
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON at byte %d of the line: %w", syntax.Offset, err)
	}
	return fmt.Errorf("not JSON: %w", err)
}

// jsonValue reads the value that d is at into to. kind describes the right value in
// the error.
func jsonValue(d *json.Decoder, key, kind string, to any) error {
	err := d.Decode(to)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		what, _, _ := strings.Cut(wrong.Value, " ")
		return fmt.Errorf("%q is of type %s; write %s", key, what, kind)
	}
	return jsonFault(err)
}

func jsonText(d *json.Decoder, key string, to *string) error {
	return jsonValue(d, key, `text, as in "`+key+`": "..."`, to)
}

func jsonBody(d *json.Decoder, r *Request) error {
	var text string
	if err := jsonText(d, "body", &text); err != nil {
		return err
	}
	body, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return errors.New(`"body" is not base64; encode it (jq -c '.body |= @base64')`)
	}
	r.Body = body
	return nil
}

func jsonHeader(d *json.Decoder, r *Request) error {
	var object json.RawMessage
	if err := d.Decode(&object); err != nil {
		return jsonFault(err)
	}
	switch {
	case string(object) == "null":
		return nil
	case object[0] != '{':
		return errors.New(`"header" is not an object; write {"Name": ["value"]}`)
	}
	r.Header = http.Header{}
	within := json.NewDecoder(bytes.NewReader(object))
	return eachMember(within, func(name string) error {
		var values []string
		if err := jsonValue(within, name, `a list of texts, as in {"`+name+`": ["..."]}`, &values); err != nil {
			return fmt.Errorf(`in "header": %w`, err)
		}
		r.Header[name] = values
		return nil
	})
}

// WriteJSON writes requests in the json format, which has the bodies in it.
func WriteJSON(w io.Writer, requests []Request) error {
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	for _, r := range requests {
		if err := lines.Encode(struct {
			Method string              `json:"method"`
			URL    string              `json:"url"`
			Body   []byte              `json:"body,omitempty"`
			Header map[string][]string `json:"header,omitempty"`
		}{r.Method, r.URL, r.Body, r.Header}); err != nil {
			return err
		}
	}
	return nil
}
