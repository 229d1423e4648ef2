package aim

import (
	"strings"
	"testing"
	"time"
)

// The words of an aimed incident are about the server that it is aimed at, and about the
// rule that re-sends.
func TestWordsOfAnAimedIncident(t *testing.T) {
	none := time.Duration(0)
	for _, c := range []struct {
		incident, pool string
		link           *time.Duration
		sets           []string
		want, not      string
	}{
		{"retry-and-idempotence", "reactor-netty", nil, nil, "by the incident's own rule (pool.resend), because reactor-netty re-sends nothing, the pool sent", "which is not that"},
		{"retry-and-idempotence", "", nil, nil, "the pool sent", "incident's own rule"},
		{"retry-and-idempotence", "reactor-netty", nil, []string{"pool.resend=[{on: reused, after: [eof], methods: all, max: 1, path: pool}]"}, "the pool sent", "incident's own rule"},
		{"handshake-cost", "", nil, nil, "delays what is sent on a connection, and no connect", "over 1, 10 and 50 ms"},
		{"handshake-cost", "", &none, nil, "each request opened a connection", "kabench's own link"},
	} {
		o := order(t, c.incident, c.pool, nginx, c.sets...)
		o.LinkDelay = c.link
		p, _ := plan(t, o)
		text := p.Question + " " + p.Says.Happened
		if !strings.Contains(text, c.want) || strings.Contains(text, c.not) {
			t.Errorf("%s with %q: %q, want %q and not %q", c.incident, c.pool, text, c.want, c.not)
		}
	}
}
