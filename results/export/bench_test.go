package export

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/perf/benchfmt"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// tool runs a tool of go.mod, as users of our exports have it, with input.
func tool(t *testing.T, input []byte, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("%v: %s cannot be run", err, name)
	}
	var out, trouble bytes.Buffer
	cmd := exec.Command("go", append([]string{"tool", name}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &trouble
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, trouble.String())
	}
	return out.String()
}

func TestExportBench(t *testing.T) {
	k, err := record.OpenArchive(keepCompared(t, compared()))
	must(t, err)
	var b bytes.Buffer
	notes, err := Bench(&b, k)
	must(t, err)
	if len(notes) != 2 || !strings.Contains(notes[0], "lag p99 of 9 ms is above 2 ms") || !strings.Contains(notes[1], "benchstat -table goos -col /arm FILE") {
		t.Errorf("notes %q", notes)
	}
	exported := b.Bytes()
	read := benchfmt.NewReader(&b, "export")
	arms := map[string]int{}
	units := 0
	for read.Scan() {
		switch rec := read.Result().(type) {
		case *benchfmt.SyntaxError:
			t.Error(rec)
		case *benchfmt.UnitMetadata:
			units++
		case *benchfmt.Result:
			_, parts := rec.Name.Parts()
			arm := strings.TrimPrefix(string(parts[0]), "/arm=")
			arms[arm]++
			if want := strings.TrimPrefix(arm, "idle_timeout="); rec.GetConfig("pool.idle_timeout") != want || rec.GetConfig("goos") != "linux" ||
				rec.GetConfig("pool.expiry") != "lease,sweep" || rec.GetConfig("load.rate") != "400/s" {
				t.Errorf("%s: configuration %v", rec.Name, rec.Config)
			}
			if rec.Iters != int(k.Runs[0].Run.Counts.Started) || string(parts[len(parts)-1]) != "-2" {
				t.Errorf("%s: %d iterations", rec.Name, rec.Iters)
			}
			if v, found := rec.Value("failures/req"); !found || v != 30.0/991 {
				t.Errorf("%s: failures/req %v", rec.Name, v)
			}
			if v, found := rec.Value("response-p99-sec"); !found || v < k.Runs[0].Run.Latency[results.LatencyResponse].P99-1e-9 || v > 0.1 {
				t.Errorf("%s: response-p99 %v s", rec.Name, v)
			}
		}
	}
	must(t, read.Err())
	if arms["idle_timeout=0"] != 2 || arms["idle_timeout=3s"] != 1 || len(arms) != 2 || units != len(benchUnits) {
		t.Errorf("lines of arms %v, %d units; want two, one without the excluded one, %d", arms, units, len(benchUnits))
	}

	file := filepath.Join(t.TempDir(), "export.txt")
	must(t, os.WriteFile(file, exported, 0o644))
	table := tool(t, nil, "benchstat", "-table", "goos", "-col", "/arm", file)
	for _, part := range []string{" idle_timeout=0 ", " idle_timeout=3s ", "failures/req", "response-p99-sec", "conns/1k-req", "Quick-2"} {
		if !strings.Contains(table, part) {
			t.Errorf("benchstat does not show %q:\n%s", part, table)
		}
	}
}

func TestBenchNames(t *testing.T) {
	for name, want := range map[string]string{"idle-race": "IdleRace", "": "Run", "a b/c=d": "ABCD", "쇼핑-x": "쇼핑X", "nginx-1s": "Nginx1s"} {
		if got := benchName(name); got != want {
			t.Errorf("%q is called %q, want %q", name, got, want)
		}
	}
	hostile := archiveOf(dated())
	hostile.Run.Name = "x\nBenchmarkEvil 1 1 ns/op"
	hostile.Run.Profile = []byte(`{"pool":{"a b":"1","Up":"2","":"3","idle:x":"4","ok":"v\nBenchmarkEvil 1 1 ns/op"}}`)
	hostile.Runs = append(hostile.Runs, record.ArchivedRun{Name: "arm 1/2\nBenchmarkEvil 2 2 ns/op", Run: hostile.Run})
	var b bytes.Buffer
	_, err := Bench(&b, hostile)
	must(t, err)
	read := benchfmt.NewReader(&b, "export")
	results := 0
	for read.Scan() {
		switch rec := read.Result().(type) {
		case *benchfmt.SyntaxError:
			t.Error(rec)
		case *benchfmt.Result:
			if results++; strings.HasPrefix(string(rec.Name.Base()), "Evil") {
				t.Errorf("a line of another's making: %s", rec.Name)
			}
			for _, c := range rec.Config {
				if strings.HasPrefix(c.Key, "pool.") && c.Key != "pool.ok" {
					t.Errorf("configuration %s", c.Key)
				}
			}
		}
	}
	if results != 2 {
		t.Errorf("%d results, want 2", results)
	}
}

func TestDocsNameEveryBenchUnit(t *testing.T) {
	text, err := os.ReadFile("../../docs/publish.md")
	must(t, err)
	_, section, _ := strings.Cut(string(text), "\n### Go benchmark lines\n")
	section, _, _ = strings.Cut(section, "\n### ")
	var want []string
	for _, u := range benchUnits {
		want = append(want, u.unit)
	}
	got := tabled(section)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		t.Errorf("docs/publish.md has %q, the export %q", got, want)
	}
}
