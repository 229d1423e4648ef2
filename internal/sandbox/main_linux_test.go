package sandbox

import (
	"context"
	"fmt"
	"maps"
	"os"
	"testing"

	"github.com/kabench/kabench/profiles/network"
)

// unavailable is why there is no sandbox to test in.
var unavailable error

// TestMain runs the tests inside a sandbox, and holds that what they do there
// leaves the settings outside alone.
func TestMain(m *testing.M) {
	if what := os.Getenv(helperVariable); what != "" {
		os.Exit(helper(what))
	}
	if Inside() {
		os.Exit(m.Run())
	}
	if unavailable = Available(); unavailable != nil {
		os.Exit(m.Run())
	}
	before := settings()
	code, err := Reexec(context.Background(), os.Args, Stdio{os.Stdin, os.Stdout, os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if after := settings(); !maps.Equal(before, after) {
		fmt.Fprintf(os.Stderr, "the tests changed the settings outside the sandbox from %q to %q\n", before, after)
		code = 1
	}
	os.Exit(code)
}

// settings are those that the tests set for their own hosts.
func settings() map[string]string {
	values := map[string]string{}
	for _, key := range []string{
		"net.ipv4.ip_local_port_range", "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_slow_start_after_idle",
		"net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.default.disable_ipv6",
	} {
		b, err := os.ReadFile(sysctlPath(key))
		values[key] = fmt.Sprintf("%s%v", b, err)
	}
	return values
}

// needSandbox skips a test that runs where there is no sandbox; in CI there must
// be one.
func needSandbox(t testing.TB) {
	t.Helper()
	if unavailable == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal(unavailable)
	}
	t.Skip(unavailable)
}

// network starts cfg and closes it with the test.
func startNetwork(t testing.TB, cfg network.Config) *Network {
	t.Helper()
	needSandbox(t)
	if cfg.Record.Packets == 0 {
		cfg.Record.Packets = 1 << 14
	}
	n, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}
