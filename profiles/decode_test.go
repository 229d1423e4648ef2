package profiles

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles/script"
)

// A null leaves a field as if it had never been set: at its default, which is
// not Go's zero for all.
func TestNullIsTheDefault(t *testing.T) {
	set := `
name: mine
client: stock
load:
  rate: 400/s
  arrivals: {process: burst, on: 1s, off: 1s, within: poisson}
  duration: 1s
  timeout: 1s
  max_in_flight: 1
  max_lag: 1s
pool: {max_conns: 1, max_idle: 1, pending_max: 1, expiry: [timer], lease_order: fifo, liveness: none}
target: {method: POST, headers: {X-A: b}, lab: {status: 503}, link: {delay: 1ms}}
expect: {failures: 0}
`
	for _, null := range []string{"null", "~"} {
		for path, text := range map[string]string{
			"client":             "client: NULL",
			"load.rate":          "load: {rate: NULL}",
			"load.arrivals":      "load: {arrivals: NULL}",
			"load.timeout":       "load: {timeout: NULL}",
			"load":               "load: NULL",
			"pool":               "pool: NULL",
			"pool.max_idle":      "pool: {max_idle: NULL}",
			"pool.expiry":        "pool: {expiry: NULL}",
			"pool.liveness":      "pool: {liveness: NULL}",
			"target":             "target: NULL",
			"target.method":      "target: {method: NULL}",
			"target.headers":     "target: {headers: NULL}",
			"target.headers.X-A": "target: {headers: {X-A: NULL}}",
			"target.lab":         "target: {lab: NULL}",
			"target.link":        "target: {link: NULL}",
			"expect":             "expect: NULL",
			"":                   "NULL",
		} {
			got := Default()
			d := newDecoder(Default())
			d.document([]byte(strings.ReplaceAll(text, "NULL", null)), reflect.ValueOf(&got).Elem())
			if diff := cmp.Diff(Default(), got, cmpopts.EquateEmpty()); diff != "" || d.Errs != nil {
				t.Errorf("%s %s in a file: %v (-default +got)\n%s", path, null, d.Errs, diff)
			}
		}
	}

	at := func(p *Profile, path string) any { // the value of the field
		v, _ := strictyaml.FieldAt(reflect.ValueOf(p), path)
		return v.Interface()
	}
	untouched := Default()
	for _, path := range []string{
		"load", "load.rate", "load.arrivals", "load.arrivals.within", "load.duration", "load.timeout", "load.max_in_flight", "load.max_lag",
		"pool", "pool.max_conns", "pool.max_idle", "pool.pending_max", "pool.expiry", "pool.lease_order", "pool.liveness",
		"target", "target.headers", "target.lab", "target.link", "expect",
	} {
		for _, null := range []string{"null", "~"} {
			p := Default()
			newDecoder(Default()).document([]byte(set), reflect.ValueOf(&p).Elem())
			if cmp.Equal(at(&untouched, path), at(&p, path)) {
				t.Fatalf("%s is at its default from the start", path)
			}
			if err := Set(&p, path, null); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(at(&untouched, path), at(&p, path), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("--set %s=%s (-default +got)\n%s", path, null, diff)
			}
		}
	}

	// In a remedy a null is what it sets.
	p, err := Load("p.yaml", []byte(good+"pool: {max_idle: 1}\nremedies: [{name: r, set: {pool.max_idle: null, load.timeout: ~}}]\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := p.With(p.Remedies[0]); err != nil || r.Pool.MaxIdle != -1 || r.Load.Timeout != Default().Load.Timeout || len(p.Remedies[0].Set) != 2 {
		t.Errorf("with %v: max_idle %d, error %v", p.Remedies[0].Set, r.Pool.MaxIdle, err)
	}

	// Where the defaults have nothing, a null leaves a zero value.
	changed := Default()
	p = &changed
	newDecoder(Default()).document([]byte(set), reflect.ValueOf(p).Elem())
	if err := Set(p, "target.lab.status", "null"); err != nil || !reflect.DeepEqual(*p.Target.Lab, script.Server{}) {
		t.Errorf("lab %+v, error %v", *p.Target.Lab, err)
	}
	if err := Set(p, "target", "{headers: {X-A: null, X-B: c}}"); err != nil || !cmp.Equal(p.Target.Headers, map[string]string{"X-B": "c"}) {
		t.Errorf("headers %v, error %v", p.Target.Headers, err)
	}
}
