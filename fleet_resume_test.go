package kabench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// takenUp is a fleet that takes a run up whose controller was killed.
type takenUp struct {
	*together
	parts []FleetPart
	start time.Time
}

func (f *takenUp) Send(_ context.Context, job FleetJob) ([]FleetPart, error) {
	job.Begun(f.start)
	return f.parts, nil
}

// killed is a fleet whose controller ends when the agents have sent their shares.
type killed struct {
	*together
	parts []FleetPart
	start time.Time
}

var errKilled = errors.New("the controller is killed here")

func (f *killed) Send(ctx context.Context, job FleetJob) (_ []FleetPart, err error) {
	begun := job.Begun
	job.Begun = func(start time.Time) { f.start = start; begun(start) }
	if f.parts, err = f.together.Send(ctx, job); err == nil {
		err = errKilled
	}
	return nil, err
}

// A run whose controller was killed is joined and judged by another one, as it would have
// been; with a server of the controller's own as the target, it is invalid.
func TestFleetIsResumed(t *testing.T) {
	t.Parallel()
	theirs, _ := shared(t, script.Server{})
	for name, test := range map[string]struct {
		sets    []string
		invalid string
	}{
		"their server": {sets: []string{"target.lab=null", "target.url=" + theirs.Target.URL, "expect.counts.ok=> 50"}},
		"own server":   {sets: []string{"expect.counts.ok=> 50"}, invalid: "it ended with the controller"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, out := small(t, test.sets...), filepath.Join(t.TempDir(), "out")
			before := &killed{together: &together{n: 2}}
			if _, err := Run(t.Context(), p, Options{Out: out, Version: "one", Fleet: before}); !errors.Is(err, errKilled) {
				t.Fatal(err)
			}
			after := &takenUp{together: &together{n: 2}, parts: before.parts, start: before.start}
			run, err := ResumeOnFleet(t.Context(), out, Options{Version: "two", Fleet: after})
			if err != nil {
				t.Fatal(err)
			}
			whole, err := p.Load.Schedule()
			if err != nil {
				t.Fatal(err)
			}
			due := len(slices.Collect(whole))
			if c := run.Counts; !c.Balance() || c.OK != c.Due || int(c.Due+c.WarmUp) != due || run.Version != "one" || run.Name != p.Name || !run.Start.Equal(before.start) {
				t.Errorf("%+v of %d, version %s, name %s, start %v", c, due, run.Version, run.Name, run.Start)
			}
			if len(run.Expect) != 2 || len(run.Unmet()) > 0 {
				t.Errorf("%+v", run.Expect)
			}
			if text := strings.Join(run.Invalid, "\n"); run.Valid != (test.invalid == "") || !strings.Contains(text, test.invalid) {
				t.Errorf("valid %v: %q", run.Valid, run.Invalid)
			}
			_, err = ResumeOnFleet(t.Context(), out, Options{Fleet: after})
			if _, is := err.(*InputError); !is || !strings.Contains(err.Error(), "the run in it is complete") {
				t.Errorf("resumed again: %v", err)
			}
		})
	}
	_, err := ResumeOnFleet(t.Context(), t.TempDir(), Options{Fleet: &together{n: 2}})
	if _, is := err.(*InputError); !is || !strings.Contains(err.Error(), "no run on several agents was begun in it") {
		t.Errorf("%v", err)
	}
}

// What a lost agent has recorded is taken when it is back, although the run was complete.
func TestFleetTakesALostAgentBack(t *testing.T) {
	t.Parallel()
	p, out := small(t, "load.arrivals=constant", "load.warm_up=0", "load.rate=90/s"), filepath.Join(t.TempDir(), "out")
	var away string
	f := &together{n: 3, spoil: func(i int, part *FleetPart, _ *results.Run) {
		if i == 1 {
			away, part.Dir, part.Agent.Lost = part.Dir, "", &results.AgentLost{Why: "it was not heard of for 10 s", At: 0.2}
		}
	}}
	first, err := Run(t.Context(), p, Options{Out: out, Fleet: f})
	if err != nil || first.Counts.Dropped != 30 || first.Counts.OK != 60 {
		t.Fatalf("%+v, %v", first, err)
	}
	var parts []FleetPart
	for _, a := range first.Agents {
		part := FleetPart{Agent: results.Agent{Index: a.Index, Name: a.Name, Network: a.Network}, Dir: filepath.Join(out, "agents", fmt.Sprint(a.Index))}
		if a.Index == 1 {
			part.Dir = away
		}
		parts = append(parts, part)
	}
	run, err := ResumeOnFleet(t.Context(), out, Options{Fleet: &takenUp{together: f, parts: parts, start: first.Start}})
	if err != nil {
		t.Fatal(err)
	}
	if c := run.Counts; c.OK != 90 || c.Dropped != 0 || !run.Valid || run.Lab.Requests != 90 {
		t.Errorf("%+v, valid %v %q, the server saw %+v", c, run.Valid, run.Invalid, run.Lab)
	}
	dir, err := record.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]bool{}
	for e, err := range dir.Exchanges() {
		if err != nil || seen[e.Seq] || !e.OK() {
			t.Fatalf("exchange %+v, %v", e, err)
		}
		seen[e.Seq] = true
	}
	if files := namesIn(t, out); len(seen) != 90 || slices.Contains(files, fileKept) {
		t.Errorf("%d exchanges; the directory holds %q", len(seen), files)
	}
}

// Comparisons and incidents are made on agents like single runs.
func TestFleetComparesAndReproduces(t *testing.T) {
	t.Parallel()
	f := &together{n: 2}
	arms := []ComparedArm{{Name: "one", Profile: small(t)}, {Name: "two", Profile: small(t, "pool.max_conns=3")}}
	c, err := Compare(t.Context(), arms, CompareOptions{Options: Options{Out: filepath.Join(t.TempDir(), "out"), Fleet: f}, Repeats: 2})
	if err != nil || len(c.Runs) != 4 || len(f.jobs) != 4 {
		t.Fatalf("%d runs, %d jobs, %v", len(c.Runs), len(f.jobs), err)
	}
	for _, run := range c.Runs {
		if run.Excluded != "" || run.CoolDown.Why != "each run has a server of its own, at a port of its own" {
			t.Errorf("%+v", run)
		}
	}
	arms[1].Profile.Load.Count, arms[1].Profile.Load.Duration = 1, 0
	if _, err := Compare(t.Context(), arms, CompareOptions{Options: Options{Fleet: f}, Repeats: 2}); err == nil || !strings.Contains(err.Error(), "two: the schedule has 1 requests") {
		t.Errorf("%v", err)
	}
	p := small(t, "expect.counts.ok=> 50", "expect.failures=0")
	p.Remedies = []profiles.Remedy{{Name: "fewer", Set: profiles.Changes{"pool.max_conns": "2"}, Expect: map[string]string{"counts.ok": "100% of incident"}}}
	r, err := Reproduce(t.Context(), p, ReproduceOptions{Options: Options{Fleet: f}})
	if err != nil || len(r.RemedyRuns) != 1 || !r.IncidentRun.Valid || len(r.IncidentRun.Agents) != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	if e := r.RemedyRuns[0].Run.Expect; len(e) != 1 || !e[0].Met {
		t.Errorf("%+v", e)
	}
}

// Where agents are on other machines, nobody can see whether their sockets are gone.
func TestCoolDownOfAgentsElsewhere(t *testing.T) {
	if elsewhere(nil) != nil || elsewhere(&together{n: 1}) != nil {
		t.Error("this machine's sockets are not looked at")
	}
	p := load(t, "", "target.url=http://127.0.0.1:1/", "load.rate=1/s")
	out := coolDown(t.Context(), p, coolDownOptions{limit: time.Millisecond, look: elsewhere(&together{n: 1, remote: true})})
	if !out.Limited || !strings.Contains(out.Why, "on the machines of the agents") {
		t.Errorf("%+v", out)
	}
}
