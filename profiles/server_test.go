package profiles

import (
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles/network"
	"github.com/kabench/kabench/profiles/script"
)

// A server preset is whole, as a pool's is, and starts as a lab that answers as
// it is described.
func TestServersAreWhole(t *testing.T) {
	shelved := shelf(servers.folder)
	if len(shelved) != len(Servers()) {
		t.Fatalf("%d files, %d presets", len(shelved), len(Servers()))
	}
	seen := map[string]bool{}
	for _, e := range shelved {
		p, err := parseServer(e.Name, []byte(e.Text))
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if p.Name != e.Name || p.What == "" || p.Versions == "" || p.Text() != e.Text {
			t.Errorf("%s: name %q, what %q, versions %q", e.Name, p.Name, p.What, p.Versions)
		}
		for _, name := range append([]string{p.Name}, p.Also...) {
			if seen[name] {
				t.Errorf("%s: the name %s is taken", p.Name, name)
			}
			seen[name] = true
			if found, ok := FindServer(name); !ok || found.Name != p.Name {
				t.Errorf("%s is found as %q", name, found.Name)
			}
			if script, err := LoadServer(name); err != nil || !reflect.DeepEqual(script, p.Lab) {
				t.Errorf("%s: loaded as %+v, %v", name, script, err)
			}
		}
		var set []string
		for _, section := range []string{"lab", "facts"} {
			for _, field := range pathsSet(t, e.Text, section) {
				set = append(set, section+"."+field)
			}
		}
		referenced(t, p.Name, p.References, set)
		answers(t, p)
	}
}

func answers(t *testing.T, p ServerPreset) {
	t.Helper()
	server, err := lab.Start(p.Lab, "")
	if err != nil {
		t.Errorf("%s: %v", p.Name, err)
		return
	}
	defer server.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequest(http.MethodGet, server.URL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Connection", "keep-alive")
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Errorf("%s: %v", p.Name, err)
		return
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK || response.Close != p.Lab.SayClose || response.Header.Get("Keep-Alive") != p.Lab.Hint {
		t.Errorf("%s answers %v", p.Name, response)
	}
}

// The values that make each server what it is.
func TestServerValues(t *testing.T) {
	const (
		s      = time.Second
		serve  = script.TimerServe
		fin    = script.TimerFIN
		rst    = script.TimerRST
		either = script.Either
	)
	for name, want := range map[string]struct {
		idle        time.Duration
		timer       script.TimerVsData
		after       script.AfterFIN
		maxRequests int
		hint        string
	}{
		"nginx":                {75 * s, rst, 0, 1000, ""},
		"apache-httpd":         {5 * s, fin, script.AfterFIN(2 * s), 101, "timeout=5, max=100"},
		"lighttpd":             {5 * s, fin, script.AfterFIN(5 * s), 1001, ""},
		"tomcat":               {20 * s, fin, script.AfterFIN(s), 100, "timeout=20"},
		"tomcat-nio2":          {20 * s, serve, 0, 100, "timeout=20"},
		"spring-boot":          {60 * s, fin, script.AfterFIN(s), 100, "timeout=60"},
		"spring-boot-jetty":    {30 * s, serve, script.AfterFIN(30 * s), 0, ""},
		"spring-boot-undertow": {60 * s, rst, 0, 0, ""},
		"spring-boot-netty":    {0, either, 0, 0, ""},
		"jetty":                {30 * s, serve, script.AfterFIN(30 * s), 0, ""},
		"node":                 {5 * s, rst, 0, 0, "timeout=5"},
		"go":                   {0, serve, 0, 0, ""},
		"gunicorn":             {2 * s, rst, 0, 0, ""},
		"gunicorn-sync":        {0, either, 0, 0, ""},
		"uvicorn":              {5 * s, rst, 0, 0, ""},
		"hypercorn":            {5 * s, either, 0, 1000, ""},
		"hypercorn-0.13":       {0, either, 0, 1, ""},
		"puma":                 {65 * s, serve, 0, 999, ""},
		"puma-6":               {20 * s, serve, 0, 0, ""},
		"haproxy":              {50 * s, serve, 0, 0, ""},
		"varnish":              {5 * s, serve, 0, 0, ""},
		"caddy":                {300 * s, serve, 0, 0, ""},
		"aws-alb":              {60 * s, either, 0, 0, ""},
		"envoy":                {3600 * s, either, 0, 0, ""},
		"istio-sidecar":        {3600 * s, either, 0, 0, ""},
		"ingress-nginx":        {75 * s, rst, 0, 1000, ""},
		"f5-bigip":             {300 * s, either, 0, 0, ""},
		"citrix-adc":           {180 * s, either, 0, 0, ""},
		"gcp-lb":               {610 * s, either, 0, 0, ""},
		"gcp-lb-backend":       {600 * s, either, 0, 0, ""},
		"cloudflare":           {400 * s, either, 0, 0, ""},
	} {
		p, found := FindServer(name)
		if !found {
			t.Errorf("there is no %s", name)
			continue
		}
		if c := p.Lab; c.IdleTimeout != want.idle || c.TimerVsData != want.timer || c.AfterFIN != want.after || c.MaxRequests != want.maxRequests || c.Hint != want.hint {
			t.Errorf("%s: %+v, want %+v", name, c, want)
		}
	}
	for name, want := range map[string]ServerFacts{
		"aws-nlb":              {IdleTimeout: 350 * s, Silent: true, AtExpiry: script.ResetNext},
		"aws-nat-gateway":      {IdleTimeout: 350 * s, Silent: true, AtExpiry: script.ResetNext, Ports: 55000, PortReuse: 60 * s},
		"aws-network-firewall": {IdleTimeout: 350 * s, Silent: true, AtExpiry: script.Drop},
		"azure-lb":             {IdleTimeout: 240 * s, Silent: true, AtExpiry: script.Drop},
		"azure-lb-tcp-reset":   {PassesOn: true, AtExpiry: script.Reset},
		"azure-nat-gateway":    {IdleTimeout: 240 * s, Silent: true, AtExpiry: script.ResetNext, Ports: 50000, PortReuse: 65 * s},
		"gcp-cloud-nat":        {IdleTimeout: 1200 * s, Silent: true, AtExpiry: script.Drop, Ports: 64, PortsPer: network.PortsPerClient, PortReuse: 120 * s},
		"gcp-nlb":              {IdleTimeout: 60 * s, Silent: true, AtExpiry: script.Reroute},
		"gcp-nlb-internal":     {IdleTimeout: 600 * s, Silent: true, AtExpiry: script.Reroute},
		"gcp-lb":               {UpstreamIdle: 600 * s},
		"cloudflare":           {UpstreamIdle: 900 * s},
		"kube-proxy":           {IdleTimeout: 24 * 3600 * s, Silent: true, AtExpiry: script.Reroute, Table: 131072, Propagation: 10 * s},
		"kube-proxy-ipvs":      {IdleTimeout: 900 * s, Silent: true, AtExpiry: script.ResetNext, Propagation: 10 * s},
		"f5-bigip-fastl4":      {PassesOn: true, AtExpiry: script.Reset},
		"citrix-adc":           {UpstreamIdle: 360 * s},
		"tomcat":               {MaxConnections: 8192, Threads: 200, Backlog: 100},

		"spring-boot":          {MaxConnections: 8192, Threads: 200, Backlog: 100},
		"spring-boot-jetty":    {Threads: 200, Backlog: 50},
		"spring-boot-undertow": {Backlog: 1000},
		"spring-boot-netty":    {IdleForEver: true, Backlog: 4096},
	} {
		p, _ := FindServer(name)
		got := p.Facts
		got.MaxConnections += p.Lab.MaxConnections
		got.Threads += p.Lab.Threads
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

func TestLoadServerFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	want := script.Server{IdleTimeout: 3 * time.Second, AfterFIN: script.AfterFIN(time.Second)}
	for name, text := range map[string]string{
		"bare.yaml":     "idle_timeout: 3s\nafter_fin: drain 1s\n",
		"document.yaml": "name: mine\nwhat: a server\nlab: {idle_timeout: 3s, after_fin: drain 1s}\nfacts: {backlog: 5}\n",
		"profile.yaml":  "load: {rate: 1}\ntarget: {lab: {idle_timeout: 3s, after_fin: drain 1s}}\n",
	} {
		if got, err := LoadServer(write(name, text)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for text, complaint := range map[string]string{
		"idle_timout: 3s\n":                                           ":1:1: idle_timout: unknown key; did you mean idle_timeout?",
		"lab:\n  idle_timeout: -3s\n":                                 ":2:3: lab.idle_timeout: -3s is negative (0 means for ever)",
		"lab: {}\nfacts:\n  backlog: -3\n":                            ":3:3: facts.backlog: -3 is negative (0 means not known)",
		"load: {rate: 1}\ntarget: {url: http://h/}\n":                 ": target.lab: is not there, so the profile has no server of its own; give target.lab",
		"load: {rate: 1}\nserver: {backlog: -3}\ntarget: {lab: {}}\n": ":2:10: server.backlog: -3 is negative (0 means not known)",
		"": ": is empty; write the lab's parameters",
	} {
		path := write("bad.yaml", text)
		if _, err := LoadServer(path); err == nil || err.Error() != path+complaint {
			t.Errorf("%q: error\n%v, want\n%s", text, err, path+complaint)
		}
	}
	for name, hint := range map[string]string{
		"tomcta": "did you mean tomcat?", "istio": "did you mean istio-sidecar?", "Istio": "did you mean istio-sidecar?",
		"nat": "did you mean aws-nat-gateway, or azure-nat-gateway, or gcp-cloud-nat?", "proxy": "did you mean haproxy, or kube-proxy-iptables, or kube-proxy-ipvs?",
		"lb": "'kabench servers' lists them", "": "'kabench servers' lists them",
	} {
		_, err := LoadServer(name)
		if want := "server " + name + ": no such name or file; " + hint; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("unknown server: error %v, want %s", err, want)
		}
	}
}

func TestSetLab(t *testing.T) {
	p := Default()
	if err := Set(&p, "target.lab", "tomcat"); err != nil || p.Target.Lab == nil || p.Target.Lab.MaxRequests != 100 {
		t.Fatalf("%+v, %v", p.Target.Lab, err)
	}
	if err := Set(&p, "target.lab.idle_timeout", "2s"); err != nil || p.Target.Lab.IdleTimeout != 2*time.Second || p.Target.Lab.MaxRequests != 100 {
		t.Errorf("%+v, %v", p.Target.Lab, err)
	}
	if err := Set(&p, "target.lab", "tomcta"); err == nil || !strings.Contains(err.Error(), "did you mean tomcat?") || p.Target.Lab.MaxRequests != 100 {
		t.Errorf("%+v, %v", p.Target.Lab, err)
	}
	if err := Set(&p, "target.lab", "{idle_timeout: 1s}"); err != nil || p.Target.Lab.IdleTimeout != time.Second {
		t.Errorf("%+v, %v", p.Target.Lab, err)
	}
}

// What contradicts itself about a device on the way is refused.
func TestFactsOfAWay(t *testing.T) {
	for text, want := range map[string]string{
		"at_expiry: drop":                    "at_expiry: drop is silent; set silent: true",
		"silent: true, at_expiry: fin":       "at_expiry: fin contradicts silent",
		"at_expiry: rts":                     "did you mean rst",
		"passes_on: true, upstream_idle: 1s": "upstream_idle: contradicts",
		"port_reuse: 1s":                     "ports: port_reuse and ports_per have no effect",
		"ports: -1":                          "ports: -1 is negative",
		"keep_alive: -1s":                    "keep_alive: -1s is negative",
		"table: -1":                          "table: -1 is negative",
		"drain: -1s":                         "drain: -1s is negative",
	} {
		p := Default()
		err := Set(&p, "via", "{"+text+"}")
		if err == nil {
			err = p.ValidateFacts()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", text, err, want)
		}
	}
	// A script that resets idle connections says so.
	f := ServerFacts{}
	if f.Take(script.Server{IdleTimeout: time.Second, Fault: script.ResetOnIdle}); f.AtExpiry != script.Reset {
		t.Errorf("%+v", f)
	}
}

// A measurement that cannot be is refused, with its place.
func TestMeasuredThatCannotBe(t *testing.T) {
	for text, want := range map[string]string{
		"closes: -1":              "measured.closes",
		"idle_min: -5s":           "measured.idle_min",
		"idle: [5s, -1s]":         "measured.idle",
		"idle_slack: -1ms":        "measured.idle_slack",
		"longer_than: -1s":        "measured.longer_than",
		"round_trip: -1ms":        "measured.round_trip",
		"response_max: -1ms":      "measured.response",
		"idle_min: 5s, closes: 2": "measured.idle_median",
	} {
		file := filepath.Join(t.TempDir(), "server.yaml")
		if err := os.WriteFile(file, []byte("lab: {idle_timeout: 5s}\nmeasured: {"+text+"}\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadServer(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", text, err, want)
		}
	}
}
