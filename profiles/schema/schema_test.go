package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/matrix"
)

// The schemas are those that the source makes, and each of their fields is described.
func TestSchemasAreFresh(t *testing.T) {
	for _, kind := range Names() {
		made := makeSchema(t, kind)
		if os.Getenv("KABENCH_SCHEMA") == "write" {
			if err := os.WriteFile(file(kind), made, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if !bytes.Equal(made, []byte(Text(kind))) {
			t.Errorf("%s is stale; write it again: KABENCH_SCHEMA=write go test ./profiles/schema", file(kind))
		}
		var document any
		if err := json.Unmarshal(made, &document); err != nil {
			t.Fatal(err)
		}
		for _, path := range undescribed("", document) {
			t.Errorf("%s: %s has no description; write a comment for the field of the struct", kind, path)
		}
	}
}

// undescribed lists the properties below v that have no description.
func undescribed(path string, v any) (paths []string) {
	object, _ := v.(map[string]any)
	properties, _ := object["properties"].(map[string]any)
	for key, property := range properties {
		if one, ok := property.(map[string]any); !ok || one["description"] == nil {
			paths = append(paths, path+"/"+key)
		}
	}
	for key, within := range object {
		paths = append(paths, undescribed(path+"/"+key, within)...)
	}
	if list, ok := object["anyOf"].([]any); ok {
		for _, within := range list {
			paths = append(paths, undescribed(path, within)...)
		}
	}
	return paths
}

// validators are the schemas as they are kept, compiled.
func validators(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	all := map[string]*jsonschema.Schema{}
	for _, kind := range Names() {
		document, err := jsonschema.UnmarshalJSON(strings.NewReader(Text(kind)))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource("urn:kabench:"+kind, document); err != nil {
			t.Fatal(err)
		}
		if all[kind], err = c.Compile("urn:kabench:" + kind); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// valid validates YAML as an editor does: as the values that YAML knows.
func valid(s *jsonschema.Schema, text []byte) error {
	var document any
	if err := yaml.Unmarshal(text, &document); err != nil {
		return err
	}
	asJSON, err := json.Marshal(document)
	if err != nil {
		return err
	}
	return validJSON(s, asJSON)
}

func validJSON(s *jsonschema.Schema, text []byte) error {
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(instance)
}

// load reads a file of a kind as kabench does.
func load(t *testing.T, kind string, text []byte) error {
	t.Helper()
	var err error
	switch kind {
	case "profile":
		_, err = profiles.Load("file.yaml", text, nil)
	case "matrix":
		_, err = matrix.Load("file.yaml", text)
	default:
		path := filepath.Join(t.TempDir(), "file.yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if kind == "pool" {
			_, err = profiles.ReadPool(path)
		} else {
			_, err = profiles.ReadServer(path)
		}
	}
	return err
}

// shipped are the files that come with kabench, and those of documents.
func shipped(t *testing.T) map[string][][]byte {
	t.Helper()
	all := map[string][][]byte{}
	for _, from := range []struct{ pattern, kind string }{
		{"../incidents/*.yaml", "profile"}, {"../examples/*.yaml", "profile"}, {"../template.yaml", "profile"}, {"../pools/*.yaml", "pool"}, {"../servers/*.yaml", "server"},
	} {
		kind := from.kind
		names, err := filepath.Glob(from.pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v", from.pattern, err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all[kind] = append(all[kind], text)
			if p, err := profiles.Load(name, text, nil); err == nil { // as results have it
				written, err := profiles.Marshal(p)
				if err != nil {
					t.Fatal(err)
				}
				all[kind] = append(all[kind], written)
				all["pool"], all["server"] = append(all["pool"], text), append(all["server"], text)
			}
		}
	}
	all["matrix"] = append(all["matrix"], []byte(matrixFile))
	return all
}

const matrixFile = `
profile: idle-race
name: mine
question: Which timeout?
repeats: 5
seed: 7
cool_down: 2s
set: {load.rate: 300/s, pool.max_conns: 10}
axes:
  pool.idle_timeout: [0, 500ms, null]
  pool: [okhttp, {preset: reactor-netty, max_conns: 5}]
`

// Every file that kabench reads without a complaint fits its schema.
func TestShippedFilesFit(t *testing.T) {
	schemas, n := validators(t), 0
	for kind, texts := range shipped(t) {
		for _, text := range texts {
			if load(t, kind, text) != nil {
				continue // a profile without target.lab is no server
			}
			n++
			if err := valid(schemas[kind], text); err != nil {
				t.Errorf("%s: %v\n%s", kind, err, text)
			}
		}
	}
	if n < 150 {
		t.Errorf("only %d files were checked", n)
	}
}

// What kabench reads in a form of its own fits as well.
func TestOwnFormsFit(t *testing.T) {
	schemas := validators(t)
	const rest = "load: {rate: 5/s}\ntarget: {url: http://a/}\n"
	for text, kind := range map[string]string{
		rest: "profile",
		"load: {rate: '1_000'}\ntarget: {url: http://a/}\nclient: stock":                                                         "profile",
		"load: {rate: 400}\ntarget: {url: http://a/}\npool: okhttp":                                                              "profile",
		"load: {rate: '24000/m', timeout: 0, seed: '7'}\ntarget: {url: http://a/}":                                               "profile",
		"load: {rate: 5/s, arrivals: poisson, duration: 1m30s, max_in_flight: '10'}\ntarget: {url: http://a/}\nname: 5":          "profile",
		rest + "pool: {preset: reactor-netty, max_conns: none, max_idle: -1, expiry: sweep, sweep_every: 1s}":                    "profile",
		rest + "pool: {max_conns: 0, expiry: [lease, timer], resend: [{after: partial, methods: '!POST LOCK', on: null}]}":       "profile",
		"load: {rate: 5/s}\ntarget: {lab: tomcat, at: null}":                                                                     "profile",
		"load: {rate: 5/s}\ntarget: {lab: {preset: tomcat, delay: uniform 10ms 30ms, after_fin: drain 2s, fault: null}}":         "profile",
		rest + "server: tomcat\nvia: {preset: aws-alb, idle_timeout: 60s}\nexpect: {failures: 0, error_answers: '< 5'}\nsays:":   "profile",
		rest + "remedies: [{name: a, set: {pool.idle_timeout: 3s, pool.max_conns: 5, target.lab: null}, expect: {failures: 0}}]": "profile",
		"load: {rate: 5/s}\ntarget: {lab: {fault: silent, fault_on: every 3}, on: server}\nnetwork: {hosts: [{name: server, port_range: [2000, 3000]}], subnet: 10.1.2.0/24, links: [{between: [client, server], delay: 5ms, loss: 0.1, rules: [{flags: S., from: server, times: 1, do: rst}]}]}": "profile",
		"max_conns: 5\nidle_timeout: 3s":       "pool",
		"okhttp":                               "pool",
		"pool: {preset: okhttp, max_conns: 3}": "pool",
		"name: a\npool: {}\ncannot: [a, {what: b, stories: [c]}]\nsettings: {max_conns: [{in: Java, set: 'x({n})', values: {none: -1}, versions: 1.0, source: a}]}": "pool",
		"idle_timeout: 5s\ntls: TRUE": "server",
		"lab: {idle_timeout: 5s}\nmeasured: {url: http://a/, from: probe, at: 2026-01-02T03:04:05Z, closes: 0, idle: [1s, 2s]}": "server",
	} {
		if err := load(t, kind, []byte(text)); err != nil {
			t.Errorf("kabench refuses this %s: %v\n%s", kind, err, text)
		}
		if err := valid(schemas[kind], []byte(text)); err != nil {
			t.Errorf("%s: %v\n%s", kind, err, text)
		}
	}
}

// What kabench refuses because of how it is written, the schema refuses too.
func TestMistakesAreRefused(t *testing.T) {
	schemas := validators(t)
	const load0, target = "load: {rate: 5/s}\n", "target: {url: http://a/}\n"
	for text, kind := range map[string]string{
		"laod: {rate: 5/s}\n" + target:                                                   "profile",
		"load: {rate: 5/s, duraton: 3s}\n" + target:                                      "profile",
		"load: {rate: 5/s, duration: 30}\n" + target:                                     "profile",
		"load: {rate: 5/s, duration: '30'}\n" + target:                                   "profile",
		"load: {rate: 5/s, duration: 30 s}\n" + target:                                   "profile",
		"load: {rate: 5/s, duration: 3d}\n" + target:                                     "profile",
		"load: {rate: 5/s, duration: true}\n" + target:                                   "profile",
		"load: {rate: 5/s, duration: [3s]}\n" + target:                                   "profile",
		"load: {rate: 5/d}\n" + target:                                                   "profile",
		"load: {rate: fast}\n" + target:                                                  "profile",
		"load: {rate: 0}\n" + target:                                                     "profile",
		"load: {rate: 5/s, count: -1}\n" + target:                                        "profile",
		"load: {rate: 5/s, count: 1.5}\n" + target:                                       "profile",
		"load: {rate: 5/s, max_in_flight: many}\n" + target:                              "profile",
		"load: {rate: 5/s, arrivals: possion}\n" + target:                                "profile",
		"load: {rate: 5/s, arrivals: {process: burst, of: 1s}}\n" + target:               "profile",
		"load: fast\n" + target:                                                          "profile",
		"load: [{rate: 5/s}]\n" + target:                                                 "profile",
		load0 + target + "client: {a: b}":                                                "profile",
		load0 + target + "pool: okhtpp":                                                  "profile",
		load0 + target + "pool: {preset: okhtpp}":                                        "profile",
		load0 + target + "pool: {max_conns: lots}":                                       "profile",
		load0 + target + "pool: {lease_order: filo}":                                     "profile",
		load0 + target + "pool: {lease_order: LIFO}":                                     "profile",
		load0 + target + "pool: {late_bind: yes}":                                        "profile",
		load0 + target + "pool: {late_bind: 1}":                                          "profile",
		load0 + target + "pool: {expiry: [leese]}":                                       "profile",
		load0 + target + "pool: {resend: {after: eof}}":                                  "profile",
		load0 + target + "pool: {resend: [{after: eof, method: all}]}":                   "profile",
		load0 + "target: {url: http://a/, headers: [a]}":                                 "profile",
		load0 + "target: {url: http://a/, tls: true}":                                    "profile",
		load0 + "target: {url: [http://a/]}":                                             "profile",
		load0 + "target: {lab: tomcta}":                                                  "profile",
		load0 + "target: {lab: {delay: 20}}":                                             "profile",
		load0 + "target: {lab: {delay: unifrom 1ms 2ms}}":                                "profile",
		load0 + "target: {lab: {delay: uniform 1ms}}":                                    "profile",
		load0 + "target: {lab: {fault_on: every}}":                                       "profile",
		load0 + "target: {lab: {after_fin: drain}}":                                      "profile",
		load0 + "target: {lab: {fault: slient}}":                                         "profile",
		load0 + "target: {lab: {body: 1k}}":                                              "profile",
		load0 + "target: {lab: {}}\nnetwork: {hosts: [{name: server, port_range: [1]}]}": "profile",
		load0 + "target: {lab: {}}\nnetwork: {hosts: [{name: server}], subnet: ten}":     "profile",
		load0 + "target: {lab: {}}\nnetwork: {hosts: server}":                            "profile",
		load0 + "target: {lab: {}}\nnetwork: {hosts: [{name: server}], links: [{between: [client, server], rules: [{flags: X}]}]}":        "profile",
		load0 + "target: {lab: {}}\nnetwork: {hosts: [{name: server}], links: [{between: [client, server], rules: [{dst_port: 70000}]}]}": "profile",
		load0 + target + "server: {idle_timeout: 60}":        "profile",
		load0 + target + "expect: {failures: [0]}":           "profile",
		load0 + target + "remedies: [{nam: a}]":              "profile",
		load0 + target + "warnings: [a]":                     "profile",
		"- load":                                             "profile",
		"profile: idle-race\naxes: {pool.idle_timeout: 3s}":  "matrix",
		"profile: idle-race\naxes: {pool.idle_timeout: []}":  "matrix",
		"profile: idle-race\naxes: [a]":                      "matrix",
		"profile: idle-race\naxis: {a: [1]}\naxes: {a: [1]}": "matrix",
		"profile: idle-race\naxes: {a: [1]}\nrepeats: many":  "matrix",
		"profile: idle-race\naxes: {a: [1]}\ncool_down: 5":   "matrix",
		"max_con: 5":                         "pool",
		"idle_timeout: 5":                    "pool",
		"name: a\npool: {max_con: 5}":        "pool",
		"nam: a\npool: {}":                   "pool",
		"okhtpp":                             "pool",
		"idle_timeout: 6":                    "server",
		"idle_timout: 5s":                    "server",
		"lab: {idle_timout: 5s}":             "server",
		"lab: {}\nmeasured: {at: yesterday}": "server",
	} {
		if err := load(t, kind, []byte(text)); err == nil {
			t.Errorf("kabench takes this %s:\n%s", kind, text)
		}
		if err := valid(schemas[kind], []byte(text)); err == nil {
			t.Errorf("the schema takes this %s:\n%s", kind, text)
		}
	}
}

func ExampleText() {
	fmt.Println(len(Text("profile")) > 0, Text("report") == "")
	// Output: true true
}
