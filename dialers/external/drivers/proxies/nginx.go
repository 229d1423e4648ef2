package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/kabench/kabench/dialers/external/drivers/golang/kit"
)

// nginx is nginx's proxy module with an upstream block.
//
// Its requests go out as HTTP/1.0 without keep-alive by default before 1.29.7. A keepalive
// of 1 or more brings proxy_http_version 1.1 and an empty Connection header with it, as
// nginx's manual asks for, unless proxy_http_version is set too.
type nginx struct {
	keeps bool // by default: 1.29.7 or later
}

// nginx has no word for "no limit" for times and counts: these stand for it.
const (
	nginxForever  = "20d"
	nginxMost     = "2147483647"
	nginxSessions = 16_384 // of a worker
)

func (n *nginx) describe() (kit.Driver, error) {
	out, err := version("nginx", "-v")
	if err != nil {
		return kit.Driver{}, err
	}
	v := "unknown"
	if m := regexp.MustCompile(`nginx/(\d+)\.(\d+)\.(\d+)`).FindStringSubmatch(out); m != nil {
		v = strings.TrimPrefix(m[0], "nginx/")
		major, _ := strconv.Atoi(m[1])
		minor, _ := strconv.Atoi(m[2])
		patch, _ := strconv.Atoi(m[3])
		n.keeps = major*1_000_000+minor*1_000+patch >= 1_029_007
	}
	keepalive, http := 0, "1.0"
	if n.keeps {
		keepalive, http = 32, "1.1"
	}
	return kit.Driver{Name: "nginx", Client: "nginx", Version: v, Settings: []kit.Setting{
		{Name: "keepalive", Kind: "count", Default: keepalive, Pool: "max_idle_all"},
		{Name: "keepalive_timeout", Kind: "duration", Default: 60_000, Pool: "idle_timeout"},
		{Name: "keepalive_time", Kind: "duration", Default: 3_600_000, Pool: "max_lifetime"},
		{Name: "keepalive_requests", Kind: "count", Default: 1000, Pool: "max_requests"},
		{Name: "max_conns", Kind: "count", Pool: "max_conns"},
		{Name: "proxy_http_version", Kind: "text", Default: http, Values: []string{"1.0", "1.1"}},
		{Name: "proxy_connect_timeout", Kind: "duration", Default: 60_000, Pool: "connect_timeout"},
		{Name: "proxy_send_timeout", Kind: "duration", Default: 60_000},
		{Name: "proxy_read_timeout", Kind: "duration", Default: 60_000, Pool: "response_timeout"},
		{Name: "proxy_next_upstream", Kind: "text", Default: "error timeout"},
		{Name: "proxy_next_upstream_tries", Kind: "count"},
		{Name: "proxy_next_upstream_timeout", Kind: "duration"},
		{Name: "worker_processes", Kind: "count", Default: 1, Pool: "shards"},
	}}, nil
}

func (n *nginx) configure(p place, c kit.Config) ([]string, error) {
	if c.Has("worker_processes") && c.Count("worker_processes", 1, 0) == 0 {
		return nil, &kit.Refused{Setting: "worker_processes", Text: "it takes 1 or more"}
	}
	if next := c.Text("proxy_next_upstream", "", "off"); !nginxWords.MatchString(next) {
		return nil, &kit.Refused{Setting: "proxy_next_upstream", Text: "it takes nginx's words with blanks between: error timeout invalid_header http_502 non_idempotent off …"}
	}
	keepalive := c.Count("keepalive", 0, nginxSessions)
	keeps := keepalive > 0 || n.keeps && !c.Has("keepalive")
	var up, location strings.Builder
	server := "server " + p.upstream
	if most := c.Count("max_conns", 0, 0); most > 0 {
		server += fmt.Sprintf(" max_conns=%d", most)
	}
	fmt.Fprintf(&up, "%s;\n", server)
	if keepalive > 0 || n.keeps && c.Has("keepalive") {
		fmt.Fprintf(&up, "keepalive %d;\n", keepalive)
	}
	if keeps {
		durations(&up, c, "keepalive_timeout", "keepalive_time")
		if c.Has("keepalive_requests") {
			fmt.Fprintf(&up, "keepalive_requests %s;\n", orMost(c.Count("keepalive_requests", 0, 0)))
		}
		if !c.Has("proxy_http_version") {
			location.WriteString("proxy_http_version 1.1;\n")
		}
		location.WriteString("proxy_set_header Connection \"\";\n")
	}
	if c.Has("proxy_http_version") {
		fmt.Fprintf(&location, "proxy_http_version %s;\n", c.Text("proxy_http_version", "", "1.1"))
	}
	durations(&location, c, "proxy_connect_timeout", "proxy_send_timeout", "proxy_read_timeout")
	if c.Has("proxy_next_upstream") {
		fmt.Fprintf(&location, "proxy_next_upstream %s;\n", c.Text("proxy_next_upstream", "", "off"))
	}
	if c.Has("proxy_next_upstream_tries") {
		fmt.Fprintf(&location, "proxy_next_upstream_tries %d;\n", c.Count("proxy_next_upstream_tries", 0, 0))
	}
	if c.Has("proxy_next_upstream_timeout") { // 0 is its word for no limit
		fmt.Fprintf(&location, "proxy_next_upstream_timeout %dms;\n", c.Duration("proxy_next_upstream_timeout", 0, 0).Milliseconds())
	}
	scheme, user := "http", ""
	if p.tls {
		scheme = "https"
		fmt.Fprintf(&location, "proxy_ssl_server_name on;\nproxy_ssl_name %s;\n", p.host)
		if !c.Insecure { // by default nginx verifies nothing
			file, err := authorities()
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(&location, "proxy_ssl_verify on;\nproxy_ssl_verify_depth 9;\nproxy_ssl_trusted_certificate %s;\n", file)
		}
	}
	if os.Geteuid() == 0 {
		user = "user root root;" // what it writes is in a directory of root's
	}
	conf := filepath.Join(p.dir, "nginx.conf")
	text := fmt.Sprintf(nginxConf, user, c.Count("worker_processes", 1, 1), p.dir, nginxSessions, up.String(), p.socket, scheme, location.String())
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return []string{"nginx", "-e", "stderr", "-p", p.dir, "-c", conf}, nil
}

var nginxWords = regexp.MustCompile(`^[a-z0-9_ ]*$`)

// nginxConf takes: user, workers, directory, connections, the upstream block, the socket,
// the scheme and the location. The timeouts of its own are those of the driver's side.
const nginxConf = `daemon off;
%s
worker_processes %d;
pid %[3]s/pid;
error_log stderr error;
events { worker_connections %[4]d; }
http {
access_log off;
client_body_temp_path %[3]s/body;
proxy_temp_path %[3]s/proxy;
fastcgi_temp_path %[3]s/fastcgi;
uwsgi_temp_path %[3]s/uwsgi;
scgi_temp_path %[3]s/scgi;
keepalive_timeout 20d;
keepalive_requests 2147483647;
client_max_body_size 0;
upstream target {
%[5]s}
server {
listen unix:%[6]s backlog=4096;
location / {
proxy_pass %[7]s://target;
proxy_set_header Host $http_host;
%[8]sadd_header X-Kabench-Proxy "$connection $upstream_header_time" always;
}
}
}
`

// durations writes the directives of the settings that were sent.
func durations(b *strings.Builder, c kit.Config, names ...string) {
	for _, name := range names {
		switch {
		case c.Null(name):
			fmt.Fprintf(b, "%s %s;\n", name, nginxForever)
		case c.Has(name):
			fmt.Fprintf(b, "%s %s;\n", name, inMilliseconds(c.Duration(name, 0, 0)))
		}
	}
}

func orMost(n int) string {
	if n == 0 {
		return nginxMost
	}
	return strconv.Itoa(n)
}

// ours looks at the time until the head of the upstream's response: the last try has none.
func (n *nginx) ours(x exchange) bool {
	_, times, _ := strings.Cut(x.header.Get("X-Kabench-Proxy"), " ")
	return times == "" || strings.HasSuffix(times, "-")
}

// nginxLine is a line of the error log: level, message, and what the message is about.
var nginxLine = regexp.MustCompile(`\[(\w+)\] \d+#\d+: \*\d+ (.*?)(?:, client: .*)?$`)

// words returns the last line about the connection. The request before it on the same
// connection may have left lines too, but a failed request has one of its own, and it is last.
func (n *nginx) words(x exchange, j *journal) error {
	connection, _, _ := strings.Cut(x.header.Get("X-Kabench-Proxy"), " ")
	if connection == "" {
		return nil
	}
	lines := j.find("*"+connection+" ", x.mark, 200*time.Millisecond)
	if len(lines) == 0 {
		return nil
	}
	last := lines[len(lines)-1]
	m := nginxLine.FindStringSubmatch(last)
	if m == nil {
		return &kit.Failure{Class: "nginx", Text: last}
	}
	return &kit.Failure{Class: "nginx [" + m[1] + "]", Text: m[2], Cause: &kit.Failure{Class: "error_log", Text: last}}
}

func (n *nginx) gauges(place) map[string]float64 { return nil }
