package profiles

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"time"

	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/profiles/targets"
)

// Target is where the requests go and what they are: one of URL, File and Lab.
type Target struct {
	URL     string            `yaml:"url,omitempty"`
	Method  string            `yaml:"method"`
	Headers map[string]string `yaml:"headers,omitempty"`
	Body    string            `yaml:"body,omitempty"`
	// BodySize, in place of Body, is the length of a body whose bytes do not
	// matter.
	BodySize int `yaml:"body_size,omitempty"`
	// Pipeline makes each exchange so many requests in a row on one connection,
	// sent without waiting for an answer, and over with the last one; 0 and 1: one.
	Pipeline int `yaml:"pipeline,omitempty"`
	// SplitWrites sends the head and the body of a request in two writes.
	SplitWrites bool `yaml:"split_writes,omitempty"`
	// RequestID sends X-Request-Id with each exchange: its number, the same in
	// each of its attempts.
	RequestID bool `yaml:"request_id,omitempty"`
	// File is a vegeta target file, Format its format: http (also when empty) or
	// json. Each of its targets has its own method, headers and body.
	File   string `yaml:"file,omitempty"`
	Format string `yaml:"format,omitempty"`
	TLS    TLS    `yaml:"tls,omitempty"`
	TCP    TCP    `yaml:"tcp,omitempty"`
	// SourceAddresses are addresses of this machine that connections come from,
	// in turn, each with its own ports; none: the kernel chooses one.
	SourceAddresses []string `yaml:"source_addresses,omitempty"`
	// Lab makes kabench serve the target itself, in place of URL and File.
	Lab *script.Server `yaml:"lab,omitempty"`
	// On are the hosts of the network that serve Lab, alike; empty: the host
	// "server", or without one the backends of the balancer that At is.
	On Names `yaml:"on,omitempty"`
	// At is the host or balancer that the client connects to; "": the first
	// balancer, else the first proxy's host, else the first of On.
	At string `yaml:"at,omitempty"`
	// Proxies stand before Lab, the client's side first: none, one or two.
	Proxies []Proxy `yaml:"proxies,omitempty"`
	// AllowPortExhaustion lets a run outside of a private network take more than
	// half of this machine's ephemeral ports towards the target.
	AllowPortExhaustion bool `yaml:"allow_port_exhaustion,omitempty"`
	// Link puts a forwarding link with delay between kabench and the target.
	Link *script.Link `yaml:"link,omitempty"`
}

// Proxy is one of the proxies before the lab's server.
type Proxy struct {
	// On is the host of the network that it runs on; "": the host "proxy". Without
	// a network it runs on the loopback, and On has no effect.
	On           string `yaml:"on,omitempty"`
	script.Proxy `yaml:",inline"`
}

// Names is a list of names; a single one may be given without brackets.
type Names []string

// UnmarshalYAML reads a name or a list of them.
func (n *Names) UnmarshalYAML(decode func(any) error) error {
	var one string
	if decode(&one) == nil {
		*n = Names{one}
		return nil
	}
	var list []string
	err := decode(&list)
	*n = list
	return err
}

// MarshalYAML writes a list.
func (n Names) MarshalYAML() (any, error) { return []string(n), nil }

// TLS is how the server's certificate is checked. By default it is verified
// against the system's roots.
type TLS struct {
	Insecure   bool   `yaml:"insecure,omitempty"`
	CAFile     string `yaml:"ca_file,omitempty"`
	ServerName string `yaml:"server_name,omitempty"`
}

// TCP is socket options of the connections to the target.
type TCP struct {
	// Nagle turns TCP_NODELAY off; it is on by default.
	Nagle bool `yaml:"nagle,omitempty"`
	// KeepAlive is the period of TCP keep-alive probes; 0: off.
	KeepAlive time.Duration `yaml:"keep_alive,omitempty"`
}

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
	return t.Requests()
}

// Requests is what t says to send: itself, with an empty URL if it has none, or the
// targets in its file. See the function Requests.
func (t Target) Requests() ([]targets.Request, error) {
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

// Sources is SourceAddresses of a valid target.
func (t Target) Sources() []netip.Addr {
	var list []netip.Addr
	for _, text := range t.SourceAddresses {
		if addr, err := netip.ParseAddr(text); err == nil {
			list = append(list, addr.Unmap())
		}
	}
	return list
}

// literal is the address that connections to t go to, if t says.
func (t Target) literal() (netip.Addr, bool) {
	if t.Lab != nil || t.Link != nil {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), true // where labs and links listen
	}
	u, err := url.Parse(t.URL)
	if err != nil {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return addr.Unmap(), err == nil
}

// SourceCount is the number of source addresses usable for the target, at least
// 1. If the target's address family is unknown, it is the smaller of the two
// families' counts.
func (t Target) SourceCount() int {
	var of [2]int
	for _, addr := range t.Sources() {
		if addr.Is4() {
			of[0]++
		} else {
			of[1]++
		}
	}
	if of[0] == 0 || of[1] == 0 {
		return max(of[0], of[1], 1)
	}
	return min(of[0], of[1])
}

// NameByTarget gives a profile without a name the name of the host it sends to.
func (p *Profile) NameByTarget() {
	if p.Name != "" {
		return
	}
	p.Name = "run"
	if u, err := url.Parse(p.Target.URL); err == nil && u.Hostname() != "" {
		p.Name = u.Hostname()
	}
}
