package lint

import (
	"strings"
	"testing"

	"github.com/kabench/kabench/profiles"
)

// Whatever loads can be checked, and each finding is whole.
func FuzzCheck(f *testing.F) {
	for _, e := range append(profiles.Profiles(), profiles.Incidents()...) {
		f.Add([]byte(e.Text), "load.rate=5")
	}
	for _, p := range profiles.Pools() {
		f.Add([]byte(p.Text()), "load.rate=5")
	}
	f.Add([]byte(lintBase), "server={silent: true, idle_timeout: 1ns, max_connections: 1, threads: 1, backlog: 1}")
	f.Add([]byte(lintBase), "via={passes_on: true, idle_timeout: 2562047h, idle_early: 1s, max_requests: 1, unannounced: true, max_lifetime: 1ns}")
	f.Fuzz(func(t *testing.T, data []byte, set string) {
		all := string(data) + set
		if strings.HasPrefix(set, "pool=") || strings.HasPrefix(set, "target.lab=") ||
			strings.Contains(all, "remedies") && (strings.Contains(all, "pool:") || strings.Contains(all, "target.lab:")) {
			t.Skip("reads files")
		}
		p, err := profiles.Load("fuzz.yaml", data, []string{set})
		if err != nil {
			return
		}
		if p.Target.File == "" {
			for _, finding := range findingsOf(p) {
				if finding.Path == "" || finding.Set == "" || finding.Seen == "" {
					t.Errorf("half a finding: %+v", finding)
				}
			}
		}
	})
}
