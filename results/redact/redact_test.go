package redact

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// onHost returns a run against host, with names in every place where a profile has
// them.
func onHost(host string) *results.Run {
	run := dated()
	run.Profile = fmt.Appendf(nil, `{"name":"n","pool":{"max_conns":5},"load":{"rate":"5/s"},"target":{"url":"https://%s:8443/orders","headers":{"Host":"vip.acme.example:443","X-A":"planted-header"},
		"tls":{"server_name":"tls.acme.example"},"source_addresses":["192.0.2.7"]},"remedies":[{"set":{"target.url":"http://other.acme.example/"}}]}`, host)
	return run
}

func TestRedactor(t *testing.T) {
	r := &Redactor{}
	r.Learn(onHost("api.acme.example"))
	r.Learn(onHost("db01"))
	for _, tt := range []struct{ text, want string }{
		{"api.acme.example failed; so did DB01, and db01.", "host-1 failed; so did host-4, and host-4."},
		{"20260301-120000.000-api-acme-example/run", "20260301-120000.000-host-1/run"},
		{"eu.api.acme.example", "host-5"},
		{`Get "https://user:pw@api.acme.example:8443/orders?id=7&token=abc#x": EOF`, `Get "https://host-1:8443/...": EOF`},
		{"read tcp 192.0.2.7:40211->203.0.113.9:443: read: connection reset by peer", "read tcp address-1:40211->address-2:443: read: connection reset by peer"},
		{"dial tcp [2001:db8::1]:443: i/o timeout", "dial tcp [address-3]:443: i/o timeout"},
		{"dial tcp: lookup db02 on 203.0.113.53:53: no such host", "dial tcp: lookup host-6 on address-4:53: no such host"},
		{"x509: certificate is valid for intern, *.acme.example, not api.acme.example", "x509: certificate is valid for (names), not host-1"},
		{"open /home/alice/ca/root.pem: no such file", "open (path): no such file"},
		{`malformed header "Set-Cookie: sid=planted"`, `malformed header "Set-Cookie: (blanked)"`},
		{"Authorization: Bearer planted-planted", "Authorization: (blanked)"},
		{"got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.c2lnbmF0dXJl back", "got (blanked) back"},
		{"key AKIAABCDEFGHIJKLMNOP", "key (blanked)"},
		{"open /home/Alice Planted/a dir/run.json: no such file", "open (path): no such file"},
		{"open kabench-results/20260301-acme/run.json: no such file", "open (path): no such file"},
		{`open C:\Users\Alice Planted\x: denied`, "open (path): denied"},
		{`[/srv/acme/x] ~/acme/x \\fileserver\acme`, "[(path)] (path) (path)"},
		{"route to 2001:db8::/32", "route to address-5/32"},
		{"db01.:80 and 203.0.113.9.:80", "host-4:80 and address-2:80"},
		{"on ip-10-1-2-3", "on host-7"},
		{"Location: //user:planted@db01/", "Location: //(blanked)@host-4/"},
		{"ask alice@acme.example", "ask (blanked)@host-8"},
		{"/a?sid=planted&n=1", "/a?sid=(blanked)&n=1"},
		{"glpat-planted-planted-pl", "(blanked)"},
		{`the candidate authority certificate "Acme Root"`, `the candidate authority certificate "(name)"`},
		// Texts that reveal nothing stay.
		{"read tcp 127.0.0.1:40211->[::1]:80: EOF", "read tcp 127.0.0.1:40211->[::1]:80: EOF"},
		{"http://localhost:8080/", "http://localhost:8080/"},
		{"p99 of lag is 80.0 ms, above 50.0 ms (load.max_lag); failures.rate, load.rate, pool.resend, target.link.delay", "p99 of lag is 80.0 ms, above 50.0 ms (load.max_lag); failures.rate, load.rate, pool.resend, target.link.delay"},
		{"net.core.somaxconn and /proc/net/netstat; begun.json is missing", "net.core.somaxconn and /proc/net/netstat; begun.json is missing"},
		{"the server closed first, e.g. by its timer, kabench v1.2.3", "the server closed first, e.g. by its timer, kabench v1.2.3"},
	} {
		if got := r.Foreign(tt.text); got != tt.want {
			t.Errorf("%q\n became %q,\n   want %q", tt.text, got, tt.want)
		}
	}
	if got := r.Text("Does node.js on api.acme.example at 203.0.113.9 keep it?"); got != "Does node.js on host-1 at address-2 keep it?" {
		t.Errorf("an author's text became %q", got)
	}
	if got := r.Text("/home/alice/pools/mine.yaml against default, before_response / fin, p50/p99"); got != "(path) against default, before_response / fin, p50/p99" {
		t.Errorf("an arm that is a file became %q", got)
	}
	r.learnPath("../acme results/monday")
	if got := r.Foreign("../acme results/monday/run.json is damaged"); got != "(path)/run.json is damaged" {
		t.Errorf("where results are became %q", got)
	}
	show := &Redactor{ShowHosts: true}
	show.Learn(onHost("api.acme.example"))
	if got := show.Foreign("https://user:pw@api.acme.example/x at 203.0.113.9, password=planted"); got != "https://(blanked)@api.acme.example/x at 203.0.113.9, password=(blanked)" {
		t.Errorf("with hosts shown: %q", got)
	}
}

// planted are texts that no redacted document may contain.
var planted = []string{"acme", "db01", "planted", "203.0.113", "192.0.2.7", "2001:db8", "alice", "orders", "buildfarm"}

// plant puts the planted texts wherever a run has a text that others wrote.
func plant(run *results.Run) {
	run.Name = "db01"
	run.Host.Kernel = "6.1.0-buildfarm"
	run.Outcomes[0].Example = "read tcp 192.0.2.7:1->203.0.113.9:443: x"
	for i := range run.Outcomes {
		run.Outcomes[i].Example = `Get "https://a:planted@db01:8443/orders?token=planted": lookup eu.acme.example on 203.0.113.53:53: password=planted in /home/alice/x`
	}
	run.Warnings = append(run.Warnings, "the target db01 (203.0.113.9, [2001:db8::1]) is at other.acme.example")
	run.Invalid = []string{"http://db01:8443/orders did not answer"}
	run.Recording.Error = "write /home/alice/kabench-results/db01/x: no space left on device"
	run.Sockets.Why = "sock_diag of 203.0.113.9 refused"
	run.Kernel.Why = "x at tls.acme.example"
	run.Expect[0].Why = "dial tcp 203.0.113.9:443: refused"
	run.Baseline = &results.Baseline{Dir: "../acme/monday", Name: "old.acme.example:8080"}
	run.Preset = &results.Preset{Name: "p", Client: "Reactor Netty", Log: []results.LogLine{{Says: []string{"reactor.netty.http.client.PrematureCloseException at db01/203.0.113.9:443"}}}}
	run.Packets = &results.Packets{Struck: map[string]uint64{"db01: rule": 1}, Failures: []results.Evidence{{Client: "10.1.0.1:40000", Server: "203.0.113.9:443", Rows: []results.EvidenceRow{{Note: "to db01"}}}}}
	run.Lab = &results.LabSeen{Headers: map[string]uint64{"X-Db01.acme.example": 1}}
	run.Driver = plantedDriver()
}

// plantedDriver is a driver with the planted texts wherever its user or it wrote one.
func plantedDriver() *results.DriverSeen {
	const text = `Get "https://a:planted@db01:8443/orders?token=planted": dial tcp 203.0.113.9:443: password=planted; db01/203.0.113.9 in /home/alice/x and other.acme.example`
	return &results.DriverSeen{
		Name:   "python3 /home/alice/acme/driver.py --proxy http://a:planted@db01:3128/ --to other.acme.example --token=planted",
		Driver: "mine at db01", Client: "client on db01", Version: "2 from /home/alice/x", Runtime: "Java 17 on db01",
		Lacks:     []string{"pool.lease_order"},
		Settings:  map[string]any{"sniHost": "tls.acme.example", "proxy": "http://a:planted@db01:3128/", "apiKey": "api_key=planted", "trust": "/home/alice/ca.pem", "near": "203.0.113.9", "via": "third.acme.example", "Dialer.Timeout": 1.0, "keepAliveTimeout": 4000.0},
		Available: []results.DriverSetting{{Name: "proxy", Kind: "text", Default: "http://a:planted@db01:3128/", Values: []string{"db01"}}},
		Faults:    []results.DriverFault{{Name: "garbage on stdout", Count: 1, Example: text}},
		Errors: []results.DriverError{{
			Class: "reactor.netty.http.client.PrematureCloseException", Text: text, Differ: "the client says " + text, Count: 1,
			Causes: []results.DriverErrorCause{{Class: "java.net.ConnectException", Text: text}},
		}},
		Ended: "ended with code 1; its stderr: " + text,
	}
}

// An error's class has the form of a host's name and stays, so that a reader recognizes it.
func TestRedactedDriver(t *testing.T) {
	run := onHost("db01")
	run.Driver = plantedDriver()
	r := &Redactor{}
	r.Learn(run)
	d := Document(r, run).Driver
	if e := d.Errors[0]; e.Class != "reactor.netty.http.client.PrematureCloseException" || e.Causes[0].Class != "java.net.ConnectException" || e.Count != 1 {
		t.Errorf("%+v", e)
	}
	if d.Settings["keepAliveTimeout"] != 4000.0 || d.Settings["Dialer.Timeout"] != 1.0 || d.Lacks[0] != "pool.lease_order" || d.Faults[0].Name != "garbage on stdout" || !strings.HasPrefix(d.Name, "python3 (path)") {
		t.Errorf("%s, %v, %+v", d.Name, d.Settings, d.Faults)
	}
	show := &Redactor{ShowHosts: true}
	show.Learn(run)
	if text, err := json.Marshal(Document(show, run).Driver); err != nil || strings.Contains(string(text), "planted") || !strings.Contains(string(text), "db01") {
		t.Errorf("with hosts shown: %s, %v", text, err)
	}
}

func TestRedactedDocuments(t *testing.T) {
	run := onHost("db01")
	plant(run)
	rep := reproduced()
	rep.Incident, rep.Verdict, rep.IncidentRun = "db01", "db01 at 203.0.113.9 failed.", run
	rep.RemedyRuns[0].Run = run
	rep.RemedyRuns[0].Change = map[string]string{"target.url": "http://db01/orders"}
	c := compared()
	c.Name, c.Verdict, c.Arms[0].Name, c.Runs[0].Arm = "db01", "db01 is worse", "db01", "db01"
	c.Runs[0].Dir = "../20260301-db01.acme.example"
	c.Runs[1].Excluded = "db01 did not answer"
	c.Pairs[0].Verdict = "db01 is as 203.0.113.9"
	before, err := json.Marshal([]any{run, rep, c})
	must(t, err)
	for name, k := range map[string]*record.Archive{
		"run":        {Run: run, Runs: []record.ArchivedRun{{Name: "db01", Run: run}}, Notes: []string{"a run of db01 is left out: /home/alice/x"}},
		"incident":   {Reproduction: rep, Runs: []record.ArchivedRun{{Name: "incident", Run: run}}},
		"comparison": {Comparison: c, Runs: []record.ArchivedRun{{Name: "db01", Change: map[string]string{"target.url": "http://db01/orders"}, Excluded: "db01 did not answer", Run: run}}},
	} {
		shown := (&Redactor{}).Archive(k)
		text, err := json.Marshal(shown)
		must(t, err)
		for _, secret := range planted {
			if i := strings.Index(strings.ToLower(string(text)), secret); i >= 0 {
				t.Errorf("%s: %q is in it: ...%s", name, secret, text[max(i-80, 0):min(i+40, len(text))])
			}
		}
		for _, stays := range []string{"max_conns", "reactor.netty.http.client.PrematureCloseException", "10.1.0.1:40000", "failures.before_response"} {
			if !strings.Contains(string(text), stays) {
				t.Errorf("%s: %q is gone", name, stays)
			}
		}
		if got := shown.Runs[0].Run; got.Counts != run.Counts || got.Latency["response"] != run.Latency["response"] || !got.Start.Equal(run.Start) {
			t.Errorf("%s: figures were changed", name)
		}
	}
	after, err := json.Marshal([]any{run, rep, c})
	must(t, err)
	if string(before) != string(after) {
		t.Error("the documents themselves were changed")
	}
}

// TestRedactedKeepsTypes: values of types that other packages make from documents are
// copied too, and numbers stay the same.
func TestRedactedKeepsTypes(t *testing.T) {
	type other struct {
		Facts []string
		Heat  [][3]int64
		When  time.Time
		Any   any
		Runs  []*results.Run
		none  int
	}
	v := &other{Facts: []string{"from 203.0.113.9"}, Heat: [][3]int64{{1, 2, 3}}, When: time.Unix(7, 0), Any: "203.0.113.9", none: 3}
	got := Document(&Redactor{}, v)
	if got == v || got.Facts[0] != "from address-1" || got.Any != "address-1" || got.Heat[0] != v.Heat[0] || !got.When.Equal(v.When) || got.Runs != nil || got.none != 3 {
		t.Errorf("%+v", got)
	}
}

func FuzzRedactor(f *testing.F) {
	for _, text := range append(hostile, "a://b@c:d", "::1%eth0", "https://[::1", "1.2.3.4:5->6.7.8.9:0", "....", ":", "http://user:secretpw@h/") {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := &Redactor{}
		r.Learn(onHost("api.acme.example"))
		if got := strings.ToLower(r.Foreign(text + " api.acme.example ")); strings.Contains(got, " api.acme.example") {
			t.Errorf("%q became %q", text, got)
		}
	})
}

// If the names of two arms differ only in what is redacted, their replacements differ,
// in every text that has these names.
func TestRedactedArmsDiffer(t *testing.T) {
	c := compared()
	c.Arms[0].Name, c.Arms[1].Name = "/home/alice/pools/a.yaml", "/home/alice/pools/b.yaml"
	c.Verdict = "/home/alice/pools/b.yaml fails less than /home/alice/pools/a.yaml, X-Api-Key=planted."
	k := (&Redactor{}).Archive(&record.Archive{Comparison: c, Runs: []record.ArchivedRun{{Name: "/home/alice/pools/b.yaml"}}})
	if got := k.Comparison; got.Arms[0].Name != "(path)" || got.Arms[1].Name != "(path) (2)" || got.Verdict != "(path) (2) fails less than (path), X-Api-Key=(blanked)" || k.Runs[0].Name != "(path) (2)" {
		t.Errorf("%q and %q: %s; %q", got.Arms[0].Name, got.Arms[1].Name, got.Verdict, k.Runs[0].Name)
	}
	c.Arms[0].Name, c.Arms[1].Name = "X-Api-Key=(blanked)", "X-Api-Key=(blanked) (2)"
	k = (&Redactor{}).Archive(&record.Archive{Comparison: c})
	if got := k.Comparison; got.Arms[0].Name != "X-Api-Key=(blanked)" || got.Arms[1].Name != "X-Api-Key=(blanked) (2)" {
		t.Errorf("%q and %q", got.Arms[0].Name, got.Arms[1].Name)
	}
}

// The names of agents are those of machines, unless kabench started them itself.
func TestAgentsAreRedacted(t *testing.T) {
	run := rendered()
	run.Agents = []results.Agent{
		{Name: "buildfarm7", Network: "0a1b-planted", Warnings: []string{"odd"}, Lost: &results.AgentLost{Why: "buildfarm7 has ended"}},
		{Index: 1, Name: "agent-1"},
	}
	run.Warnings = []string{"agents buildfarm7 (0), agent-1 (1): odd"}
	r := &Redactor{}
	r.Learn(run)
	text, err := json.Marshal(Document(r, run))
	must(t, err)
	for _, planted := range []string{"buildfarm7", "planted"} {
		if strings.Contains(string(text), planted) {
			t.Errorf("%s stays: %s", planted, text)
		}
	}
	if !strings.Contains(string(text), `agent-1 (1): odd`) {
		t.Errorf("the name of a local agent is gone: %s", text)
	}
	show := &Redactor{ShowHosts: true}
	show.Learn(run)
	if text, err = json.Marshal(Document(show, run)); err != nil || !strings.Contains(string(text), "buildfarm7 (0)") {
		t.Errorf("with hosts: %v, %s", err, text)
	}
}
