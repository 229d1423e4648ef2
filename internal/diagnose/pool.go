package diagnose

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/wording"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// Pool is the pool that incidents are tried with.
type Pool struct {
	Name string `json:"name"` // a preset, or the file that the user named
	Why  string `json:"why"`
	// Sets are fields of the pool whose values the line shows, as --set takes them.
	Sets []string `json:"sets,omitempty"`
}

// usual are the presets for the families of clients that have several, if none of these is
// named as its family.
var usual = map[string]string{
	"go": "go-default-transport", "node": "node-globalagent", "jdk": "jdk-httpclient",
	"nginx": "nginx-upstream", "ruby": "ruby-net-http",
}

// Usual returns the preset of a family of clients that its users have if they set nothing;
// "" if kabench has none of that family.
func Usual(family string) string {
	if p, found := profiles.FindPool(family); found && p.Client == family {
		return p.Name
	}
	if name, known := usual[family]; known {
		return name
	}
	for _, p := range profiles.Pools() {
		if p.Client == family && family != "" {
			return p.Name
		}
	}
	return ""
}

// NoPreset is the pool that is checked if no preset fits the client. Incidents are then tried
// with their own pools.
const NoPreset = "default"

// choosePool takes the pool that the user named, or else the one of the client that wrote
// the line.
func choosePool(a Asked) Pool {
	p := namedPool(a)
	if len(a.Candidates) > 0 {
		p.Sets = shown(p.Name, a.Candidates[0])
	}
	if len(p.Sets) > 0 {
		p.Why += "; with " + strings.Join(p.Sets, " and ") + ", as the line shows"
	}
	return p
}

// shown returns the fields of a pool whose values a line shows, if they are not the
// preset's.
func shown(name string, c wording.Candidate) (sets []string) {
	preset, found := profiles.FindPool(name)
	for _, n := range c.Numbers {
		v, err := strconv.Atoi(n.Value)
		if err != nil || v < 1 {
			continue
		}
		switch timeout := time.Duration(v) * time.Millisecond; {
		case n.Of == "queue size" && c.Outcomes[0].Cause == results.CauseQueueFull && !(found && preset.Pool.PendingMax == v):
			sets = append(sets, fmt.Sprintf("pool.pending_max=%d", v))
			if p := preset.Pool; found && p.PendingMax == 2*p.MaxConns && v%2 == 0 { // as Reactor Netty has it unless pendingAcquireMaxCount is set
				sets = append(sets, fmt.Sprintf("pool.max_conns=%d", v/2))
			}
		case n.Of == "timeout ms" && c.Outcomes[0].Phase == results.PhaseAcquire && !(found && preset.Pool.PendingTimeout == timeout):
			sets = append(sets, fmt.Sprintf("pool.pending_timeout=%v", timeout))
		}
	}
	return sets
}

func namedPool(a Asked) Pool {
	if a.Pool != "" {
		return Pool{Name: a.Pool, Why: "named with --pool"}
	}
	for i, c := range a.Candidates {
		name := Usual(c.Client)
		if name == "" {
			continue
		}
		if by, size := ofQueue(c); by != "" {
			return Pool{Name: by, Why: fmt.Sprintf("the line is %s's, and the queue size of %s is this preset's", c.ClientName, size)}
		}
		if i == 0 {
			return Pool{Name: name, Why: "the line is " + c.ClientName + "'s; name another with --pool"}
		}
		return Pool{Name: name, Why: c.ClientName + " may have written the line; name another with --pool"}
	}
	why := "the line does not show a client that kabench has a preset of; name the client with --pool ('kabench pools' lists them)"
	if len(a.Candidates) > 0 && a.Candidates[0].Client != "" {
		why = fmt.Sprintf("kabench has no preset of %s; name a similar client with --pool ('kabench pools' lists them)", a.Candidates[0].ClientName)
	}
	return Pool{Name: NoPreset, Why: why}
}

// ofQueue returns the preset of the candidate's client whose queue has the size that the
// line names.
func ofQueue(c wording.Candidate) (preset, size string) {
	for _, n := range c.Numbers {
		of, err := strconv.Atoi(n.Value)
		if n.Of != "queue size" || err != nil {
			continue
		}
		for _, p := range profiles.Pools() {
			if p.Client == c.Client && p.Pool.PendingMax == of {
				return p.Name, n.Value
			}
		}
	}
	return "", ""
}
