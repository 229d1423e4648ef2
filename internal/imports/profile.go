package imports

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kabench/kabench/internal/strictyaml"
)

// Load is how often the request of a profile is sent, and for how long, as a profile has it.
type Load struct {
	Rate     string        `yaml:"rate"`
	Duration time.Duration `yaml:"duration"`
	Timeout  time.Duration `yaml:"timeout,omitempty"`
}

// Profile returns a profile that sends the request of c at that load. It is not validated.
func (c *Command) Profile(load Load) ([]byte, error) {
	type tls struct {
		Insecure bool   `yaml:"insecure,omitempty"`
		CAFile   string `yaml:"ca_file,omitempty"`
		CertFile string `yaml:"cert_file,omitempty"`
		KeyFile  string `yaml:"key_file,omitempty"`
	}
	type target struct {
		URL     string            `yaml:"url"`
		Method  string            `yaml:"method"`
		Headers map[string]string `yaml:"headers,omitempty"`
		Body    string            `yaml:"body,omitempty"`
		TLS     tls               `yaml:"tls,omitempty"`
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, err
	}
	if load.Timeout == 0 {
		load.Timeout = c.Timeout
	}
	p := struct {
		Name   string `yaml:"name"`
		Load   Load   `yaml:"load"`
		Target target `yaml:"target"`
	}{u.Hostname(), load, target{c.URL, c.Method, map[string]string{}, string(c.Body), tls{c.Insecure, c.CAFile, c.CertFile, c.KeyFile}}}
	if c.Insecure {
		p.Target.TLS.CAFile = "" // it would have no effect
	}
	for name, values := range c.Header {
		with := ", "
		if strings.EqualFold(name, "Cookie") {
			with = "; "
		}
		p.Target.Headers[name] = strings.Join(values, with)
		if !utf8.ValidString(p.Target.Headers[name]) {
			return nil, fmt.Errorf("header %q is not UTF-8 text, which a profile cannot hold", name)
		}
	}
	if !utf8.Valid(c.Body) {
		return nil, errors.New("the body is not UTF-8 text, which a profile cannot hold; write a target file, whose json format has bodies in base64")
	}
	text, err := strictyaml.Marshal(p, strictyaml.Extra{})
	if err != nil {
		return nil, err
	}
	return append([]byte("# Made of a curl command by kabench import. Set the load, and add a pool and what to expect.\n"), text...), nil
}
