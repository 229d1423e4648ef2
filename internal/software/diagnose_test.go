package software

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// diagnosed is what the test reads of diagnosis.json.
type diagnosed struct {
	Steps   []struct{ Step, Found string }
	Servers []struct {
		Server struct {
			Idle struct{ Median, Low, High float64 }
		} // in seconds
	}
	Tried []struct {
		Reproduction struct {
			Incident    string
			Forecast    struct{ Says string }
			IncidentRun accounts   `json:"incident_run"`
			RemedyRuns  []accounts `json:"remedy_runs"`
		}
	}
	Reproduced bool
	Settings   []struct{ Client, Path, Value, In, Text string }
}

// accounts are those of a run.
type accounts struct {
	Counts   struct{ Started, OK, Failed uint64 }
	Outcomes []struct {
		Phase string
		Count uint64
	}
}

// With a log line of Reactor Netty, and an nginx and a Tomcat whose timers kabench does
// not know, 'kabench diagnose' measures the timer, shows the failure on that server, and
// the remedy without it, and writes the setting as Reactor Netty does.
func TestDiagnoseOnRealServers(t *testing.T) {
	kabench := built(t)
	for _, s := range []struct {
		name  string
		idle  time.Duration
		late  time.Duration
		start func(t *testing.T, idle time.Duration) string
		path  string
	}{
		{"nginx", 3400 * time.Millisecond, exactly, startNginx, "/"},
		{"Tomcat", 2300 * time.Millisecond, 2 * time.Second, startTomcat, "/page.jsp?0"},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			out, text := diagnose(t, kabench, "http://"+s.start(t, s.idle)+s.path)
			var d diagnosed
			data, err := os.ReadFile(filepath.Join(out, "diagnosis.json"))
			if err == nil {
				err = json.Unmarshal(data, &d)
			}
			if err != nil {
				t.Fatal(err)
			}
			d.check(t, s.idle, s.idle+s.late)
			for _, want := range []string{"closes idle connections after", "idle-order", "REPRODUCED", "Verdict:", "maxIdleTime(Duration.of"} {
				if !strings.Contains(text, want) {
					t.Errorf("the text does not have %q:\n%s", want, text)
				}
			}
			for _, name := range []string{"report.html", "server.yaml", "probe.json"} {
				if found, _ := filepath.Glob(filepath.Join(out, "*", name)); len(found) == 0 {
					if info, err := os.Stat(filepath.Join(out, name)); err != nil || info.Size() == 0 {
						t.Errorf("%s is not kept: %v", name, err)
					}
				}
			}
		})
	}
}

// diagnose runs 'kabench diagnose' as a user does, and returns the directory of its
// results and its text. A run that this machine disturbed is invalid (exit code 3) and is
// made again.
func diagnose(t *testing.T, kabench, target string) (out, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	for try := range 3 {
		out = filepath.Join(t.TempDir(), fmt.Sprint("results", try))
		began := time.Now()
		cmd := exec.CommandContext(ctx, kabench, "diagnose", "Connection prematurely closed BEFORE response",
			"--target", target, "--pool", "reactor-netty", "--out", out)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		stdout, err := cmd.Output()
		t.Logf("kabench diagnose took %v", time.Since(began).Round(100*time.Millisecond))
		if err == nil {
			return out, string(stdout)
		}
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 3 {
			t.Fatalf("kabench diagnose: %v\n%s\n%s", err, stdout, &stderr)
		}
		text = string(stdout)
	}
	t.Fatalf("three times, the machine was too busy:\n%s", text)
	return
}

// check checks a diagnosis of a server that closes idle connections between from and to.
func (d diagnosed) check(t *testing.T, from, to time.Duration) {
	var steps []string
	for _, s := range d.Steps {
		steps = append(steps, s.Step)
		t.Logf("%s: %s", s.Step, s.Found)
	}
	if !slices.Equal(steps, []string{"explain", "probe", "lint", "reproduce"}) {
		t.Errorf("the steps are %v", steps)
	}
	if len(d.Servers) != 1 || len(d.Tried) != 1 || len(d.Settings) == 0 || !d.Reproduced {
		t.Fatalf("%d servers, %d incidents tried, %d settings, reproduced: %v", len(d.Servers), len(d.Tried), len(d.Settings), d.Reproduced)
	}
	if median := d.Servers[0].Server.Idle.Median; median < (from-grain).Seconds() || median > (to+time.Second).Seconds() {
		t.Errorf("the measured idle timeout is %v s, and the server closes after %v to %v", median, from, to)
	}
	r := d.Tried[0].Reproduction
	t.Logf("%s Incident %+v, remedies %+v", r.Forecast.Says, r.IncidentRun.Counts, r.RemedyRuns)
	if before := r.IncidentRun.failedBefore(); r.Incident != "idle-race" || before == 0 {
		t.Errorf("%s: %d requests failed before a response: %+v", r.Incident, before, r.IncidentRun)
	}
	for _, remedy := range r.RemedyRuns {
		if remedy.Counts.Failed != 0 || remedy.Counts.OK != remedy.Counts.Started || remedy.Counts.OK == 0 {
			t.Errorf("with the remedy: %+v", remedy.Counts)
		}
	}
	if len(r.RemedyRuns) == 0 {
		t.Error("no remedy was tried")
	}
	for _, s := range d.Settings {
		value, err := time.ParseDuration(s.Value)
		if s.Client != "reactor-netty" || s.Path != "pool.idle_timeout" || !strings.Contains(s.Text, "maxIdleTime") || err != nil || value <= 0 || value >= from {
			t.Errorf("the advice is %+v, and the server closes after %v", s, from)
		}
	}
}

// failedBefore is how many requests failed before a response.
func (a accounts) failedBefore() (n uint64) {
	for _, o := range a.Outcomes {
		if o.Phase == "before_response" {
			n += o.Count
		}
	}
	return n
}
