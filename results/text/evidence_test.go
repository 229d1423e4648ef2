package text

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
)

// A ladder names the hosts behind a balancer, one below the other.
func TestEvidenceNamesTheHost(t *testing.T) {
	var b bytes.Buffer
	renderEvidence(&b, results.Evidence{Rows: []results.EvidenceRow{
		{At: 1, From: "server", To: "client", Host: "a", Flags: "P."},
		{At: 2, From: "client", To: "server", Host: "backend11", Flags: "P."},
		{At: 3, From: "client", To: "server", Flags: "P.", Fate: "lost"},
		{At: 4, From: "link", To: "client", Flags: "R"},
	}})
	want := []string{"client ← a          P.", "client → backend11  P.", "client → server     P.", "client ← link       R"}
	for i, line := range strings.Split(strings.TrimSpace(b.String()), "\n")[1:] {
		if !strings.Contains(line, want[i]) {
			t.Errorf("%q, want %q in it", line, want[i])
		}
	}
}
