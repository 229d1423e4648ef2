package expect

import (
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
)

// drawn is a service whose runs are drawn: how many requests a run has, which share of them
// fails, and log-normal response times around level, in milliseconds. From run to run both
// differ by chance, by the factor noise.
type drawn struct {
	random             *rand.Rand
	n                  int
	fails, level, wide float64
	noise              float64
}

func (d drawn) run() (*results.Run, func(string, time.Duration) (uint64, uint64)) {
	level, fails := d.level*math.Exp(d.noise*d.random.NormFloat64()), d.fails*math.Exp(10*d.noise*d.random.NormFloat64())
	list := make([]time.Duration, d.n)
	failed := uint64(0)
	for i := range list {
		list[i] = time.Duration(level * math.Exp(d.wide*d.random.NormFloat64()) * float64(time.Millisecond))
		if d.random.Float64() < fails {
			failed++
		}
	}
	run, above := withDurations(list)
	counts, _ := twoRuns(uint64(d.n), failed, 1, 0)
	run.Counts, run.Outcomes = counts.Counts, counts.Outcomes
	return run, above
}

// Jobs of a service beside its newest five runs: an unchanged service fails at most one job in
// twenty, and one point more of failures and 10 % more of p99 are found in nine jobs of ten. The
// load is that of internal/jobs, which measures the same with real runs.
func TestJobsOfAService(t *testing.T) {
	same := drawn{rand.New(rand.NewPCG(3, 4)), 6000, 0.005, 60, 0.2, 0.01}
	failing, slower := same, same
	failing.fails, slower.level = 0.015, 66
	expect := map[string]string{"failures.rate": opNotWorse + " baseline", "response.p99": opNotWorse + " baseline"}
	var newest []*results.Run
	for range 5 {
		run, _ := same.run()
		newest = append(newest, run)
	}
	worse := func(s drawn) (paths map[string]bool) {
		run, above := s.run()
		paths = map[string]bool{}
		for _, e := range CheckAgainst(run, References{Baseline: newest[0], Baselines: newest, Above: above}, expect) {
			if e.Why != "" {
				t.Fatal(e.Why)
			}
			paths[e.Path] = !e.Met
		}
		if s == same && !paths["failures.rate"] && !paths["response.p99"] {
			newest = append([]*results.Run{run}, newest[:4]...)
		}
		return paths
	}
	const jobs = 66
	alarms, more, longer := 0, 0, 0
	for range jobs {
		if p := worse(same); p["failures.rate"] || p["response.p99"] {
			alarms++
		}
		if worse(failing)["failures.rate"] {
			more++
		}
		if worse(slower)["response.p99"] {
			longer++
		}
	}
	t.Logf("of %d jobs each: %d false alarms, %d found with more failures, %d found with longer responses", jobs, alarms, more, longer)
	if alarms > jobs/20 || more < jobs*9/10 || longer < jobs*9/10 {
		t.Error("too many false alarms, or too few found")
	}
}

// All conditions of a run together give at most one false alarm in twenty runs.
func TestFalseAlarmsOfSeveralConditions(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	expect := map[string]string{}
	statuses := []string{"500", "502", "503", "504"}
	for _, s := range statuses {
		expect["statuses."+s] = opNotWorse + " baseline"
	}
	run := func() *results.Run {
		r, _ := twoRuns(1000, 0, 1, 0)
		r.Statuses = map[string]uint64{}
		for _, s := range statuses {
			r.Statuses[s] = min(200, poisson(random, 60*math.Exp(0.3*random.NormFloat64())))
		}
		return r
	}
	together, single := 0.0, 0.0
	for range rounds {
		b := References{}
		for range 5 {
			b.Baselines = append(b.Baselines, run())
		}
		b.Baseline = b.Baselines[0]
		own := run()
		unmet := func(expect map[string]string) float64 {
			for _, e := range CheckAgainst(own, b, expect) {
				if !e.Met && !strings.HasPrefix(e.Why, "too few to tell") {
					return 1
				}
			}
			return 0
		}
		together += unmet(expect)
		alone := 0.0
		for path, want := range expect {
			alone = max(alone, unmet(map[string]string{path: want}))
		}
		single += alone
	}
	t.Logf("%v of %d runs have an alarm together, %v with each condition alone", together, rounds, single)
	if together > mostFalse() {
		t.Error("too many")
	}
	if single < 2*mostFalse() {
		t.Error("the simulation shows nothing")
	}
}

var finds = regexp.MustCompile(`finds \+([0-9.e+]+) (points|%) in 9 of 10 runs`)

// The rise that a test says it finds is found about as often as it says.
func TestTheNamedRiseIsFound(t *testing.T) {
	for path, service := range map[string]drawn{
		"failures.rate": {rand.New(rand.NewPCG(7, 8)), 1000, 0.02, 60, 0.2, 0},
		"response.p99":  {rand.New(rand.NewPCG(9, 10)), 500, 0.02, 60, 0.2, 0.02},
	} {
		expect := map[string]string{path: opNotWorse + " baseline"}
		found, rounds := 0, 150
		for range rounds {
			b := References{}
			for range 10 {
				run, _ := service.run()
				b.Baselines = append(b.Baselines, run)
			}
			b.Baseline = b.Baselines[0]
			var own *results.Run
			own, b.Above = service.run()
			said := finds.FindStringSubmatch(CheckAgainst(own, b, expect)[0].Seen)
			if said == nil {
				t.Fatalf("%s: no rise is named: %+v", path, CheckAgainst(own, b, expect))
			}
			rise, err := strconv.ParseFloat(said[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			risen := service
			if said[2] == "points" {
				risen.fails += rise / 100
			} else {
				risen.level *= 1 + rise/100
			}
			own, b.Above = risen.run()
			if !CheckAgainst(own, b, expect)[0].Met {
				found++
			}
		}
		t.Logf("%s: found in %d of %d", path, found, rounds)
		if share := float64(found) / float64(rounds); share < 0.8 || share > 0.98 {
			t.Errorf("%s: found in %d of %d", path, found, rounds)
		}
	}
}
