package main

import (
	"encoding/csv"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/kabench/kabench/dialers/external/drivers/golang/kit"
)

// haproxy is a backend of HAProxy with one server.
//
// HAProxy has no default for its timeouts. Those here are of its manual's examples. HAProxy
// itself runs a thread for each processor by default, each with idle connections of its own
// that it leases first. Here it is one, so that there is one pool; null is HAProxy's default.
type haproxy struct{}

// haproxyForever stands for "no limit", which HAProxy has no word for.
const haproxyForever = "20d"

func (haproxy) describe() (kit.Driver, error) {
	out, err := version("haproxy", "-v")
	if err != nil {
		return kit.Driver{}, err
	}
	v := "unknown"
	if m := regexp.MustCompile(`[Vv]ersion (\d[\d.]*(?:-dev\d+)?)`).FindStringSubmatch(out); m != nil {
		v = m[1]
	}
	return kit.Driver{Name: "haproxy", Client: "HAProxy", Version: v, Gauges: []string{"active", "idle", "pending"}, Settings: []kit.Setting{
		{Name: "http-reuse", Kind: "text", Default: "safe", Values: []string{"never", "safe", "aggressive", "always"}},
		{Name: "pool-max-conn", Kind: "count", Pool: "max_idle"},
		{Name: "pool-purge-delay", Kind: "duration", Default: 5_000, Pool: "sweep_every"},
		{Name: "pool-low-conn", Kind: "count", Default: 0},
		{Name: "max-reuse", Kind: "count"},
		{Name: "maxconn", Kind: "count", Pool: "max_conns"},
		{Name: "maxqueue", Kind: "count", Pool: "pending_max"},
		{Name: "timeout queue", Kind: "duration", Default: 5_000, Pool: "pending_timeout"},
		{Name: "timeout connect", Kind: "duration", Default: 5_000, Pool: "connect_timeout"},
		{Name: "timeout server", Kind: "duration", Default: 50_000, Pool: "response_timeout"},
		{Name: "retries", Kind: "count", Default: 3},
		{Name: "retry-on", Kind: "text", Default: "conn-failure"},
		{Name: "nbthread", Kind: "count", Default: 1},
	}}, nil
}

var haproxyWords = regexp.MustCompile(`^[a-z0-9 -]*$`)

func (haproxy) configure(p place, c kit.Config) ([]string, error) {
	for _, name := range []string{"maxconn", "maxqueue"} {
		if c.Has(name) && !c.Null(name) && c.Count(name, 0, 0) == 0 {
			return nil, &kit.Refused{Setting: name, Text: "0 is no limit to HAProxy; give 1 or more, or null for no limit"}
		}
	}
	if !haproxyWords.MatchString(c.Text("retry-on", "", "none")) {
		return nil, &kit.Refused{Setting: "retry-on", Text: "it takes HAProxy's words with blanks between: none conn-failure empty-response response-timeout 503 …"}
	}
	var global, defaults strings.Builder
	server := "server s1 " + p.upstream
	if p.tls {
		server += " ssl sni str(" + p.host + ") verify required ca-file @system-ca"
		if c.Insecure {
			server = "server s1 " + p.upstream + " ssl sni str(" + p.host + ") verify none"
		}
	}
	for _, name := range []string{"pool-max-conn", "max-reuse", "maxconn", "maxqueue", "pool-low-conn"} {
		switch {
		case c.Null(name) && (name == "pool-max-conn" || name == "max-reuse"):
			server += " " + name + " -1"
		case c.Has(name):
			server += fmt.Sprintf(" %s %d", name, c.Count(name, 0, 0))
		}
	}
	switch {
	case c.Null("pool-purge-delay"):
		server += " pool-purge-delay " + haproxyForever
	case c.Has("pool-purge-delay"):
		server += " pool-purge-delay " + inMilliseconds(c.Duration("pool-purge-delay", 0, 0))
	}
	for name, byDefault := range map[string]time.Duration{"timeout connect": 5 * time.Second, "timeout server": 50 * time.Second, "timeout queue": 0} {
		switch d := c.Duration(name, byDefault, 0); {
		case c.Null(name):
			fmt.Fprintf(&defaults, "%s %s\n", name, haproxyForever)
		case d > 0 || c.Has(name):
			fmt.Fprintf(&defaults, "%s %s\n", name, inMilliseconds(d))
		}
	}
	fmt.Fprintf(&defaults, "http-reuse %s\n", c.Text("http-reuse", "safe", "never"))
	fmt.Fprintf(&defaults, "retries %d\n", c.Count("retries", 3, 0))
	if c.Has("retry-on") {
		fmt.Fprintf(&defaults, "retry-on %s\n", c.Text("retry-on", "", "none"))
	}
	if n := c.Count("nbthread", 1, 0); n > 0 {
		fmt.Fprintf(&global, "nbthread %d\n", n)
	}
	conf := filepath.Join(p.dir, "haproxy.cfg")
	text := fmt.Sprintf(haproxyConf, haproxyStats(p), global.String(), defaults.String(), p.socket, server)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return []string{"haproxy", "-db", "-f", conf}, nil
}

func haproxyStats(p place) string { return filepath.Join(p.dir, "stats") }

// haproxyConf takes: the socket of figures, more of global, the timeouts and rules, the
// driver's socket, and the server. The log's lines are those of option httplog, with the
// request's id before them; what succeeded is not logged.
const haproxyConf = `global
log stdout format raw local0
stats socket %s mode 600
%sdefaults
mode http
log global
option dontlog-normal
timeout client 20d
timeout http-keep-alive 20d
timeout http-request 20d
%sfrontend driver
bind unix@%s
capture request header X-Request-Id len 64
log-format "%%[capture.req.hdr(0)] %%ci:%%cp [%%tr] %%ft %%b/%%s %%TR/%%Tw/%%Tc/%%Tr/%%Ta %%ST %%B %%CC %%CS %%tsc %%ac/%%fc/%%bc/%%sc/%%rc %%sq/%%bq %%{+Q}r"
default_backend target
backend target
http-response set-header X-Kabench-Server 1
%s
`

// ours looks for the header that HAProxy adds to responses of the server.
func (haproxy) ours(x exchange) bool { return x.header.Get("X-Kabench-Server") == "" }

// haproxyLine finds the status and the termination state in a line.
var haproxyLine = regexp.MustCompile(` (-1|\d{3}) \+?\d+ - - (\S{4}) `)

func (haproxy) words(x exchange, j *journal) error {
	wait := time.Second
	if x.status == 0 {
		wait = 100 * time.Millisecond // most often there is no line
	}
	if x.id == "" {
		return nil
	}
	lines := j.find(x.id+" ", x.mark, wait)
	if len(lines) == 0 {
		return nil
	}
	line := strings.TrimPrefix(lines[len(lines)-1], x.id+" ")
	text := line
	if m := haproxyLine.FindStringSubmatch(line); m != nil {
		text = m[1] + " " + m[2]
	}
	return &kit.Failure{Class: "haproxy", Text: text, Cause: &kit.Failure{Class: "log", Text: line}}
}

// gauges reads the server's row of "show stat".
func (haproxy) gauges(p place) map[string]float64 {
	conn, err := net.DialTimeout("unix", haproxyStats(p), time.Second)
	if err != nil {
		return nil
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	fmt.Fprintln(conn, "show stat target 4 -1")
	in := csv.NewReader(conn)
	in.FieldsPerRecord = -1
	rows, err := in.ReadAll()
	if err != nil || len(rows) < 2 {
		return nil
	}
	values := map[string]float64{}
	for i, name := range rows[0] {
		for gauge, field := range map[string]string{"active": "used_conn_cur", "idle": "idle_conn_cur", "safe": "safe_conn_cur", "pending": "qcur"} {
			if name == field && i < len(rows[1]) {
				v, _ := strconv.ParseFloat(rows[1][i], 64)
				values[gauge] = v
			}
		}
	}
	values["idle"] += values["safe"] // two lists, by who may use them
	delete(values, "safe")
	return values
}
