package software

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kabench/kabench/profiles"
)

// settingsOf are the lines of a preset's settings for sample values.
func settingsOf(t *testing.T, preset string) (list []profiles.Setting) {
	t.Helper()
	p, found := profiles.FindPool(preset)
	if !found {
		t.Fatalf("there is no %s", preset)
	}
	for field := range p.Settings {
		for _, value := range []string{"4s", "4900ms", "16", "lifo", "[]", "[{on: any, after: [eof], methods: idempotent, max: 1, path: pool}]"} {
			for _, s := range p.Spelled("pool."+field, value) {
				if s.Text != "" {
					list = append(list, s)
				}
			}
		}
	}
	if len(list) == 0 {
		t.Fatalf("%s has no settings", preset)
	}
	return list
}

// accepted runs a program on a file with this text, and complains if it refuses the file.
func accepted(t *testing.T, about, text, program string, arguments ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "settings.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command(program, append(arguments, file)...).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", about, err, said)
	}
}

// nginx and HAProxy take the lines that the presets write for them.
func TestProxiesAcceptTheirSettings(t *testing.T) {
	t.Run("nginx", func(t *testing.T) {
		nginx := program(t, "nginx", "nginx")
		pid := filepath.Join(t.TempDir(), "pid")
		for _, preset := range []string{"nginx-upstream", "nginx-upstream-old"} {
			for _, s := range settingsOf(t, preset) {
				server, upstream, location := "server 127.0.0.1:8080;", "keepalive 32;", ""
				switch {
				case strings.HasPrefix(s.Text, "server "):
					server = s.Text
				case strings.HasPrefix(s.Text, "proxy_"):
					location = s.Text
				case strings.HasPrefix(s.Text, "keepalive "):
					upstream = s.Text
				default:
					upstream += s.Text
				}
				text := fmt.Sprintf("pid %s; error_log /dev/null; events {} http { access_log off; upstream u { %s %s } server { listen 127.0.0.1:1; location / { proxy_pass http://u; %s } } }",
					pid, server, upstream, location)
				accepted(t, s.Text, text, nginx, "-t", "-q", "-c")
			}
		}
	})
	t.Run("haproxy", func(t *testing.T) {
		haproxy := program(t, "haproxy", "haproxy")
		for _, s := range settingsOf(t, "haproxy") {
			server, backend := "server s1 127.0.0.1:8080", ""
			if strings.HasPrefix(s.Text, "server ") {
				server = s.Text
			} else {
				backend = s.Text
			}
			text := fmt.Sprintf("defaults\n mode http\n timeout client 5s\n timeout connect 5s\n timeout server 5s\nfrontend f\n bind 127.0.0.1:1\n default_backend b\nbackend b\n %s\n %s\n", backend, server)
			accepted(t, s.Text, text, haproxy, "-c", "-q", "-f")
		}
	})
}

// Node runs the lines that the presets write for its agents, and the agents then have
// the options.
func TestNodeAcceptsItsSettings(t *testing.T) {
	node := program(t, "node", "nodejs")
	var texts []string
	for _, preset := range []string{"node-agent", "node-globalagent"} {
		for _, s := range settingsOf(t, preset) {
			if s.In == "JavaScript" {
				texts = append(texts, s.Text)
			}
		}
	}
	list, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	accepted(t, "node", fmt.Sprintf(`const http = require('http'), request = { setTimeout(ms) { if (!(ms > 0)) throw new Error(ms); } };
for (const text of %s) {
  const agent = eval('(' + text + ')');
  const option = /(\w+): ['\w]+ \}\)$/.exec(text);
  if (option && !(option[1] in agent.options)) throw new Error(text);
}
`, list), node)
}
