package fleet

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kabench/kabench"
)

// story tells a story in a bubble, whose time passes only when all wait.
func story(t *testing.T, tell func(t *testing.T, h *hub)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		t.Cleanup(h.end) // after the agents
		tell(t, h)
	})
}

// sent is what Send has returned, and what it showed.
type sent struct {
	parts []kabench.FleetPart
	err   error
	shown []string
	start time.Time
	ended time.Time
	out   string
}

func (h *hub) send(t *testing.T, f *Controller, change ...func(*kabench.FleetJob)) <-chan *sent {
	r := &sent{out: t.TempDir()}
	job := kabench.FleetJob{
		Profile: profile(t), Out: r.out,
		Preparing: func(what string) { r.shown = append(r.shown, what) },
		Begun:     func(start time.Time) { r.start = start },
	}
	for _, c := range change {
		c(&job)
	}
	r.out = job.Out
	done := make(chan *sent, 1)
	go func() {
		r.parts, r.err = f.Send(t.Context(), job)
		r.ended = time.Now()
		done <- r
	}()
	return done
}

// complete checks that all results are there.
func (r *sent) complete(t *testing.T, n int) {
	t.Helper()
	if r.err != nil || len(r.parts) != n {
		t.Fatalf("%d parts, %v", len(r.parts), r.err)
	}
	for _, p := range r.parts {
		if p.Agent.Lost != nil {
			t.Errorf("%s is lost: %+v", p.Agent.Name, p.Agent.Lost)
		}
		if _, err := os.Stat(filepath.Join(p.Dir, "run.json")); err != nil {
			t.Errorf("%s: %v", p.Agent.Name, err)
		}
	}
}

func (r *sent) has(t *testing.T, line string) {
	t.Helper()
	for _, shown := range r.shown {
		if strings.Contains(shown, line) {
			return
		}
	}
	t.Errorf("no %q was shown:\n%s", line, strings.Join(r.shown, "\n"))
}

// refused checks the error of a run that has sent nothing.
func (r *sent) refused(t *testing.T, m *made, want string) {
	t.Helper()
	var input *kabench.InputError
	if !errors.As(r.err, &input) || !strings.Contains(r.err.Error(), want) {
		t.Errorf("got %v, want an input error with %q", r.err, want)
	}
	if len(m.starts) > 0 {
		t.Errorf("%d agents sent", len(m.starts))
	}
	if !isEmpty(r.out, fileOwn) {
		t.Error("something is left in the directory")
	}
}

func TestRollCall(t *testing.T) {
	story(t, func(t *testing.T, h *hub) {
		m := &made{lasts: 2 * time.Second}
		f := h.lead(t, 3)
		done := h.send(t, f)
		time.Sleep(time.Second)
		h.in(t, "agent-10", 20*time.Millisecond, m)
		h.in(t, "agent-2", 0, m)
		time.Sleep(20 * time.Second)
		h.in(t, "agent-1", 40*time.Millisecond, m)
		r := <-done
		r.complete(t, 3)
		r.has(t, "waiting for agents: 0 of 3")
		r.has(t, "waiting for agents: 2 of 3 (agent-2, agent-10)")
		if r.parts[2].Agent.Name != "agent-10" {
			t.Errorf("the places are %s, %s, %s", r.parts[0].Agent.Name, r.parts[1].Agent.Name, r.parts[2].Agent.Name)
		}
		for i, start := range m.starts { // in a bubble nothing else takes time
			if off := start.Sub(r.start); off > 40*time.Microsecond || off < -40*time.Microsecond {
				t.Errorf("agent %d began %v after the agreed start", i, off)
			}
		}
	})
}

func TestTwoAgentsWithOneName(t *testing.T) {
	story(t, func(t *testing.T, h *hub) {
		m := &made{lasts: 2 * time.Second}
		var said []string
		h.in(t, "a", 0, m)
		f := h.lead(t, 2, func(c *Config) { c.Wait = 30 * time.Second })
		done := h.send(t, f)
		time.Sleep(3 * time.Second)
		h.in(t, "other", 0, m, func(a *Agent) { a.Name, a.Say = "a", func(line string) { said = append(said, line) } })
		r := <-done
		r.refused(t, m, "1 of 2 agents came within 30s: a; a was refused: another agent is called a")
		if len(said) != 1 || !strings.Contains(said[0], "goes on asking: another agent is called a (process ") || !strings.Contains(said[0], "--name") {
			t.Errorf("the agent said %q", said)
		}
	})
}

// An agent that is not heard of for ten seconds is lost, at the moment of its last beat. The
// others' results are collected, and the lost one's can be fetched later.
func TestLostAgent(t *testing.T) {
	story(t, func(t *testing.T, h *hub) {
		m := &made{lasts: 30 * time.Second}
		for _, name := range []string{"a", "b"} {
			h.in(t, name, 0, m)
		}
		f := h.lead(t, 2)
		done := h.send(t, f, func(j *kabench.FleetJob) { j.Profile = profile(t, "load.duration=30s") })
		time.Sleep(15 * time.Second)
		h.cut(true, "b")
		r := <-done
		if r.err != nil {
			t.Fatal(r.err)
		}
		a, b := r.parts[0], r.parts[1]
		if a.Agent.Lost != nil || a.Dir == "" {
			t.Errorf("%+v", a)
		}
		if lost := b.Agent.Lost; lost == nil || lost.At < 5 || lost.At > 15 || !strings.Contains(lost.Why, "10s") || b.Dir != "" {
			t.Fatalf("%+v, lost %+v", b, b.Agent.Lost)
		}
		if late := r.ended.Sub(r.start); late > 60*time.Second {
			t.Errorf("Send returned %v after the start", late)
		}
		begun, err := Open(r.out)
		if err != nil {
			t.Fatal(err)
		}
		if missing := begun.Missing(); len(missing) != 1 || missing[0] != "b" {
			t.Errorf("missing: %v", missing)
		}
		// The agent still has them, and another process fetches them.
		f.Close()
		h.cut(false, "b")
		later, err := begun.TakeUp(t.Context(), Config{Version: "v1", dial: h.party("controller", 0), Say: lines(t, "collect")})
		if err != nil {
			t.Fatal(err)
		}
		defer later.Close()
		(<-h.send(t, later, func(j *kabench.FleetJob) { j.Out = r.out })).complete(t, 2)
	})
}

// An agent whose way to the broker is cut goes on sending, and is found again.
func TestAgentIsFoundAgain(t *testing.T) {
	story(t, func(t *testing.T, h *hub) {
		m := &made{lasts: 60 * time.Second}
		for _, name := range []string{"a", "b"} {
			h.in(t, name, 0, m)
		}
		f := h.lead(t, 2)
		done := h.send(t, f, func(j *kabench.FleetJob) { j.Profile = profile(t, "load.duration=60s") })
		time.Sleep(15 * time.Second)
		h.cut(true, "b")
		time.Sleep(25 * time.Second)
		h.cut(false, "b")
		(<-done).complete(t, 2)
	})
}

// While the broker is away nobody is lost, and nobody stops.
func TestBrokerIsAway(t *testing.T) {
	story(t, func(t *testing.T, h *hub) {
		m := &made{lasts: 60 * time.Second}
		for _, name := range []string{"a", "b"} {
			h.in(t, name, 0, m)
		}
		f := h.lead(t, 2)
		done := h.send(t, f, func(j *kabench.FleetJob) { j.Profile = profile(t, "load.duration=60s") })
		time.Sleep(20 * time.Second)
		h.cut(true, "a", "b", "controller")
		time.Sleep(2 * time.Minute) // the run ends in this time
		h.cut(false, "controller")
		time.Sleep(8 * time.Second)
		h.cut(false, "a", "b")
		r := <-done
		r.complete(t, 2)
		if r.ended.Sub(r.start) < 2*time.Minute {
			t.Errorf("it ended after %v", r.ended.Sub(r.start))
		}
	})
}

// If one agent does not learn the start, none sends.
func TestStartBarrier(t *testing.T) {
	for _, test := range []struct {
		name string
		when string // what is shown when b is cut off
		want string
	}{
		{"before it is ready", "preparing", "agent b"},
		{"before the start is agreed", "are ready, and start in", "agent b did not acknowledge"},
	} {
		t.Run(test.name, func(t *testing.T) {
			story(t, func(t *testing.T, h *hub) {
				// They take their time to prepare: else all may be ready before anything is shown.
				m := &made{lasts: 5 * time.Second, fails: func(int) error { time.Sleep(time.Second); return nil }}
				for _, name := range []string{"a", "b", "c"} {
					h.in(t, name, 0, m)
				}
				f := h.lead(t, 3)
				r := <-h.send(t, f, func(j *kabench.FleetJob) {
					j.Preparing = func(what string) {
						if strings.Contains(what, test.when) {
							h.cut(true, "b")
						}
					}
				})
				r.refusedEarly(t, test.want)
				// An agent that had learnt the start was called back before it.
				time.Sleep(20 * time.Second)
				for i, began := range m.sent {
					if began {
						t.Errorf("agent %d sent", i)
					}
				}
			})
		})
	}
}

func (r *sent) refusedEarly(t *testing.T, want string) {
	t.Helper()
	var input *kabench.InputError
	if !errors.As(r.err, &input) || !strings.Contains(r.err.Error(), want) {
		t.Errorf("got %v, want an input error with %q", r.err, want)
	}
}

// An agent that cannot prepare its share is named, and nothing is sent.
func TestAgentThatCannotPrepare(t *testing.T) {
	story(t, func(t *testing.T, h *hub) {
		m := &made{lasts: 5 * time.Second, fails: func(index int) error {
			if index == 1 {
				return errors.New("no such driver")
			}
			return nil
		}}
		for _, name := range []string{"a", "b"} {
			h.in(t, name, 0, m)
		}
		(<-h.send(t, h.lead(t, 2))).refused(t, m, "cannot take part: no such driver")
	})
}

func TestAgentThatMayNotSendThere(t *testing.T) {
	story(t, func(t *testing.T, h *hub) {
		m := &made{}
		h.in(t, "a", 0, m, func(a *Agent) { a.Allowed = Allowed{} })
		(<-h.send(t, h.lead(t, 1))).refused(t, m, "it may not send to 127.0.0.1:9; start it with --allow-target 127.0.0.1:9")
	})
}

// A clock that is known too badly cannot keep a start.
func TestClockThatIsKnownTooBadly(t *testing.T) {
	story(t, func(t *testing.T, h *hub) {
		m := &made{}
		h.in(t, "far", 60*time.Millisecond, m)
		(<-h.send(t, h.lead(t, 1))).refused(t, m, "the clock of agent far is known to 60 ms only, and a start needs 50 ms")
	})
}

func TestStop(t *testing.T) {
	story(t, func(t *testing.T, h *hub) {
		m := &made{lasts: time.Hour}
		for _, name := range []string{"a", "b"} {
			h.in(t, name, 0, m)
		}
		stop := make(chan struct{})
		f := h.lead(t, 2)
		done := h.send(t, f, func(j *kabench.FleetJob) { j.Stop = stop })
		time.Sleep(30 * time.Second)
		close(stop)
		r := <-done
		r.complete(t, 2)
		if r.ended.Sub(r.start) > 40*time.Second {
			t.Errorf("it stopped after %v", r.ended.Sub(r.start))
		}
	})
}

func TestStopBeforeTheStart(t *testing.T) {
	story(t, func(t *testing.T, h *hub) {
		m := &made{lasts: time.Hour}
		h.in(t, "a", 0, m)
		stop := make(chan struct{})
		f := h.lead(t, 2)
		done := h.send(t, f, func(j *kabench.FleetJob) { j.Stop = stop })
		time.Sleep(5 * time.Second)
		close(stop)
		if r := <-done; !errors.Is(r.err, kabench.ErrInterrupted) || len(m.starts) > 0 {
			t.Errorf("%v", r.err)
		}
	})
}

// A controller that ended without a word is followed by another one, which has only the
// directory.
func TestControllerIsFollowed(t *testing.T) {
	for _, test := range []struct {
		name  string
		after time.Duration // of the start
	}{{"before the start", -1500 * time.Millisecond}, {"while the agents send", 20 * time.Second}, {"after the run", 70 * time.Second}} {
		t.Run(test.name, func(t *testing.T) {
			story(t, func(t *testing.T, h *hub) {
				m := &made{lasts: 60 * time.Second}
				for _, name := range []string{"a", "b"} {
					h.in(t, name, 0, m)
				}
				out := t.TempDir()
				first := h.lead(t, 2)
				ctx, cancel := context.WithCancel(t.Context())
				began := make(chan time.Time, 1)
				gone := make(chan struct{})
				go func() {
					defer close(gone)
					_, _ = first.Send(ctx, kabench.FleetJob{
						Profile: profile(t, "load.duration=60s"), Out: out,
						Begun: func(start time.Time) { began <- start },
					})
				}()
				time.Sleep(time.Until((<-began).Add(test.after)))
				h.cut(true, "controller")
				kept, err := os.ReadFile(filepath.Join(out, fileState))
				if err != nil {
					t.Fatal(err)
				}
				cancel() // this process cannot be killed; what the controller does now has no effect
				<-gone
				first.Close()
				if err := os.WriteFile(filepath.Join(out, fileState), kept, 0o600); err != nil {
					t.Fatal(err)
				}
				begun, err := Open(out)
				if err != nil {
					t.Fatal(err)
				}
				next, err := begun.TakeUp(t.Context(), Config{Version: "v1", dial: h.party("controller", 0), Say: lines(t, "next")})
				if err != nil {
					t.Fatal(err)
				}
				defer next.Close()
				(<-h.send(t, next, func(j *kabench.FleetJob) { j.Out = out })).complete(t, 2)
			})
		})
	}
}

// What an agent had recorded when its process was killed is delivered by the next process
// with its directory; the agent stays lost.
func TestKilledAgentsResults(t *testing.T) {
	for _, only := range []bool{false, true} {
		story2(t, map[bool]string{false: "the same agent again", true: "only delivered"}[only], func(t *testing.T, h *hub) {
			m := &made{lasts: 60 * time.Second}
			h.in(t, "a", 0, m)
			dir := t.TempDir()
			end := h.in(t, "b", 0, m, func(a *Agent) { a.Dir = dir })
			f := h.lead(t, 2)
			done := h.send(t, f, func(j *kabench.FleetJob) { j.Profile = profile(t, "load.duration=60s") })
			time.Sleep(20 * time.Second)
			torn := t.TempDir() // as the disk would be after a kill
			if err := os.CopyFS(torn, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			h.cut(true, "b")
			end()
			entries, err := os.ReadDir(torn)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if e.IsDir() {
					if err := os.WriteFile(filepath.Join(torn, e.Name(), dirRun, "half"), []byte("x"), 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			time.Sleep(2 * time.Second)
			h.in(t, "b", 0, m, func(a *Agent) { a.Dir, a.DeliverOnly = torn, only })
			r := <-done
			if r.err != nil {
				t.Fatal(r.err)
			}
			b := r.parts[1]
			if b.Agent.Lost == nil || b.Agent.Lost.At < 10 || b.Agent.Lost.At > 20 {
				t.Errorf("lost: %+v", b.Agent.Lost)
			}
			if _, err := os.Stat(filepath.Join(b.Dir, "half")); err != nil || b.Dir == "" {
				t.Errorf("its results are not there: %v", err)
			}
			if a := r.parts[0]; a.Agent.Lost != nil || a.Dir == "" {
				t.Errorf("%+v", a)
			}
		})
	}
}

func story2(t *testing.T, name string, tell func(t *testing.T, h *hub)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { story(t, tell) })
}
