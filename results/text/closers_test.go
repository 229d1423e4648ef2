package text

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
)

// The report has one line for the side that sent the first FIN, and one for the side
// that sent the first close_notify. It says so if the side is not known. A run without
// either has no such line.
func TestRenderClosers(t *testing.T) {
	tls := rendered()
	tls.Connections.Unknown, tls.Connections.NotifiedUs, tls.Connections.NotifiedPeer = 4, 7, 21
	tls.Connections.TLSResumed = 9
	for _, c := range []struct {
		run  *results.Run
		want bool
	}{{rendered(), false}, {tls, true}} {
		var text, table bytes.Buffer
		must(t, RenderRun(&text, c.run))
		must(t, RenderReproduction(&table, &results.Reproduction{Incident: "x", IncidentRun: c.run}))
		for where, words := range map[*bytes.Buffer][]string{
			&text:  {"closed first: 12 by us, 17 by the peer, 1 reset by the peer, 4 not known", "TLS sessions resumed: 9", "close_notify first: 7 by us, 21 by the peer"},
			&table: {"not known who first", "close_notify by us", "close_notify by peer", "TLS resumed"},
		} {
			for _, w := range words {
				if strings.Contains(where.String(), w) != c.want {
					t.Errorf("%q is in the text: %v, want %v:\n%s", w, !c.want, c.want, where)
				}
			}
		}
	}
	seen := expect.Check(tls, map[string]string{"connections.closed_unknown": "4", "connections.tls_resumed": "9", "connections.close_notify_by_peer": "21"})
	for _, e := range seen {
		if !e.Met {
			t.Errorf("%s: seen %s, %s", e.Path, e.Seen, e.Why)
		}
	}
}
