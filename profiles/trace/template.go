package trace

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// part is a variable of a log_format and the text behind it.
type part struct {
	name string
	then []byte // empty: up to the end of the line
}

// timed are the variables that have the time, the finest first.
var timed = []string{"msec", "time_iso8601", "time_local"}

// template reads lines that nginx wrote with a log_format. nginx writes a line when its
// response has been sent; with $request_time the line says when the request came.
// https://nginx.org/en/docs/http/ngx_http_log_module.html
func template(c *clock, text string) (*format, error) {
	head, parts, err := variables(text)
	if err != nil {
		return nil, err
	}
	stamped := ""
	for _, name := range timed {
		if stamped == "" && slices.ContainsFunc(parts, func(p part) bool { return p.name == name }) {
			stamped = name
		}
	}
	if stamped == "" {
		return nil, errors.New("this log_format has no time; it needs $msec, $time_iso8601 or $time_local")
	}
	f := &format{name: "log_format", hosts: true, wants: text}
	f.read = func(b []byte, e *entry) outcome {
		rest, found := bytes.CutPrefix(b, head)
		if !found {
			return wrong
		}
		ok := false
		for _, p := range parts {
			value := rest
			if len(p.then) > 0 {
				if value, rest, found = bytes.Cut(rest, p.then); !found {
					return wrong
				}
			}
			switch p.name {
			case stamped:
				e.stamp, ok = c.read(value)
			case "request_time":
				e.took, _ = seconds(value)
			case "request":
				e.request(value)
			case "request_uri":
				e.target(value)
			case "host", "http_host":
				e.host = value
			}
		}
		if !ok {
			return wrong
		}
		return taken
	}
	return f, nil
}

// variables takes a log_format apart: $name and ${name} with the text between them.
func variables(text string) (head []byte, parts []part, err error) {
	literal, rest, _ := strings.Cut(text, "$")
	head = []byte(literal)
	for rest != "" {
		var name string
		if inner, found := strings.CutPrefix(rest, "{"); found {
			if name, rest, found = strings.Cut(inner, "}"); !found {
				return nil, nil, fmt.Errorf("the log_format has a ${ without its }")
			}
		} else {
			n := 0
			for n < len(rest) && (rest[n] == '_' || digit(rest[n]) || rest[n] >= 'a' && rest[n] <= 'z') {
				n++
			}
			name, rest = rest[:n], rest[n:]
		}
		var more bool
		literal, rest, more = strings.Cut(rest, "$")
		if name == "" {
			return nil, nil, fmt.Errorf("the log_format has a $ without the name of a variable")
		}
		if literal == "" && more {
			return nil, nil, fmt.Errorf("the log_format has two variables side by side, so where $%s ends is not known", name)
		}
		parts = append(parts, part{name, []byte(literal)})
		if more && rest == "" {
			return nil, nil, fmt.Errorf("the log_format has a $ without the name of a variable")
		}
	}
	return head, parts, nil
}
