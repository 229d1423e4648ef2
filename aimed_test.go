package kabench_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/aim"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/internal/lab/proxy"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// someServer is a server whose timer the aim does not know, and what a probe would write
// about a server that closes after closes.
func someServer(t *testing.T, timer, closes time.Duration) (url string, measured profiles.ServerPreset) {
	t.Helper()
	server, err := lab.Start(script.Server{IdleTimeout: timer, Delay: script.Delay{A: time.Millisecond}}, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	const ms = time.Millisecond
	return server.URL(), profiles.ServerPreset{Name: "some", Measured: &profiles.Measured{
		From: "probe", Closes: 20, IdleMin: closes, IdleMedian: closes + ms/2, IdleMax: closes + 2*ms, Close: "fin",
		RoundTrip: 50 * time.Microsecond, Response: 1500 * time.Microsecond, ResponseMax: 4 * ms,
	}}
}

func aimedAt(t *testing.T, incident, url string, server profiles.ServerPreset, sets ...string) (*profiles.Profile, *results.Forecast) {
	t.Helper()
	own, err := profiles.Open(incident, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, f, err := aim.Plan(aim.Order{Incident: own, URL: url, Server: server, Pool: "reactor-netty", Here: true, Sets: sets})
	if err != nil {
		t.Fatal(err)
	}
	return p, f
}

// An incident is aimed at a server of somebody else: it is reproduced as often as was
// said, the remedy clears it, and the file that is kept does it again.
func TestAimedIncident(t *testing.T) {
	timer := time.Duration(700+rand.IntN(900)) * time.Millisecond
	url, server := someServer(t, timer, timer)
	// Twenty copies of the pool make the runs short. How late this machine is, is not the
	// question.
	p, f := aimedAt(t, "idle-race", url, server, "pool.shards=20", "load.max_lag=0s")
	out := filepath.Join(t.TempDir(), "out")
	rep, err := kabench.Reproduce(t.Context(), p, kabench.ReproduceOptions{Options: kabench.Options{Out: out}, Forecast: f})
	if err != nil {
		t.Fatal(err)
	}
	asForecast(t, rep)
	if rep.IncidentRun.Link == nil || !strings.Contains(rep.Verdict, "own link before the target") {
		t.Errorf("the link is not marked: %s", rep.Verdict)
	}
	again, err := profiles.LoadFile(filepath.Join(out, record.FileIncident), nil)
	if err != nil {
		t.Fatal(err)
	}
	rep, err = kabench.Reproduce(t.Context(), again, kabench.ReproduceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	asForecast(t, rep)
}

// An incident is aimed at a server for the preset of a driver's client, through one pool, and
// the driver sends the requests. The file that is kept can be run again, though it gives
// fields of the pool that the client lacks.
func TestAimedWithADriver(t *testing.T) {
	t.Parallel()
	url, server := someServer(t, 600*time.Millisecond, 600*time.Millisecond)
	own, err := profiles.Open("idle-race", nil)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, f, err := aim.Plan(aim.Order{
		Incident: own, URL: url, Server: server, Pool: "go-tuned", Here: true, OneClient: true, AllowUnsafe: true, Budget: aim.Budget{Time: 20 * time.Second},
		Sets: []string{"driver.command='" + self + "' driver well -", "target.method=POST", "target.body=x", "load.max_lag=0s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if p.Client != profiles.ClientExternal || p.Pool.Shards > 1 || aim.Hopeless(f) {
		t.Fatalf("client %s, %d shards, %v, %s", p.Client, p.Pool.Shards, f, f.Why)
	}
	f.Preset = p.Preset
	out := filepath.Join(t.TempDir(), "out")
	rep, err := kabench.Reproduce(t.Context(), p, kabench.ReproduceOptions{Options: kabench.Options{Out: out}, Forecast: f})
	if err != nil {
		t.Fatal(err)
	}
	if run := rep.IncidentRun; run.Driver == nil || run.Driver.Dispatched == 0 || run.Valid && run.Counts.Failed == 0 {
		t.Errorf("driver %+v, counts %+v", run.Driver, run.Counts)
	}
	if len(rep.RemedyRuns) != 1 || rep.RemedyRuns[0].Settings[0].Client != "Fake" {
		t.Errorf("remedies %+v, not available %+v", rep.RemedyRuns, rep.NotAvailable)
	}
	if want := "This was computed for the preset go-tuned"; !strings.Contains(rep.Verdict, want) {
		t.Errorf("the verdict lacks %q: %s", want, rep.Verdict)
	}
	again, err := profiles.LoadFile(filepath.Join(out, record.FileIncident), []string{"load.duration=500ms", "expect=null"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kabench.Run(t.Context(), again, kabench.Options{}); err != nil {
		t.Error(err)
	}
}

// The other incidents that take a target, on a server that is not theirs.
func TestOtherAimedIncidents(t *testing.T) {
	for _, test := range []struct {
		incident string
		sets     []string
	}{
		{"pending-queue-full", []string{"pool.max_conns=16", "pool.pending_max=32"}},
		{"pending-timeout", []string{"pool.max_conns=16", "pool.pending_max=400", "pool.pending_timeout=200ms"}},
		{"handshake-cost", []string{"load.duration=1s"}},
		{"time-wait-shift", nil},
		{"retry-and-idempotence", []string{"pool.shards=20"}},
	} {
		t.Run(test.incident, func(t *testing.T) {
			url, server := someServer(t, 600*time.Millisecond, 600*time.Millisecond)
			p, f := aimedAt(t, test.incident, url, server, append(test.sets, "load.max_lag=0s")...)
			rep, err := kabench.Reproduce(t.Context(), p, kabench.ReproduceOptions{Forecast: f})
			if err != nil {
				t.Fatal(err)
			}
			if test.incident == "time-wait-shift" && !rep.IncidentRun.Sockets.Available {
				t.Skip("this system does not show its sockets")
			}
			seen := rep.Forecast.Seen
			if !rep.Reproduced || seen == nil || *seen < f.Low/2 || *seen > f.High+f.High/2 {
				t.Errorf("%v\n%s", f, rep.Verdict)
			}
		})
	}
}

// asForecast checks that a reproduction shows about as many failures as were expected. A
// busy machine moves some requests out of their window.
func asForecast(t *testing.T, rep *results.Reproduction) {
	t.Helper()
	f := rep.Forecast
	if f == nil || f.Seen == nil {
		t.Fatalf("nothing was expected, or not compared: %+v", f)
	}
	t.Log(f, f.Says)
	if n := *f.Seen; n < 1 || n < f.Low/2 || n > f.High+f.High/2 {
		t.Errorf("the run counted %d, and %v was said", n, f)
	}
	if f.Inside != (f.Low <= *f.Seen && *f.Seen <= f.High) || !strings.Contains(rep.Verdict, f.Says) {
		t.Errorf("%+v\n%s", f, rep.Verdict)
	}
	if len(rep.RemedyRuns) == 0 || rep.RemedyRuns[0].Counts.Failed > 0 {
		t.Errorf("the remedy did not clear it: %s", rep.Verdict)
	}
}

// The race behind a load balancer: its client sees errors of the balancer, as often as the
// way between balancer and server lets expect.
func TestAimedBehindABalancer(t *testing.T) {
	timer := time.Second
	url, server := someServer(t, timer, timer)
	link, err := lab.StartLink(script.Link{Delay: 10 * time.Millisecond}, "", strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	balancer, err := proxy.Start(script.Proxy{Errors: script.LikeALB}, "", link.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer balancer.Close()
	server.Measured.RoundTrip, server.Measured.Response, server.Measured.ResponseMax = 20*time.Millisecond, 21500*time.Microsecond, 24*time.Millisecond
	p, f := aimedAt(t, "l7-lb-order", balancer.URL(), server, "load.max_lag=0s")
	rep, err := kabench.Reproduce(t.Context(), p, kabench.ReproduceOptions{Forecast: f})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(f, rep.Verdict)
	if n := rep.IncidentRun.ErrorAnswers.Server; !rep.Reproduced || n < 1 || n < f.Low/2 {
		t.Errorf("%d errors of the balancer, and %v was said", n, f)
	}
}

// A server that does not behave as measured: the report says so.
func TestAimedAtAnotherTimer(t *testing.T) {
	url, server := someServer(t, 200*time.Millisecond, 900*time.Millisecond)
	p, f := aimedAt(t, "idle-race", url, server, "pool.shards=20", "load.max_lag=0s")
	rep, err := kabench.Reproduce(t.Context(), p, kabench.ReproduceOptions{Forecast: f})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Reproduced || rep.Forecast.Inside || !strings.Contains(rep.Verdict, "by another rule than measured") {
		t.Errorf("%s", rep.Verdict)
	}
}
