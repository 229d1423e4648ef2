package profiles

import (
	"net/http"
	"time"

	"github.com/kabench/kabench/profiles/network"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/profiles/script"
)

// Profile is a question and the load, pool, target and expectations that ask
// it. The yaml names are the paths of --set.
type Profile struct {
	Name     string `yaml:"name"`
	Question string `yaml:"question"`
	// Source says where an incident comes from, and Scale by how much its
	// timers were shortened.
	Source string `yaml:"source,omitempty"`
	Scale  string `yaml:"scale,omitempty"`
	// Client is who performs the exchanges: policy (the pool below) or stock
	// (net/http's Transport as shipped).
	Client string         `yaml:"client"`
	Load   generator.Load `yaml:"load"`
	Pool   pool.Policy    `yaml:"pool"`
	// Preset is the preset that Pool began with, if it did, whatever was changed
	// since (Overrides): reports use its client's words. Written, it is a key of pool.
	Preset string `yaml:"preset,omitempty"`
	Target Target `yaml:"target"`
	// Network is a private network to run in: the client, and the hosts that
	// target.lab and target.proxies are served on. See Path.
	Network *network.Config `yaml:"network,omitempty"`
	// Server and Via are what is known of a target that is not target.lab, and
	// of a load balancer on the way to it. Only Check looks at them.
	Server ServerFacts `yaml:"server,omitempty"`
	Via    ServerFacts `yaml:"via,omitempty"`
	// Expect maps a path in the results to a condition; see
	// results.ParseCondition. In an incident it is the signature.
	Expect map[string]string `yaml:"expect,omitempty"`
	// AbortWhen maps a path to a condition under which the run is stopped; see
	// results.ParseAbort.
	AbortWhen map[string]string `yaml:"abort_when,omitempty"`
	// Remedies, in an incident, are changes that clear it.
	Remedies []Remedy `yaml:"remedies,omitempty"`
	// Says, in an incident, is the verdict in words; its figures are measured.
	Says Says `yaml:"says,omitempty"`
	// Assumed are the paths of fields that nobody gave and that Check must not
	// take for facts of the user's: see LoadToCheck. It is not written. Empty: all is
	// as it is said.
	Assumed map[string]bool
}

// The clients a profile can name.
const (
	ClientPolicy = "policy"
	ClientStock  = "stock"
)

// Default is what a profile is read onto: what it leaves out stays as here.
func Default() Profile {
	return Profile{
		Client: ClientPolicy,
		Load:   generator.Default(),
		Pool:   pool.Default(),
		Target: Target{Method: http.MethodGet},
	}
}

// Remedy is a change to an incident's profile and what its run must show.
type Remedy struct {
	Name   string            `yaml:"name"`
	Set    Changes           `yaml:"set"`
	Expect map[string]string `yaml:"expect"`
	Cost   string            `yaml:"cost,omitempty"` // in words; the figures are measured
}

// Changes maps a path to the value that --set would be given for it. A null in
// YAML is the text "null": the change it makes is to reset the field.
type Changes map[string]string

// Says completes the sentences of an incident's verdict.
type Says struct {
	Happened string `yaml:"happened,omitempty"` // "79 of 981 requests failed: ..."
	Set      string `yaml:"set,omitempty"`      // "Set ...: none of 1027 requests failed"
}

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
