package export

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// benchUnits are the values of a benchmark line. A time is in ns; benchstat shows it
// in seconds.
var benchUnits = []struct {
	unit   string
	better string // lower, higher; "": neither
	of     func(*results.Run) (float64, bool)
}{
	{"failures/req", "lower", func(r *results.Run) (float64, bool) { return perRequest(r, float64(r.Counts.Failed)) }},
	{"dropped/req", "lower", func(r *results.Run) (float64, bool) {
		return float64(r.Counts.Dropped) / float64(max(r.Counts.Due, 1)), r.Counts.Due > 0
	}},
	{"response-p50-ns", "lower", latencyIn(results.LatencyResponse, p50)},
	{"response-p99-ns", "lower", latencyIn(results.LatencyResponse, p99)},
	{"response-p999-ns", "lower", latencyIn(results.LatencyResponse, p999)},
	{"service-p50-ns", "lower", latencyIn(results.LatencyService, p50)},
	{"service-p99-ns", "lower", latencyIn(results.LatencyService, p99)},
	{"service-p999-ns", "lower", latencyIn(results.LatencyService, p999)},
	{"acquire-p99-ns", "lower", latencyIn(results.PhaseAcquire.String(), p99)},
	{"ok/s", "higher", func(r *results.Run) (float64, bool) { return r.Rate.Throughput, true }},
	{"conns/1k-req", "lower", func(r *results.Run) (float64, bool) {
		n := r.Counts.Started + r.Counts.WarmUp // Opened covers the warm-up too
		return 1000 * float64(r.Connections.Opened) / float64(max(n, 1)), n > 0 && r.CountsConnections()
	}},
	{"peak-pending", "lower", func(r *results.Run) (float64, bool) { return float64(r.Pool.PeakPending), r.Tells("pending") }},
	{"peak-time-wait", "lower", func(r *results.Run) (float64, bool) { return float64(r.Sockets.TimeWaitPeak), r.Sockets.Available }},
	{"peak-time-wait-server", "lower", func(r *results.Run) (float64, bool) {
		return float64(r.Sockets.TimeWaitServer), r.Sockets.Available && r.Sockets.ServerSide
	}},
	{"peak-ports", "lower", func(r *results.Run) (float64, bool) { return float64(r.Sockets.PortsUsedPeak), r.Sockets.Available }},
	{"cpu-ns/req", "lower", func(r *results.Run) (float64, bool) {
		return r.Instrument.CPUPerExchange * 1e9, r.Instrument.CPUPerExchange > 0
	}},
}

func perRequest(r *results.Run, n float64) (float64, bool) {
	return n / float64(max(r.Counts.Started, 1)), r.Counts.Started > 0
}

func latencyIn(name string, stat func(results.Quantiles) float64) func(*results.Run) (float64, bool) {
	return func(r *results.Run) (float64, bool) {
		q := r.Latency[name]
		return stat(q) * 1e9, q.Count > 0
	}
}

// Bench writes a line for each run of all in the format of Go's
// benchmarks, for benchstat: the runs of one arm are samples of one benchmark.
// The settings of the pool, the load and the machine are configuration
// lines. A latency that no exchange had is left out of its line.
//
// Invalid runs and runs that a comparison left out are not exported; the notes name
// them. Bench returns an error if no run remains.
func Bench(w io.Writer, all ...*record.Archive) (notes []string, err error) {
	out := bufio.NewWriter(w)
	for _, u := range benchUnits {
		fmt.Fprintf(out, "Unit %s better=%s\n", u.unit, u.better)
	}
	var now map[string]string // the configuration in force
	arms := map[string]bool{}
	lines := 0
	for _, k := range all {
		notes = append(notes, k.Notes...)
		for _, r := range byArm(k) {
			if why := whyUnusable(&r); why != "" {
				notes = append(notes, fmt.Sprintf("a run of %s is left out: %s", cmp.Or(r.Name, record.KindRun), why))
				continue
			}
			config := benchConfig(r.Run)
			configure(out, now, config)
			now = config
			name := "Benchmark" + benchName(k.Title())
			if k.Run == nil {
				arm := benchValue(r.Name)
				arms[arm] = true
				name += "/arm=" + arm
			}
			fmt.Fprintf(out, "%s-%d %d", name, max(r.Run.Host.CPUs, 1), r.Run.Counts.Started)
			for _, u := range benchUnits {
				if v, known := u.of(r.Run); known {
					fmt.Fprintf(out, " %s %s", strconv.FormatFloat(v, 'f', -1, 64), u.unit)
				}
			}
			fmt.Fprintln(out)
			lines++
		}
	}
	if lines == 0 {
		return nil, fmt.Errorf("there is no run to export: %s", strings.Join(notes, "; "))
	}
	if len(arms) > 1 {
		notes = append(notes, "to see the arms beside each other: benchstat -table goos -col /arm FILE")
	}
	return notes, out.Flush()
}

// byArm returns the runs of k in the order of the comparison's arms. The first arm
// comes first because benchstat compares the others with it.
func byArm(k *record.Archive) []record.ArchivedRun {
	if k.Comparison == nil {
		return k.Runs
	}
	place := func(r record.ArchivedRun) int {
		return slices.IndexFunc(k.Comparison.Arms, func(a results.Arm) bool { return a.Name == r.Name })
	}
	return slices.SortedStableFunc(slices.Values(k.Runs), func(a, b record.ArchivedRun) int { return cmp.Compare(place(a), place(b)) })
}

// whyUnusable returns the reason to leave the run's figures out of an export; "" if
// they can be used.
func whyUnusable(r *record.ArchivedRun) string {
	switch {
	case r.Run == nil:
		return "it has no document"
	case r.Excluded != "":
		return r.Excluded
	case !r.Run.Valid:
		return "it is invalid: " + strings.Join(r.Run.Invalid, "; ")
	case r.Run.Counts.Started == 0:
		return "no request was started"
	}
	return ""
}

// configure writes the configuration lines that differ between now, the configuration
// in force, and next.
func configure(w io.Writer, now, next map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(now)) {
		if next[key] == "" {
			fmt.Fprintf(w, "%s:\n", key) // no longer set
		}
	}
	for _, key := range slices.Sorted(maps.Keys(next)) {
		if next[key] != now[key] {
			fmt.Fprintf(w, "%s: %s\n", key, next[key])
		}
	}
}

// benchConfig returns the settings of a run: the machine, kabench, the load and each
// setting of the pool, by its path in the profile.
func benchConfig(run *results.Run) map[string]string {
	config := map[string]string{"goos": run.Host.OS, "goarch": run.Host.Arch, "kabench": run.Version}
	if run.Preset != nil {
		config["preset"] = run.Preset.Name
	}
	setup := results.SetupOf(run)
	config["client"] = setup.Client
	if n := len(run.Agents); n > 0 {
		config["agents"] = strconv.Itoa(n)
	}
	for _, name := range []string{"arrivals", "duration", "rate", "warm_up"} {
		config["load."+name] = setup.Load[name]
	}
	for name, value := range setup.Pool {
		if name != "" && name != "preset" { // preset has a line of its own
			config["pool."+name] = value
		}
	}
	lines := map[string]string{}
	for key, value := range config {
		if value = layout.Clean(value, maxLabel); value != "" && configKey(key) {
			lines[key] = value
		}
	}
	return lines
}

// configKey reports whether a configuration line can begin with key.
func configKey(key string) bool {
	for i, r := range key {
		if i == 0 && !unicode.IsLower(r) || unicode.IsSpace(r) || unicode.IsUpper(r) || r == ':' || unicode.IsControl(r) {
			return false
		}
	}
	return key != ""
}

// benchName returns name as a benchmark's name: idle-race becomes IdleRace.
func benchName(name string) string {
	var b strings.Builder
	upper := true
	for _, r := range layout.Clean(name, maxLabel) {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			upper = true
			continue
		}
		if upper {
			r = unicode.ToUpper(r)
		}
		b.WriteRune(r)
		upper = false
	}
	return cmp.Or(b.String(), "Run")
}

// benchValue returns text in a form that can stand inside a benchmark's name.
func benchValue(text string) string {
	return cmp.Or(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || strings.ContainsRune(`/"`, r) {
			return '_'
		}
		return r
	}, layout.Clean(text, maxLabel)), "none")
}

// maxLabel and maxSentence are the longest name and the longest sentence that are
// written, in characters. Longer ones are cut.
const (
	maxLabel    = 120
	maxSentence = 600
)

func p50(q results.Quantiles) float64 { return q.P50 }

func p99(q results.Quantiles) float64 { return q.P99 }

func p999(q results.Quantiles) float64 { return q.P999 }
