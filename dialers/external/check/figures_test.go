package check_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/kabench/kabench/dialers/external/check"
	"github.com/kabench/kabench/dialers/external/drivers"
)

var (
	figures     = flag.String("figures", "", "TestFigures checks every driver that is built, and writes what was measured into `FILE`, between the marks <!-- figures --> and <!-- /figures -->")
	figuresOnly = flag.String("drivers", "", "TestFigures takes only these drivers, by `NAMES` with commas")
)

// TestFigures checks the drivers that are built and writes their figures. They are those of
// a machine, so that nothing is judged by them. The command of docs/drivers.md:
//
//	go test ./dialers/external/check -count=1 -timeout 30m -run TestFigures -v -args -figures ../../../docs/drivers.md
func TestFigures(t *testing.T) {
	if *figures == "" {
		t.Skip("it measures the drivers for their document; say where with -figures")
	}
	var b strings.Builder
	b.WriteString("| driver | run with | received to called, p99 | handed over to called, p99 | of 5,000/s, called on time | rules kept |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, e := range drivers.All() {
		c, built := e.Built()
		if !built || *figuresOnly != "" && !strings.Contains(","+*figuresOnly+",", ","+e.Name+",") {
			continue
		}
		var runs []*check.Report
		for range 3 {
			r, err := check.Run(t.Context(), c, check.Options{Slow: true}, nil)
			if err != nil {
				t.Errorf("%s: %v", e.Name, err)
				break
			}
			runs = append(runs, r)
		}
		if len(runs) < 3 {
			continue
		}
		r := runs[0]
		kept := 0
		for _, rule := range r.Rules {
			if rule.OK {
				kept++
				continue
			}
			t.Logf("%s: %s: %s", e.Name, rule.Name, rule.Says)
		}
		held := max(runs[0].FastHeld, runs[1].FastHeld, runs[2].FastHeld)
		line := fmt.Sprintf("| `%s` | %s %s, %s | %.3f ms | %.3f ms | %.0f/s | %d of %d |", e.Name, r.Client, r.Version, r.Runtime,
			1000*middle(runs, func(r *check.Report) float64 { return r.LagP99 }), 1000*middle(runs, func(r *check.Report) float64 { return r.LateP99 }), held, kept, len(r.Rules))
		t.Log(line)
		b.WriteString(line + "\n")
	}
	fmt.Fprintf(&b, "\nMeasured with Go %s on %d cores.\n", strings.TrimPrefix(runtime.Version(), "go"), runtime.NumCPU())
	text, err := os.ReadFile(*figures)
	if err != nil {
		t.Fatal(err)
	}
	place := regexp.MustCompile(`(?s)(<!-- figures -->\n).*(<!-- /figures -->)`)
	if !place.Match(text) {
		t.Fatalf("%s has no place for the figures", *figures)
	}
	if err := os.WriteFile(*figures, []byte(place.ReplaceAllString(string(text), "${1}"+b.String()+"${2}")), 0o644); err != nil {
		t.Fatal(err)
	}
}

// middle is the median of three runs' figures.
func middle(runs []*check.Report, of func(*check.Report) float64) float64 {
	a, b, c := of(runs[0]), of(runs[1]), of(runs[2])
	return max(min(a, b), min(max(a, b), c))
}
