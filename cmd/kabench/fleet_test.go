//go:build unix

package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// running starts a run on local agents and waits until its requests are on their way.
func running(t *testing.T, args ...string) (p *process, server *lab.Server, out string) {
	t.Helper()
	server, err := lab.Start(script.Server{Body: 100}, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	out = filepath.Join(t.TempDir(), "out")
	p = start(t, append([]string{"run", "--target", server.URL(), "--arrivals", "constant", "--out", out}, args...)...)
	t.Cleanup(func() { endLocals(t, out) })
	deadline := time.Now().Add(60 * time.Second)
	for server.Seen().Requests < 20 {
		if time.Now().After(deadline) {
			t.Fatalf("no requests after a minute:\n%s", p.stderr.String())
		}
		time.Sleep(50 * time.Millisecond)
	}
	return p, server, out
}

// seats are the agents of a run as fleet.json has them.
func seats(out string) (list []struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
}) {
	var state struct {
		Agents any `json:"agents"`
	}
	state.Agents = &list
	if text, err := os.ReadFile(filepath.Join(out, "fleet.json")); err == nil {
		_ = json.Unmarshal(text, &state) // no agents, then
	}
	return list
}

// endLocals ends the agents that a test's controller has left.
func endLocals(t *testing.T, out string) {
	for _, a := range seats(out) {
		if line, err := os.ReadFile("/proc/" + strconv.Itoa(a.PID) + "/cmdline"); err == nil && strings.Contains(string(line), out) {
			t.Logf("agent %s still runs and is killed", a.Name)
			_ = syscall.Kill(a.PID, syscall.SIGKILL)
		}
	}
}

func runOf(t *testing.T, out string) *results.Run {
	t.Helper()
	dir, err := record.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	run, err := dir.Run()
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// recordedOnce counts the exchanges of a run's record, and fails if one is in it twice.
func recordedOnce(t *testing.T, out string) int {
	t.Helper()
	dir, err := record.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]bool{}
	for e, err := range dir.Exchanges() {
		if err != nil {
			t.Fatal(err)
		}
		if seen[e.Seq] {
			t.Errorf("exchange %d is there twice", e.Seq)
		}
		seen[e.Seq] = true
	}
	return len(seen)
}

// A controller that was killed is followed by another process, and nothing is missing.
func TestKilledControllerIsFollowed(t *testing.T) {
	t.Parallel()
	p, server, out := running(t, "--rate", "50/s", "--duration", "6s", "--agents", "local:2")
	second := start(t, "run", "--resume", out) // the first one lives
	if code := second.exitCode(t); code != exit.Input || !strings.Contains(second.stderr.String(), "another kabench is at the run") {
		t.Errorf("a second controller: exit code %d, %s", code, second.stderr.String())
	}
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait() // it was killed
	next := start(t, "run", "--resume", out)
	if code := next.exitCode(t); code != exit.Done && code != exit.Invalid { // a busy machine
		t.Fatalf("exit code %d: %s", code, next.stderr.String())
	}
	run := runOf(t, out)
	if run.Counts.Due != 300 || run.Counts.Started != 300 || server.Seen().Requests != 300 || recordedOnce(t, out) != 300 || len(run.Agents) != 2 {
		t.Errorf("%+v; %d at the server, %d recorded", run.Counts, server.Seen().Requests, recordedOnce(t, out))
	}
	for _, a := range run.Agents {
		if a.Lost != nil {
			t.Errorf("%s is lost: %+v", a.Name, a.Lost)
		}
	}
	for _, name := range []string{"broker", "local", "fleet.lock", "controller.json"} {
		if _, err := os.Stat(filepath.Join(out, name)); err == nil {
			t.Errorf("%s is left", name)
		}
	}
}

// What a killed agent had recorded is in the run, and the rest of its share is dropped with
// agent_lost.
func TestKilledAgentsRecordIsInTheRun(t *testing.T) {
	t.Parallel()
	p, server, out := running(t, "--rate", "50/s", "--duration", "8s", "--agents", "local:2")
	time.Sleep(2 * time.Second) // its record has some of it on the disk
	if err := syscall.Kill(seats(out)[1].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := p.exitCode(t); code != exit.Unmet && code != exit.Invalid { // a busy machine
		t.Fatalf("exit code %d: %s", code, p.stderr.String())
	}
	run := runOf(t, out)
	c, lost := run.Counts, run.Agents[1].Lost
	if lost == nil || lost.Arrivals == 0 || lost.Arrivals >= 200 || !strings.Contains(lost.Why, "its process has ended") {
		t.Fatalf("lost: %+v", lost)
	}
	if c.Due != 400 || c.Dropped != lost.Arrivals || c.Started != 400-lost.Arrivals || !c.Balance() || uint64(server.Seen().Requests) < c.Started {
		t.Errorf("%+v, lost %+v, %d at the server", c, lost, server.Seen().Requests)
	}
	if n := recordedOnce(t, out); n != 400 {
		t.Errorf("%d exchanges are recorded", n)
	}
	if run.Agents[0].Lost != nil {
		t.Errorf("%+v", run.Agents[0].Lost)
	}
}

// Two agents send what one process sends with the same seed: the same requests, due at the same
// moments.
func TestAgentsHaveTheScheduleOfOneProcess(t *testing.T) {
	t.Parallel()
	server, err := lab.Start(script.Server{}, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	// due are when the requests of the run were due, by their numbers.
	due := func(args ...string) map[uint64]time.Duration {
		out := filepath.Join(t.TempDir(), "out")
		p := start(t, append([]string{"run", "--target", server.URL(), "--rate", "150/s", "--duration", "2s", "--seed", "15", "--out", out, "--set", "load.warm_up=500ms"}, args...)...)
		if code := p.exitCode(t); code != exit.Done && code != exit.Invalid { // a busy machine
			t.Fatalf("exit code %d: %s", code, p.stderr.String())
		}
		dir, err := record.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		all := map[uint64]time.Duration{}
		for e, err := range dir.Exchanges() {
			if err != nil {
				t.Fatal(err)
			}
			all[e.Seq] = e.Due
			if e.WarmUp != (e.Due < 500*time.Millisecond) {
				t.Errorf("exchange %d, due at %v: warm-up %v", e.Seq, e.Due, e.WarmUp)
			}
		}
		return all
	}
	one, several := due(), due("--agents", "local:2")
	if len(one) < 200 || !maps.Equal(one, several) {
		t.Errorf("one process has %d requests, and two agents have %d, or they are due at other moments", len(one), len(several))
	}
}

// A Ctrl-C stops all agents in order, and their results are there.
func TestInterruptedRunOnAgents(t *testing.T) {
	t.Parallel()
	p, server, out := running(t, "--rate", "50/s", "--duration", "10m", "--agents", "local:2")
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := p.exitCode(t); code != exit.Interrupted {
		t.Fatalf("exit code %d: %s", code, p.stderr.String())
	}
	run := runOf(t, out)
	if !run.Interrupted || run.Counts.Started != uint64(server.Seen().Requests) || run.Counts.Dropped != 0 || !run.Counts.Balance() {
		t.Errorf("interrupted %v, %+v, %d at the server", run.Interrupted, run.Counts, server.Seen().Requests)
	}
}

// Agents with other credentials are refused in one sentence, and those with the right ones
// take part.
func TestCredentialsOfAFleet(t *testing.T) {
	t.Parallel()
	server, err := lab.Start(script.Server{}, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	dir := t.TempDir()
	for _, name := range []string{"right", "wrong"} {
		says(t, exit.Done, "fleet", "credentials", filepath.Join(dir, name), "--host", "127.0.0.1")
	}
	to := strings.Trim(server.URL(), "htp:/")
	p := start(t, "run", "--target", server.URL(), "--rate", "50/s", "--duration", "1s", "--agents", "1", "--listen", "127.0.0.1:0",
		"--credentials", filepath.Join(dir, "right", "controller.cred"), "--out", filepath.Join(dir, "out"))
	url := p.line(t, "tls://")
	agent := func(cred string, args ...string) *process {
		args = append([]string{"agent", "--join", url, "--allow-target", to, "--dir", filepath.Join(dir, "agent-"+cred), "--once"}, args...)
		if cred != "none" {
			args = append(args, "--credentials", filepath.Join(dir, cred, "agent.cred"))
		}
		return start(t, args...)
	}
	for cred, want := range map[string]string{"wrong": "another authority", "none": "credentials"} {
		a := agent(cred)
		if code := a.exitCode(t); code != exit.Input || !strings.Contains(a.stderr.String(), want) {
			t.Errorf("%s: exit code %d, %s", cred, code, a.stderr.String())
		}
	}
	a := agent("right")
	if code := p.exitCode(t); code != exit.Done && code != exit.Invalid {
		t.Errorf("exit code %d: %s", code, p.stderr.String())
	}
	if code := a.exitCode(t); code != exit.Done {
		t.Errorf("the agent: exit code %d: %s", code, a.stderr.String())
	}
	if server.Seen().Requests != 50 {
		t.Errorf("%d requests", server.Seen().Requests)
	}
}

// line waits for a word of standard error that begins with prefix.
func (p *process) line(t *testing.T, prefix string) string {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		for word := range strings.FieldsSeq(p.stderr.String()) {
			if strings.HasPrefix(word, prefix) {
				return strings.Trim(word, ",.")
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("no %s:\n%s", prefix, p.stderr.String())
	return ""
}
