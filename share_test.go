package kabench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// shared is a profile whose target is a server of the test's own.
func shared(t *testing.T, server script.Server, sets ...string) (*profiles.Profile, *lab.Server) {
	t.Helper()
	s, err := lab.Start(server, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return load(t, "", append([]string{"target.url=" + s.URL(), "load.rate=100/s", "load.duration=1s", "load.seed=7", "load.timeout=0", "pool.connect_timeout=0"}, sets...)...), s
}

// agreed returns an Await for n agents: all get the same start when each of them is ready.
func agreed(n int) func(context.Context) (time.Time, error) {
	var ready sync.WaitGroup
	ready.Add(n)
	start := sync.OnceValue(func() time.Time { return time.Now().Add(3 * time.Second) })
	return func(context.Context) (time.Time, error) {
		ready.Done()
		ready.Wait()
		return start(), nil
	}
}

// The shares are together the schedule of one process: each exchange has the due time, the
// target and the warm-up that it would have there, and no connection has another's number.
func TestSharesAreARun(t *testing.T) {
	t.Parallel()
	const n = 3
	p, server := shared(t, script.Server{}, "load.arrivals=poisson", "load.warm_up=200ms")
	await, dir := agreed(n), t.TempDir()
	runs, beats := make([]*results.Run, n), make([][]Beat, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			var err error
			runs[i], err = Run(t.Context(), p, Options{Out: filepath.Join(dir, fmt.Sprint(i)), Share: &Share{
				Index: i, Of: n, Await: await, Follow: true, Beat: func(b Beat) { beats[i] = append(beats[i], b) },
			}})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	schedule, err := p.Load.Schedule()
	if err != nil {
		t.Fatal(err)
	}
	var want []time.Duration
	for due := range schedule {
		want = append(want, due)
	}
	seen, conns := map[uint64]bool{}, map[uint64]int{}
	for i, run := range runs {
		if !run.Valid || len(run.Expect) > 0 || !run.Start.Equal(runs[0].Start) || !run.Counts.Balance() {
			t.Errorf("agent %d: valid %v %v, start %v, %+v", i, run.Valid, run.Invalid, run.Start, run.Counts)
		}
		kept, err := record.Open(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		for e, err := range kept.Exchanges() {
			if err != nil {
				t.Fatal(err)
			}
			due := want[e.Seq]
			if e.Due != due.Truncate(time.Microsecond) && e.Due != due.Round(time.Microsecond) || e.WarmUp != (due < p.Load.WarmUp) || e.Seq%n != uint64(i) || seen[e.Seq] {
				t.Errorf("agent %d: number %d is due at %v, warm-up %v; want %v", i, e.Seq, e.Due, e.WarmUp, due)
			}
			seen[e.Seq] = true
			if owner, known := conns[e.Conn]; known && owner != i || e.Conn%n != uint64(i+1)%n {
				t.Errorf("agent %d has connection %d of agent %d", i, e.Conn, owner)
			}
			conns[e.Conn] = i
		}
		followed := 0
		for _, b := range beats[i] {
			for e, err := range record.ReadLines(b.Exchanges) {
				if err != nil || e.Seq%n != uint64(i) || conns[e.Conn] != i {
					t.Errorf("agent %d: a beat has exchange %d on connection %d, %v", i, e.Seq, e.Conn, err)
				}
				followed++
			}
		}
		last := beats[i][len(beats[i])-1]
		if total := last.Progress.Totals; followed != int(total.Due) || total.OK != uint64(followed) || last.Stats.Opened == 0 || last.Sample.T <= 0 || last.Sending {
			t.Errorf("agent %d: %d exchanges followed; the last beat is %+v", i, followed, last)
		}
	}
	if len(seen) != len(want) || server.Seen().Requests != uint64(len(want)) {
		t.Errorf("%d exchanges in the records, %d requests at the server, want %d", len(seen), server.Seen().Requests, len(want))
	}
}

func TestShareInputErrors(t *testing.T) {
	p, _ := shared(t, script.Server{})
	now := func(context.Context) (time.Time, error) { return time.Now(), nil }
	for name, test := range map[string]struct {
		share Share
		sets  []string
		bare  bool
		want  string
	}{
		"no such agent": {share: Share{Index: 3, Of: 3, Await: now}, want: "no agent 3 of 3"},
		"no start":      {share: Share{Of: 1}, want: "Await is not set"},
		"too late":      {share: Share{Of: 1, Await: now}, want: "ahead for this agent"},
		"no seed":       {share: Share{Of: 1, Await: now}, sets: []string{"load.seed=0"}, want: "load.seed is 0"},
		"bare":          {share: Share{Of: 1, Await: now}, bare: true, want: "do not set Bare"},
		"own server":    {share: Share{Of: 1, Await: now}, sets: []string{"target.url=", "target.lab={}"}, want: "a target that all agents reach"},
		"own link":      {share: Share{Of: 1, Await: now}, sets: []string{"target.link.delay=1ms"}, want: "a target that all agents reach"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := p.Clone()
			for _, set := range test.sets {
				path, value, _ := strings.Cut(set, "=")
				if err := profiles.Set(changed, path, value); err != nil {
					t.Fatal(err)
				}
			}
			out := filepath.Join(t.TempDir(), "out")
			run, err := Run(t.Context(), changed, Options{Out: out, Share: &test.share, Bare: test.bare})
			var input *InputError
			if run != nil || !errors.As(err, &input) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an input error with %q", err, test.want)
			}
			if _, err := record.Open(out); err == nil {
				t.Error("a run directory was begun")
			}
		})
	}
}

// An agent that gets the order to stop before the start sends nothing.
func TestShareStoppedBeforeTheStart(t *testing.T) {
	t.Parallel()
	p, server := shared(t, script.Server{})
	stop := make(chan struct{})
	await := func(ctx context.Context) (time.Time, error) {
		close(stop)
		<-ctx.Done()
		return time.Time{}, ctx.Err()
	}
	run, err := Run(t.Context(), p, Options{Out: filepath.Join(t.TempDir(), "out"), Stop: stop, Share: &Share{Of: 1, Await: await}})
	if run != nil || !errors.Is(err, ErrInterrupted) || server.Seen().Requests != 0 {
		t.Errorf("%v, %v; %d requests", run, err, server.Seen().Requests)
	}
}

// Each agent takes up the TLS sessions that it has kept itself, and none without
// target.tls.resume.
func TestSharesResumeTheirOwnSessions(t *testing.T) {
	t.Parallel()
	const n = 2
	for _, resume := range []bool{false, true} {
		p, server := shared(t, script.Server{TLS: true}, "target.tls.insecure=true", fmt.Sprintf("target.tls.resume=%v", resume), "pool.max_conns=1", "pool.max_requests=1")
		await, runs, dir := agreed(n), make([]*results.Run, n), t.TempDir()
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				var err error
				if runs[i], err = Run(t.Context(), p, Options{Out: filepath.Join(dir, fmt.Sprint(i)), Share: &Share{Index: i, Of: n, Await: await}}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if t.Failed() {
			t.FailNow()
		}
		sum := 0
		for i, run := range runs {
			c, want := run.Connections, uint64(0)
			if resume {
				want = c.Opened - 1 // one at a time
			}
			if c.Opened < 2 || c.TLSResumed != want {
				t.Errorf("resume %v, agent %d: %d resumed of %d, want %d", resume, i, c.TLSResumed, c.Opened, want)
			}
			sum += int(c.TLSResumed)
		}
		seen := map[string]int{}
		for _, s := range server.Stories() {
			seen[s.TLS]++
		}
		if seen["resumed"] != sum {
			t.Errorf("resume %v: the server has seen %v, the runs have resumed %d", resume, seen, sum)
		}
	}
}
