package serving

import (
	"net"
	"strings"
	"testing"
)

func listen(t *testing.T, at string) *Place {
	t.Helper()
	place, err := Listen(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { place.Close() })
	return place
}

func TestVisitors(t *testing.T) {
	everywhere := listen(t, "0.0.0.0:0")
	if everywhere.Alone() || !strings.HasPrefix(everywhere.URL(), "http://localhost:") {
		t.Errorf("%s, alone %v", everywhere.URL(), everywhere.Alone())
	}
	port := everywhere.port
	for host, want := range map[string]bool{
		"192.0.2.7:" + port: true, "[2001:db8::1]:" + port: true, "localhost:" + port: true, "attacker.example:" + port: false, "192.0.2.7": false,
	} {
		if everywhere.Welcome(host) != want {
			t.Errorf("%s is welcome: %v", host, !want)
		}
	}
}

func TestAddresses(t *testing.T) {
	for given, want := range map[string]string{":8080": "127.0.0.1:8080", "8080": "127.0.0.1:8080", ":0": "127.0.0.1:0", "0.0.0.0:80": "0.0.0.0:80", "[::1]:5": "[::1]:5", "host:5": "host:5"} {
		if host, port, err := address(given); err != nil || net.JoinHostPort(host, port) != want {
			t.Errorf("%s: %s, %s, %v", given, host, port, err)
		}
	}
	for _, given := range []string{"", ":", "host", "host:", ":65536", ":-1", ":http", "a:b:c", "http://localhost:80/"} {
		if _, err := Listen(given); err == nil || !strings.Contains(err.Error(), "write :8080") {
			t.Errorf("%q: %v", given, err)
		}
	}
	taken := listen(t, ":0")
	if _, err := Listen(":" + taken.port); err == nil || !strings.Contains(err.Error(), "give another port") {
		t.Errorf("a port that is taken: %v", err)
	}
}
