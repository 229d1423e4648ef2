package profiles

import (
	"net/http"
	"net/url"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles/network"
)

// Profile is a question, with the load, pool, target and expectations that ask it. The
// yaml names are the paths of --set.
type Profile struct {
	// Name is shown with the results. Question is what the run answers.
	Name     string `yaml:"name"`
	Question string `yaml:"question"`
	// Group says where the cause of an incident lies.
	Group Group `yaml:"group,omitempty"`
	// Source says where an incident comes from, and Scale by how much its timers are
	// shortened.
	Source string `yaml:"source,omitempty"`
	Scale  string `yaml:"scale,omitempty"`
	// Client performs the exchanges: policy (the pool below), stock (net/http's
	// Transport as shipped) or external (the real client behind Driver, which gets what it
	// can of the pool below).
	Client string         `yaml:"client"`
	Driver *Driver        `yaml:"driver,omitempty"`
	Load   generator.Load `yaml:"load"`
	Pool   pool.Policy    `yaml:"pool"`
	// Preset is the preset that Pool began with, even if fields were changed since
	// (Overrides). Reports use the log texts of its client. It is written as a key of
	// pool.
	Preset string `yaml:"preset,omitempty"`
	Target Target `yaml:"target"`
	// Network is a private network to run in, with the client and the hosts that serve
	// target.lab and target.proxies. See Path.
	Network *network.Config `yaml:"network,omitempty"`
	// Events are moments of the run by name: times since its start. The fields of the network
	// and of the servers that name one begin or end something then.
	Events map[string]time.Duration `yaml:"events,omitempty"`
	// Server and Via describe a target that kabench does not serve, and a load balancer
	// in front of it. Only package lint uses them.
	Server ServerFacts `yaml:"server,omitempty"`
	Via    ServerFacts `yaml:"via,omitempty"`
	// Expect maps a path in the results to a condition; see expect.ParseCondition. In an
	// incident it is the signature: what the run must show.
	Expect map[string]string `yaml:"expect,omitempty"`
	// AbortWhen maps a path to a condition that stops the run; see expect.ParseAbort.
	AbortWhen map[string]string `yaml:"abort_when,omitempty"`
	// Remedies are changes that clear an incident.
	Remedies []Remedy `yaml:"remedies,omitempty"`
	// Says is an incident's verdict in words; its figures are filled in from the run.
	Says Says `yaml:"says,omitempty"`
	// Forecast is how many failures were expected when the incident was aimed at the
	// target; nil if it was not.
	Forecast *Forecast `yaml:"forecast,omitempty"`
	// Warnings lists fields that Load and Set read in an old spelling, each with its
	// place. They are not written.
	Warnings []string
	// Assumed are the paths of fields that nobody gave, so that lint must not use them as
	// facts about the user's client; see LoadToCheck. It is not written.
	Assumed map[string]bool
	// Given are, for an external client, the fields of the pool that were set, by path, each
	// with its place: a flag or a line of a file. Remedies do not add to it. It is not
	// written.
	Given map[string]Place
}

// The clients that a profile can name.
const (
	ClientPolicy   = "policy"
	ClientStock    = "stock"
	ClientExternal = "external"
)

// Clients lists the clients that a profile can name.
func Clients() []string { return []string{ClientPolicy, ClientStock, ClientExternal} }

// Default is the profile that Load begins with. Fields that a profile leaves out keep
// these values.
func Default() Profile {
	return Profile{
		Client: ClientPolicy,
		Load:   generator.Default(),
		Pool:   pool.Default(),
		Target: Target{Method: http.MethodGet},
	}
}

// Remedy is a change to an incident's profile, and what the changed profile's run must
// show.
type Remedy struct {
	Name   string            `yaml:"name"`           // in a few words
	Set    Changes           `yaml:"set"`            // fields of the profile, by path, with their new values
	Expect map[string]string `yaml:"expect"`         // what the changed run must show, as Profile.Expect
	Cost   string            `yaml:"cost,omitempty"` // in words; the figures are measured
}

// Changes maps a path to a value, as --set takes them. A null in YAML is the text
// "null", which resets the field when the change is applied.
type Changes map[string]string

// Says completes the sentences of an incident's verdict.
type Says struct {
	Happened string `yaml:"happened,omitempty"` // "79 of 981 requests failed: ..."
	Set      string `yaml:"set,omitempty"`      // "Set ...: none of 1027 requests failed"
}

// Clone returns a copy of p that shares nothing changeable with it.
func (p *Profile) Clone() *Profile {
	c := strictyaml.Clone(*p)
	return &c
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
