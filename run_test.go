package kabench

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// load is the profile of that name, "" of sets alone, whose runs are valid however
// busy the machine is: that must not decide a test.
func load(t *testing.T, name string, sets ...string) *profiles.Profile {
	t.Helper()
	return incident(t, name, append([]string{"load.max_lag=0"}, sets...)...)
}

// incident is load of a profile whose runs are judged as a user's are; see judged.
func incident(t *testing.T, name string, sets ...string) *profiles.Profile {
	t.Helper()
	text := ""
	if name != "" {
		found, ok := profiles.Find(name)
		if !ok {
			t.Fatal(profiles.NotFound(name))
		}
		text = found.Text
	}
	p, err := profiles.Load(name, []byte(text), sets)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRunAgainstTheLab(t *testing.T) {
	for name, sets := range map[string][]string{
		"plain":      {},
		"tls":        {"target.lab.tls=true"},
		"link":       {"target.link.delay=1ms"},
		"tls link":   {"target.lab.tls=true", "target.link.delay=1ms"},
		"stock":      {"client=stock", "pool=default"},
		"stock tls":  {"client=stock", "pool=default", "target.lab.tls=true"},
		"post":       {"target.method=POST", "target.body=hello"},
		"no address": {"pool.liveness=none", "pool.max_conns=2", "pool.lease_order=first_fit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run, err := Run(t.Context(), load(t, "quick", append(sets, "load.duration=1s", "load.warm_up=200ms")...), Options{})
			if err != nil {
				t.Fatal(err)
			}
			c := run.Counts
			if !c.Balance() || c.Due != 100 || c.OK != 100 || c.WarmUp != 20 || !run.Valid {
				t.Errorf("%+v, outcomes %+v, invalid %q", c, run.Outcomes, run.Invalid)
			}
			if run.Lab.Requests != 120 || run.Lab.Connections != run.Connections.Opened {
				t.Errorf("the server saw %+v; connections %+v", run.Lab, run.Connections)
			}
			if run.Attempts != 100 || run.Statuses["200"] != 100 {
				t.Errorf("attempts %d, statuses %v", run.Attempts, run.Statuses)
			}
		})
	}
}

// What cannot be done is said before any traffic, and leaves nothing behind.
func TestInputErrors(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	gone, err := lab.Start(script.Server{}, "")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	for name, test := range map[string]struct {
		sets []string
		out  string
		want string
	}{
		"nobody behind a link": {sets: []string{"target.lab=null", "target.link.delay=1ms", "target.url=" + gone.URL()}, want: "is the server running"},
		"nobody listens":       {sets: []string{"target.lab=null", "target.link=null", "target.url=" + gone.URL()}, want: "is the server running"},
		"no such CA file":      {sets: []string{"target.tls.ca_file=/nowhere"}, want: "/nowhere"},
		"a CA file that isn't": {sets: []string{"target.tls.ca_file=run_test.go"}, want: "no certificate"},
		"directory in use":     {out: full, want: full},
		"stock with a pool":    {sets: []string{"client=stock", "pool.max_conns=3"}, want: "pool of its own"},
	} {
		t.Run(name, func(t *testing.T) {
			out := test.out
			if out == "" {
				out = filepath.Join(t.TempDir(), "out")
			}
			run, err := Run(t.Context(), load(t, "quick", test.sets...), Options{Out: out})
			var input *InputError
			if run != nil || !errors.As(err, &input) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an input error with %q", err, test.want)
			}
			if _, err := os.Stat(filepath.Join(out, "profile.yaml")); err == nil {
				t.Error("a run directory was begun")
			}
		})
	}
}

// Rude servers end in classified failures, with bounded memory, and the run
// goes on.
func TestRudeServers(t *testing.T) {
	t.Parallel()
	for fault, want := range map[string]results.Outcome{
		"garbage":         {Phase: results.PhaseResponseHeaders, Cause: results.CauseMalformed},
		"endless_headers": {Phase: results.PhaseResponseHeaders, Cause: results.CauseMalformed},
		"endless_body":    {Phase: results.PhaseDuringResponse, Cause: results.CauseTimeout},
		"silent":          {Phase: results.PhaseBeforeResponse, Cause: results.CauseTimeout},
	} {
		t.Run(fault, func(t *testing.T) {
			timeout := "load.timeout=30s" // which only those meet that are to
			if want.Cause == results.CauseTimeout {
				timeout = "load.timeout=300ms"
			}
			run, err := Run(t.Context(), load(t, "quick", "load.rate=10/s", "load.duration=500ms", "load.warm_up=0", timeout, "target.lab.fault="+fault), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(run.Outcomes) != 1 || run.Outcomes[0].Phase != want.Phase || run.Outcomes[0].Cause != want.Cause || run.Outcomes[0].Count != 5 {
				t.Errorf("%+v, want 5 %v/%v", run.Outcomes, want.Phase, want.Cause)
			}
		})
	}
}

// A directory that goes away under the run does not take the results with it.
func TestLostDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	p := load(t, "quick", "load.duration=3s", "load.rate=50/s", "load.warm_up=0")
	run, err := Run(t.Context(), p, Options{Out: dir, Progress: func(Progress) { os.RemoveAll(dir) }})
	if err == nil || run == nil || run.Counts.OK != 150 {
		t.Fatalf("run %v, error %v; want the results and the error", run, err)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %v", err)
	}
}

func TestStopBeforeTheEnd(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	once := sync.OnceFunc(func() { close(stop) })
	run, err := Run(t.Context(), load(t, "quick", "load.duration=1h", "load.rate=100/s", "target.lab.delay=2s"),
		Options{Stop: stop, Progress: func(Progress) { once() }})
	if err != nil || !run.Interrupted || !run.Counts.Balance() || run.Counts.Unfinished != 0 || run.Counts.OK != run.Counts.Due {
		t.Fatalf("%v: %+v", err, run)
	}
	// The two seconds of waiting for answers are not a time in which anything was due.
	if run.Rate.Offered < 50 || run.Rate.Offered > 110 { // with the wait, 33
		t.Errorf("offered %v/s, and 100 were due each second", run.Rate.Offered)
	}

	ctx, cancel := context.WithCancel(t.Context())
	run, err = Run(ctx, load(t, "quick", "load.duration=1h", "target.lab.fault=silent"), Options{Progress: func(p Progress) {
		if p.InFlight > 0 {
			cancel()
		}
	}})
	if err != nil || !run.Interrupted || !run.Counts.Balance() || run.Counts.Unfinished == 0 {
		t.Errorf("%v: %+v", err, run)
	}
}

// Waiting for slow answers after the last request is not a time in which
// anything was due.
func TestRateOfARunEndedByCount(t *testing.T) {
	t.Parallel()
	run, err := Run(t.Context(), load(t, "quick", "load.count=100", "load.rate=100/s", "load.warm_up=0", "target.lab.delay=2s"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if run.Counts.Due != 100 || run.Rate.Offered < 50 || run.Rate.Offered > 101 { // with the wait in it, it would be 34
		t.Errorf("due %d, offered %v/s, want 100 and 100/s", run.Counts.Due, run.Rate.Offered)
	}
}

// An error status is an answer, and is said nevertheless.
func TestErrorStatusesAreOKAndSaid(t *testing.T) {
	t.Parallel()
	run, err := Run(t.Context(), load(t, "quick", "load.duration=500ms", "load.warm_up=0", "target.lab.status=503"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if run.Counts.OK != 50 || run.Statuses["503"] != 50 || !strings.Contains(strings.Join(run.Warnings, "\n"), "50 of 50 responses had an error status") {
		t.Errorf("%+v, statuses %v, warnings %q", run.Counts, run.Statuses, run.Warnings)
	}
}

// A run that is stopped before its first request is none, whatever it was at.
func TestStopBeforeTheFirstRequest(t *testing.T) {
	stop := make(chan struct{})
	close(stop)
	for range 10 {
		out := filepath.Join(t.TempDir(), "run")
		if run, err := Run(t.Context(), load(t, "quick"), Options{Out: out, Stop: stop}); run != nil || !errors.Is(err, ErrInterrupted) {
			t.Errorf("%+v, %v", run, err)
		}
		if left, err := filepath.Glob(filepath.Join(out, "*")); err != nil || len(left) > 0 {
			t.Errorf("left: %q, %v", left, err)
		}
	}
}

func TestStopWhileReachingForTheTarget(t *testing.T) {
	stop := make(chan struct{})
	close(stop)
	if _, err := Run(t.Context(), load(t, "", "target.url=http://127.0.0.1:1/", "load.rate=1/s"), Options{Stop: stop}); err == nil {
		t.Error("want an error")
	}
}

// Both runs of an incident see the same arrivals: they differ in the remedy.
func TestReproduceUsesOneSeed(t *testing.T) {
	p := load(t, "idle-race", "load.duration=500ms", "load.max_lag=0")
	rep, err := Reproduce(t.Context(), p, ReproduceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := rep.IncidentRun.Counts.Due, rep.RemedyRuns[0].Counts.Due; a != b {
		t.Errorf("%d requests were due in the incident and %d in the remedy", a, b)
	}
}

// A remedy says what it sets in the words of the client whose preset the pool began
// with, and of the usual clients if it began with none.
func TestReproduceSpellsItsRemedies(t *testing.T) {
	for _, test := range []struct {
		pool    string
		clients []string
		text    string
	}{
		{"undici", []string{"undici"}, "setGlobalDispatcher(new Agent({ keepAliveTimeout: 700, keepAliveMaxTimeout: 700 }))"},
		{"", profiles.UsualClients(), `ConnectionProvider.builder("pool").maxIdleTime(Duration.ofMillis(700))`},
	} {
		sets := []string{"load.duration=100ms", "load.max_lag=0"}
		if test.pool != "" {
			sets = append(sets, "pool="+test.pool)
		}
		p := load(t, "idle-race", sets...)
		p.Remedies = p.Remedies[:1]
		p.Remedies[0].Set = profiles.Changes{"pool.idle_timeout": "700ms"}
		rep, err := Reproduce(t.Context(), p, ReproduceOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var clients []string
		for _, s := range rep.RemedyRuns[0].Settings {
			clients = append(clients, s.Client)
		}
		if !slices.Equal(clients, test.clients) || rep.RemedyRuns[0].Settings[0].Text != test.text {
			t.Errorf("pool %q: %+v", test.pool, rep.RemedyRuns[0].Settings)
		}
	}
}

// What a remedy sets may be a secret.
func TestReproductionHoldsNoSecrets(t *testing.T) {
	p := load(t, "idle-race", "load.duration=100ms", "load.max_lag=0")
	p.Remedies[0].Set["target.headers.Authorization"] = "Bearer s3cret"
	rep, err := Reproduce(t.Context(), p, ReproduceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := record.EncodeReproduction(&text, rep); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), "s3cret") {
		t.Error("the reproduction's document has the secret")
	}
}
