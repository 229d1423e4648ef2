package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/fleet/broker"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// made is what a test's agents were to run, and how.
type made struct {
	mu     sync.Mutex
	starts map[int]time.Time
	lasts  time.Duration
	fails  func(index int) error
	sent   map[int]bool // the start came, and the run had not been given up
}

// run stands in for kabench.Run: it waits for the start as a run does, lasts for some time,
// and leaves a directory. What it sends, other tests look at.
func (m *made) run(ctx context.Context, p *profiles.Profile, o kabench.Options) (*results.Run, error) {
	if m.fails != nil {
		if err := m.fails(o.Share.Index); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return nil, err
	}
	start, err := o.Share.Await(ctx)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	if m.starts == nil {
		m.starts, m.sent = map[int]time.Time{}, map[int]bool{}
	}
	m.starts[o.Share.Index] = start
	lasts := m.lasts
	m.mu.Unlock()
	if !sleep(ctx, time.Until(start)) {
		return nil, ctx.Err()
	}
	m.mu.Lock()
	m.sent[o.Share.Index] = true
	m.mu.Unlock()
	end := time.NewTimer(time.Until(start.Add(lasts)))
	defer end.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n, over := uint64(0), false; !over; n++ {
		select {
		case <-end.C:
			over = true
		case <-o.Stop:
			over = true
		case <-ctx.Done():
			over = true
		case <-tick.C:
		}
		o.Share.Beat(kabench.Beat{Sending: !over, LeftOut: 1})
	}
	doc := &results.Run{Start: start, Name: p.Name, Complete: true}
	text, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	return doc, os.WriteFile(filepath.Join(o.Out, "run.json"), text, 0o644)
}

func profile(t *testing.T, sets ...string) *profiles.Profile {
	t.Helper()
	p, err := profiles.Load("", nil, append([]string{"target.url=http://127.0.0.1:9/", "load.rate=10/s", "load.duration=1s", "load.seed=3", "name=x"}, sets...))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// lines gathers what is said, for a test's log.
func lines(t *testing.T, who string) func(string) {
	return func(line string) { t.Logf("%s: %s", who, line) }
}

// meet starts a broker for a test.
func meet(t *testing.T) string {
	t.Helper()
	b, err := broker.Start(broker.Config{Listen: "127.0.0.1:0", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b.URL()
}

// join runs an agent until the test ends.
func join(t *testing.T, a *Agent) (end func() error) {
	t.Helper()
	if a.Say == nil {
		a.Say = lines(t, a.Name)
	}
	if a.Dir == "" {
		a.Dir = t.TempDir()
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	end = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { end() })
	return end
}

func controller(t *testing.T, c Config) *Controller {
	t.Helper()
	c.Say = lines(t, "controller")
	f, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func TestARunOnThreeAgents(t *testing.T) {
	t.Parallel()
	url := meet(t)
	m := &made{lasts: time.Second}
	allowed, err := ParseAllowed([]string{"127.0.0.1:9"})
	if err != nil {
		t.Fatal(err)
	}
	clocks := []Clock{SkewedClock(2*time.Second, 100e-6), SkewedClock(-2*time.Second, -100e-6), nil}
	dirs := []string{}
	for i, name := range []string{"agent-10", "agent-2", "b"} {
		dirs = append(dirs, t.TempDir())
		join(t, &Agent{URL: url, Name: name, Version: "v1", Allowed: allowed, MakeRun: m.run, Clock: clocks[i], Dir: dirs[i]})
	}
	f := controller(t, Config{Agents: 3, Broker: url, Version: "v1", InRun: true})
	for range 2 { // the agents stay for another run
		out := t.TempDir()
		var shown []string
		var begun time.Time
		beats := 0
		parts, err := f.Send(t.Context(), kabench.FleetJob{
			Profile: profile(t), Out: out,
			Preparing: func(what string) { shown = append(shown, what) },
			Begun:     func(start time.Time) { begun = start },
			Beats:     func([]*kabench.Beat) { beats++ },
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(parts) != 3 || beats == 0 {
			t.Fatalf("%d parts, %d beats", len(parts), beats)
		}
		for i, name := range []string{"agent-2", "agent-10", "b"} {
			a := parts[i].Agent
			if a.Index != i || a.Name != name || a.Version != "v1" || a.Lost != nil || a.Again != 0 || a.Network == "" {
				t.Errorf("%+v", a)
			}
			if want := []float64{-2, 2, 0}[i]; a.Clock.Offset < want-0.1 || a.Clock.Offset > want+0.1 || a.Clock.Measures < 1 || a.Clock.Error <= 0 {
				t.Errorf("%s: clock %+v", name, a.Clock)
			}
			if _, err := os.Stat(filepath.Join(parts[i].Dir, "run.json")); err != nil || parts[i].Dir != filepath.Join(out, "agents", fmt.Sprint(i)) {
				t.Errorf("%s: %v", parts[i].Dir, err)
			}
			// The bound is what was published: half of the least round trip.
			if skew := m.starts[i].Sub(begun).Seconds(); skew > a.Clock.Error+1e-3 || skew < -a.Clock.Error-1e-3 {
				t.Errorf("%s began %v s after the agreed start, and its clock is known to %v s", name, skew, a.Clock.Error)
			}
			if a.Clock.Skew > a.Clock.Error+1e-3 || a.Clock.Skew < -a.Clock.Error-1e-3 {
				t.Errorf("%s: %+v", name, a.Clock)
			}
		}
		t.Log(strings.Join(shown, "\n"))
		b, err := Open(out)
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Missing()) != 0 {
			t.Errorf("missing: %v", b.Missing())
		}
	}
	for _, dir := range dirs { // confirmed results are not kept twice
		if !isEmpty(dir, fileLock) {
			t.Errorf("%s is not empty", dir)
		}
	}
}

func TestTooFewAgents(t *testing.T) {
	t.Parallel()
	url := meet(t)
	m := &made{}
	join(t, &Agent{URL: url, Name: "a", Version: "v1", MakeRun: m.run})
	join(t, &Agent{URL: url, Name: "b", Version: "v2", MakeRun: m.run})
	f := controller(t, Config{Agents: 3, Broker: url, Version: "v1", Wait: 3 * time.Second})
	out := t.TempDir()
	_, err := f.Send(t.Context(), kabench.FleetJob{Profile: profile(t), Out: out})
	var input *kabench.InputError
	if !errors.As(err, &input) {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{"1 of 3 agents came within 3s: a;", "b was refused: it is kabench v2, and the controller is kabench v1"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v: no %q", err, want)
		}
	}
	if !isEmpty(out, fileOwn) {
		t.Error("something is left in the run's directory")
	}
}
