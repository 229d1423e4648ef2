package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/kabench/kabench/dialers/external/drivers/golang/kit"
)

// envoy is a cluster of Envoy with one host.
//
// Envoy itself runs a worker for each processor by default, each with connections of its
// own. Here it is one, so that there is one pool.
type envoy struct{ path string }

func (e *envoy) describe() (kit.Driver, error) {
	var err error
	if e.path, err = envoyPath(); err != nil {
		return kit.Driver{}, err
	}
	out, err := version(e.path, "--version")
	if err != nil {
		return kit.Driver{}, err
	}
	v := "unknown"
	if m := regexp.MustCompile(`/(\d+\.\d+\.\d+[^/]*)/`).FindStringSubmatch(out); m != nil {
		v = m[1]
	}
	return kit.Driver{Name: "envoy", Client: "Envoy", Version: v, Gauges: []string{"active", "idle", "pending"}, Settings: []kit.Setting{
		{Name: "max_connections", Kind: "count", Default: 1024, Pool: "max_conns_all"},
		{Name: "max_pending_requests", Kind: "count", Default: 1024, Pool: "pending_max"},
		{Name: "max_requests", Kind: "count", Default: 1024},
		{Name: "max_retries", Kind: "count", Default: 3},
		{Name: "idle_timeout", Kind: "duration", Default: 3_600_000, Pool: "idle_timeout"},
		{Name: "max_connection_duration", Kind: "duration", Pool: "max_lifetime"},
		{Name: "max_requests_per_connection", Kind: "count", Pool: "max_requests"},
		{Name: "connect_timeout", Kind: "duration", Default: 5_000, Pool: "connect_timeout"},
		{Name: "timeout", Kind: "duration", Default: 15_000, Pool: "response_timeout"},
		{Name: "retry_on", Kind: "text"},
		{Name: "num_retries", Kind: "count", Default: 1},
		{Name: "concurrency", Kind: "count", Default: 1, Pool: "shards"},
	}}, nil
}

// envoyPath finds the program: the pinned one that was built with the driver, or one in PATH.
func envoyPath() (string, error) {
	self, err := os.Executable()
	if err == nil {
		found, _ := filepath.Glob(filepath.Join(filepath.Dir(self), "venv", "lib", "python3*", "site-packages", "envoy", "_bin", "envoy"))
		if len(found) > 0 {
			return found[0], nil
		}
	}
	path, err := exec.LookPath("envoy")
	if err != nil {
		return "", errors.New("envoy is not on this machine")
	}
	return path, nil
}

// object is a message of Envoy's configuration.
type object map[string]any

func (e *envoy) configure(p place, c kit.Config) ([]string, error) {
	if c.Has("concurrency") && c.Count("concurrency", 1, 0) == 0 {
		return nil, &kit.Refused{Setting: "concurrency", Text: "it takes 1 or more"}
	}
	if c.Has("max_requests_per_connection") && !c.Null("max_requests_per_connection") && c.Count("max_requests_per_connection", 0, 0) == 0 {
		return nil, &kit.Refused{Setting: "max_requests_per_connection", Text: "0 is no limit to Envoy; give 1 or more, or null for no limit"}
	}
	host, port, err := net.SplitHostPort(p.upstream)
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	breaker := object{}
	for _, name := range []string{"max_connections", "max_pending_requests", "max_requests", "max_retries"} {
		if c.Has(name) {
			breaker[name] = c.Count(name, 0, 1<<31-1)
		}
	}
	common := object{}
	if c.Has("idle_timeout") {
		common["idle_timeout"] = seconds(c.Duration("idle_timeout", 0, 0)) // 0s is its word for none
	}
	if d := c.Duration("max_connection_duration", 0, 0); d > 0 {
		common["max_connection_duration"] = seconds(d)
	}
	if n := c.Count("max_requests_per_connection", 0, 0); n > 0 {
		common["max_requests_per_connection"] = n
	}
	cluster := object{
		"name": "target", "type": "STRICT_DNS", "connect_timeout": seconds(c.Duration("connect_timeout", 5*time.Second, 24*time.Hour)),
		"circuit_breakers": object{"thresholds": []object{breaker}},
		"load_assignment": object{"cluster_name": "target", "endpoints": []object{{"lb_endpoints": []object{{"endpoint": object{
			"address": object{"socket_address": object{"address": host, "port_value": number}}}}}}}},
		"typed_extension_protocol_options": object{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": object{
			"@type":                        envoyTypes + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
			"common_http_protocol_options": common, "explicit_http_config": object{"http_protocol_options": object{}}}},
	}
	if net.ParseIP(host) != nil {
		cluster["type"] = "STATIC"
	}
	if p.tls {
		tls := object{"@type": envoyTypes + "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", "sni": p.host}
		if !c.Insecure {
			file, err := authorities()
			if err != nil {
				return nil, err
			}
			tls["common_tls_context"] = object{"validation_context": object{"trusted_ca": object{"filename": file}}}
			tls["auto_sni_san_validation"] = true
		}
		cluster["transport_socket"] = object{"name": "tls", "typed_config": tls}
	}
	route := object{"cluster": "target"}
	if c.Has("timeout") {
		route["timeout"] = seconds(c.Duration("timeout", 0, 0)) // 0s is its word for none
	}
	if c.Has("retry_on") && !c.Null("retry_on") {
		route["retry_policy"] = object{"retry_on": c.Text("retry_on", "", ""), "num_retries": c.Count("num_retries", 1, 0)}
	}
	text, err := json.Marshal(envoyConfig(p, cluster, route))
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(p.dir, "envoy.json")
	if err := os.WriteFile(conf, text, 0o600); err != nil {
		return nil, err
	}
	return []string{e.path, "-c", conf, "--concurrency", strconv.Itoa(c.Count("concurrency", 1, 1)), "--disable-hot-restart",
		"--log-level", "error", "--file-flush-interval-msec", "10"}, nil
}

const envoyTypes = "type.googleapis.com/"

// envoyConfig is the whole configuration. The log has the requests with a response flag
// only. A request keeps the id that it came with.
func envoyConfig(p place, cluster, route object) object {
	log := object{"name": "log", "filter": object{"response_flag_filter": object{}}, "typed_config": object{
		"@type": envoyTypes + "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
		"log_format": object{"text_format_source": object{"inline_string": "access %REQ(X-REQUEST-ID)% [%START_TIME%] \"%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%\" " +
			"%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% - \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% \"%UPSTREAM_HOST%\"\n"}}}}
	manager := object{
		"@type":       envoyTypes + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
		"stat_prefix": "driver", "access_log": []object{log},
		"generate_request_id": false, "preserve_external_request_id": true,
		"common_http_protocol_options": object{"idle_timeout": "0s"}, "stream_idle_timeout": "0s", "delayed_close_timeout": "0s",
		"http_filters": []object{{"name": "envoy.filters.http.router", "typed_config": object{"@type": envoyTypes + "envoy.extensions.filters.http.router.v3.Router"}}},
		"route_config": object{"virtual_hosts": []object{{"name": "all", "domains": []string{"*"},
			"routes": []object{{"match": object{"prefix": "/"}, "route": route}}}}},
	}
	return object{
		"admin": object{"address": object{"pipe": object{"path": envoyAdmin(p)}}},
		"static_resources": object{
			"clusters": []object{cluster},
			"listeners": []object{{"name": "driver", "address": object{"pipe": object{"path": p.socket}},
				"filter_chains": []object{{"filters": []object{{"name": "http", "typed_config": manager}}}}}},
		},
	}
}

func envoyAdmin(p place) string { return filepath.Join(p.dir, "admin") }

// seconds writes a duration as protobuf's JSON does.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s" }

// ours looks for the header that Envoy adds to responses of the server.
func (e *envoy) ours(x exchange) bool { return x.header.Get("X-Envoy-Upstream-Service-Time") == "" }

// envoyLine finds status, flags and details in a line.
var envoyLine = regexp.MustCompile(`" (\d+ \S+ \S+) - "`)

func (e *envoy) words(x exchange, j *journal) error {
	if x.id == "" {
		return nil
	}
	lines := j.find("access "+x.id+" ", x.mark, time.Second)
	if len(lines) == 0 {
		return nil
	}
	line := strings.TrimPrefix(lines[len(lines)-1], "access "+x.id+" ")
	f := &kit.Failure{Class: "envoy", Text: line, Cause: &kit.Failure{Class: "access_log", Text: line}}
	if m := envoyLine.FindStringSubmatch(line); m != nil {
		f.Text = m[1]
	}
	if x.err == nil && len(x.start) > 0 {
		f.Cause = &kit.Failure{Class: "body", Text: string(x.start), Cause: f.Cause}
	}
	return f
}

// gauges asks Envoy's administration for the figures of the cluster.
func (e *envoy) gauges(p place) map[string]float64 {
	conn, err := net.DialTimeout("unix", envoyAdmin(p), time.Second)
	if err != nil {
		return nil
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	fmt.Fprint(conn, "GET /stats?filter=^cluster.target.upstream_(cx_active|rq_active|rq_pending_active)$ HTTP/1.1\r\nHost: envoy\r\nConnection: close\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	figures := map[string]float64{}
	for in := bufio.NewScanner(response.Body); in.Scan(); {
		name, value, _ := strings.Cut(in.Text(), ": ")
		figures[strings.TrimPrefix(name, "cluster.target.upstream_")], _ = strconv.ParseFloat(value, 64)
	}
	active := figures["rq_active"]
	return map[string]float64{"active": active, "idle": max(0, figures["cx_active"]-active), "pending": figures["rq_pending_active"]}
}
