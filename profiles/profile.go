package profiles

import (
	"net/http"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles/network"
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
	// expect.ParseCondition. In an incident it is the signature.
	Expect map[string]string `yaml:"expect,omitempty"`
	// AbortWhen maps a path to a condition under which the run is stopped; see
	// results.ParseAbort.
	AbortWhen map[string]string `yaml:"abort_when,omitempty"`
	// Remedies, in an incident, are changes that clear it.
	Remedies []Remedy `yaml:"remedies,omitempty"`
	// Says, in an incident, is the verdict in words; its figures are measured.
	Says Says `yaml:"says,omitempty"`
	// Warnings are what Load and Set understood although it is written in an old
	// spelling, each with its place. They are not written.
	Warnings []string
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

// Clone is a copy of p that shares nothing with it that can be changed.
func (p *Profile) Clone() *Profile {
	c := strictyaml.Clone(*p)
	return &c
}
