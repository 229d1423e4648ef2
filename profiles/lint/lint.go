package lint

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// A Finding is one rule that a profile breaks.
type Finding struct {
	Rule    string    `json:"rule"`          // its name, which does not change
	Hop     string    `json:"hop,omitempty"` // with target.proxies, the hop, such as proxy -> server
	Path    string    `json:"path"`          // of the field to change
	Says    string    `json:"says"`          // the rule
	Numbers [2]string `json:"numbers"`       // what was compared: each a name and its value
	Seen    string    `json:"seen"`          // what it will look like in results and logs
	Set     string    `json:"set"`           // what to change: path=value where a profile has the field
	// Settings are what Set says in the words of the pool's client, if it has one.
	Settings []results.ClientSetting `json:"settings,omitempty"`
}

// A Checklist is the result of Check.
type Checklist struct {
	Findings []Finding
	Checked  []string    // rules that were checked, at least in part
	Lacking  []Unchecked // rules that were not fully checked
	Notes    []string    // known facts that make a rule hold
}

// Unchecked is a rule that was not fully checked because facts are missing.
type Unchecked struct {
	Rule  string
	Lacks []string // paths of the missing fields
}

func (u Unchecked) String() string { return u.Rule + " (" + strings.Join(u.Lacks, ", ") + ")" }

// The rules, in the order in which they are checked.
const (
	RuleIdleOrder   = "idle-order"
	RuleMaxRequests = "max-requests-order"
	RuleConnections = "connections"
	RulePending     = "pending"
	RulePorts       = "ports"
	RuleRetry       = "retry"
	RuleChurn       = "max-idle-churn"
	RuleTimeouts    = "timeouts"
	RuleHopByHop    = "hop-by-hop"
	RuleClient      = "client"
	RuleKeepAlive   = "keep-alive"
	RuleNATPorts    = "nat-ports"
	RuleDrain       = "drain"
	RuleScaleOut    = "scale-out"
)

// DefaultPorts is how many local ports Linux has for connections to one destination by
// default: ip_local_port_range 32768 to 60999.
const DefaultPorts = 28232

var rules = []struct {
	name  string
	check func(*subject, *outcome)
}{
	{RuleIdleOrder, checkIdleOrder},
	{RuleMaxRequests, checkMaxRequests},
	{RuleConnections, checkConnections},
	{RulePending, checkPending},
	{RulePorts, checkPorts},
	{RuleRetry, checkRetry},
	{RuleChurn, checkChurn},
	{RuleTimeouts, checkTimeouts},
	{RuleKeepAlive, checkKeepAlive},
	{RuleNATPorts, checkNATPorts},
	{RuleDrain, checkDrain},
	{RuleScaleOut, checkScaleOut},
	{RuleHopByHop, checkHopByHop},
	{RuleClient, checkClient},
}

// Options are what a check needs to know besides the profile. The zero value stands
// for a client on Linux with default settings.
type Options struct {
	// Ports is how many local ports the client's machine has for connections to
	// one destination, from each source address; 0: DefaultPorts.
	Ports int
	// Words give the log texts of the profile's client; if nil, findings name the texts
	// of several clients.
	Words Words
}

// Check compares a valid profile with the rules about how client, load balancer
// and server must be set to one another. It sends nothing, and reads no file but
// target.file. If the load has no rate, rules that need one are left out.
func Check(p *profiles.Profile, o Options) Checklist {
	s := newSubject(p, cmp.Or(o.Ports, DefaultPorts))
	s.words = o.Words
	list := Checklist{}
	var all []bounded
	for _, r := range rules {
		out := &outcome{rule: r.name}
		r.check(s, out)
		all = append(all, out.findings...)
		if out.checked {
			list.Checked = append(list.Checked, r.name)
		}
		if len(out.lacking) > 0 {
			list.Lacking = append(list.Lacking, Unchecked{r.name, out.lacking})
		}
	}
	list.Findings = merged(all)
	for i := range list.Findings {
		list.Findings[i].Settings = inWordsOf(p, list.Findings[i].Set)
	}
	if p.Client == profiles.ClientStock {
		for i := range list.Findings {
			if !strings.HasPrefix(list.Findings[i].Set, "pool.") {
				continue // it concerns the server or the sockets, which the stock client has too
			}
			list.Findings[i].Set += "; the stock client has no settings, so first set client=policy and pool=" + stockPool
		}
	}
	if p.Client == profiles.ClientExternal {
		list.Notes = append(list.Notes, "client: external: only what pool says is checked. For the rest a real client has its own defaults, which are not known before it has started; name its preset (--pool NAME, 'kabench pools') to check them")
	}
	for _, h := range []*hop{s.via, &s.server} {
		if h != nil && h.IdleForEver {
			list.Notes = append(list.Notes, h.path("idle_timeout")+" for ever: "+h.who+" never closes an idle connection, so no idle timeout of its client is too long. A connection that neither side closes stays open")
		}
	}
	return list
}

// stockPool is the preset that behaves like the stock client.
const stockPool = "go-default-transport"

// outcome is the result of one rule.
type outcome struct {
	rule     string
	checked  bool
	findings []bounded
	lacking  []string
}

// found adds a finding of the rule, with the values that the rule allows for the
// finding's field.
func (o *outcome) found(f Finding, permits ...bounds) {
	f.Rule = o.rule
	b := bounded{Finding: f}
	if len(permits) > 0 {
		b.bounds = permits[0]
	}
	o.findings = append(o.findings, b)
	o.checked = true
}

// lacks notes a fact if it is missing, and returns missing.
func (o *outcome) lacks(missing bool, path string) bool {
	switch {
	case missing && !slices.Contains(o.lacking, path):
		o.lacking = append(o.lacking, path)
	case !missing:
		o.checked = true
	}
	return missing
}

// checkClient looks for pool settings that the stock client does not have.
func checkClient(s *subject, o *outcome) {
	p, standard := s.profile, pool.Default()
	if p.Client != profiles.ClientStock {
		return
	}
	o.checked = true
	if reflect.DeepEqual(p.Pool, standard) {
		return
	}
	var changed []string
	mine, theirs := reflect.ValueOf(p.Pool), reflect.ValueOf(standard)
	for f := range strictyaml.FieldsOf(mine.Type()) {
		if !reflect.DeepEqual(mine.FieldByIndex(f.Index).Interface(), theirs.FieldByIndex(f.Index).Interface()) {
			name, _ := strictyaml.FieldKey(f)
			changed = append(changed, strictyaml.Join("pool", name))
		}
	}
	o.found(Finding{
		Path:    "client",
		Says:    "The section pool applies only with client: policy. The stock client is net/http's Transport as shipped.",
		Numbers: [2]string{"client " + p.Client, listOf(changed)},
		Seen:    "`kabench run` refuses the profile. The other findings here are about the pool " + stockPool,
		Set:     "client=policy; or pool=default, to run the stock client with its own settings",
	})
}

// poolOf returns the policy that p's client follows.
func poolOf(p *profiles.Profile) pool.Policy {
	if p.Client == profiles.ClientStock {
		if policy, err := profiles.LoadPool(stockPool); err == nil {
			return policy
		}
	}
	return p.Pool
}
