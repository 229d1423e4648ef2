package diagnose_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kabench/kabench/internal/diagnose"
	"github.com/kabench/kabench/internal/wording"
	"github.com/kabench/kabench/profiles"
)

// fromOutside are the incidents that these tests take for possible from outside.
var fromOutside = []string{
	"idle-race", "idle-race-tls", "direct-idle-order", "nginx-1s", "l7-lb-order", "keep-alive-hint", "pending-queue-full", "pending-timeout",
	"port-exhaustion", "handshake-cost", "time-wait-shift", "retry-and-idempotence",
}

func cannot(incident string) string {
	if slices.Contains(fromOutside, incident) {
		return ""
	}
	return "the server must do it"
}

func asked(line, url, pool string) diagnose.Asked {
	return diagnose.Asked{
		Candidates: wording.Explain(line), Pool: pool, Target: url != "", TLS: strings.HasPrefix(url, "https://"), Cannot: cannot,
	}
}

func names(c diagnose.Choice) (tries, not string) {
	var a, b []string
	for _, t := range c.Tries {
		a = append(a, t.Incident)
	}
	for _, n := range c.Not {
		b = append(b, n.Incident)
	}
	return strings.Join(a, " "), strings.Join(b, " ")
}

const (
	plain  = "http://127.0.0.1:1/"
	secure = "https://127.0.0.1:1/"
)

// Lines of real logs, and what is tried for them.
func TestChoose(t *testing.T) {
	for _, c := range []struct{ line, url, pool, tries, not string }{
		{"reactor.netty.http.client.PrematureCloseException: Connection prematurely closed BEFORE response", plain, "reactor-netty", "idle-race", "before-response"},
		{"reactor.netty.http.client.PrematureCloseException: Connection prematurely closed BEFORE response", secure, "reactor-netty", "idle-race-tls", "before-response"},
		{"Connection prematurely closed BEFORE response", "", "reactor-netty", "idle-race idle-race-tls", "before-response"},
		{"reactor.netty.http.client.PrematureCloseException: Connection prematurely closed DURING response", plain, "reactor-netty", "", "during-response truncated"},
		{"PoolAcquirePendingLimitException: Pending acquire queue has reached its maximum size of 32", plain, "reactor-netty-builder", "pending-queue-full", "backpressure"},
		{"PoolAcquirePendingLimitException: Pending acquire queue has reached its maximum size of 1000", plain, "reactor-netty", "pending-queue-full", "backpressure"},
		{"PoolAcquirePendingLimitException: Pending acquire queue has reached its maximum size of 500", plain, "reactor-netty-create", "pending-queue-full", "backpressure"},
		{"PoolAcquirePendingLimitException: Pending acquire queue has reached its maximum size of 64", plain, "reactor-netty", "pending-queue-full", "backpressure"},
		{"reactor.netty.internal.shaded.reactor.pool.PoolAcquireTimeoutException: Pool#acquire(Duration) has been pending for more than the configured timeout of 45000ms", plain, "reactor-netty", "pending-timeout", "pool-leak"},
		{"org.apache.http.NoHttpResponseException: api.example:8080 failed to respond", plain, "apache-hc4", "idle-race", "before-response"},
		{"org.apache.hc.core5.http.NoHttpResponseException: api.example:8080 failed to respond", plain, "apache-hc5", "idle-race", "before-response"},
		{"java.io.IOException: unexpected end of stream on http://api.example/...\n\tat okhttp3.internal.http1.Http1ExchangeCodec.readResponseHeaders", plain, "okhttp", "idle-race", "before-response"},
		{"Error: socket hang up\n    at connResetException (node:internal/errors:720:14) code: 'ECONNRESET'", plain, "node-globalagent", "idle-race", "before-response"},
		{"('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))", plain, "urllib3", "idle-race", "before-response"},
		{"2024/01/01 00:00:00 [error] 7#7: *1 upstream prematurely closed connection while reading response header from upstream, client: 10.0.0.1", plain, "nginx-upstream", "idle-race", "nginx-upstream-keepalive-timeout before-response"},
		{"Get \"http://api.example/\": dial tcp 10.0.0.1:80: connect: cannot assign requested address", plain, "go-default-transport", "port-exhaustion", ""},
		{"Get \"http://api.example/\": EOF", plain, "go-default-transport", "idle-race", "before-response"},
		{"Get \"http://api.example/\": http: server closed idle connection", plain, "go-default-transport", "idle-race direct-idle-order", ""},
		{"java.net.SocketException: Connection reset\n\tat sun.net.www.http.HttpClient", plain, "httpurlconnection", "idle-race", "stateless-lb-round-robin lb-rst-unknown-flow"},
		{"target_status_code - 502 backend_connection_closed_before_data_sent_to_client", plain, "default", "l7-lb-order idle-race", "before-response"},
		{"org.apache.http.conn.ConnectTimeoutException: Connect to api.example:80 failed: connect timed out", plain, "apache-hc4", "", "nginx-upstream-mismatch nat-ports conntrack-full"},
		{"upstream timed out (110: Connection timed out) while connecting to upstream", plain, "nginx-upstream", "", "nginx-upstream-mismatch nat-ports conntrack-full"},
	} {
		got := diagnose.Choose(asked(c.line, c.url, ""))
		tries, not := names(got)
		if got.Pool.Name != c.pool || tries != c.tries || not != c.not {
			t.Errorf("%s\n  pool %s, tries %q, not %q\n  want %s, %q, %q", c.line, got.Pool.Name, tries, not, c.pool, c.tries, c.not)
		}
		if got.Pool.Why == "" || tries+not != "" && got.Unclear != "" {
			t.Errorf("%s: pool because %q, unclear because %q", c.line, got.Pool.Why, got.Unclear)
		}
	}
}

// The pool that the user names is taken, whatever wrote the line.
func TestChooseTheNamedPool(t *testing.T) {
	if got := diagnose.Choose(asked("org.apache.http.NoHttpResponseException: x failed to respond", plain, "okhttp")); got.Pool.Name != "okhttp" {
		t.Errorf("%+v", got.Pool)
	}
}

// What the line shows of the pool is set, unless the preset has it.
func TestChooseWhatTheLineShows(t *testing.T) {
	const waited = "PoolAcquireTimeoutException: Pool#acquire(Duration) has been pending for more than the configured timeout of "
	for line, want := range map[string]string{
		waited + "45000ms": "",
		waited + "2500ms":  "pool.pending_timeout=2.5s",
		"Pending acquire queue has reached its maximum size of 32":                                  "",
		"Pending acquire queue has reached its maximum size of 64":                                  "pool.pending_max=64 pool.max_conns=32",
		"io.netty.channel.ConnectTimeoutException: connection timed out after 500 ms: x/1.2.3.4:80": "",
		premature: "",
	} {
		if got := strings.Join(diagnose.Choose(asked(line, plain, "")).Pool.Sets, " "); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

const premature = "reactor.netty.http.client.PrematureCloseException: Connection prematurely closed BEFORE response"

// An unknown line and a known line without an incident say so.
func TestChooseWithoutAnIncident(t *testing.T) {
	for line, want := range map[string]string{
		"the frobnicator is out of cheese":                                                                                       "does not know this line",
		"Get \"http://api.example/\": dial tcp 10.0.0.1:80: connect: connection refused":                                         "did not accept",
		"java.sql.SQLTransientConnectionException: HikariPool-1 - Connection is not available, request timed out after 30000ms.": "no connection to give",
	} {
		got := diagnose.Choose(asked(line, secure, ""))
		if !strings.Contains(got.Unclear, want) {
			t.Errorf("%s: %q", line, got.Unclear)
		}
		tries, _ := names(got)
		if unknown := strings.Contains(want, "not know"); unknown && tries != "idle-race-tls" || !unknown && tries != "" {
			t.Errorf("%s: tries %q", line, tries)
		}
	}
}

// Each incident that a wording names can be tried, or has a capture that would show it.
func TestEachIncidentOfALineHasAWay(t *testing.T) {
	for _, w := range wording.All() {
		for _, name := range w.Incidents {
			c := diagnose.Choose(diagnose.Asked{Candidates: []wording.Candidate{{Wording: w}}, Target: true, Cannot: cannot})
			i := slices.IndexFunc(c.Not, func(n diagnose.Not) bool { return n.Incident == name })
			if i >= 0 && strings.HasPrefix(c.Not[i].Capture, "a capture at the client ('tcpdump -i any port PORT') while") {
				t.Errorf("%s of %q has no capture of its own", name, w.Text)
			}
		}
	}
}

// Each family with a preset has a usual one, which is one of its own.
func TestUsual(t *testing.T) {
	for _, p := range profiles.Pools() {
		if p.Client == "" {
			continue
		}
		name := diagnose.Usual(p.Client)
		if found, ok := profiles.FindPool(name); !ok || found.Client != p.Client {
			t.Errorf("%s: %q", p.Client, name)
		}
	}
	if got := diagnose.Usual("varnish"); got != "" {
		t.Errorf("varnish: %q", got)
	}
	// A family with several presets has one that somebody has chosen.
	for family, want := range map[string]string{"go": "go-default-transport", "reactor-netty": "reactor-netty", "node": "node-globalagent", "jdk": "jdk-httpclient", "apache-hc5": "apache-hc5"} {
		if got := diagnose.Usual(family); got != want {
			t.Errorf("%s: %q, want %q", family, got, want)
		}
	}
}
