package profiles

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles/script"
)

func TestSet(t *testing.T) {
	text := good + "remedies:\n- {name: r, set: {pool.max_conns: '1'}, cost: much}\n"
	for _, tc := range []struct {
		sets  []string
		check func(*Profile) any
		want  any
	}{
		{[]string{"load.rate=24000/m"}, func(p *Profile) any { return p.Load.Rate }, generator.Rate(400)},
		{[]string{"load.arrivals=poisson"}, func(p *Profile) any { return p.Load.Arrivals }, generator.Arrivals{Process: generator.Poisson}},
		{[]string{"load.arrivals=burst", "load.arrivals.on=200ms", "load.arrivals.off=1s"}, func(p *Profile) any { return p.Load.Arrivals },
			generator.Arrivals{Process: generator.Burst, On: 200 * time.Millisecond, Off: time.Second}},
		{[]string{"load.arrivals={process: burst, on: 1s, off: 1s}", "load.arrivals=constant"}, func(p *Profile) any { return p.Load.Arrivals }, generator.Arrivals{}},
		{[]string{"load={duration: 5s, count: 3}"}, func(p *Profile) any { return []any{p.Load.Duration, p.Load.Count, p.Load.Rate} }, []any{5 * time.Second, uint64(3), generator.Rate(400)}},
		{[]string{"pool.expiry=[timer, lease]"}, func(p *Profile) any { return p.Pool.Expiry }, pool.ExpireByTimer | pool.ExpireAtLease},
		{[]string{"pool=reactor-netty-builder", "pool.max_conns=500"}, func(p *Profile) any { return []int{p.Pool.MaxConns, p.Pool.PendingMax} }, []int{500, 32}},
		{[]string{"pool={max_idle: 2}"}, func(p *Profile) any { return p.Pool.MaxIdle }, 2},
		{[]string{"pool=max_idle: 2"}, func(p *Profile) any { return p.Pool.MaxIdle }, 2},
		{[]string{"target.url=", "target.lab.idle_timeout=1s", "target.lab.delay=exp 5ms"}, func(p *Profile) any { return *p.Target.Lab },
			script.Server{IdleTimeout: time.Second, Delay: script.Delay{Form: script.Exponential, A: 5 * time.Millisecond}}},
		{[]string{"target.lab={}", "target.lab=null"}, func(p *Profile) any { return p.Target.Lab }, (*script.Server)(nil)},
		{[]string{"target.headers.X-A=b"}, func(p *Profile) any { return p.Target.Headers }, map[string]string{"X-A": "b"}},
		{[]string{"target.headers.X.A=b #c", `target.headers.X-B="d "`}, func(p *Profile) any { return p.Target.Headers }, map[string]string{"X.A": "b #c", "X-B": "d "}},
		{[]string{"target.headers.A=b", "target.headers.C=d", "target.headers.A=null", `target.headers.E="null"`, "target.headers.F=null"},
			func(p *Profile) any { return p.Target.Headers }, map[string]string{"C": "d", "E": "null"}},
		{[]string{"remedies.0.set.pool.max_conns=null"}, func(p *Profile) any { return p.Remedies[0].Set }, Changes{"pool.max_conns": "null"}},
		{[]string{`target.body={"a": "b=c"}`}, func(p *Profile) any { return p.Target.Body }, `{"a": "b=c"}`},
		{[]string{`target.body="a" b"`}, func(p *Profile) any { return p.Target.Body }, `"a" b"`},
		{[]string{"expect.idle_at_failure.p50=1ms..5ms"}, func(p *Profile) any { return p.Expect }, map[string]string{"idle_at_failure.p50": "1ms..5ms"}},
		{[]string{"expect.failures=0", "expect=null"}, func(p *Profile) any { return p.Expect }, map[string]string(nil)},
		{[]string{"remedies.0.cost=little"}, func(p *Profile) any { return p.Remedies[0].Cost }, "little"},
		{[]string{"remedies.0.set.pool.max_conns=2"}, func(p *Profile) any { return p.Remedies[0].Set }, Changes{"pool.max_conns": "2"}},
		{[]string{"target.tls.insecure=true"}, func(p *Profile) any { return p.Target.TLS.Insecure }, true},
	} {
		p, err := Load("p.yaml", []byte(text), tc.sets)
		if err != nil {
			t.Errorf("%q: %v", tc.sets, err)
			continue
		}
		if diff := cmp.Diff(tc.want, tc.check(p)); diff != "" {
			t.Errorf("%q (-want +got)\n%s", tc.sets, diff)
		}
	}
}

func TestSetComplaints(t *testing.T) {
	for set, want := range map[string]string{
		"pool.idle_timout=3s":       "--set pool.idle_timout=3s: unknown key; did you mean pool.idle_timeout?",
		"idle_timeout=3s":           "--set idle_timeout=3s: unknown key here; did you mean pool.idle_timeout?",
		"pool.idle_timeout=3":       `--set pool.idle_timeout=3: 3 has no unit; write "3s" or "3ms"`,
		"pool.idle_timeout":         "--set pool.idle_timeout: write a field and its value: --set path=value",
		"pool.max_idle=-5":          "--set pool.max_idle=-5: -5 is below 0 (write none, or -1, for no cap; 0 means no keep-alive)",
		"pool={max_idl: 2}":         "--set pool={max_idl: 2}: pool.max_idl: unknown key; did you mean max_idle?",
		"pool=okhtpp":               "--set pool=okhtpp: pool okhtpp: no such name or file; did you mean okhttp?",
		"load.rate.x=1":             "--set load.rate.x=1: load.rate is a single value, without fields of its own",
		"target.lab.delay.A=1":      "--set target.lab.delay.A=1: target.lab.delay is a single value, without fields of its own",
		"load.rate=":                "--set load.rate=: has no value",
		"load.rate=[1":              "--set load.rate=[1: not YAML: sequence end token ']' not found",
		"remedies.0.cost=x":         `--set remedies.0.cost=x: remedies has no element "0"; it has 0, counted from 0`,
		"=x":                        "--set =x: write a field and its value: --set path=value",
		"load..rate=1":              "--set load..rate=1: unknown key; the keys here are " + strings.Join(strictyaml.KeysOf(reflect.TypeFor[generator.Load]()), ", "),
		"target.body=\xff":          "--set target.body=\xff: is not UTF-8 text",
		"target.headers.A\nB=x":     "--set target.headers.A\nB=x: not a valid header name",
		"target.lab={}":             "p.yaml:2:10: target.url: target.lab is a target already; remove one (--set target.lab=null)",
		"load.arrivals={process: x": "--set load.arrivals={process: x: not YAML: could not find flow mapping end token '}'",
	} {
		if got := strings.Join(complaints(t, good, set), "\n"); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", set, got, want)
		}
	}
}

// Set leaves the profile alone when it fails, and shares nothing with it.
func TestSetAlone(t *testing.T) {
	p, err := Load("p.yaml", []byte(good), []string{"target.headers.X-A=b"})
	if err != nil {
		t.Fatal(err)
	}
	before := p.Clone()
	if err := Set(p, "load", "{duration: 5s, rate: 0}"); err == nil {
		t.Error("a rate of 0 was accepted")
	}
	if diff := cmp.Diff(before, p); diff != "" {
		t.Errorf("a Set that failed changed the profile (-before +after)\n%s", diff)
	}
	if err := Set(p, "target.headers.X-A", "c"); err != nil || p.Target.Headers["X-A"] != "c" || before.Target.Headers["X-A"] != "b" {
		t.Errorf("after Set %v, its copy from before %v, error %v", p.Target.Headers, before.Target.Headers, err)
	}
}
