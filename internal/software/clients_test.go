package software

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/kabench/kabench/dialers/external/drivers"
	"github.com/kabench/kabench/results"
)

var (
	clientsAll   = flag.Bool("all-clients", false, "TestPresetsInIncidents takes ten incidents and six clients, and not two of each")
	clientsTable = flag.String("clients", "", "TestPresetsInIncidents writes its table into `FILE`, between the marks <!-- incidents --> and <!-- /incidents -->")
	clientsRuns  = flag.Int("repeats", 3, "runs of each setting that TestPresetsInIncidents makes")
)

// A played client is a driver and the preset that imitates its client.
type playedClient struct{ driver, preset string }

var playedClients = []playedClient{
	{"go", "go-default-transport"}, {"requests", "requests"},
	{"reactor-netty", "reactor-netty"}, {"okhttp", "okhttp"}, {"undici", "undici"}, {"apache-hc5", "apache-hc5"},
}

// playedIncidents are those whose outcome depends on the client, with the traffic
// shortened where the figure does not need all of it. Those with many pools are left out:
// a driver is one client.
var playedIncidents = []struct {
	name string
	sets []string
}{
	{"before-response", nil},
	{"retry-and-idempotence", []string{"load.duration=2s"}},
	{"idle-race", []string{"load.duration=6s", "load.rate=100/s"}},
	{"during-response", []string{"load.duration=2s"}},
	{"truncated", []string{"load.duration=2s"}},
	{"while-sending-body", []string{"load.duration=2s"}},
	{"http10-keep-alive", []string{"load.duration=2s"}},
	{"nginx-1s", nil},
	{"lb-rst-unknown-flow", []string{"load.duration=5s", "load.rate=40/s"}},
	{"time-wait-shift", []string{"load.rate=100/s"}},
}

// TestPresetsInIncidents compares presets with the real clients that they imitate: both
// meet the same incident with their own defaults, in turns, and the intervals of their
// failure rates overlap. This takes two incidents and two clients. All, and the table of
// docs/conformance.md:
//
//	go test ./internal/software -count=1 -timeout 60m -run TestPresetsInIncidents -v -args -all-clients -clients ../../docs/conformance.md
func TestPresetsInIncidents(t *testing.T) {
	t.Parallel()
	clients, incidents := playedClients, playedIncidents
	if !*clientsAll {
		clients, incidents = clients[:2], incidents[:2]
	}
	for _, c := range clients {
		needDriver(t, c.driver)
	}
	kabench := built(t)
	rows := make([][]string, len(incidents))
	apart := make([][]bool, len(incidents))
	slots := make(chan struct{}, 2)
	if !*clientsAll {
		slots = make(chan struct{}, len(clients)*len(incidents)) // they wait more than they work
	}
	var all sync.WaitGroup
	for i, incident := range incidents {
		rows[i], apart[i] = make([]string, len(clients)), make([]bool, len(clients))
		for j, c := range clients {
			all.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				var a, b results.Measure
				err := errBusy
				for range 3 { // a machine that is too busy has no valid run
					if !errors.Is(err, errBusy) {
						break
					}
					a, b, err = besides(t, kabench, incident.name, incident.sets, c)
				}
				if err != nil {
					t.Errorf("%s, %s: %v", incident.name, c.driver, err)
					rows[i][j] = "not judged"
					return
				}
				apart[i][j] = a.Low > b.High || b.Low > a.High
				rows[i][j] = rate(a) + ", " + rate(b)
				if apart[i][j] {
					rows[i][j] = "**" + rows[i][j] + "**"
				}
				t.Logf("%s, %s: preset %s, client %s", incident.name, c.driver, rate(a), rate(b))
			})
		}
	}
	all.Wait()
	cells, differ := 0, 0
	for i := range incidents {
		for j := range clients {
			cells++
			if apart[i][j] {
				differ++
				t.Logf("%s: %s and its preset are apart: %s", incidents[i].name, clients[j].driver, rows[i][j])
			}
		}
	}
	if differ*20 > cells {
		t.Errorf("in %d of %d pairs the preset's interval does not overlap the client's", differ, cells)
	}
	if *clientsTable == "" {
		return
	}
	var b strings.Builder
	b.WriteString("| incident |")
	for _, c := range clients {
		fmt.Fprintf(&b, " %s |", c.driver)
	}
	b.WriteString("\n| --- |" + strings.Repeat(" --- |", len(clients)) + "\n")
	for i, incident := range incidents {
		fmt.Fprintf(&b, "| `%s` | %s |\n", incident.name, strings.Join(rows[i], " | "))
	}
	fmt.Fprintf(&b, "\nIn %d of %d pairs the intervals overlap.\n", cells-differ, cells)
	writeTable(t, *clientsTable, "incidents", b.String())
}

// needDriver skips the test where a driver is not built; in CI all are.
func needDriver(t *testing.T, name string) {
	t.Helper()
	e, err := drivers.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := e.Built(); ok {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("the driver %s is not built: .ci/drivers builds it", name)
	}
	t.Skipf("the driver %s is not built: kabench driver build %s", name, name)
}

var errBusy = errors.New("no valid run")

// besides returns the failure rates of a preset and of its client in an incident.
func besides(t *testing.T, kabench, incident string, sets []string, c playedClient) (preset, client results.Measure, err error) {
	out := filepath.Join(t.TempDir(), "out")
	args := []string{"compare", incident, "--pool", c.preset, "--driver", c.driver, "--repeats", fmt.Sprint(*clientsRuns), "--cool-down", "0s", "--out", out, "--json"}
	for _, set := range sets {
		args = append(args, "--set", set)
	}
	cmd := exec.CommandContext(t.Context(), kabench, args...)
	var chatter strings.Builder
	cmd.Stderr = &chatter
	text, err := cmd.Output()
	var found results.Comparison
	if wrong := json.Unmarshal(text, &found); wrong != nil {
		return preset, client, fmt.Errorf("%w: %v: %s", wrong, err, chatter.String())
	}
	for i, m := range []*results.Measure{&preset, &client} {
		*m = found.Arms[i].Measures[results.MeasureFailureRate]
		if !m.Bounded {
			return preset, client, fmt.Errorf("%w: the failure rate of %s has no interval: %s; %v", errBusy, found.Arms[i].Name, m.Why, found.Runs)
		}
	}
	return preset, client, nil
}

func rate(m results.Measure) string {
	return fmt.Sprintf("%.1f %% [%.1f, %.1f]", 100*m.Value, 100*m.Low, 100*m.High)
}
