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

// Target is what requests are sent, and where: to one of URL, File and Lab.
type Target struct {
	// URL is http or https. Method, Headers and Body are sent with each request.
	URL     string            `yaml:"url,omitempty"`
	Method  string            `yaml:"method"`
	Headers map[string]string `yaml:"headers,omitempty"`
	Body    string            `yaml:"body,omitempty"`
	// BodySize, instead of Body, is the length of a body whose content does not matter.
	BodySize int `yaml:"body_size,omitempty"`
	// Pipeline is how many requests each exchange sends on one connection without waiting
	// for a response; the exchange ends with the last response. 0 and 1: one.
	Pipeline int `yaml:"pipeline,omitempty"`
	// SplitWrites sends the head and the body of a request in two writes.
	SplitWrites bool `yaml:"split_writes,omitempty"`
	// RequestID sends X-Request-Id with each exchange: the exchange's number, which is
	// the same in all of its attempts.
	RequestID bool `yaml:"request_id,omitempty"`
	// File is a vegeta target file and Format its format: http (also if empty) or json.
	// Each target in it has its own method, headers and body.
	File   string `yaml:"file,omitempty"`
	Format string `yaml:"format,omitempty"`
	TLS    TLS    `yaml:"tls,omitempty"`
	TCP    TCP    `yaml:"tcp,omitempty"`
	// SourceAddresses are addresses of this machine. Connections come from them in turn,
	// and each has its own ports. If empty, the kernel chooses.
	SourceAddresses []string `yaml:"source_addresses,omitempty"`
	// Lab makes kabench serve the target itself, instead of URL and File.
	Lab *script.Server `yaml:"lab,omitempty"`
	// On are the hosts of the network that serve Lab, all alike. If empty: the host
	// "server", or without one the backends of the balancer At.
	On Names `yaml:"on,omitempty"`
	// At is the host or balancer that the client connects to. If empty: the first
	// balancer, else the first proxy's host, else the first of On.
	At string `yaml:"at,omitempty"`
	// Proxies stand between the client and Lab, the client's side first: none, one or
	// two.
	Proxies []Proxy `yaml:"proxies,omitempty"`
	// AllowPortExhaustion lets a run outside a private network use more than half of this
	// machine's ephemeral ports to the target.
	AllowPortExhaustion bool `yaml:"allow_port_exhaustion,omitempty"`
	// Link is a forwarding link with delay between kabench and the target.
	Link *script.Link `yaml:"link,omitempty"`
}

// Proxy is one of the proxies in front of the lab's server.
type Proxy struct {
	// On is the host of the network that the proxy runs on; "" is the host "proxy".
	// Without a network it runs on the loopback, and On has no effect.
	On           string `yaml:"on,omitempty"`
	script.Proxy `yaml:",inline"`
}

// Names is a list of names. In YAML, a single name needs no brackets.
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

// TLS is how the client checks the server's certificate, and whether it takes up earlier
// sessions. By default it uses the system's roots, and every handshake is a full one.
type TLS struct {
	// Insecure takes any certificate. CAFile has the roots that count instead of the
	// system's, as PEM. ServerName is the name to ask for and to check; "": the URL's host.
	Insecure   bool   `yaml:"insecure,omitempty"`
	CAFile     string `yaml:"ca_file,omitempty"`
	ServerName string `yaml:"server_name,omitempty"`
	// CertFile is a file in PEM form with the certificate that the client shows to a server
	// that asks for one, and with those of its issuers. KeyFile has its private key; if empty,
	// CertFile has that too.
	CertFile string `yaml:"cert_file,omitempty"`
	KeyFile  string `yaml:"key_file,omitempty"`
	// Resume keeps the TLS sessions of each origin, and takes them up on later connections.
	Resume bool `yaml:"resume,omitempty"`
}

// TCP is the socket options of connections to the target.
type TCP struct {
	// Nagle turns TCP_NODELAY off, which is on by default.
	Nagle bool `yaml:"nagle,omitempty"`
	// KeepAlive is the period of TCP keep-alive probes; 0: off.
	KeepAlive time.Duration `yaml:"keep_alive,omitempty"`
	// UserTimeout is how long sent data may stay without an acknowledgement before the
	// kernel ends the connection (TCP_USER_TIMEOUT, Linux only); 0: as long as the kernel
	// retransmits, about 15 minutes.
	UserTimeout time.Duration `yaml:"user_timeout,omitempty"`
}

// Requests returns the requests that p's target describes, at least one: the target
// itself, or those in its file, in order. If p's target is a lab, first set Target.URL
// to the lab's address. Errors name the file and the target in it.
func Requests(p *Profile) ([]targets.Request, error) {
	t := p.Target
	if t.File == "" {
		if err := targets.CheckURL(t.URL); err != nil {
			return nil, fmt.Errorf("target.url: %w", err)
		}
	}
	return t.Requests()
}

// Requests returns the target itself, with an empty URL if it has none, or the targets
// in its file. See the function Requests.
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

// Sources returns SourceAddresses of a valid target.
func (t Target) Sources() []netip.Addr {
	var list []netip.Addr
	for _, text := range t.SourceAddresses {
		if addr, err := netip.ParseAddr(text); err == nil {
			list = append(list, addr.Unmap())
		}
	}
	return list
}

// literal returns the address that connections to t go to, if t contains one.
func (t Target) literal() (netip.Addr, bool) {
	if t.Lab != nil || t.Link != nil {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), true // labs and links listen there
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
