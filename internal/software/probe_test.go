package software

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	onlyServers   = flag.String("servers", "", "TestProbeOnRealServers takes only the servers of these `NAMES`, such as nginx,Tomcat")
	allSettings   = flag.Bool("all-settings", false, "TestProbeOnRealServers probes each server with three timeouts, and not with one, and holds the limits of time")
	serversAtOnce = flag.Int("at-once", 7, "how many servers TestProbeOnRealServers probes at once")
	tableFile     = flag.String("table", "", "TestProbeOnRealServers writes its table into `FILE`, between the marks <!-- servers --> and <!-- /servers -->, or as the whole file if it has none")
)

// row is one server with one setting: what the capture shows, and what the probe says.
type row struct {
	realServer
	setting  time.Duration
	truth    truth
	requests int // on the wire
	probe    probed
}

// TestProbeOnRealServers compares 'kabench probe' with a packet capture of its own
// connections, on real servers whose idle timeout it sets:
//
//   - the probe's interval holds the median of the capture,
//   - it is no wider than 10 ms, unless the server's own closes spread further,
//   - the kind of close is that of the capture,
//   - the closes of the capture are as late as this server is said to be,
//   - the probe takes at most 60 requests.
//
// This takes the shortest timeout of each server. All three, on a machine that does
// nothing else, with the limits of time as well, and the table of docs/probe.md:
//
//	go test ./internal/software -count=1 -timeout 20m -run TestProbeOnRealServers -v -args -all-settings -table ../../docs/probe.md
func TestProbeOnRealServers(t *testing.T) {
	servers := installedServers(t, *onlyServers)
	settings := 1
	if *allSettings {
		settings = len(anyTime)
	}
	kabench := built(t)
	var rows []row
	for i := range settings {
		servers := slices.DeleteFunc(slices.Clone(servers), func(s realServer) bool { return len(s.settings) <= i })
		for group := range slices.Chunk(servers, *serversAtOnce) {
			t.Run(fmt.Sprintf("%v/%s to %s", group[0].settings[i], group[0].name, group[len(group)-1].name), func(t *testing.T) {
				rows = append(rows, probeAll(t, kabench, group, i)...)
			})
		}
	}
	if *allSettings {
		inside := 0
		for _, r := range rows {
			if r.inside(0) {
				inside++
			}
		}
		if inside*100 < 95*len(rows) {
			t.Errorf("the interval holds the truth of the capture in %d of %d", inside, len(rows))
		}
	}
	if *tableFile != "" {
		slices.SortStableFunc(rows, func(a, b row) int {
			return slices.IndexFunc(servers, named(a.name)) - slices.IndexFunc(servers, named(b.name))
		})
		writeTable(t, *tableFile, "servers", tableOf(rows))
	}
}

func named(name string) func(realServer) bool {
	return func(s realServer) bool { return s.name == name }
}

// built is kabench, built as it is.
func built(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kabench")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/kabench/kabench/cmd/kabench").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// probeAll starts the servers with their setting number i and probes all at once.
func probeAll(t *testing.T, kabench string, servers []realServer, i int) []row {
	rows := make([]row, len(servers))
	addrs := make([]string, len(servers))
	for j, s := range servers {
		addrs[j] = s.start(t, s.settings[i])
		rows[j] = row{realServer: s, setting: s.settings[i]}
	}
	wire := startCapture(t, addrs)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	errs := make([]error, len(servers))
	var all sync.WaitGroup
	for j := range rows {
		all.Go(func() {
			if rows[j].secure {
				rows[j].probe, errs[j] = probe(ctx, kabench, "https://"+addrs[j]+rows[j].path, "--set", "target.tls.insecure=true")
			} else {
				rows[j].probe, errs[j] = probe(ctx, kabench, "http://"+addrs[j]+rows[j].path)
			}
		})
	}
	all.Wait()
	conns := wire.stop(t)
	for j := range rows {
		rows[j].truth, rows[j].requests = truthOf(conns, addrs[j])
		t.Run(rows[j].name, func(t *testing.T) {
			if errs[j] != nil {
				t.Fatal(errs[j])
			}
			rows[j].check(t)
		})
	}
	return rows
}

// probed is what a probe says.
type probed struct {
	median, low, high, first, last time.Duration
	closes                         int
	kind                           string
	requests                       int
	took                           time.Duration
}

// probe runs 'kabench probe' as a user does.
func probe(ctx context.Context, kabench, url string, flags ...string) (probed, error) {
	cmd := exec.CommandContext(ctx, kabench, append([]string{"probe", url, "--json", "--out", "none"}, flags...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	began := time.Now()
	out, err := cmd.Output()
	took := time.Since(began)
	if err != nil {
		return probed{}, fmt.Errorf("kabench probe: %w: %s%s", err, out, &stderr)
	}
	var said struct {
		Requests int
		Servers  []struct {
			Server struct {
				Close string
				Idle  struct {
					Closes                      int
					Median, Low, High, Min, Max float64 // in seconds
				}
			}
		}
	}
	if err := json.Unmarshal(out, &said); err != nil || len(said.Servers) != 1 {
		return probed{}, fmt.Errorf("kabench probe, %d servers: %v: %s", len(said.Servers), err, out)
	}
	s := said.Servers[0].Server
	d := func(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
	return probed{d(s.Idle.Median), d(s.Idle.Low), d(s.Idle.High), d(s.Idle.Min), d(s.Idle.Max), s.Idle.Closes, s.Close, said.Requests, took}, nil
}

// inside says whether the probe's interval, widened by slack, holds the truth.
func (r row) inside(slack time.Duration) bool {
	m := r.truth.median()
	return len(r.truth.idle) > 0 && r.probe.low-slack <= m && m <= r.probe.high+slack
}

// grain is how early a server may seem to close. It is more than the grain of its clock:
// a server that starts its timer before it sends is early if the machine is busy then.
const grain = 20 * time.Millisecond

// exact is the width that an interval may have if the server itself is exact.
const exact = 10 * time.Millisecond

// check compares the probe with the capture. A machine that does other things at the
// same time makes times late, the probe's, the server's or both. So limits of time are
// wide, unless all servers are probed for the record.
func (r row) check(t *testing.T) {
	t.Log(strings.Join(r.cells(), " | "))
	grace := time.Second
	if *allSettings {
		grace = 0
	}
	n := len(r.truth.idle)
	if n < 20 {
		t.Fatalf("the capture has %d connections whose idle timer ran out, fewer than 20", n)
	}
	first, last := r.truth.ends()
	if first < r.setting-max(r.early, grain) || last > r.setting+r.late+grace {
		t.Errorf("on the wire, idle connections are closed after %v to %v; the timeout is %v, and closes come from %v before to %v after that", first, last, r.setting, max(r.early, grain), r.late)
	}
	if !*allSettings && !r.inside(grace/20) {
		t.Errorf("the capture's median is %v, outside the probe's interval %v to %v", r.truth.median(), r.probe.low, r.probe.high)
	}
	if expected := cmp.Or(r.closes, "fin"); r.probe.kind != expected || r.truth.kind != expected {
		t.Errorf("the probe says that connections are closed by %s; the capture shows %s; this server closes by %s", r.probe.kind, r.truth.kind, expected)
	}
	if r.probe.requests > 60 || !r.secure && r.requests > r.probe.requests { // a handshake is more segments
		t.Errorf("the probe says that it sent %d requests, of at most 60; %d are on the wire", r.probe.requests, r.requests)
	}
	if width := r.probe.high - r.probe.low; width > exact+grace && last-first <= exact {
		t.Errorf("the interval %v to %v is wider than %v, and all closes came within %v", r.probe.low, r.probe.high, exact, last-first)
	}
	if r.probe.took > r.most()+60*grace {
		t.Errorf("the probe took %v, longer than %v", r.probe.took, r.most())
	}
}

// columns are the columns of the table, and cells a row of it. Times are in seconds.
var columns = []string{"server", "timeout", "capture: median [first, last]", "closes", "probe: median [interval]", "spread", "inside", "closed by", "took", "of at most", "requests"}

func (r row) cells() []string {
	inside := "yes"
	if !r.inside(0) {
		inside = "**no**"
	}
	kind := r.truth.kind
	if r.probe.kind != kind {
		kind = fmt.Sprintf("%s; probe: **%s**", kind, r.probe.kind)
	}
	first, last := r.truth.ends()
	return []string{
		r.name + " " + r.is, seconds(r.setting, 1),
		fmt.Sprintf("%s [%s, %s]", seconds(r.truth.median(), 4), seconds(first, 4), seconds(last, 4)), fmt.Sprint(len(r.truth.idle)),
		fmt.Sprintf("%s [%s, %s]", seconds(r.probe.median, 4), seconds(r.probe.low, 4), seconds(r.probe.high, 4)), seconds(r.probe.last-r.probe.first, 3),
		inside, kind, seconds(r.probe.took, 1), seconds(r.most(), 1), fmt.Sprint(r.probe.requests),
	}
}

// most is how long the probe may take.
func (r row) most() time.Duration { return r.setting*11/10 + 5*time.Second }

func seconds(d time.Duration, digits int) string { return fmt.Sprintf("%.*f", digits, d.Seconds()) }

// tableOf is the table in Markdown, with its date.
func tableOf(rows []row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s, with %d servers at once; times in seconds.\n\n", time.Now().UTC().Format(time.DateOnly), *serversAtOnce)
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(columns)
	line(slices.Repeat([]string{"---"}, len(columns)))
	for _, r := range rows {
		line(r.cells())
	}
	return b.String()
}

// writeTable writes the table into a file: between the marks, or as the whole file.
func writeTable(t *testing.T, file, mark, table string) {
	t.Helper()
	begin, end := "<!-- "+mark+" -->\n", "<!-- /"+mark+" -->"
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	before, rest, marked := strings.Cut(string(text), begin)
	_, after, ended := strings.Cut(rest, end)
	if marked && ended {
		table = before + begin + table + end + after
	}
	if err := os.WriteFile(file, []byte(table), 0o644); err != nil {
		t.Fatal(err)
	}
}
