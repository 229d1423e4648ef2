package software

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/collectors"
	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
)

// profile is the profile of that name, "" for one of settings alone. Its runs are
// valid however late they are: the tests that use it count, and do not time.
func profile(t *testing.T, name string, sets ...string) *profiles.Profile {
	t.Helper()
	found, ok := profiles.Find(name)
	if !ok && name != "" {
		t.Fatal(profiles.NotFound(name))
	}
	p, err := profiles.Load(name, []byte(found.Text), append([]string{"load.max_lag=0"}, sets...))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// nginx starts a real nginx with keepalive_timeout 1 on a free port of the
// loopback and returns its address.
func nginx(t *testing.T) string {
	t.Helper()
	addr, _ := nginxWith(t, 1, `keepalive_timeout 1; keepalive_requests 100000;
	server { listen %s; location / { return 200 "hello\n"; } }`)
	return addr
}

// Requests every 0.9 to 1.0 s on a kept connection against nginx with
// keepalive_timeout 1, on 40 connections at once, over a round trip of 10 ms; and
// the same against the server of the incident nginx-1s, which is the lab as nginx.
// Both have the signature of the incident and are cleared by its remedy.
//
// A request fails when its connection has been idle for between 990 ms and 1 s:
// it is then under way when nginx closes. That is one in ten, so about 300
// requests fail to show any with a probability of 0.9^300, below 1e-13.
func TestNginxClosesAtOneSecond(t *testing.T) {
	emulated, err := lab.Start(*profile(t, "nginx-1s").Target.Lab, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { emulated.Close() })
	for _, server := range []struct{ name, addr string }{{"nginx", nginx(t)}, {"emulated", emulated.Addr()}} {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			closesAtOneSecond(t, server.addr)
		})
	}
}

// closesAtOneSecond checks a server against the signature of nginx-1s, and the
// remedy against it.
func closesAtOneSecond(t *testing.T, addr string) {
	link, err := lab.StartLink(script.Link{Delay: 5 * time.Millisecond}, "", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()

	p := profile(t, "nginx-1s")
	incident := uniformGaps(t, link.Addr(), 0)
	for _, e := range expect.Check(incident, p.Expect) {
		if !e.Met {
			t.Errorf("%s %s: seen %s %s; outcomes %+v", e.Path, e.Want, e.Seen, e.Why, incident.Outcomes)
		}
	}
	if !incident.Counts.Balance() {
		t.Errorf("%+v", incident.Counts)
	}
	lo, hi := results.Interval(incident.Counts.Failed, incident.Counts.Started, 0.95)
	t.Logf("%d of %d failed (%.1f %% to %.1f %%)", incident.Counts.Failed, incident.Counts.Started, 100*lo, 100*hi)

	remedy := uniformGaps(t, link.Addr(), 800*time.Millisecond)
	if remedy.Counts.Failed != 0 || remedy.Counts.OK != remedy.Counts.Started {
		t.Errorf("with idle_timeout 800ms: %+v", remedy.Outcomes)
	}
}

// uniformGaps sends eight requests on each of 40 pools of one connection.
func uniformGaps(t *testing.T, addr string, idleTimeout time.Duration) *results.Run {
	t.Helper()
	request, err := dialers.NewRequest("GET", "http://"+addr+"/", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	policy := pool.Default()
	policy.MaxConns, policy.IdleTimeout = 1, idleTimeout
	recorder := collectors.NewRecorder()
	epoch := time.Now()
	var all sync.WaitGroup
	for i := range 40 {
		// The gap is from due to due, and the answer takes a round trip of it.
		l := generator.Load{
			Arrivals: generator.Arrivals{Process: generator.Uniform, GapMin: 912 * time.Millisecond, GapMax: 1012 * time.Millisecond},
			Count:    8, MaxInFlight: 1, Seed: uint64(i + 1),
		}
		schedule, err := l.Schedule()
		if err != nil {
			t.Fatal(err)
		}
		c, err := dialers.NewClient(dialers.Config{Policy: policy, Requests: []*dialers.Request{request}, Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		open := generator.Open{Schedule: schedule, Engine: c, Observer: recorder}
		all.Go(func() { open.Run(context.Background(), epoch, nil) })
	}
	all.Wait()
	run := &results.Run{}
	recorder.Fill(run, time.Since(epoch))
	return run
}

// Real nginx under the usual load: the accounts balance, and only the race makes
// requests fail.
func TestNginxUnderLoad(t *testing.T) {
	addr := nginx(t)
	run, err := kabench.Run(t.Context(), profile(t, "", "target.url=http://"+addr+"/", "load.rate=400/s", "load.duration=5s"), kabench.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if c := run.Counts; !c.Balance() || c.Due != 2000 || c.OK+c.Failed != c.Started || run.Statuses["200"] != c.OK {
		t.Errorf("%+v, statuses %v, outcomes %+v", c, run.Statuses, run.Outcomes)
	}
	if s := run.Sockets; s.Available && !s.ServerSide {
		t.Errorf("the server's sockets are on this machine and were not seen: %+v", s)
	}
}
