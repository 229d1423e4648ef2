package kabench

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers/external/drivers/golang/kit"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// driveIfDriver makes this process a driver of net/http, if it was started as one. Its
// second argument says how it behaves.
func driveIfDriver() {
	if len(os.Args) != 4 || os.Args[1] != "driver" {
		return
	}
	how, note := os.Args[2], os.Args[3]
	if note != "-" {
		os.WriteFile(note, []byte(strconv.Itoa(os.Getpid())), 0o600)
	}
	switch how {
	case "mute":
		time.Sleep(time.Minute)
	case "stubborn":
		os.Exit(3)
	}
	clients := 0
	kit.Run(kit.Driver{
		Name: "fake", Client: "Fake", Version: "1.0",
		Settings: []kit.Setting{
			{Name: "keepAlive", Kind: "duration", Default: 90_000, Pool: "idle_timeout"},
			{Name: "poolSize", Kind: "count", Pool: "max_conns"},
			{Name: "order", Kind: "text", Default: "LIFO", Pool: "lease_order", Words: map[string]string{"lifo": "LIFO"}},
		},
		New: func(c kit.Config) (kit.Client, error) {
			if how == "picky" {
				switch d := c.Duration("keepAlive", time.Second, 0); {
				case len(c.Origins) != 1 || !strings.HasPrefix(c.Origins[0], "http://127.0.0.1:"):
					return nil, &kit.Refused{Text: fmt.Sprintf("the origins are %q", c.Origins)}
				case d%time.Second > 0 || c.Null("keepAlive"):
					return nil, &kit.Refused{Setting: "keepAlive", Text: "it takes whole seconds"}
				}
			}
			t := http.DefaultTransport.(*http.Transport).Clone()
			t.MaxIdleConnsPerHost, t.MaxIdleConns = 1000, 0
			t.IdleConnTimeout = c.Duration("keepAlive", 90*time.Second, 0)
			clients++
			return &fakeClient{Transport: t, how: how, warm: clients > 1}, nil
		},
	})
	os.Exit(0)
}

type fakeClient struct {
	*http.Transport
	how   string
	warm  bool // the client is that of the run and not of the warm-up
	calls atomic.Int64
}

func (c *fakeClient) Do(r kit.Request) kit.Response {
	n := c.calls.Add(1)
	switch {
	case c.how == "dies" && c.warm && n == 20:
		os.Exit(7)
	case c.how == "lies" && c.warm && n%10 == 0:
		return kit.Response{Status: 200, Bytes: 3} // it sent nothing
	}
	request, err := http.NewRequest(r.Method, r.URL, io.NopCloser(bytes.NewReader(bytes.Repeat([]byte("x"), r.Body))))
	if err != nil {
		return kit.Response{Err: err}
	}
	request.ContentLength = int64(r.Body)
	for _, h := range r.Headers {
		request.Header.Add(h[0], h[1])
	}
	response, err := c.RoundTrip(request)
	if err != nil {
		return kit.Response{Err: err}
	}
	defer response.Body.Close()
	got, err := io.Copy(io.Discard, response.Body)
	return kit.Response{Status: response.StatusCode, Bytes: got, Err: err}
}

func (c *fakeClient) Gauges() map[string]float64 { return nil }

func (c *fakeClient) Close() { c.CloseIdleConnections() }

// fakeDriver is the value of driver.command for a driver that behaves so, and writes its
// process's number to the file note.
func fakeDriver(t *testing.T, how, note string) string {
	t.Helper()
	if note == "" {
		note = "-"
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("driver='%s' driver %s %s", self, how, note)
}

// race is a small idle race: bursts, and a server whose timer fires before the next one.
// POST is not sent again by net/http.
const race = `
name: race
load:
  rate: 200/s
  arrivals: {process: burst, on: 250ms, off: 460ms, off_max: 490ms, within: poisson}
  duration: 5s
  warm_up: 0s
  max_lag: 0s
pool: {idle_timeout: 0s, lease_order: fifo}
target:
  method: POST
  body: hello
  lab: {idle_timeout: 500ms, delay: 20ms}
  link: {delay: 5ms}
expect:
  failures.before_response: ">= 1"
  pool.peak_dialing: ">= 0"
remedies:
  - name: idle_timeout below the server's
    set: {pool.idle_timeout: 200ms}
    expect: {failures: 0}
    cost: handshakes
  - name: a retry
    set: {pool.resend: "[{on: any, after: [eof], methods: all, max: 1, path: fresh}]"}
    expect: {failures: 0}
says:
  happened: the server closed first
  set: the client's timeout below the server's
`

func loadRace(t *testing.T, sets ...string) *profiles.Profile {
	t.Helper()
	p, err := profiles.Load("idle-race", []byte(race), sets)
	if err != nil {
		t.Fatal(err)
	}
	for path, place := range p.Given { // as if the profile were kabench's own
		place.Mine = strings.HasPrefix(place.Text, "--")
		p.Given[path] = place
	}
	return p
}

// A real client's idle race is seen by its packets, whose story stands beside the client's
// own words; a remedy that the client has is run by its name, and one that it lacks is not.
func TestReproduceWithADriver(t *testing.T) {
	t.Parallel()
	needSandbox(t)
	dir := filepath.Join(t.TempDir(), "out")
	p := loadRace(t, fakeDriver(t, "well", ""))
	rep, err := Reproduce(t.Context(), p, ReproduceOptions{Options: Options{Out: dir}})
	if err != nil {
		t.Fatal(err)
	}
	run := rep.IncidentRun
	d := run.Driver
	if d == nil || !d.Looked || d.Client != "Fake" || d.Dispatched == 0 || d.Dispatched != d.Answered {
		t.Fatalf("the driver: %+v; warnings %v", d, run.Warnings)
	}
	if !run.Valid || run.Counts.Failed == 0 {
		t.Fatalf("%+v, %v, outcomes %+v, errors %+v", run.Counts, run.Invalid, run.Outcomes, d.Errors)
	}
	if q := run.IdleAtFailure; q == nil || q.P50 < 0.3 || q.P50 > 1 {
		t.Errorf("idle at failure: %+v", q)
	}
	if run.Connections.Opened == 0 || run.Connections.ClosedByPeer == 0 || run.Reuse.Reused == 0 || run.Idle.AtPeerClose == nil || run.Idle.AtPeerClose.Count == 0 {
		t.Errorf("connections %+v, reuse %+v, idle %+v", run.Connections, run.Reuse, run.Idle)
	}
	if run.Packets == nil || len(run.Packets.Failures) == 0 {
		t.Fatalf("no packets of a failure: %+v", run.Packets)
	}
	ladder := strings.Join(run.Packets.Failures[0].Lines(), "\n")
	if e := run.Packets.Failures[0]; e.By != "server" || !strings.Contains(ladder, "the client: ") || !strings.Contains(ladder, "leased, idle 0.") {
		t.Errorf("closed by %s:\n%s", e.By, ladder)
	}
	byServer, told := 0, 0
	for _, e := range endsIn(t, filepath.Join(dir, "incident")) {
		if e.By == results.EndPeer {
			byServer++
		}
		if e.Server == "idle_timeout" {
			told++
		}
	}
	if uint64(byServer) != run.Connections.ClosedByPeer || told == 0 || told > byServer {
		t.Errorf("the record has %d ends by the server, who tells why of %d; connections %+v", byServer, told, run.Connections)
	}
	if len(d.Errors) == 0 || d.Errors[0].Text == "" || d.Errors[0].Wire == nil {
		t.Errorf("errors: %+v", d.Errors)
	}
	if got := d.Settings["keepAlive"]; got != nil || !slices.Contains(d.Lacks, "pool.lease_order") {
		t.Errorf("keepAlive %v, lacks %v", got, d.Lacks)
	}
	if !slices.ContainsFunc(run.Warnings, func(w string) bool { return strings.Contains(w, "pool.lease_order") }) {
		t.Errorf("no warning of lease_order: %v", run.Warnings)
	}
	for _, e := range run.Expect {
		if e.Path == "pool.peak_dialing" && (!e.Unknown || !strings.HasPrefix(e.Why, "unknown: ")) {
			t.Errorf("%+v", e)
		}
	}
	if len(rep.RemedyRuns) != 1 || len(rep.NotAvailable) != 1 || rep.NotAvailable[0].Remedy != "a retry" {
		t.Fatalf("%d remedies run, not available %+v", len(rep.RemedyRuns), rep.NotAvailable)
	}
	remedy := rep.RemedyRuns[0]
	if len(remedy.Settings) == 0 || remedy.Settings[0].Text != "keepAlive: 200ms" || !remedy.Cleared || !rep.Reproduced {
		t.Errorf("remedy %+v, cleared %v, reproduced %v: %s", remedy.Settings, remedy.Cleared, rep.Reproduced, rep.Verdict)
	}
	for _, want := range []string{"keepAlive: 200ms", `"a retry" is not available on this client`, "Fake has no setting for resend"} {
		if !strings.Contains(rep.Verdict, want) {
			t.Errorf("the verdict lacks %q: %s", want, rep.Verdict)
		}
	}
	kept, err := record.Open(filepath.Join(dir, "incident"))
	if err != nil {
		t.Fatal(err)
	}
	if doc, err := kept.Run(); err != nil || doc.Driver == nil || len(doc.Packets.Failures) == 0 {
		t.Errorf("the kept run: %v", err)
	}
	for _, file := range []string{"packets.pcapng", "evidence.json"} {
		if info, err := os.Stat(filepath.Join(dir, "incident", file)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// What the incident sets and the client does not take is left out with a warning, a remedy
// that it does not take is not available, and what the user sets is refused.
func TestDriverTakesNotAll(t *testing.T) {
	t.Parallel()
	needSandbox(t)
	p := loadRace(t, fakeDriver(t, "picky", ""), "load.duration=1s")
	var prepared []string
	rep, err := Reproduce(t.Context(), p, ReproduceOptions{Options: Options{Preparing: func(what string) { prepared = append(prepared, what) }}})
	if err != nil {
		t.Fatal(err)
	}
	run := rep.IncidentRun
	for _, want := range []string{
		"Fake has no value for pool.idle_timeout none (keepAlive: it takes whole seconds); it keeps its own 90.0 s",
		"Fake sends bodies of the same length that consist of the letter x",
	} {
		if !slices.ContainsFunc(run.Warnings, func(w string) bool { return strings.Contains(w, want) }) {
			t.Errorf("no warning %q in %q", want, run.Warnings)
		}
	}
	if _, sent := run.Driver.Settings["keepAlive"]; sent || !slices.Contains(run.Driver.Lacks, "pool.idle_timeout") {
		t.Errorf("settings %v, lacks %v", run.Driver.Settings, run.Driver.Lacks)
	}
	if n := rep.NotAvailable; len(n) != 2 || n[0].Why != "Fake does not take it as keepAlive: it takes whole seconds" || len(rep.RemedyRuns) != 0 {
		t.Errorf("not available: %+v; %d remedies were run", n, len(rep.RemedyRuns))
	}
	if said := strings.Join(prepared, "\n"); !strings.Contains(said, "Fake is warming up: 3000 requests to a server of kabench's own, in at most 4s") || !strings.Contains(said, " is starting") {
		t.Errorf("it said %s", said)
	}
	_, err = Run(t.Context(), loadRace(t, fakeDriver(t, "picky", ""), "pool.idle_timeout=1500ms"), Options{})
	if _, input := errors.AsType[*InputError](err); !input || !strings.Contains(fmt.Sprint(err), "refused the setting keepAlive: it takes whole seconds") {
		t.Errorf("what the user set: %v", err)
	}
}

// A driver that breaks a rule, or ends, makes the run invalid, which says so.
func TestMisbehavingDriver(t *testing.T) {
	needSandbox(t)
	t.Parallel()
	for how, want := range map[string]string{
		"lies": "the driver of Fake broke the protocol",
		"dies": "the driver of Fake ended during the run",
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			run, err := Run(t.Context(), loadRace(t, fakeDriver(t, how, ""), "expect=null", "load.duration=1s"), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if run.Valid || !slices.ContainsFunc(run.Invalid, func(why string) bool { return strings.Contains(why, want) }) {
				t.Errorf("valid %v, %q; want %q", run.Valid, run.Invalid, want)
			}
		})
	}
}

// What the user asks for and the driver has not is refused before anything is sent, with
// what it has.
func TestDriverIsRefused(t *testing.T) {
	needSandbox(t)
	t.Parallel()
	for _, c := range []struct {
		sets []string
		want string
	}{
		{[]string{"pool.max_lifetime=3s"}, "--set pool.max_lifetime=3s: Fake has no setting for max_lifetime; it has those for pool.idle_timeout, pool.lease_order, pool.max_conns"},
		{[]string{"driver.keepAliv=3s"}, "driver.settings.keepAliv: Fake has no setting keepAliv; did you mean keepAlive?"},
		{[]string{"driver.keepAlive=3"}, `driver.settings.keepAlive: "3": keepAlive takes a time with its unit`},
		{[]string{"driver.poolSize=many"}, `driver.settings.poolSize: "many": poolSize takes a whole number`},
	} {
		_, err := Run(t.Context(), loadRace(t, append([]string{fakeDriver(t, "well", "")}, c.sets...)...), Options{})
		if _, input := errors.AsType[*InputError](err); !input || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%v: %v; want %q", c.sets, err, c.want)
		}
	}
	for driver, want := range map[string]string{
		"no-such-driver": "there is no driver no-such-driver",
		"./no-such-file": "the driver ./no-such-file did not start",
	} {
		_, err := Run(t.Context(), loadRace(t, "driver="+driver), Options{})
		if _, input := errors.AsType[*InputError](err); !input || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: %v; want %q", driver, err, want)
		}
	}
}

// However a run ends, its driver ends too.
func TestDriverEndsWithItsRun(t *testing.T) {
	needSandbox(t)
	t.Parallel()
	for name, c := range map[string]struct {
		how   string
		after time.Duration // the stop, from the driver's start
	}{
		"stopped while it runs":  {"well", 5 * time.Second},
		"stopped while it warms": {"well", 500 * time.Millisecond},
		"stopped before hello":   {"mute", 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			note := filepath.Join(t.TempDir(), "pid")
			stop := make(chan struct{})
			go func() {
				for range 600 {
					if _, err := os.Stat(note); err == nil {
						break
					}
					time.Sleep(50 * time.Millisecond)
				}
				time.Sleep(c.after)
				close(stop)
			}()
			run, err := Run(t.Context(), loadRace(t, fakeDriver(t, c.how, note), "expect=null", "load.duration=60s"), Options{Stop: stop})
			switch {
			case run == nil && !errors.Is(err, ErrInterrupted):
				t.Error(err)
			case run != nil && !run.Interrupted:
				t.Error("the run was not interrupted")
			}
			text, err := os.ReadFile(note)
			if err != nil {
				t.Fatal(err)
			}
			pid, _ := strconv.Atoi(string(text))
			for end := time.Now().Add(10 * time.Second); pid > 0 && alive(pid); time.Sleep(20 * time.Millisecond) {
				if time.Now().After(end) {
					t.Errorf("the driver, process %d, goes on", pid)
					break
				}
			}
		})
	}
}

// alive reports whether there is a process of that number.
func alive(pid int) bool {
	process, err := os.FindProcess(pid)
	return err == nil && process.Signal(syscall.Signal(0)) == nil
}
