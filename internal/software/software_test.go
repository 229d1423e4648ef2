package software

import (
	"bytes"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain leaves the whole package out under -short: real software waits for its
// own timers, which are of whole seconds.
func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("-short leaves the real software out")
		return
	}
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given { // what runs in parallel waits for timers most of the time
		flag.Set("test.parallel", strconv.Itoa(2*max(runtime.GOMAXPROCS(0), 2)))
	}
	os.Exit(m.Run())
}

// program is the path of an installed program. A test that lacks it is skipped;
// under CI it fails.
func program(t *testing.T, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		lacking(t, name, debian)
	}
	return path
}

func lacking(t *testing.T, name, debian string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed, and under CI nothing is skipped", name)
	}
	t.Skipf("%s is not installed; on Debian: apt-get install %s", name, debian)
}

// freeAddr is an address of the loopback that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// launch starts a program, waits until it accepts connections at every one of
// addrs, and ends it with the test. Its log is what it writes to standard
// output and error, and log.
func launch(t *testing.T, log string, addrs []string, name string, args ...string) {
	t.Helper()
	launchCmd(t, log, addrs, exec.Command(name, args...))
}

// launchCmd is launch for a program that needs an environment or a directory.
func launchCmd(t *testing.T, log string, addrs []string, cmd *exec.Cmd) {
	t.Helper()
	name := filepath.Base(cmd.Path)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		cmd.Wait()
		close(exited)
	}()
	said := func() string {
		more, _ := os.ReadFile(log)
		return out.String() + string(more)
	}
	t.Cleanup(func() {
		// Not killed at once: a master then has no time to end its workers.
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(30 * time.Second):
			t.Errorf("%s does not end on SIGTERM", name)
			cmd.Process.Kill()
			<-exited
		}
		if t.Failed() {
			t.Logf("%s:\n%s", name, said())
		}
	})
	end := time.Now().Add(2 * time.Minute)
	for _, addr := range addrs {
		for ; ; time.Sleep(20 * time.Millisecond) {
			if conn, err := net.Dial("tcp", addr); err == nil {
				conn.Close()
				break
			}
			select {
			case <-exited:
				t.Fatalf("%s ended: %s", name, said())
			default:
			}
			if time.Now().After(end) {
				t.Fatalf("%s does not accept at %s", name, addr)
			}
		}
	}
}

// write writes a file below dir.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// nginxWith starts a real nginx with that http section, in which %s stands for
// the address of its server.
func nginxWith(t *testing.T, workers int, http string) (addr, errorLog string) {
	t.Helper()
	path := program(t, "nginx", "nginx-light")
	addr = freeAddr(t)
	dir := t.TempDir()
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	log := filepath.Join(dir, "error.log")
	config := fmt.Sprintf(`
daemon off; worker_processes %[4]d; pid %[1]s/pid; error_log %[1]s/error.log; %[3]s
events { worker_connections 1024; }
http {
	access_log off; client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s;
	uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
	%[2]s
}
`, dir, fmt.Sprintf(http, addr), user, workers)
	launch(t, log, []string{addr}, path, "-c", write(t, dir, "nginx.conf", config), "-e", log)
	return addr, log
}

// haproxyWith starts a real HAProxy with those sections, in which %s stands for
// the address of its frontend.
func haproxyWith(t *testing.T, sections string) (addr string) {
	t.Helper()
	path := program(t, "haproxy", "haproxy")
	addr = freeAddr(t)
	config := write(t, t.TempDir(), "haproxy.cfg", "global\n\tnbthread 1\n\tmaxconn 1000\n"+fmt.Sprintf(sections, addr))
	launch(t, "", []string{addr}, path, "-db", "-f", config)
	return addr
}

// connector is how one of Tomcat's ports is set up, in the words of server.xml.
type connector string

const catalinaHome = "/usr/share/tomcat10"

// tomcat starts a real Tomcat with those connectors and returns their addresses.
// Its only page, /page.jsp, answers after the time in its query, in ms.
func tomcat(t *testing.T, connectors ...connector) (addrs []string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("Tomcat is looked for where Debian has it")
	}
	bootstrap := catalinaHome + "/bin/bootstrap.jar"
	if _, err := os.Stat(bootstrap); err != nil {
		lacking(t, "Tomcat ("+bootstrap+")", "tomcat10")
	}
	java := program(t, "java", "default-jre-headless")
	base := t.TempDir()
	var ports strings.Builder
	for _, c := range connectors {
		addr := freeAddr(t)
		addrs = append(addrs, addr)
		_, port, _ := net.SplitHostPort(addr)
		fmt.Fprintf(&ports, "<Connector address=\"127.0.0.1\" port=%q connectionTimeout=\"20000\" useKeepAliveResponseHeader=\"false\" %s/>\n", port, c)
	}
	write(t, base, "conf/server.xml", `<Server port="-1"><Service name="Catalina">
`+ports.String()+`<Engine name="Catalina" defaultHost="localhost"><Host name="localhost" appBase="webapps" autoDeploy="false" deployOnStartup="false">
<Context path="" docBase="`+base+`/page"/></Host></Engine></Service></Server>`)
	write(t, base, "conf/web.xml", `<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="5.0">
<servlet><servlet-name>jsp</servlet-name><servlet-class>org.apache.jasper.servlet.JspServlet</servlet-class></servlet>
<servlet-mapping><servlet-name>jsp</servlet-name><url-pattern>*.jsp</url-pattern></servlet-mapping></web-app>`)
	write(t, base, "page/page.jsp", `<%@ page session="false" %><% Thread.sleep(Long.parseLong(request.getQueryString())); %>hello`)
	for _, dir := range []string{"temp", "work", "logs"} {
		if err := os.Mkdir(filepath.Join(base, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	launch(t, "", addrs, java, "-Xmx128m", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
		"-Dcatalina.home="+catalinaHome, "-Dcatalina.base="+base, "-Djava.io.tmpdir="+base+"/temp",
		"-cp", bootstrap+":"+catalinaHome+"/bin/tomcat-juli.jar", "org.apache.catalina.startup.Bootstrap", "start")
	for _, addr := range addrs { // the first request compiles the page
		if status := get(t, addr, "GET", "/page.jsp?0"); status != 200 {
			t.Fatalf("Tomcat answers %d at %s", status, addr)
		}
	}
	return addrs
}
