package profiles

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results/expect"
)

const good = "load: {rate: 400/s}\ntarget: {url: http://127.0.0.1:8080/}\n"

// complaints are the lines of a load's error.
func complaints(t *testing.T, text string, sets ...string) []string {
	t.Helper()
	p, err := Load("p.yaml", []byte(text), sets)
	if err == nil {
		return nil
	}
	if p != nil {
		t.Error("a profile was returned beside an error")
	}
	var list Errors
	if !errors.As(err, &list) {
		t.Fatalf("error is a %T, want Errors", err)
	}
	return strings.Split(err.Error(), "\n")
}

// resultsSay is the complaint about an expectation in the words of results.
func resultsSay(path, want string) string {
	return expect.Validate(map[string]string{path: want}).Error()
}

func TestLoad(t *testing.T) {
	text := `
# a comment
name: mine
client: stock
load:
  rate: 24000/m
  arrivals: {process: burst, on: 250ms, off: 1s, within: poisson}
  duration: 1m30s
  warm_up: 0
  count: 1000
  max_in_flight: 010
pool:
  # all as by default, but
  expiry: timer
  lease_order: fifo
  liveness: "probe"
  probe_after: 2s
target:
  method: POST
  headers:
    X-Number: 007
    X-Flag: true
    X-Text: "a: b"
  body: |
    {"a": 1}
  lab:
    delay: uniform 10ms 30ms
    fault: close_on_idle
    fault_on: every 3
  link: {delay: 5ms}
expect:
  failures: 0
  failures.rate: < 1%
`
	want := Default()
	want.Name, want.Client = "mine", ClientStock
	want.Load.Rate = 400
	want.Load.Arrivals = generator.Arrivals{Process: generator.Burst, On: 250 * time.Millisecond, Off: time.Second, Within: generator.Poisson}
	want.Load.Duration, want.Load.Count, want.Load.MaxInFlight = 90*time.Second, 1000, 10
	want.Pool.Expiry, want.Pool.LeaseOrder = pool.ExpireByTimer, pool.FIFO
	want.Pool.Liveness, want.Pool.ProbeAfter = pool.Probe, 2*time.Second
	want.Target.Method, want.Target.Body = "POST", "{\"a\": 1}\n"
	want.Target.Headers = map[string]string{"X-Number": "007", "X-Flag": "true", "X-Text": "a: b"}
	want.Target.Lab = &script.Server{
		Delay: script.Delay{Form: script.Uniform, A: 10 * time.Millisecond, B: 30 * time.Millisecond}, Fault: script.CloseOnIdle, FaultOn: 3,
	}
	want.Target.Link = &script.Link{Delay: 5 * time.Millisecond}
	want.Expect = map[string]string{"failures": "0", "failures.rate": "< 1%"}

	got, err := Load("p.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestComplaints(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", []string{
			"p.yaml: load.rate: none is given; set it, for example to 100/s",
			"p.yaml: target.url: there is no target; set target.url, for example to http://127.0.0.1:8080/, or target.file or target.lab",
		}},
		{"a slip", good + "pool:\n  idle_timout: 3s\n", []string{"p.yaml:4:3: pool.idle_timout: unknown key; did you mean idle_timeout?"}},
		{"in the wrong place", good + "idle_timeout: 3s\n", []string{"p.yaml:3:1: idle_timeout: unknown key here; did you mean pool.idle_timeout?"}},
		{"nothing like it", good + "pool: {wibble: 3}\n", []string{"p.yaml:3:8: pool.wibble: unknown key; the keys here are " + strings.Join(strictyaml.KeysOf(reflect.TypeFor[pool.Policy]()), ", ")}},
		{"no unit", good + "pool: {idle_timeout: 3}\n", []string{`p.yaml:3:22: pool.idle_timeout: 3 has no unit; write "3s" or "3ms"`}},
		{"no unit, quoted", good + "pool: {idle_timeout: '3'}\n", []string{`p.yaml:3:22: pool.idle_timeout: 3 has no unit; write "3s" or "3ms"`}},
		{"zero has none", good + "pool: {idle_timeout: 0}\n", nil},
		{"a wrong unit", good + "pool: {idle_timeout: 3 days}\n", []string{`p.yaml:3:22: pool.idle_timeout: "3 days" is not a duration; write it with a unit (ns, us, ms, s, m or h), as in "250ms" or "1m30s"`}},
		{"no number", good + "pool: {max_conns: 5s}\n", []string{`p.yaml:3:19: pool.max_conns: "5s" is not a whole number`}},
		{"a fraction", good + "pool: {max_conns: 1.5}\n", []string{`p.yaml:3:19: pool.max_conns: "1.5" is not a whole number`}},
		{"too large", good + "pool: {max_conns: 99999999999999999999}\n", []string{`p.yaml:3:19: pool.max_conns: 99999999999999999999 is too large`}},
		{"not in decimal", "load: {rate: 1, seed: 0xff, count: 1_000}\npool: {max_conns: 0b11, max_requests: 0o17}\ntarget: {lab: {body: -0x1}}\n", []string{
			`p.yaml:1:23: load.seed: "0xff" is not plain decimal; write it with the digits 0 to 9 alone`,
			`p.yaml:1:36: load.count: "1_000" is not plain decimal; write it with the digits 0 to 9 alone`,
			`p.yaml:2:19: pool.max_conns: "0b11" is not plain decimal; write it with the digits 0 to 9 alone`,
			`p.yaml:2:39: pool.max_requests: "0o17" is not plain decimal; write it with the digits 0 to 9 alone`,
			`p.yaml:3:22: target.lab.body: "-0x1" is not plain decimal; write it with the digits 0 to 9 alone`,
		}},
		{"below zero", "load: {rate: 1, seed: -1}\ntarget: {lab: {}}\n", []string{`p.yaml:1:23: load.seed: "-1" is not a whole number from 0`}},
		{"a name that is none", good + "pool: {lease_order: filo}\n", []string{`p.yaml:3:21: pool.lease_order: "filo" is none of lifo, fifo, first_fit, last_fit; did you mean fifo?`}},
		{"a rate of zero is said once", "load: {rate: 0/s}\ntarget: {lab: {}}\n", []string{`p.yaml:1:14: load.rate: "0/s": a rate must be above 0 and finite, as in 400/s`}},
		{"arrivals by a wrong name", "load: {rate: 1, arrivals: poison}\ntarget: {lab: {}}\n", []string{
			`p.yaml:1:27: load.arrivals: "poison" is none of constant, poisson, ramp, burst, uniform, sine; did you mean poisson?`}},
		{"arrivals with wrong parameters", "load:\n  rate: 1\n  arrivals:\n    process: burst\n    onn: 1\n    off: x\ntarget: {lab: {}}\n", []string{
			"p.yaml:5:5: load.arrivals.onn: unknown key; did you mean on?",
			`p.yaml:6:10: load.arrivals.off: "x" is not a duration; write it with a unit (ns, us, ms, s, m or h), as in "250ms" or "1m30s"`,
		}},
		{"an expiry that is none", good + "pool: {expiry: [lease, tmer]}\n", []string{`p.yaml:3:16: pool.expiry: "tmer" is none of lease, release, timer, sweep; did you mean timer?`}},
		{"an expiry that is a mapping", good + "pool: {expiry: {lease: 1}}\n", []string{"p.yaml:3:16: pool.expiry: is a mapping; a list belongs here"}},
		{"a delay that is none", "load: {rate: 1}\ntarget:\n  lab: {delay: uniform 3s}\n", []string{`p.yaml:3:16: target.lab.delay: "uniform 3s": want "uniform LEAST MOST"`}},
		{"given twice", good + "load: {rate: 1}\n", []string{"p.yaml:3:1: load: given twice, first on line 1; remove one"}},
		{"no value", "load:\n  rate:\ntarget:\n  lab:\n", []string{
			"p.yaml:2:8: load.rate: has no value; give one or remove it",
			"p.yaml:4:8: target.lab: has no value; write {} for the defaults, or remove it",
			"p.yaml:3:1: target.url: there is no target; set target.url, for example to http://127.0.0.1:8080/, or target.file or target.lab",
		}},
		{"sections left empty", good + "pool:\nexpect:\nremedies:\n", nil},
		{"null is nothing", good + "source: null\npool: {expiry: null}\n", nil},
		{"a list for a section", good + "pool: [1]\n", []string{"p.yaml:3:7: pool: is a list; a mapping of keys to values belongs here"}},
		{"a section for a value", good + "client: {a: 1}\n", []string{"p.yaml:3:9: client: is a mapping; a single value belongs here"}},
		{"a word for it all", "quick", []string{"p.yaml:1:1: is a single value; a mapping of keys to values belongs here"}},
		{"two documents", good + "---\nload: {}\n", []string{"p.yaml:4:1: a second document begins here; keep one per file"}},
		{"anchors", good + "pool: &p {max_idle: 1}\n", []string{"p.yaml:3:7: pool: anchors, aliases and merge keys are not supported; write the value out"}},
		{"merge keys", good + "pool:\n  <<: {max_idle: 1}\n", []string{"p.yaml:4:3: pool: a key must be a plain word, without anchors, tags or <<"}},
		{"tags", good + "name: !!str x\n", []string{"p.yaml:3:7: name: tags are not supported; remove !!str"}},
		{"not YAML", "load: [1\n", []string{"p.yaml:1:7: not YAML: sequence end token ']' not found"}},
		{"deep", strings.Repeat("[", 1000), []string{"p.yaml:1:41: nested too deep"}},
		{"a deep list", strings.Repeat("- ", 1000), []string{"p.yaml:1:81: nested too deep"}},
		{"long", "# " + strings.Repeat("x", strictyaml.MaxSize), []string{"p.yaml: longer than 65536 bytes; put large bodies into a target file (target.file)"}},
		{"not text", "name: \xff", []string{"p.yaml: not UTF-8 text"}},
		{"sections complain with their lines", `
client: policy2
load:
  rate: 1
  arrivals:
    process: ramp
    gap_min: 1ms
  max_in_flight: 0
pool:
  sweep_every: 1s
target:
  url: ftp://x/
  method: "G T"
  headers: {A B: x, X-A: "\x01", x-a: b, content-length: 3}
  format: http
  tls: {insecure: true, ca_file: x}
  tcp: {keep_alive: -1s}
  link:
    delay: 2h
expect:
  failures: many
  failurs: 0
`, []string{
			`p.yaml:2:1: client: "policy2" is none of policy, stock, external`,
			"p.yaml:8:3: load.max_in_flight: 0 is below 1; set how many exchanges may be in flight, for example 1000",
			"p.yaml:7:5: load.arrivals.gap_min: has no effect, because process is ramp; set process: uniform or remove it",
			"p.yaml:5:3: load.arrivals.to: a ramp needs the rate it ends at, above 0 and at most 1e9/s; set it, for example to 400/s",
			"p.yaml:10:3: pool.sweep_every: has no effect, because expiry does not contain sweep; add sweep to expiry or remove it",
			`p.yaml:12:3: target.url: "ftp://x/" must begin with http:// or https://`,
			`p.yaml:13:3: target.method: "G T" is not an HTTP method, such as GET`,
			"p.yaml:14:13: target.headers.A B: not a valid header name",
			"p.yaml:14:21: target.headers.X-A: the value has characters that a header cannot carry",
			"p.yaml:14:42: target.headers.content-length: kabench sets it by the body; remove it",
			"p.yaml:14:34: target.headers.x-a: the same header as X-A; remove one",
			"p.yaml:15:3: target.format: has no effect without target.file; remove it",
			"p.yaml:16:25: target.tls.ca_file: has no effect, because tls.insecure accepts any certificate; remove one",
			"p.yaml:17:9: target.tcp.keep_alive: -1s is negative (0 means off)",
			"p.yaml:19:5: target.link.delay: 2h0m0s is not between 0 and 1h0m0s",
			"p.yaml:21:3: expect.failures: " + strings.TrimPrefix(resultsSay("failures", "many"), "failures: "),
			"p.yaml:22:3: expect.failurs: " + resultsSay("failurs", "0"),
		}},
		{"a key of a remedy", good + "remedies:\n- name: b\n  set: {load.rate: 1}\n  colour: red\n", []string{
			"p.yaml:6:3: remedies.0.colour: unknown key; the keys here are name, set, expect, cost",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, complaints(t, tc.text)); diff != "" {
				t.Errorf("complaints (-want +got)\n%s", diff)
			}
		})
	}
}

func TestComplaintsAboutTargets(t *testing.T) {
	for target, want := range map[string]string{
		"{url: 'http://h/', lab: {}}":                      "target.url: target.lab is a target already; remove one (--set target.lab=null)",
		"{url: 'http://h/', file: x}":                      "target.url: target.file has the targets already; remove one",
		"{file: x, lab: {}}":                               "target.file: target.lab is a target already; remove one (--set target.lab=null)",
		"{file: x, headers: {A: b}}":                       "target.headers: not used with target.file: its targets have their own; remove them",
		"{file: x, body: b}":                               "target.body: not used with target.file: its targets have their own; remove it",
		"{file: x, format: xml}":                           `target.format: "xml" is none of http, json`,
		"{url: /path}":                                     `target.url: "/path" must begin with http:// or https://`,
		"{url: 'http:///path'}":                            `target.url: "http:///path" names no host; write it as http://127.0.0.1:8080/`,
		"{url: 'http://h:99999/'}":                         "target.url: port 99999 is not between 1 and 65535",
		"{url: 'http://h:x/'}":                             `target.url: not a URL: invalid port ":x" after host`,
		"{lab: {status: 99, fault_on: fresh}}":             "target.lab.status: 99 is not between 200 and 599\np.yaml:2:28: target.lab.fault_on: has no effect without fault; set fault or remove it",
		"{url: 'https://h/', tcp: {keep_alive: -1s}}":      "target.tcp.keep_alive: -1s is negative (0 means off)",
		"{url: 'http://h/', tls: {resume: true}}":          "target.tls.resume: has no effect, because the target does not speak TLS; remove it",
		"{lab: {}, tls: {resume: true}}":                   "target.tls.resume: has no effect, because the target does not speak TLS; remove it",
		"{lab: {tls: true}, tls: {resume: true}}":          "",
		"{url: 'https://h/', tls: {resume: true}}":         "",
		"{file: x, tls: {resume: true}}":                   "",
		"{url: 'http://u:p@h/?a=b', method: QUERY}":        "",
		"{file: x, format: json}":                          "",
		"{url: 'HTTPS://[::1]:8443/a b', tls: {}}":         "",
		"{lab: {fault: silent, fault_on: every 3}}":        "",
		"{url: 'http://h/', headers: {Connection: close}}": "",
	} {
		got := strings.Join(complaints(t, "load: {rate: 1}\ntarget: "+target+"\n"), "\n")
		if i := strings.Index(got, "target"); i >= 0 {
			got = got[i:]
		}
		if got != want {
			t.Errorf("%s:\n%s\nwant\n%s", target, got, want)
		}
	}
}

func TestRemedies(t *testing.T) {
	text := "load: {rate: 1}\ntarget: {lab: {}}\n" + `
remedies:
- set: {}
  expect: {x: 1}
- name: a
  set:
    pool.idle_timout: 3s
    target.lab.delay: 5
- name: b
  set: {load.max_in_flight: 0}
- name: c
  set: {pool: go-default-transport, target.lab: "null", target.url: "http://h/"}
`
	want := []string{
		"p.yaml:5:3: remedies.0.name: a remedy needs a name",
		"p.yaml:5:3: remedies.0.set: changes nothing; write what to set, as path: value",
		"p.yaml:6:12: remedies.0.expect.x: " + resultsSay("x", "1"),
		"p.yaml:9:5: remedies.1.set.pool.idle_timout: unknown key; did you mean pool.idle_timeout?",
		`p.yaml:10:5: remedies.1.set.target.lab.delay: "5" is neither a duration such as 20ms nor uniform, exp or normal`,
		"p.yaml:12:3: remedies.2.set: with this change, load.max_in_flight: 0 is below 1; set how many exchanges may be in flight, for example 1000",
	}
	got := complaints(t, text)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("complaints (-want +got)\n%s", diff)
	}
}

func TestManyComplaints(t *testing.T) {
	got := complaints(t, good+"pool:\n"+strings.Repeat("  wibble: 1\n", 150))
	if len(got) != 101 || got[100] != "and 50 more complaints" {
		t.Errorf("%d lines, the last is %q", len(got), got[len(got)-1])
	}
}

func TestLoadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(path, []byte("\ufeff"+good), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := LoadFile(path, []string{"load.rate=5"})
	if err != nil || p.Load.Rate != 5 {
		t.Errorf("rate %v, error %v", p, err)
	}
	if _, err := LoadFile(path+"x", nil); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path+"x") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// Without a file, complaints name none.
func TestLoadSetsAlone(t *testing.T) {
	p, err := Load("", nil, []string{"target.url=http://127.0.0.1:1/", "load.rate=300/s"})
	if err != nil || p.Load.Rate != 300 {
		t.Errorf("%+v, %v", p, err)
	}
	_, err = Load("", nil, []string{"target.url=127.0.0.1:1"})
	want := "load.rate: none is given; set it, for example to 100/s\n" +
		"--set target.url=127.0.0.1:1: a URL must begin with http:// or https://"
	if err == nil || err.Error() != want {
		t.Errorf("error\n%v\nwant\n%s", err, want)
	}
}

// Whatever is added to the profile can be set and written.
func TestEveryFieldIsSupported(t *testing.T) {
	text := reflect.TypeFor[interface{ UnmarshalText([]byte) error }]()
	own := reflect.TypeFor[interface {
		UnmarshalYAML(decode func(any) error) error
	}]()
	var check func(path string, f reflect.Type)
	check = func(path string, f reflect.Type) {
		switch p := reflect.PointerTo(f); {
		case f == reflect.TypeFor[time.Duration]() || p.Implements(text):
		case f.Kind() == reflect.Pointer:
			check(path, f.Elem())
		case f.Kind() == reflect.Struct:
			for field := range strictyaml.FieldsOf(f) {
				name, _ := strictyaml.FieldKey(field)
				if name == "" || !field.IsExported() {
					t.Errorf("%s.%s has no yaml name", path, field.Name)
				}
				check(strictyaml.Join(path, name), field.Type)
			}
		case p.Implements(own), f.Kind() == reflect.String, f.Kind() == reflect.Bool, reflect.Zero(f).CanInt(), reflect.Zero(f).CanUint(), reflect.Zero(f).CanFloat():
		case f.Kind() == reflect.Map && f.Key().Kind() == reflect.String, f.Kind() == reflect.Slice, f.Kind() == reflect.Array:
			check(path, f.Elem())
		default:
			t.Errorf("%s: a %v can be neither read nor written", path, f)
		}
	}
	check("", reflect.TypeFor[Profile]())
}
