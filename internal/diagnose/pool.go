package diagnose

import (
	"fmt"
	"strconv"

	"github.com/kabench/kabench/internal/wording"
	"github.com/kabench/kabench/profiles"
)

// Pool is the pool that incidents are tried with.
type Pool struct {
	Name string `json:"name"` // a preset, or the file that the user named
	Why  string `json:"why"`
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
	if a.Pool != "" {
		return Pool{a.Pool, "named with --pool"}
	}
	for i, c := range a.Candidates {
		name := Usual(c.Client)
		if name == "" {
			continue
		}
		if by, size := ofQueue(c); by != "" {
			return Pool{by, fmt.Sprintf("the line is %s's, and the queue size of %s is this preset's", c.ClientName, size)}
		}
		if i == 0 {
			return Pool{name, "the line is " + c.ClientName + "'s; name another with --pool"}
		}
		return Pool{name, c.ClientName + " may have written the line; name another with --pool"}
	}
	why := "the line does not show a client that kabench has a preset of; name the client with --pool ('kabench pools' lists them)"
	if len(a.Candidates) > 0 && a.Candidates[0].Client != "" {
		why = fmt.Sprintf("kabench has no preset of %s; name a similar client with --pool ('kabench pools' lists them)", a.Candidates[0].ClientName)
	}
	return Pool{NoPreset, why}
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
