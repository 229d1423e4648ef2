package compare

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
)

// made is a finished run of a profile.
func made(path, profile string) Finished {
	doc := &results.Run{
		Complete: true, Valid: true, Name: "quick", Start: time.Unix(0, 0), End: time.Unix(9, 0), Profile: json.RawMessage(profile),
		Host: results.Host{OS: "linux"}, Counts: results.Counts{Due: 100, Started: 100, OK: 100},
	}
	return Finished{Path: path, Run: Run{Doc: doc}}
}

func profile(rate, idle, more string) string {
	return fmt.Sprintf(`{"name":"quick","load":{"rate":%q,"seed":%d},"pool":{"idle_timeout":%q,"max_conns":8},"expect":{"failures":"0"}%s}`, rate, len(idle), idle, more)
}

func TestGatherSortsByWhatDiffers(t *testing.T) {
	c, err := Gather([]Finished{
		made("r/1", profile("100/s", "0s", "")), made("r/2", profile("100/s", "3s", "")),
		made("r/3", profile("100/s", "3s", "")), made("r/4", profile("100/s", "0s", `,"remedies":[],"abort_when":{"failures":"> 9"}`)),
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Arms) != 2 || c.Arms[0].Name != "idle_timeout=0s" || c.Arms[1].Name != "idle_timeout=3s" || c.Arms[1].Change["pool.idle_timeout"] != "3s" || len(c.Arms[1].Change) != 1 {
		t.Errorf("%+v", c.Arms)
	}
	want := []results.ComparedRun{
		{Arm: "idle_timeout=0s", Block: 1, Dir: "r/1"}, {Arm: "idle_timeout=3s", Block: 1, Dir: "r/2"},
		{Arm: "idle_timeout=3s", Block: 2, Dir: "r/3"}, {Arm: "idle_timeout=0s", Block: 2, Dir: "r/4"},
	}
	for i, r := range c.Runs {
		if r != want[i] {
			t.Errorf("run %d: %+v, want %+v", i, r, want[i])
		}
	}
	if c.Repeats != 2 {
		t.Errorf("%d repeats", c.Repeats)
	}
}

// An earlier version wrote 0 for a cap that there is not.
func TestGatherTakesNoCapAsOneSetting(t *testing.T) {
	of := func(limit, idle string) string {
		return fmt.Sprintf(`{"name":"quick","pool":{"idle_timeout":%q,"max_conns":%s,"max_conns_all":%[2]s,"max_requests":%[2]s}}`, idle, limit)
	}
	c, err := Gather([]Finished{made("r/1", of("0", "0s")), made("r/2", of("-1", "3s"))}, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Arms) != 2 || c.Arms[0].Name != "idle_timeout=0s" || len(c.Arms[1].Change) != 1 {
		t.Errorf("%+v", c.Arms)
	}
}

func TestGatherPresets(t *testing.T) {
	c, err := Gather([]Finished{
		made("r/1", profile("1/s", "0s", `,"preset":"go"`)), made("r/2", profile("1/s", "3s", `,"preset":"okhttp"`)),
		made("r/3", profile("1/s", "4s", `,"preset":"okhttp"`)), made("r/4", profile("1/s", "5s", "")),
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, a := range c.Arms {
		names = append(names, a.Name)
	}
	if got := strings.Join(names, ", "); got != "go, okhttp, okhttp (2), 4" {
		t.Error(got)
	}
	within := func(preset string) string {
		return `{"client":"policy","load":{"rate":"1/s"},"pool":{"preset":"` + preset + `","max_conns":5}}`
	}
	c, err = Gather([]Finished{made("r/1", within("go")), made("r/2", within("okhttp"))}, false)
	if err != nil || c.Arms[0].Name != "go" || c.Arms[1].Name != "okhttp" {
		t.Errorf("%v, %+v", err, c)
	}
}

func TestGatherRefuses(t *testing.T) {
	a, b := made("a", profile("100/s", "0s", "")), made("b", profile("200/s", "3s", `,"target":{"lab":{"body":"7"}}`))
	_, err := Gather([]Finished{a, b}, false)
	if !errors.Is(err, ErrOtherQuestion) || !strings.Contains(err.Error(), "load.rate is 100/s in a, and 200/s in b; target.lab.body is not set, and 7") {
		t.Error(err)
	}
	c, err := Gather([]Finished{a, b}, true)
	if err != nil || len(c.Arms) != 2 || !strings.Contains(strings.Join(c.Warnings, " "), "load.rate is 100/s in a") {
		t.Errorf("%v: %+v", err, c)
	}
	other := made("b", strings.Replace(profile("100/s", "0s", ""), "quick", "slow", 1))
	if _, err := Gather([]Finished{a, other}, false); !errors.Is(err, ErrOtherQuestion) || !strings.Contains(err.Error(), "name is quick in a, and slow in b") {
		t.Error(err)
	}
	for name, bad := range map[string]Finished{"no profile": made("b", ""), "not valid": made("b", "[")} {
		if _, err := Gather([]Finished{a, bad}, false); err == nil || !strings.Contains(err.Error(), "b: its") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Gather([]Finished{a}, false); !errors.Is(err, ErrNoPairs) {
		t.Error(err)
	}
}

// Runs of the same settings are compared with each other, one by one.
func TestGatherIdentical(t *testing.T) {
	runs := []Finished{made("r/a", profile("100/s", "0s", "")), made("s/a", profile("100/s", "0s", ""))}
	c, err := Gather(runs, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Arms) != 2 || c.Arms[0].Name != "a" || c.Arms[1].Name != "a (2)" || !strings.Contains(strings.Join(c.Warnings, " "), "the same settings") {
		t.Errorf("%+v", c)
	}
	judged(t, c, []Run{runs[0].Run, runs[1].Run})
	if !strings.Contains(c.Verdict, "No significant difference in failures (0.00 % in both). A difference of ") {
		t.Error(c.Verdict)
	}
}

func TestManyDifferencesAreASentence(t *testing.T) {
	profile := `{"name":"quick","load":{"rate":"1/s","duration":"1s","timeout":"1s","warm_up":"1s","buffer":1,"max_in_flight":2}}`
	a, b := made("kabench-results/one", profile), made("kabench-results/two", strings.NewReplacer("1", "3", "2", "4").Replace(profile))
	_, err := Gather([]Finished{a, b}, false)
	if err == nil || strings.Count(err.Error(), "kabench-results/one") != 1 || strings.Count(err.Error(), " is ") != 4 || !strings.HasSuffix(err.Error(), "; 2 more differ") {
		t.Error(err)
	}
}

// By several agents, the limits of a pool hold for each: that is another setting.
func TestGatherTellsAgentsApart(t *testing.T) {
	by := func(path string, agents int) Finished {
		r := made(path, profile("100/s", "0s", ""))
		r.Doc.Agents = make([]results.Agent, agents)
		return r
	}
	c, err := Gather([]Finished{by("r/1", 0), by("r/2", 3), by("r/3", 1), by("r/4", 3)}, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Arms) != 2 || c.Arms[0].Name != "agents=1" || c.Arms[1].Name != "agents=3" || c.Runs[2].Arm != "agents=1" || c.Runs[3].Arm != "agents=3" {
		t.Errorf("%+v, %+v", c.Arms, c.Runs)
	}
	if c, err = Gather([]Finished{by("r/1", 2), by("r/2", 2)}, false); err != nil || len(c.Arms[0].Change) != 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

// A run that lacks what its lost agents would have sent has another load than its profile.
func TestRunsWithLostAgents(t *testing.T) {
	lost := func(n uint64) *results.Run {
		run := made("r", profile("100/s", "0s", "")).Doc
		run.Counts.Due, run.Counts.Dropped = 1000+n, n
		run.Agents = []results.Agent{{Index: 0, Name: "a"}, {Index: 1, Name: "b", Lost: &results.AgentLost{Arrivals: n}}}
		run.Outcomes = append(run.Outcomes, results.Outcome{Cause: results.CauseAgentLost, Count: n})
		return run
	}
	if why := Unfit(lost(500)); why != "33.3 % of its requests were lost with agents" {
		t.Errorf("half of the load is lost: %q", why)
	}
	if why := Unfit(lost(5)); why != "" {
		t.Errorf("a little is lost: %q", why)
	}
	c := &results.Comparison{
		Arms: []results.Arm{{Name: "a"}, {Name: "b"}}, Runs: []results.ComparedRun{{Arm: "a", Block: 1, Dir: "r/1"}, {Arm: "b", Block: 1, Dir: "r/2"}},
	}
	if err := Judge(c, []Run{{Doc: lost(5)}, {Doc: lost(0)}}); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(c.Warnings, "\n"); !strings.Contains(text, "agents were lost in 1 of 2 runs, with at most 0.50 % of the requests of one: r/1") {
		t.Errorf("%s", text)
	}
}

// What a request costs kabench has its own server in it only where both are one process.
func TestGatherSaysWhoseCPUItIs(t *testing.T) {
	by := func(path string, agents int, lab *results.LabSeen) Finished {
		r := made(path, profile("100/s", "0s", ""))
		r.Doc.Agents, r.Doc.Lab = make([]results.Agent, agents), lab
		return r
	}
	for name, test := range map[string]struct {
		runs []Finished
		want bool
	}{
		"own server":     {[]Finished{by("r/1", 0, &results.LabSeen{}), by("r/2", 3, &results.LabSeen{})}, true},
		"another server": {[]Finished{by("r/1", 0, nil), by("r/2", 3, nil)}, false},
		"as many agents": {[]Finished{by("r/1", 3, &results.LabSeen{}), by("r/2", 3, &results.LabSeen{})}, false},
	} {
		c, err := Gather(test.runs, false)
		if err != nil || strings.Contains(strings.Join(c.Warnings, "\n"), "CPU per request is that of the agents") != test.want {
			t.Errorf("%s: %q, %v", name, c.Warnings, err)
		}
	}
}
