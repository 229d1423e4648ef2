package profiles

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles/script"
)

func TestMarshal(t *testing.T) {
	p, err := Load("p.yaml", []byte(`
name: "on"
question: "Why, if: at all?"
load: {rate: 1/h, arrivals: {process: burst, on: 2h, off: 1s, within: poisson}, seed: 18446744073709551615}
pool: {expiry: []}
target: {lab: {}, tls: {insecure: true}, headers: {X-A: "1", "a.b": "c #d"}}
remedies:
- name: r
  set: {load.rate: 5}
- name: s
  set: {client: stock}
  cost: much
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := `name: "on"
question: "Why, if: at all?"
client: policy
load:
  rate: 1/h
  arrivals:
    process: burst
    on: 2h0m0s
    off: 1s
    within: poisson
  duration: 30s
  warm_up: 0s
  timeout: 10s
  max_in_flight: 1000
  buffer: 0
  max_lag: 50ms
  seed: 18446744073709551615
pool:
  max_conns: -1
  max_idle: -1
  pending_max: -1
  pending_timeout: 0s
  late_bind: false
  lease_order: lifo
  idle_timeout: 0s
  expiry: []
  sweep_every: 0s
  server_hint: ignore
  hint_margin: 0s
  hint_cap: 0s
  liveness: events
  probe_after: 0s
  probe_unsafe_only: false
  reap: event
  resend: []
  resend_else: error
  connect_timeout: 0s
  response_timeout: 0s
  response_clock: total
  max_lifetime: 0s
  lifetime_jitter: 0
  max_requests: -1
  max_conns_all: -1
  make_room: false
  max_idle_all: -1
  cap_counts: all
  dial_fail: own
  shards: 0
  key: origin
target:
  method: GET
  headers:
    X-A: "1"
    a.b: "c #d"
  tls:
    insecure: true
  lab:
    idle_timeout: 0s
    delay: 0s
remedies:
  - name: r
    set:
      load.rate: "5"
  - name: s
    set:
      client: stock
    cost: much
`
	got, err := Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Name   string
		Load   struct{ Seed json.Number }
		Target struct{ Headers map[string]string }
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	if document.Name != "on" || document.Load.Seed != "18446744073709551615" || document.Target.Headers["X-A"] != "1" {
		t.Errorf("as JSON: %s", text)
	}
}

// What loads is written so that it loads back to the same.
func TestMarshalLoadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyProfile(t)
		if err := p.Validate(); err != nil {
			t.Fatalf("the profile drawn is not valid: %v", err)
		}
		loadsBack(t, p)
	})
}

func loadsBack(t interface {
	Helper()
	Fatalf(string, ...any)
}, p *Profile) {
	t.Helper()
	text, err := Marshal(p)
	if err != nil {
		t.Fatalf("%v", err)
	}
	back, err := Load("back.yaml", text, nil)
	if err != nil {
		if len(text) > strictyaml.MaxSize { // quoting made it longer
			return
		}
		t.Fatalf("%v\n%s", err, text)
	}
	p.Warnings = nil // what was read has been written in the new spelling
	if diff := cmp.Diff(p, back, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Fatalf("(-want +got)\n%s\n%s", diff, text)
	}
	if _, err := json.Marshal(p); err != nil {
		t.Fatalf("as JSON: %v", err)
	}
}

func anyProfile(t *rapid.T) *Profile {
	text := func(name string) string {
		return rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
			"null", "~", "true", "1e3", "0x10", "- a", "a: b", "# c", " a", "a ", "\n", "a\nb\n", "\t", "'", `"`, "\\", "{", "[a]", "&a", "*a", "!!b", "%", "@", "`", "--- a", "1:30", ".inf",
		})).Draw(t, name)
	}
	words := func(name string) string { // what is in braces must be a figure
		return strings.NewReplacer("{", "(", "}", ")").Replace(text(name))
	}
	span := func(name string) time.Duration {
		return time.Duration(rapid.Int64Range(0, int64(100*time.Hour)).Draw(t, name))
	}
	draw := func(name string, low, high int) int { return rapid.IntRange(low, high).Draw(t, name) }
	some := func(name string) bool { return rapid.Bool().Draw(t, name) }

	p := Default()
	p.Name, p.Question, p.Source, p.Scale = text("name"), text("question"), text("source"), text("scale")
	if some("stock") {
		p.Client = ClientStock
	}
	p.Load.Rate = generator.Rate(rapid.Float64Range(1e-3, 1e9).Draw(t, "rate"))
	p.Load.Duration, p.Load.Count = span("duration")+1, rapid.Uint64().Draw(t, "count")
	p.Load.WarmUp, p.Load.Timeout, p.Load.MaxLag = span("warm_up"), span("timeout"), span("max_lag")
	p.Load.MaxInFlight, p.Load.Buffer, p.Load.Seed = draw("max_in_flight", 1, 1<<40), draw("buffer", 0, 9), rapid.Uint64().Draw(t, "seed")
	switch p.Load.Arrivals.Process = generator.Process(draw("process", 0, 5)); p.Load.Arrivals.Process {
	case generator.Ramp:
		p.Load.Arrivals.To = generator.Rate(rapid.Float64Range(1e-3, 1e9).Draw(t, "to"))
	case generator.Burst:
		p.Load.Arrivals.On, p.Load.Arrivals.Off = 2000*time.Second+span("on"), 1+span("off")
		p.Load.Arrivals.OffMax = p.Load.Arrivals.Off + span("off_max")
		p.Load.Arrivals.Within = generator.Process(draw("within", 0, 1))
	case generator.Uniform:
		p.Load.Rate = 0
		p.Load.Arrivals.GapMin = 1 + span("gap_min")
		p.Load.Arrivals.GapMax = p.Load.Arrivals.GapMin + span("gap_max")
	case generator.Sine:
		p.Load.Rate = max(p.Load.Rate, 1)
		p.Load.Arrivals.Amplitude = p.Load.Rate * generator.Rate(rapid.Float64Range(1e-3, 0.9).Draw(t, "amplitude"))
		p.Load.Arrivals.Period = 100*time.Second + span("period")
	}
	p.Pool.MaxConns, p.Pool.MaxIdle, p.Pool.PendingMax = draw("max_conns", 1, 10), draw("max_idle", -1, 9), draw("pending_max", -1, 9)
	p.Pool.LeaseOrder = pool.Order(draw("lease_order", 0, 2))
	p.Pool.IdleTimeout, p.Pool.MaxLifetime = span("idle_timeout"), span("max_lifetime")
	p.Pool.Expiry = pool.Expiry(draw("expiry", 0, 7))
	switch p.Pool.Expiry {
	case 0:
		p.Pool.IdleTimeout, p.Pool.MaxLifetime = 0, 0
	case pool.ExpireAtRelease:
		p.Pool.IdleTimeout = 0
	}
	if some("sweep") {
		p.Pool.Expiry |= pool.ExpireBySweep
		p.Pool.SweepEvery = 1 + span("sweep_every")
	}
	p.Target.Body = text("body")
	for range draw("headers", 0, 3) {
		if p.Target.Headers == nil {
			p.Target.Headers = map[string]string{}
		}
		p.Target.Headers[rapid.StringMatching(`X-[0-9]{1,4}[!#$%&'*+.^_|~-]{0,3}`).Draw(t, "header")] = rapid.StringMatching(`[ -~]{0,9}`).Draw(t, "value")
	}
	if some("url") {
		p.Target.URL = "https://u:p@[::1]:8443/a%20b?c=d&e"
	} else {
		p.Target.Lab = &script.Server{
			IdleTimeout: span("lab"), Body: int64(draw("lab body", 2, 1<<40)), Chunked: some("chunked"),
			Fault: script.Fault(draw("fault", 1, 9)), FaultOn: script.FaultOn(draw("fault_on", -2, 5)),
			Delay: script.Delay{Form: script.Uniform, A: 1, B: time.Duration(draw("delay", 1, 9))},
		}
	}
	if some("link") {
		p.Target.Link = &script.Link{Delay: time.Duration(draw("link delay", 0, 99))}
	}
	if some("expect") {
		p.Expect = map[string]string{"failures": "0", "idle_at_failure.p50": "1ms..5ms", "statuses.503": "> 0"}
	}
	for range draw("remedies", 0, 3) {
		p.Remedies = append(p.Remedies, Remedy{
			Name: "r" + text("remedy"), Set: map[string]string{"name": text("set"), "target.body": text("set")},
			Expect: map[string]string{"failures": "0"}, Cost: words("cost"),
		})
	}
	p.Says = Says{Happened: words("happened"), Set: words("set")}
	return &p
}
