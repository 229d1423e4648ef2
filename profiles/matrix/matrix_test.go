package matrix

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles"
)

const matrix = `# which?
profile: quick
question: Does it pay?
set: {load.rate: 50/s, target.body: null}
axes:
  pool.idle_timeout: [0, 15s, "3s"]
  pool: [default, {max_idle: 2}]
  load.arrivals:
    - {process: burst, on: 1s, off: 1s}
    - null
repeats: 3
seed: 7
cool_down: 10s
`

func TestMatrix(t *testing.T) {
	m, err := Load("m.yaml", []byte(matrix))
	if err != nil {
		t.Fatal(err)
	}
	if m.Profile != "quick" || m.Question != "Does it pay?" || m.Repeats != 3 || m.Seed != 7 || m.CoolDown != 10*time.Second || !m.Has["repeats"] || m.Has["name"] {
		t.Errorf("%+v", m)
	}
	if diff := cmp.Diff(profiles.Changes{"load.rate": "50/s", "target.body": "null"}, m.Set); diff != "" {
		t.Error(diff)
	}
	want := Axes{
		{"pool.idle_timeout", []string{"0", "15s", "3s"}, []string{"m.yaml:6:23", "m.yaml:6:26", "m.yaml:6:31"}, nil},
		{"pool", []string{"default", "{max_idle: 2}"}, []string{"m.yaml:7:10", "m.yaml:7:19"}, nil},
		{"load.arrivals", []string{"{process: burst, on: 1s, off: 1s}", "null"}, []string{"m.yaml:9:7", "m.yaml:10:7"}, nil},
	}
	if diff := cmp.Diff(want, m.Axes); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, axis := range m.Axes { // as --set would be given them
		for _, v := range axis.Values {
			p := profiles.Default()
			if err := profiles.Set(&p, axis.Path, v); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestMatrixComplaints(t *testing.T) {
	for text, want := range map[string]string{
		"":                                                  "m.yaml: is empty",
		"profile: quick":                                    "axes: which fields differ?",
		"axes: {pool.max_idle: [1, 2]}":                     "profile: which profile?",
		"profile: quik\naxes: {pool: [a]}":                  "m.yaml:1:1: profile: profile quik: no such name or file; did you mean quick?",
		"profile: quick\naxes: {pool: a}":                   "m.yaml:2:8: axes.pool: is a single value; a list of values belongs here",
		"profile: quick\naxes: {pool: []}":                  "m.yaml:2:8: axes.pool: has no values",
		"profile: quick\naxes: [pool]":                      "m.yaml:2:7: axes: is a list; a mapping",
		"profile: quick\naxes: {pool: [a]}\nrep: 1":         "m.yaml:3:1: rep: unknown key; the keys of a matrix are profile, ",
		"profile: quick\naxes: {pool: [a]}\nrepeats: 0":     "m.yaml:3:1: repeats: 0 is not at least 1",
		"profile: quick\naxes: {pool: [a]}\nrepeats: many":  `m.yaml:3:10: repeats: "many" is not a whole number`,
		"profile: quick\naxes: {pool: [a]}\ncool_down: 3":   "m.yaml:3:12: cool_down: 3 has no unit",
		"profile: quick\naxes: {pool: [a]}\ncool_down: -3s": "m.yaml:3:1: cool_down: -3s is below 0",
		"profile: quick\naxes: {pool: [a]}\naxes: {}":       "m.yaml:3:1: axes: given twice, first on line 2",
		"profile: quick\naxes: {pool: [&a b, *a]}":          "m.yaml:2:15: axes.pool: anchors",
		"profile: quick\naxes: {pool: [a]}\n---\nname: b":   "m.yaml:4:1: a second document",
		"profile: [": "m.yaml:1:10: not YAML",
		"profile: quick\nHas: {a: true}\naxes: {pool: [a]}":   "m.yaml:2:1: Has: unknown key",
		"profile: quick\n\"-\": {a: true}\naxes: {pool: [a]}": "m.yaml:2:1: -: unknown key",
	} {
		_, err := Load("m.yaml", []byte(text))
		var list profiles.Errors
		if !errors.As(err, &list) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestIsMatrix(t *testing.T) {
	for text, want := range map[string]bool{matrix: true, "axes: {}": true, "load: {rate: 400/s}\ntarget: {url: http://127.0.0.1:8080/}\n": false, "": false, "load: [": false, "7": false} {
		if got := profiles.IsMatrix([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func FuzzMatrix(f *testing.F) {
	f.Add([]byte(matrix))
	f.Add([]byte("profile: x\naxes: {a: [!t 1, |\n  b]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		profiles.IsMatrix(data)
		m, err := Load("m.yaml", data)
		if err == nil && (m.Profile == "" || len(m.Axes) == 0) {
			t.Errorf("%q: %+v", data, m)
		}
	})
}

// A pool and a driver are two values of one axis: which client sends the requests. The real
// one has its own defaults, as a preset has.
func TestPoolBesideDriver(t *testing.T) {
	m := &Matrix{Profile: "idle-race", Repeats: 1, Axes: Axes{{
		Path: "client", Values: []string{"okhttp", "okhttp"}, Paths: []string{"pool", "driver"}, Sources: []string{"--pool okhttp", "--driver okhttp"},
	}}}
	plan, err := m.Plan(nil)
	if err != nil {
		t.Fatal(err)
	}
	preset, real := plan.Arms[0], plan.Arms[1]
	if preset.Name != "okhttp" || real.Name != "driver okhttp" {
		t.Errorf("%q and %q", preset.Name, real.Name)
	}
	if preset.Profile.Client != profiles.ClientPolicy || preset.Profile.Preset != "okhttp" {
		t.Errorf("the preset's client is %s, with %q", preset.Profile.Client, preset.Profile.Preset)
	}
	if d := real.Profile.Driver; real.Profile.Client != profiles.ClientExternal || d == nil || d.Name != "okhttp" {
		t.Errorf("the real client is %s, %+v", real.Profile.Client, d)
	}
	if len(real.Profile.Given) > 0 || real.Profile.Pool.LeaseOrder != pool.LIFO {
		t.Errorf("the incident's pool was kept: %v", real.Profile.Given)
	}
	if diff := cmp.Diff([]string{"pool okhttp", "driver okhttp"}, plan.Axes[0].Values); diff != "" {
		t.Error(diff)
	}
}

// An axis of a driver's setting may be written without settings.
func TestAxisOfADriversSetting(t *testing.T) {
	m := &Matrix{Profile: "idle-race", Repeats: 1, Axes: Axes{{Path: "driver.maxIdleTime", Values: []string{"none", "4s"}, Sources: []string{"", ""}}}}
	plan, err := m.Plan([]string{"driver=reactor-netty"})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"none", "4s"} {
		if arm := plan.Arms[i]; arm.Name != "maxIdleTime="+want || arm.Profile.Driver.Settings["maxIdleTime"] != want {
			t.Errorf("%s: %+v", arm.Name, arm.Profile.Driver)
		}
	}
}
