package software

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// realServer is a real server whose idle timeout a test sets.
type realServer struct {
	name     string
	settings []time.Duration // the idle timeouts to try; a test of one takes the first
	secure   bool            // with TLS
	closes   string          // how it closes idle connections, as kabench names it; "": fin

	// A connection may be closed this much after its time. A server that looks at its
	// clock every second is up to a second late, and more. lighttpd also counts from a full second that may be
	// before the request.
	late  time.Duration
	early time.Duration // more than grain

	start   func(t *testing.T, idle time.Duration) (addr string)
	path    string   // of its page; "": /
	version []string // a command that prints its version
	is      string   // its version, when it is found
}

// anyTime is for servers that take fractions of a second, wholeSeconds for the others.
var (
	anyTime      = []time.Duration{2200 * time.Millisecond, 6700 * time.Millisecond, 20 * time.Second}
	wholeSeconds = []time.Duration{2 * time.Second, 7 * time.Second, 20 * time.Second}
)

// exactly is how late a server is that sets a timer for each connection: the machine is
// late as well.
const exactly = 50 * time.Millisecond

// realServers is the table of servers. What is early and late is from their sources
// and documents: see docs/probe.md.
func realServers() []realServer {
	python := filepath.Join(installed(), "python", "bin", "python")
	jetty := filepath.Join(installed(), "jars", "jetty-server-*.jar")
	return []realServer{
		{name: "nginx", settings: anyTime, late: exactly, start: startNginx, version: []string{"nginx", "-v"}},
		{name: "Apache httpd", settings: anyTime, late: 120 * time.Millisecond, start: startApache, version: []string{"apache2", "-v"}},
		{name: "lighttpd", settings: wholeSeconds, early: time.Second, late: 2 * time.Second, start: startLighttpd, version: []string{"lighttpd", "-v"}},
		{name: "HAProxy", settings: anyTime, late: exactly, start: startHAProxy, version: []string{"haproxy", "-v"}},
		{name: "Caddy", settings: anyTime, late: exactly, start: startCaddy, version: []string{"caddy", "version"}},
		{name: "Tomcat", settings: anyTime, late: 2 * time.Second, start: startTomcat, path: "/page.jsp?0", version: []string{"java", "-cp", catalinaHome + "/lib/catalina.jar", "org.apache.catalina.util.ServerInfo"}},
		{name: "Jetty", settings: anyTime, late: exactly, start: startJetty, version: []string{"ls", jetty}},
		{name: "Node", settings: anyTime, late: 1100 * time.Millisecond, start: startNode, version: []string{"node", "--version"}},
		{name: "Hono on Node", settings: anyTime, late: 1100 * time.Millisecond, start: startHono, version: []string{"grep", `"version"`, filepath.Join(installed(), "node", "node_modules", "hono", "package.json")}},
		{name: "Puma", settings: wholeSeconds, late: 500 * time.Millisecond, start: startPuma, version: []string{"puma", "--version"}},
		{name: "gunicorn (gthread)", settings: wholeSeconds, late: 1100 * time.Millisecond, start: startGunicorn, version: []string{python, "-m", "gunicorn", "--version"}},
		{name: "uvicorn", settings: wholeSeconds, late: exactly, start: startUvicorn, version: []string{python, "-m", "uvicorn", "--version"}},
		{name: "hypercorn", settings: anyTime, late: exactly, start: startHypercorn, version: []string{python, "-m", "pip", "show", "hypercorn"}},

		// A close over TLS begins with a close_notify, or not. No server here resets idle
		// connections.
		{name: "nginx (TLS)", settings: anyTime[:1], secure: true, closes: "close_notify", late: exactly, start: startNginxTLS, version: []string{"nginx", "-v"}},
		{name: "HAProxy (TLS)", settings: anyTime[:1], secure: true, closes: "close_notify", late: exactly, start: startHAProxyTLS, version: []string{"haproxy", "-v"}},
		{name: "Node (TLS)", settings: anyTime[:1], secure: true, late: 1100 * time.Millisecond, start: startNodeTLS, version: []string{"node", "--version"}},
		{name: "uvicorn (TLS)", settings: wholeSeconds[:1], secure: true, closes: "close_notify", late: exactly, start: startUvicornTLS, version: []string{python, "-m", "uvicorn", "--version"}},
	}
}

// installed is where .ci/servers has put what no package of Debian has.
func installed() string {
	if dir := os.Getenv("KABENCH_SERVERS"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "kabench-servers")
}

// must is the path of a file that .ci/servers installs. A test that lacks it is
// skipped; under CI it fails.
func must(t *testing.T, parts ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{installed()}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%v, and under CI nothing is skipped", err)
		}
		t.Skipf("%v; .ci/servers installs it", err)
	}
	return path
}

// testdata is the path of a file below testdata.
func testdata(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// readable is a directory of the test that servers can read which give up root.
func readable(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

func startNginx(t *testing.T, idle time.Duration) string { return nginxKeeping(t, idle, "") }

func startNginxTLS(t *testing.T, idle time.Duration) string {
	certificate, key, _ := certificate(t)
	return nginxKeeping(t, idle, fmt.Sprintf(" ssl; ssl_certificate %s; ssl_certificate_key %s", certificate, key))
}

func nginxKeeping(t *testing.T, idle time.Duration, secure string) string {
	addr, _ := nginxWith(t, 1, fmt.Sprintf(`keepalive_timeout %dms; server { listen %%s%s; location / { return 200 "hello\n"; } }`, idle.Milliseconds(), secure))
	return addr
}

func startApache(t *testing.T, idle time.Duration) string {
	path := program(t, "apache2", "apache2")
	addr, dir := freeAddr(t), readable(t)
	write(t, dir, "root/index.html", "hello\n")
	config := write(t, dir, "apache.conf", fmt.Sprintf(`
ServerName localhost
Listen %[2]s
PidFile %[1]s/pid
ErrorLog %[1]s/error.log
DocumentRoot %[1]s/root
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
User nobody
Group nogroup
KeepAliveTimeout %[3]dms
`, dir, addr, idle.Milliseconds()))
	launch(t, filepath.Join(dir, "error.log"), []string{addr}, path, "-D", "FOREGROUND", "-f", config)
	return addr
}

func startLighttpd(t *testing.T, idle time.Duration) string {
	path := program(t, "lighttpd", "lighttpd")
	addr, dir := freeAddr(t), t.TempDir()
	write(t, dir, "root/index.html", "hello\n")
	config := write(t, dir, "lighttpd.conf", fmt.Sprintf(`
server.bind = "127.0.0.1"
server.port = %s
server.document-root = "%s/root"
index-file.names = ("index.html")
server.max-keep-alive-idle = %d
`, portOf(addr), dir, int(idle.Seconds())))
	launch(t, "", []string{addr}, path, "-D", "-f", config)
	return addr
}

func startHAProxy(t *testing.T, idle time.Duration) string { return haproxyKeeping(t, idle, "") }

func startHAProxyTLS(t *testing.T, idle time.Duration) string {
	_, _, both := certificate(t)
	return haproxyKeeping(t, idle, " ssl crt "+both)
}

// haproxyKeeping starts HAProxy with more on the line of its address.
func haproxyKeeping(t *testing.T, idle time.Duration, more string) string {
	return haproxyWith(t, fmt.Sprintf(`
defaults
	mode http
	timeout client 60s
	timeout http-request 30s
	timeout http-keep-alive %dms
frontend f
	bind %%s%s
	http-request return status 200 content-type text/plain string hello
`, idle.Milliseconds(), more))
}

func startCaddy(t *testing.T, idle time.Duration) string {
	path := program(t, "caddy", "caddy")
	addr, dir := freeAddr(t), t.TempDir()
	config := write(t, dir, "Caddyfile", fmt.Sprintf(`{
	admin off
	auto_https off
	servers {
		timeouts {
			idle %dms
		}
	}
}
http://%s {
	respond "hello"
}
`, idle.Milliseconds(), addr))
	cmd := exec.Command(path, "run", "--config", config, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	launchCmd(t, "", []string{addr}, cmd)
	return addr
}

func startTomcat(t *testing.T, idle time.Duration) string {
	return tomcat(t, connector(fmt.Sprintf(`protocol="org.apache.coyote.http11.Http11NioProtocol" keepAliveTimeout="%d"`, idle.Milliseconds())))[0]
}

func startJetty(t *testing.T, idle time.Duration) string {
	addr := freeAddr(t)
	launch(t, "", []string{addr}, program(t, "java", "default-jdk-headless"), "-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
		"-cp", must(t, "jars")+"/*", testdata(t, "Jetty.java"), portOf(addr), fmt.Sprint(idle.Milliseconds()))
	return addr
}

func startNode(t *testing.T, idle time.Duration) string { return nodeWith(t, idle) }

func startNodeTLS(t *testing.T, idle time.Duration) string {
	certificate, key, _ := certificate(t)
	return nodeWith(t, idle, certificate, key)
}

func nodeWith(t *testing.T, idle time.Duration, more ...string) string {
	addr := freeAddr(t)
	args := append([]string{testdata(t, "node.js"), portOf(addr), fmt.Sprint(idle.Milliseconds())}, more...)
	launch(t, "", []string{addr}, program(t, "node", "nodejs"), args...)
	return addr
}

func startHono(t *testing.T, idle time.Duration) string {
	addr := freeAddr(t)
	cmd := exec.Command(program(t, "node", "nodejs"), testdata(t, "hono.js"), portOf(addr), fmt.Sprint(idle.Milliseconds()))
	cmd.Env = append(os.Environ(), "NODE_PATH="+must(t, "node", "node_modules"))
	launchCmd(t, "", []string{addr}, cmd)
	return addr
}

func startPuma(t *testing.T, idle time.Duration) string {
	path := program(t, "puma", "puma")
	addr := freeAddr(t)
	config := write(t, t.TempDir(), "puma.rb", fmt.Sprintf("environment 'production'\nthreads 1, 4\nbind 'tcp://%s'\npersistent_timeout %d\nrackup '%s'\n",
		addr, int(idle.Seconds()), testdata(t, "config.ru")))
	launch(t, "", []string{addr}, path, "-C", config)
	return addr
}

// pythonServer starts a module of the Python that .ci/servers has made.
func pythonServer(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(must(t, "python", "bin", "python"), append([]string{"-B", "-m"}, args...)...)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+testdata(t, ""))
	cmd.Dir = t.TempDir()
	return cmd
}

func startGunicorn(t *testing.T, idle time.Duration) string {
	addr := freeAddr(t)
	launchCmd(t, "", []string{addr}, pythonServer(t, "gunicorn", "--worker-class", "gthread", "--threads", "4", "--bind", addr,
		"--keep-alive", fmt.Sprint(int(idle.Seconds())), "app:wsgi"))
	return addr
}

func startUvicorn(t *testing.T, idle time.Duration) string { return uvicornWith(t, idle) }

func startUvicornTLS(t *testing.T, idle time.Duration) string {
	certificate, key, _ := certificate(t)
	return uvicornWith(t, idle, "--ssl-certfile", certificate, "--ssl-keyfile", key)
}

func uvicornWith(t *testing.T, idle time.Duration, more ...string) string {
	addr := freeAddr(t)
	args := append([]string{"uvicorn", "--host", "127.0.0.1", "--port", portOf(addr), "--log-level", "warning",
		"--timeout-keep-alive", fmt.Sprint(int(idle.Seconds())), "app:asgi"}, more...)
	launchCmd(t, "", []string{addr}, pythonServer(t, args...))
	return addr
}

func startHypercorn(t *testing.T, idle time.Duration) string {
	addr := freeAddr(t)
	config := write(t, t.TempDir(), "hypercorn.toml", fmt.Sprintf("bind = [%q]\nkeep_alive_timeout = %g\n", addr, idle.Seconds()))
	launchCmd(t, "", []string{addr}, pythonServer(t, "hypercorn", "--config", config, "app:asgi"))
	return addr
}

// versionIn finds a version in what a program prints of it.
var versionIn = regexp.MustCompile(`\d+(\.\d+)+`)

// foundVersion is the version that a server prints, or an error if it is not installed.
func (s realServer) foundVersion() (string, error) {
	args := slices.Clone(s.version)
	if files, _ := filepath.Glob(args[len(args)-1]); len(files) == 1 {
		args[len(args)-1] = files[0]
	}
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s is not installed, .ci/run installs it: %v: %w: %s", s.name, args, err, out)
	}
	v := versionIn.FindString(string(out))
	if v == "" {
		return "", fmt.Errorf("%v: no version in %q", args, out)
	}
	return v, nil
}

// installedServers are the servers of the table that are installed, with their versions,
// or those of them that are named. Under CI a server that is missing is a failure.
func installedServers(t *testing.T, only string) []realServer {
	t.Helper()
	var found []realServer
	for _, s := range realServers() {
		if only != "" && !slices.Contains(strings.Split(only, ","), s.name) {
			continue
		}
		version, err := s.foundVersion()
		switch {
		case err == nil:
			s.is = version
			found = append(found, s)
		case os.Getenv("CI") != "":
			t.Error(err)
		default:
			t.Log(err)
		}
	}
	if len(found) == 0 {
		t.Skip("no server is installed")
	}
	return found
}
