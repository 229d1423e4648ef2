package profiles

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A driver is checked with its place and the fix, before it is started.
func TestDriverComplaints(t *testing.T) {
	const lab = "load: {rate: 1/s}\ntarget: {lab: {}}\n"
	for name, c := range map[string]struct {
		text string
		sets []string
		want string
	}{
		"no driver":        {"client: external\n", nil, "p.yaml: driver: client: external needs a driver; set driver.name"},
		"no client":        {"driver: {name: okhttp}\n", nil, "p.yaml:1:1: driver: has no effect with client: policy; set client: external or remove it"},
		"two":              {"client: external\ndriver: {name: okhttp, command: ./d}\n", nil, "p.yaml:2:24: driver.command: driver.name is a driver already; remove one"},
		"neither":          {"client: external\ndriver: {settings: {a: 1}}\n", nil, "p.yaml:2:1: driver.name: there is no driver"},
		"unknown key":      {"client: external\ndriver: {nam: okhttp}\n", nil, "p.yaml:2:10: driver.nam: unknown key; did you mean name?"},
		"a list":           {"client: external\ndriver: {name: okhttp, settings: {a: [1]}}\n", nil, "driver.settings.a: is a list; a single value belongs here"},
		"a bad name":       {"client: external\ndriver: {name: okhttp, settings: {\"a b\": 1}}\n", nil, "is not the name of a setting"},
		"a command's name": {"client: external\ndriver: {name: ./okhttp}\n", nil, `driver.name: "./okhttp" is no name; write it as driver.command`},
		"empty":            {"client: external\ndriver: {name: okhttp, settings: {a: \"\"}}\n", nil, "driver.settings.a: is empty; give a value, none for no limit, or remove it"},
		"pipeline":         {"", []string{"driver=okhttp", "target.pipeline=3"}, "--set target.pipeline=3: a real client sends one request at a time"},
		"nagle":            {"", []string{"driver=okhttp", "target.tcp.nagle=true"}, "--set target.tcp.nagle=true: a real client sets its own socket options"},
		"setting alone":    {"", []string{"driver.maxIdleTime=4s"}, "driver: has no effect with client: policy"},
	} {
		_, err := Load("p.yaml", []byte(c.text+lab), c.sets)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}

// A driver is set by a name or a command, and its settings are set by their own names.
func TestSetDriver(t *testing.T) {
	for _, c := range []struct {
		sets []string
		want Driver
	}{
		{[]string{"driver=okhttp"}, Driver{Name: "okhttp"}},
		{[]string{"driver=./mine"}, Driver{Command: "./mine"}},
		{[]string{"driver=python3 mine.py 'a: b'"}, Driver{Command: "python3 mine.py 'a: b'"}},
		{[]string{"driver=okhttp", "driver.maxIdleTime=4s"}, Driver{Name: "okhttp", Settings: Changes{"maxIdleTime": "4s"}}},
		{[]string{"driver=okhttp", "driver.settings.a.b=none"}, Driver{Name: "okhttp", Settings: Changes{"a.b": "none"}}},
		{[]string{"driver=okhttp", "driver.keepAlive=null"}, Driver{Name: "okhttp", Settings: Changes{"keepAlive": "null"}}},
		{[]string{"client=external", "driver={name: okhttp, settings: {n: 16, on: true}}"}, Driver{Name: "okhttp", Settings: Changes{"n": "16", "on": "true"}}},
	} {
		p, err := Load("p.yaml", []byte("load: {rate: 1/s}\ntarget: {lab: {}}\n"), c.sets)
		if err != nil {
			t.Errorf("%v: %v", c.sets, err)
			continue
		}
		if diff := cmp.Diff(&c.want, p.Driver); diff != "" || p.Client != ClientExternal {
			t.Errorf("%v: %s\n%s", c.sets, p.Client, diff)
		}
		text, err := Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Load("again.yaml", text, nil)
		if err != nil {
			t.Errorf("%v: %v\n%s", c.sets, err, text)
			continue
		}
		if diff := cmp.Diff(p.Driver, again.Driver); diff != "" {
			t.Errorf("%v: it is not read as it was written\n%s", c.sets, diff)
		}
	}
}

// A remedy that only kabench's own client can do does not keep an incident from being run
// with a real one.
func TestRemedyThatNoDriverCanDo(t *testing.T) {
	p, err := Open("silent-drop", []string{"driver=okhttp"})
	if err != nil {
		t.Fatal(err)
	}
	cannot := 0
	for _, r := range p.Remedies {
		changed, err := p.With(r)
		if err != nil {
			t.Fatal(err)
		}
		if changed.CannotSend() != "" {
			cannot++
		}
	}
	if cannot != 1 {
		t.Errorf("%d remedies cannot be done by a real client, want that with target.tcp.keep_alive", cannot)
	}
}

// An incident that a real client cannot run says why.
func TestIncidentsWithADriver(t *testing.T) {
	var cannot []string
	for _, e := range Incidents() {
		if _, err := Open(e.Name, []string{"driver=okhttp"}); err != nil {
			for line := range strings.Lines(err.Error()) {
				if !strings.Contains(line, "a real client") {
					t.Errorf("%s: %s", e.Name, line)
				}
			}
			cannot = append(cannot, e.Name)
		}
	}
	if diff := cmp.Diff([]string{"nagle-delayed-ack", "pool-leak"}, cannot); diff != "" {
		t.Error(diff)
	}
}

// What looks like a credential in a command or in a setting is not shown.
func TestDriverSecrets(t *testing.T) {
	p, err := Load("p.yaml", []byte("load: {rate: 1/s}\ntarget: {lab: {}}\nquestion: is hunter22 shown?\n"),
		[]string{"driver=./mine --password=hunter22", "driver.apiKey=swordfish"})
	if err != nil {
		t.Fatal(err)
	}
	shown := Redact(*p)
	text, err := Marshal(&shown)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hunter22", "swordfish"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("%s is shown:\n%s", secret, text)
		}
	}
	if p.Driver.Settings["apiKey"] != "swordfish" {
		t.Error("the profile itself was changed")
	}
	for path, value := range RedactChange(map[string]string{"driver": "./mine --password=hunter22", "driver.apiKey": "swordfish"}) {
		if strings.Contains(value, "hunter22") || strings.Contains(value, "swordfish") {
			t.Errorf("%s=%s", path, value)
		}
	}
}

// A driver that is set by a path makes the client a real one, as --driver does.
func TestSetDriverByPath(t *testing.T) {
	for set, want := range map[string]string{"driver.name=okhttp": "okhttp", "driver.command=./mine x": "./mine x"} {
		p, err := Load("", []byte("load: {rate: 1/s}\ntarget: {lab: {}}\n"), []string{set})
		if err != nil || p.Client != ClientExternal || p.Driver.String() != want {
			t.Errorf("%s: %v, %+v", set, err, p)
		}
	}
}

// Where a field of the pool was set decides whether a client may lack it.
func TestGiven(t *testing.T) {
	text := []byte("load: {rate: 1/s}\ntarget: {lab: {}}\npool:\n  idle_timeout: 0s\n  lease_order: fifo\n")
	p, err := Load("mine.yaml", text, []string{"driver=okhttp", "pool.max_conns=8"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Place{
		"pool.idle_timeout": {Text: "mine.yaml:4:3", Mine: true, Usual: true},
		"pool.lease_order":  {Text: "mine.yaml:5:3", Mine: true},
		"pool.max_conns":    {Text: "--set pool.max_conns=8", Mine: true},
	}
	if diff := cmp.Diff(want, p.Given); diff != "" {
		t.Error(diff)
	}
	// kabench itself has written what has a forecast, with every field of the preset.
	text = []byte("load: {rate: 1/s}\ntarget: {lab: {}}\npool: {preset: go-tuned, lease_order: lifo, max_lifetime: 3s}\nforecast: {path: failures, mean: 1, low: 1, high: 1}\n")
	if p, err = Load("mine.yaml", text, []string{"driver=okhttp"}); err != nil {
		t.Fatal(err)
	}
	if order, most := p.Given["pool.lease_order"], p.Given["pool.max_lifetime"]; !order.Usual || order.Mine || most.Usual || most.Mine {
		t.Errorf("a file with a forecast: %+v, %+v", order, most)
	}
	p, err = Open("idle-race", []string{"driver=okhttp"})
	if err != nil {
		t.Fatal(err)
	}
	if place := p.Given["pool.lease_order"]; place.Mine || place.Usual || place.Text == "" {
		t.Errorf("an incident of the library: %+v", place)
	}
	if remedied, err := p.With(p.Remedies[0]); err != nil || remedied.Given["pool.idle_timeout"].Mine {
		t.Errorf("a remedy became the user's: %v, %v", remedied.Given, err)
	}
}
