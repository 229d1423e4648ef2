package symptoms

import (
	"slices"
	"strings"
	"testing"
)

// A symptom finds the incidents that show it, and says why.
func TestFind(t *testing.T) {
	for symptom, want := range map[string]map[string]string{ // by the incident, how the reason begins
		"connect timeout":          {"nginx-upstream-mismatch": "its signature: proxy.connect_timeouts"},
		"connect/port_exhausted":   {"port-exhaustion": "its signature: failures.connect.port_exhausted"},
		"502":                      {"l7-lb-order": "its signature: statuses.502", "nginx-upstream-keepalive-timeout": "its remedy 'no retry': statuses.502", "nginx-upstream-mismatch": "its signature: statuses.504"},
		"HTTP/1.1 502 Bad Gateway": {"l7-lb-order": "its signature: statuses.502"},
		"Connection prematurely closed": {
			"before-response": "Reactor Netty writes", "idle-race": "Reactor Netty writes", "truncated": "Reactor Netty writes",
		},
		"connection prematurely closed BEFORE RESPONSE":            {"idle-race": "Reactor Netty writes", "nginx-1s": "Reactor Netty writes"},
		"Pending acquire queue has reached its maximum size of 32": {"pending-queue-full": "Reactor Netty writes", "backpressure": "Reactor Netty writes"},
		"balancer answered requests":                               {"l7-lb-order": "its question and verdict"}, // which has a status too
		"TIME_WAIT":                                                {"time-wait-shift": "its name", "port-exhaustion": "its signature: sockets.time_wait_peak"},
		"idle race":                                                {"idle-race": "its name", "idle-race-tls": "its name", "three-mitigations": "its question"},
		"EOF":                                                      {"idle-race": "Go net/http writes: EOF", "before-response": "Go net/http writes: EOF; its signature: "},
		"i/o timeout":                                              {"nat-ports": "Go net/http writes: dial tcp", "silent-drop": "Go net/http writes: read tcp"},
		"UC":                                                       {"idle-race": "Envoy writes: response flag UC", "nginx-1s": "Envoy writes: response flag UC; its signature: "},
		"503":                                                      {"idle-race": "Envoy writes: response flag UC", "l7-lb-order": "its signature: statuses.502, for which other proxies answer 503"},
		"504":                                                      {"nginx-upstream-mismatch": "its signature: statuses.504", "l7-lb-order": "its signature: statuses.502, for which"},
		"deploy":                                                   {"rolling-deploy": "its name", "dead-peer": "its group: Deploys and scaling", "scale-out-pinned": "its group: "},
		"rolling restart":                                          {"rolling-deploy": "its name"},
		"connection refused":                                       {"rolling-deploy": "Any client writes"},
		"congestion of a hash of the name of nothing": {}, "": {}, "/ .": {}, strings.Repeat("x", 3<<20): {},
	} {
		found, err := Find(symptom)
		if err != nil {
			t.Fatal(err)
		}
		if len(want) == 0 && len(found) > 0 {
			t.Errorf("%.40q finds %v", symptom, found)
		}
		for name, because := range want {
			i := slices.IndexFunc(found, func(m Match) bool { return m.Name == name })
			if i < 0 || !strings.HasPrefix(found[i].Because, because) {
				t.Errorf("%q does not find %s by %s: %v", symptom, name, because, found)
			}
		}
		if !slices.IsSortedFunc(found, func(a, b Match) int { return int(a.rank) - int(b.rank) }) {
			t.Errorf("%q: the surest is not first: %v", symptom, found)
		}
	}
}

// What a signature demands not to happen is no symptom of it: idle-race has failures.fresh: 0.
func TestNoneIsNoSymptom(t *testing.T) {
	found, err := Find("failures fresh")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range found {
		if m.Name == "idle-race" {
			t.Errorf("%+v", m)
		}
	}
}

// Two words that a text has far apart are not what the user saw: connections are in use, and so the
// next request is refused.
func TestTwoWordsBelongTogether(t *testing.T) {
	found, err := Find("connection refused")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range found {
		if m.Name == "backpressure" || m.Name == "pending-queue-full" {
			t.Errorf("%+v", m)
		}
	}
	if text := wordsOf("a connection is in use while many wait for it, and so the next was refused"); near(text, "connection", "refused") || near(text, "use", "connection") || !near(text, "connection", "many") || near(nil, "a", "b") {
		t.Error("near")
	}
}

// What log and signature show is surer than what a log alone shows.
func TestLogAndSignatureFirst(t *testing.T) {
	found, err := Find("dial tcp 10.0.0.1:80: i/o timeout")
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) int { return slices.IndexFunc(found, func(m Match) bool { return m.Name == name }) }
	if nat, nginx := at("nat-ports"), at("nginx-upstream-mismatch"); nat < 0 || nginx < nat {
		t.Errorf("%+v", found)
	}
}

func TestNearest(t *testing.T) {
	for symptom, want := range map[string]string{"delaied acknowledgment nagel": "nagle-delayed-ack", "xx": "", "": ""} {
		near, err := Nearest(symptom, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(near) > 2 || want == "" && near != nil || want != "" && (near == nil || near[0] != want) {
			t.Errorf("%q: %q", symptom, near)
		}
	}
}
