package fleet

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/fleet/broker"
	"github.com/kabench/kabench/internal/fleet/parcel"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// A controller that ended while it agreed on the start leaves an agent that does not know it.
// The next controller does not wait for that agent, and the agent does not wait for ever.
func TestStartThatAnAgentHasNotHeardOf(t *testing.T) {
	story(t, func(t *testing.T, h *hub) {
		m := &made{lasts: 20 * time.Second}
		for _, name := range []string{"a", "b"} {
			h.in(t, name, 0, m)
		}
		out := t.TempDir()
		first := h.lead(t, 2)
		var kept []byte
		_, err := first.Send(t.Context(), kabench.FleetJob{Profile: profile(t, "load.duration=20s"), Out: out, Preparing: func(what string) {
			if strings.Contains(what, "and start in") {
				h.cut(true, "b")
				time.AfterFunc(time.Second, func() { h.cut(true, "controller") })
				kept, _ = os.ReadFile(filepath.Join(out, fileState))
			}
		}})
		if err == nil || kept == nil {
			t.Fatalf("the start was agreed: %v", err)
		}
		first.Close()
		if err := os.MkdirAll(filepath.Join(out, dirAgents), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(out, fileState), kept, 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		h.cut(false, "b")
		begun, err := Open(out)
		if err != nil {
			t.Fatal(err)
		}
		next, err := begun.TakeUp(t.Context(), Config{Version: "v1", dial: h.party("controller", 0), Say: lines(t, "next")})
		if err != nil {
			t.Fatal(err)
		}
		defer next.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		began := time.Now()
		parts, err := next.Send(ctx, kabench.FleetJob{Profile: profile(t, "load.duration=20s"), Out: out})
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 90*time.Second {
			t.Errorf("it took %v", took)
		}
		if a := parts[0]; a.Agent.Lost != nil || a.Dir == "" {
			t.Errorf("a: %+v", a)
		}
		if b := parts[1].Agent; b.Lost == nil || !strings.Contains(b.Lost.Why, "the start came too late") {
			t.Errorf("b is lost: %+v", b.Lost)
		}
	})
}

// An agent that says that it has lost the run gives no hope of results, however alive it is.
func TestNoHopeOfAnAgentWithoutTheRun(t *testing.T) {
	now := time.Now()
	start := now.Add(-time.Minute)
	seat := &seat{Name: "a", Instance: "1", Stage: stageSending, heard: now}
	s := &sending{over: t.Context(), Controller: &Controller{}, state: &state{Run: "r", Seats: seatsOf(seat)}, moments: moments{start: start, began: start, back: start}}
	for range 60 {
		now = now.Add(time.Second)
		seat.hears(beat{}, "r", now, start)
	}
	if seat.Lost == nil || s.hope(seat, now) {
		t.Errorf("after a minute there is hope; lost: %+v", seat.Lost)
	}
}

func seatsOf(list ...*seat) []*seat { return list }

// Who stops a run does not wait for the end of the schedule of an agent that is lost.
func TestStopOfARunWithALostAgent(t *testing.T) {
	now := time.Now()
	stop := make(chan struct{})
	seat := &seat{Name: "a", Stage: stageSending, heard: now.Add(-time.Minute), Lost: &results.AgentLost{}}
	s := &sending{
		Controller: &Controller{}, state: &state{Lasts: 3600}, job: kabench.FleetJob{Stop: stop}, over: t.Context(),
		moments: moments{start: now.Add(-2 * time.Minute)},
	}
	if !s.hope(seat, now) {
		t.Error("an agent that may still send is given up")
	}
	close(stop)
	if !s.hope(seat, now) {
		t.Error("it has no time to come back")
	}
	if s.hope(seat, now.Add(2*silence+time.Second)) {
		t.Error("a run that was stopped waits for a lost agent")
	}
}

// Beats that nobody has looked at yet keep their exchanges, up to a bound, and the count is right.
func TestExchangesOfBeats(t *testing.T) {
	one := &kabench.Beat{Exchanges: []byte("a\nb\n"), LeftOut: 1}
	two := after(after(nil, one), &kabench.Beat{Exchanges: []byte("c\n"), LeftOut: 2})
	if string(two.Exchanges) != "a\nb\nc\n" || two.LeftOut != 3 {
		t.Errorf("%q, %d left out", two.Exchanges, two.LeftOut)
	}
	three := after(two, &kabench.Beat{Exchanges: make([]byte, mostFollowing)})
	if len(three.Exchanges) != mostFollowing || three.LeftOut != 6 {
		t.Errorf("%d bytes, %d left out", len(three.Exchanges), three.LeftOut)
	}
}

// An agent whose results belong to a run that the controller does not know, and whose broker
// has no stream for them, is free for the next run.
func TestAgentIsFreeAgainAfterAnotherRun(t *testing.T) {
	story(t, func(t *testing.T, h *hub) {
		m := &made{lasts: 5 * time.Second}
		dir := t.TempDir()
		h.in(t, "a", 0, m, func(a *Agent) {
			a.Dir = dir
			a.dial = h.stuck(a.dial)
		})
		first := h.lead(t, 1)
		ctx, cancel := context.WithCancel(t.Context())
		out := t.TempDir()
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			_, _ = first.Send(ctx, kabench.FleetJob{Profile: profile(t, "load.duration=5s"), Out: out})
		}()
		time.Sleep(15 * time.Second)
		h.cut(true, "controller")
		cancel()
		<-gone
		first.Close()
		next := h.lead(t, 1, func(c *Config) { c.Wait = 30 * time.Second })
		(<-h.send(t, next)).complete(t, 1)
		if entries, _ := filepath.Glob(filepath.Join(dir, "*", fileKnown)); len(entries) == 0 {
			t.Error("the agent has not kept the results")
		}
	})
}

// stuckCarrier never gets rid of the parcels of a run, like one whose stream is not there.
type stuckCarrier struct {
	carrier
	run *string // the run that it does not get rid of: the first one
}

func (h *hub) stuck(dial func(context.Context) (bus, carrier, error)) func(context.Context) (bus, carrier, error) {
	return func(ctx context.Context) (bus, carrier, error) {
		b, c, err := dial(ctx)
		return b, stuckCarrier{c, new(string)}, err
	}
}

func (s stuckCarrier) send(ctx context.Context, key parcel.Key, dir string, progress func(have, of int64)) (string, error) {
	if *s.run == "" {
		*s.run = key.Run
	}
	if *s.run != key.Run {
		return s.carrier.send(ctx, key, dir, progress)
	}
	<-ctx.Done()
	return "", ctx.Err()
}

// An order reads no file of the agent's machine, and starts no program for somebody who has
// shown no credentials.
func TestOrdersThatAnAgentRefuses(t *testing.T) {
	program := func(p *profiles.Profile) {
		p.Client, p.Driver = profiles.ClientExternal, &profiles.Driver{Command: "/bin/sh -c id"}
	}
	for _, test := range []struct {
		name   string
		change func(*profiles.Profile)
		agent  *Agent // nil: one without credentials
		want   string
	}{
		{name: "a file of the agent", change: func(p *profiles.Profile) { p.Target.File = "/etc/passwd" }, want: "target.file, and the file did not come with it"},
		{name: "an authority of the agent", change: func(p *profiles.Profile) { p.Target.TLS.CAFile = "/etc/passwd" }, want: "target.tls.ca_file, and the file did not come with it"},
		{name: "a certificate of the agent", change: func(p *profiles.Profile) { p.Target.TLS.CertFile = "/etc/passwd" }, want: "target.tls.cert_file, and the file did not come with it"},
		{name: "a key of the agent", change: func(p *profiles.Profile) { p.Target.TLS.KeyFile = "/etc/passwd" }, want: "target.tls.key_file, and the file did not come with it"},
		{name: "a log of the agent", change: func(p *profiles.Profile) { p.Load.Trace.File = "/etc/passwd" }, want: "load.trace, and the file did not come with it"},
		{name: "a program", change: program, want: "a broker without credentials"},
		{name: "a program, by somebody known", change: program, agent: &Agent{Credentials: &broker.Credentials{}}},
		{name: "a program, by a user of the broker", change: program, agent: &Agent{URL: "nats://me:secret@127.0.0.1:4222"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := profile(t)
			test.change(p)
			err := usePaths(p, map[string]string{})
			if err == nil {
				err = cmp.Or(test.agent, &Agent{}).mayRun(p)
			}
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// The broker of local agents asks for credentials that only this user can read.
func TestLocalAgentsHaveCredentials(t *testing.T) {
	out := t.TempDir()
	f := controller(t, Config{Agents: 1, Local: true, InRun: true, Version: "v1"})
	if err := f.open(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	if _, err := broker.Dial(t.Context(), f.url, nil, "somebody"); err == nil {
		t.Error("anyone can connect")
	}
	if _, err := broker.Dial(t.Context(), strings.Replace(f.url, "tls:", "nats:", 1), nil, "somebody"); err == nil {
		t.Error("anyone can connect")
	}
	agents, err := broker.Read(f.agentsPath)
	if err != nil || agents.Controls() {
		t.Fatalf("%v, %v", agents, err)
	}
	nc, err := broker.Dial(t.Context(), f.url, agents, "agent")
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	again, path, err := localCredentials(filepath.Join(out, dirBroker))
	if err != nil || path != f.agentsPath || again.Seed != f.Credentials.Seed {
		t.Errorf("a controller that takes the run up has others: %v", err)
	}
}

// A controller that ends while it gives up a start that not all agents have heard of leaves a
// run that nobody takes up: it has sent nothing.
func TestRunThatIsGivenUpIsNotTakenUp(t *testing.T) {
	story(t, func(t *testing.T, h *hub) {
		m := &made{lasts: 5 * time.Second, fails: func(int) error { time.Sleep(time.Second); return nil }}
		for _, name := range []string{"a", "b"} {
			h.in(t, name, 0, m)
		}
		f := h.lead(t, 2)
		out := t.TempDir()
		agreed := make(chan bool, 1)
		sent := h.send(t, f, func(j *kabench.FleetJob) {
			j.Out = out
			j.Preparing = func(what string) {
				if strings.Contains(what, "are ready, and start in") {
					h.cut(true, "b")
					agreed <- true
				}
			}
		})
		<-agreed
		// The start is refused startMargin before its moment; then b does not answer.
		time.Sleep(startAhead - startMargin + time.Second)
		begun, err := Open(out)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := begun.TakeUp(t.Context(), Config{Version: "v1"}); err == nil || !strings.Contains(err.Error(), "had not begun") {
			t.Errorf("got %v, want that the run had not begun", err)
		}
		<-sent
	})
}
