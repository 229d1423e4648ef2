package wording

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
)

func TestTheTableIsSound(t *testing.T) {
	if _, err := compile(embeddedClients, embeddedFaults, embedded, embeddedOthers, embeddedCodes); err != nil {
		t.Fatal(err)
	}
}

// Each example is explained as what it is an example of.
func TestExamplesExplainThemselves(t *testing.T) {
	for _, w := range All() {
		if w.Silent {
			continue
		}
		found := Explain(w.Example)
		if len(found) == 0 {
			t.Errorf("%s %q: its example is not known: %s", w.Client, w.Pattern, w.Example)
			continue
		}
		if best := found[0]; best.Client != w.Client || best.Pattern != w.Pattern || best.Partial {
			t.Errorf("%s %q: its example is taken for %s %q (%d)", w.Client, w.Pattern, best.Client, best.Pattern, best.Score)
		}
	}
}

func explains(t *testing.T, text, client, outcome string) {
	t.Helper()
	found := Explain(text)
	for _, c := range found {
		if c.Client != client {
			continue
		}
		for _, o := range c.Outcomes {
			if o.Phase.String()+"/"+o.Cause.String() == outcome {
				return
			}
		}
	}
	var got []string
	for _, c := range found {
		got = append(got, c.Client+" "+c.Pattern)
	}
	t.Errorf("%q is not explained as %s of %s, but as %q", text, outcome, client, got)
}

// What people paste: pieces, with the noise of a log around them.
func TestBestCandidate(t *testing.T) {
	for _, c := range []struct{ text, client, outcome string }{
		{"Connection prematurely closed BEFORE response", "reactor-netty", "before_response / fin"},
		{"Connection prematurely closed DURING response", "reactor-netty", "during_response / fin"},
		{"2026-01-02 WARN  connection PREMATURELY closed   before\n response; nested exception is", "reactor-netty", "before_response / fin"},
		{"\x1b[31mWARN\x1b[0m \x1b[1mConnection prematurely closed BEFORE response\x1b[0m", "reactor-netty", "before_response / fin"},
		{"RemoteDisconnected", "urllib3", "before_response / fin"},
		{"socket hang up", "node", "before_response / fin"},
		{"NoHttpResponseException", "apache-hc5", "before_response / fin"},
		{`{"msg":"org.apache.http.NoHttpResponseException: api:80 failed to respond"}`, "apache-hc4", "before_response / fin"},
		{"upstream prematurely closed connection while reading response header from upstream", "nginx", "before_response / fin"},
		{"Pending acquire queue has reached its maximum size of 32", "reactor-netty", "acquire / queue_full"},
		{"cannot assign requested address", "", "connect / port_exhausted"},
		{"dial tcp 10.0.0.1:80: connect: cannot assign requested address", "go", "connect / port_exhausted"},
		{`{"error":"Get \"http://x:80/\": EOF"}`, "go", "before_response / fin"},
		{`Get "http://x/": context deadline exceeded (Client.Timeout or context cancellation while reading body)`, "go", "during_response / timeout"},
		{"dial tcp 10.0.0.1:80: i/o timeout", "go", "connect / timeout"},
		{"read tcp 10.0.0.9:4->10.0.0.1:80: i/o timeout", "go", "before_response / timeout"},
		{"upstream connect error or disconnect/reset before headers. reset reason: connection timeout", "envoy", "connect / timeout"},
		{"upstream connect error or disconnect/reset before headers. retried and the latest reset reason: connection failure", "envoy", "connect / refused"},
		{"upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, transport failure reason: delayed connect error: 111", "envoy", "connect / refused"},
		{"503 UF upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_111}", "envoy", "connect / refused"},
		{"upstream timed out (110: Connection timed out) while reading upstream, client: 1.2.3.4", "nginx", "during_response / timeout"},
		{"unexpected EOF", "go", "during_response / fin"},
		{"requests.exceptions.ConnectionError: (“Connection aborted.”, RemoteDisconnected(‘Remote end closed connection without response’))", "requests", "before_response / fin"},
		{"java.net.SocketException: Connection reset\n\tat okhttp3.internal.connection", "okhttp", "before_response / rst"},
		{"be/s1 0/0/-1/-1/9 503 217 - - sC-- 1/1", "haproxy", "connect / timeout"},
		{"be/s1 0/0/-1/-1/9 503 217 - - SC-- 1/1", "haproxy", "connect / refused"},
	} {
		found := Explain(c.text)
		if len(found) == 0 {
			t.Errorf("%q is unknown", c.text)
		} else if got := found[0]; got.Client != c.client || got.Outcomes[0].String() != c.outcome {
			t.Errorf("%q: %s of %s, want %s of %s", c.text, got.Outcomes[0], got.Client, c.outcome, c.client)
		}
	}
}

func TestSharedWordsListTheirClients(t *testing.T) {
	for text, want := range map[string][]string{
		"Connection reset by peer":                        {"go", "reactor-netty", "urllib3", "requests", "httpx", "aiohttp", "ruby", "libcurl", "hyper", "dotnet", "nginx"},
		"java.net.SocketException: Connection reset":      {"reactor-netty", "apache-hc4", "apache-hc5", "okhttp", "httpurlconnection"},
		"cannot assign requested address":                 {"go", "apache-hc4", "apache-hc5", "okhttp", "jdk", "reactor-netty", "nginx", "hyper"},
		"Remote end closed connection without response":   {"urllib3", "requests", "boto3"},
		"read ECONNRESET":                                 {"node", "undici"},
		"failed to respond":                               {"apache-hc4", "apache-hc5"},
		"java.net.SocketTimeoutException: Read timed out": {"apache-hc4", "apache-hc5", "httpurlconnection"},
	} {
		got := map[string]bool{}
		for _, c := range Explain(text) {
			got[c.Client] = true
		}
		for _, client := range want {
			if !got[client] {
				t.Errorf("%q: %s is not among %v", text, client, slices.Sorted(maps.Keys(got)))
			}
		}
	}
}

// The name of an errno is Ruby's only where Ruby says Errno.
func TestErrnosAreEverybodys(t *testing.T) {
	for text, want := range map[string]bool{
		"Error: socket hang up at Socket.socketOnEnd { code: 'ECONNRESET' }": false, "ECONNREFUSED": false, "Errno::ECONNRESET": true, "HTTPBadResponse": true,
	} {
		found := Explain(text)
		if ruby := slices.ContainsFunc(found, func(c Candidate) bool { return c.Client == "ruby" }); ruby != want || len(found) == 0 {
			t.Errorf("%q: %d candidates, Ruby among them: %v", text, len(found), ruby)
		}
	}
}

func TestNumbers(t *testing.T) {
	const prefix = "[c457f217-%s, L:/127.0.0.1:46168 ! R:/127.0.0.1:18080] The connection observed an error\nreactor.netty.http.client.PrematureCloseException: Connection prematurely closed BEFORE response"
	for _, c := range []struct{ text, of, value, means string }{
		{"Pending acquire queue has reached its maximum size of 32", "queue size", "32", "16 connections"},
		{"Pending acquire queue has reached its maximum size of 1000", "queue size", "1000", "HttpClient.create()"},
		{"Pending acquire queue has reached its maximum size of 500", "queue size", "500", "create(name)"},
		{"Pending acquire queue has reached its maximum size of 77", "queue size", "77", ""},
		{"Pool#acquire(Duration) has been pending for more than the configured timeout of 45000ms", "timeout ms", "45000", "default"},
		{"dial tcp 127.0.0.1:18080: connect: connection refused", "port", "18080", ""},
		{"too many connection resets (due to end of file reached - EOFError) after 1 requests on 600, last used 0.0003 seconds ago", "idle s", "0.0003", ""},
		{"Waited 5 sec, 0/5 available", "pool size", "5", ""},
		{strings.Replace(prefix, "%s", "2", 1), "request on its connection", "2", "served a request before"},
		{strings.Replace(prefix, "%s", "1", 1), "request on its connection", "1", "fresh connection"},
		{strings.Replace(prefix, "%s", "1", 1), "port", "18080", "closed"},
	} {
		found := Explain(c.text)
		if len(found) == 0 {
			t.Errorf("%q is unknown", c.text)
			continue
		}
		i := slices.IndexFunc(found[0].Numbers, func(n Number) bool { return n.Of == c.of })
		if i < 0 {
			t.Errorf("%q: no %s in %v", c.text, c.of, found[0].Numbers)
		} else if n := found[0].Numbers[i]; n.Value != c.value || !strings.Contains(n.Means, c.means) || c.means == "" && n.Means != "" {
			t.Errorf("%q: %+v, want %s %q", c.text, n, c.value, c.means)
		}
	}
	if fresh := Explain(strings.Replace(prefix, "%s", "1", 1))[0]; fresh.Reused != "no" || slices.Contains(fresh.Incidents, "idle-race") || slices.Contains(fresh.Incidents, "idle-race-tls") {
		t.Errorf("a first request is on a fresh connection: reused %s, incidents %v", fresh.Reused, fresh.Incidents)
	}
	if used := Explain(strings.Replace(prefix, "%s", "17", 1))[0]; used.Reused != "yes" {
		t.Errorf("request 17 of a connection is on a reused one: %s", used.Reused)
	}
}

func TestUnknownTextHasNearest(t *testing.T) {
	for text, client := range map[string]string{
		"Conection prematurly closed BEFOR respons":           "reactor-netty",
		"Pending aquire queue reached the max size of 32":     "reactor-netty",
		"upstream closed connexion prematurely while reading": "nginx",
	} {
		if found := Explain(text); len(found) > 0 {
			t.Errorf("%q is known as %s %q", text, found[0].Client, found[0].Pattern)
		}
		near := Nearest(text, 3)
		if len(near) == 0 || near[0].Client != client {
			t.Errorf("nearest to %q: %v", text, near)
		}
	}
	for _, text := range []string{"", " \n", "zqxj", "the transaction was aborted by the user", "job terminated normally"} {
		if found := Explain(text); len(found) > 0 {
			t.Errorf("%q is taken for %s %q", text, found[0].Client, found[0].Pattern)
		}
	}
	if near := Nearest("zqxj", 3); len(near) > 0 {
		t.Errorf("nothing is near to zqxj, and not %v", near)
	}
}

func TestFamily(t *testing.T) {
	for preset, want := range map[string]string{"reactor-netty-builder": "reactor-netty", "apache-hc5-classic": "apache-hc5", "go": "go", "go-default-transport": "go", "default": "", "gopher": ""} {
		if got := Family(preset); got != want {
			t.Errorf("%s is of %q, want %q", preset, got, want)
		}
	}
}

func TestForTellsFreshFromReused(t *testing.T) {
	fresh := For("go-default-transport", results.PhaseBeforeResponse, results.CauseFIN, false)
	reused := For("go-default-transport", results.PhaseBeforeResponse, results.CauseFIN, true)
	if !slices.Equal(fresh, []string{"EOF"}) || len(reused) != 3 || !strings.HasPrefix(reused[0], "(nothing: ") {
		t.Errorf("fresh %q, reused %q", fresh, reused)
	}
	for client, want := range map[string]string{
		"reactor-netty":       "Connection prematurely closed BEFORE response",
		"apache-hc4":          "org.apache.http.NoHttpResponseException: failed to respond",
		"urllib3":             "RemoteDisconnected",
		"node-agent":          "socket hang up",
		"fasthttp":            "the server closed connection before returning the first response byte",
		"spring-webclient-no": "",
	} {
		texts := strings.Join(For(client, results.PhaseBeforeResponse, results.CauseCloseNotify, true), "\n")
		if !strings.Contains(texts, want) || want == "" && texts != "" {
			t.Errorf("%s at a close_notify: %q, want %q", client, texts, want)
		}
	}
	if got := For("nobody", results.PhaseBeforeResponse, results.CauseFIN, false); got != nil {
		t.Errorf("an unknown client says %q", got)
	}
}

func FuzzExplain(f *testing.F) {
	for _, w := range All() {
		f.Add(w.Example)
	}
	f.Add("[c457f217-99999999999, L:/x:1 ! R:/y:2] Connection prematurely closed BEFORE response")
	f.Add("\xff\u0130\u212a maximum size of ")
	f.Fuzz(func(t *testing.T, text string) {
		found := Explain(text)
		for i, c := range found {
			if i > 0 && c.Score > found[i-1].Score {
				t.Errorf("%q: %s comes after a worse one", text, c.Pattern)
			}
		}
		Nearest(text, 3)
	})
}
