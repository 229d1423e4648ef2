package trend

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

var began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// nights are points of one question; from the twentieth night on, more requests fail.
func nights(n int) (points []Point) {
	r := rand.New(rand.NewPCG(5, 6))
	for i := range n {
		p := Point{
			Question: "q", Setting: "s", Name: "orders", Start: began.AddDate(0, 0, i), Version: "v1", Machine: "linux", Commit: fmt.Sprintf("%040x", i),
			Started: 6000, Failed: uint64(10 + r.IntN(4)), P99: 0.02 + 0.001*r.Float64(),
		}
		if i >= 20 {
			p.Failed += 60
			p.Version = "v2"
		}
		points = append(points, p)
	}
	return points
}

func TestOf(t *testing.T) {
	points := nights(30)
	points[5].Unfit, points[5].Failed = "is invalid", 6000
	other := nights(3)
	for i := range other {
		other[i].Setting, other[i].Arm = "t", "remedy"
	}
	third := Point{Question: "r", Setting: "s", Name: "others", Start: began, Started: 1}
	mixed := slices.Concat(points, other, []Point{third}, points[:4]) // some twice
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	all := Of(mixed)
	if len(all) != 3 || len(all[0].Points) != 30 || all[0].Used != 29 || len(all[1].Points) != 3 || all[1].Title() != "orders, remedy" || all[2].Name != "others" {
		t.Fatalf("%+v", all)
	}
	s := &all[0]
	if len(s.Changes) != 1 {
		t.Fatalf("changes: %+v", s.Changes)
	}
	c := s.Changes[0]
	if c.Figure != Failures || c.At != 20 || !c.Worse || c.Runs != [2]int{19, 10} || c.P > Level || !slices.Equal(c.Also, []string{"kabench v2 instead of v1"}) {
		t.Errorf("%+v", c)
	}
	var b bytes.Buffer
	if err := Render(&b, all); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"orders: 30 runs, from 2026-03-01 12:00 to 2026-03-30 12:00 UTC; 1 not used, because invalid or stopped early\n",
		"  The failure rate rose from 0.19 % to 1.18 %", "with the run of 2026-03-21 12:00 UTC, commit 0000000000 (p = 0.002; 19 runs before, 10 since). That run also had kabench v2 instead of v1.\n",
		"orders, remedy: 3 runs, ", "  Too few runs to find a change: there are 3, and 8 are needed.\n",
		"others: 1 run, on 2026-03-01 12:00 UTC\n", "  Last: 0.00 % of requests failed",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
}

// The points of a run that was recorded have the interval of its p99.
func TestPoints(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	w, err := record.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	run := &results.Run{
		Name: "orders", Start: began, End: began.Add(10 * time.Second), Complete: true, Valid: true, Profile: []byte(`{"name":"orders","load":{"warm_up":"2s"}}`),
		Host: results.Host{OS: "linux", Arch: "amd64", CPUs: 2, Commit: "abcdef0"}, Counts: results.Counts{Due: 2000, Started: 2000, OK: 2000},
		Latency: map[string]results.Quantiles{results.LatencyResponse: {Count: 2000, P99: 0.0198}},
	}
	if err := w.Begin(run); err != nil {
		t.Fatal(err)
	}
	for second := range 10 {
		h := results.NewHistogram()
		for i := range int64(250) {
			took := 100 * ((250*int64(second) + i) % 200) // evenly from 0 to 19.9 ms
			if second < 2 {
				took = 1e6 // of the warm-up, which is left out
			}
			if err := h.RecordValue(took); err != nil {
				t.Fatal(err)
			}
		}
		from := time.Duration(second) * time.Second
		if err := w.WriteInterval(results.LatencyResponse, from, from+time.Second, h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(run); err != nil {
		t.Fatal(err)
	}
	k, err := record.OpenArchive(dir)
	if err != nil {
		t.Fatal(err)
	}
	points, notes := Points(k, "link")
	if len(points) != 1 || len(notes) > 0 {
		t.Fatalf("%+v, %q", points, notes)
	}
	p := points[0]
	if p.Machine != "linux amd64, 2 CPUs" || p.Commit != "abcdef0" || p.Link != "link" || p.Arm != "" || p.Unfit != "" {
		t.Errorf("%+v", p)
	}
	// The 99th percentile of 2000, give or take 9 ranks of 0.1 ms/10.
	if !(p.P99Low > 0.0190 && p.P99Low < 0.0198 && p.P99High >= 0.0198 && p.P99High < 0.0203) {
		t.Errorf("p99 %v, interval %v to %v", p.P99, p.P99Low, p.P99High)
	}

	for want, change := range map[string]func(*results.Run){
		"is invalid":                func(r *results.Run) { r.Valid = false },
		"was cut off":               func(r *results.Run) { r.Complete = false },
		"was stopped by abort_when": func(r *results.Run) { r.Interrupted, r.Stopped = true, &results.Stopped{} },
		"started no request":        func(r *results.Run) { r.Counts = results.Counts{} },
	} {
		changed := *run
		change(&changed)
		points, _ := Points(&record.Archive{Run: &changed, Runs: []record.ArchivedRun{{Run: &changed}}}, "")
		if len(points) != 1 || points[0].Unfit != want {
			t.Errorf("%+v, want %q", points, want)
		}
	}
	damaged := *run
	damaged.Profile = []byte("{")
	if points, notes := Points(&record.Archive{Run: &damaged, Runs: []record.ArchivedRun{{Name: "x", Run: &damaged}}}, ""); len(points) != 0 || len(notes) != 1 {
		t.Errorf("%+v, %q", points, notes)
	}
}

// A forecast is in no trend, and that is said.
func TestPointsOfAForecast(t *testing.T) {
	k := &record.Archive{Runs: []record.ArchivedRun{{Name: "orders", Run: &results.Run{Forecast: &results.Simulation{}}}}}
	points, notes := Points(k, "")
	if len(points) != 0 || len(notes) != 1 || !strings.Contains(notes[0], "orders is in no trend: it was forecast") {
		t.Errorf("%v, %q", points, notes)
	}
}
