package text

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/results"
)

// Fact is a line about what was run: "load", and "400/s, poisson arrivals".
type Fact struct {
	Label string `json:"label"`
	Value string `json:"value"`
}

// AskedOfRun says what run was asked to do, and where it was made, one fact per line:
// command, target, load, pool or client, duration, date, machine and version. A fact that
// the document does not have is left out.
func AskedOfRun(run *results.Run) []Fact {
	if run == nil {
		return nil
	}
	s := results.SetupOf(run)
	client, how := "pool", poolSays(run, s)
	if run.Driver != nil {
		client, how = "client", DriverLine(run.Driver)
	}
	date := ""
	if run.Start.Year() > 1 {
		date = run.Start.UTC().Format("2006-01-02 15:04:05") + " UTC"
	}
	duration := Fact{"duration", durationSays(run, s)}
	if run.Forecast != nil {
		duration = Fact{"forecast", forecastHead(run.Forecast)}
	}
	return told([]Fact{
		{"command", run.Command}, {"target", targetSays(s)}, {"load", loadSays(s)}, {client, how}, duration,
		{"date", date}, {"machine", machineSays(run)}, {"version", versionSays(run.Version)},
	})
}

// AskedOfReproduction is AskedOfRun of the incident, and what each remedy sets.
func AskedOfReproduction(r *results.Reproduction) []Fact {
	facts := AskedOfRun(r.IncidentRun)
	var sets []string
	for _, remedy := range r.RemedyRuns {
		sets = append(sets, remedySets(remedy))
	}
	if len(sets) == 0 {
		return facts
	}
	label := "remedy"
	if len(sets) > 1 {
		label = "remedies"
	}
	return insertedAfter(facts, []string{"pool", "client"}, Fact{label, strings.Join(sets, "; ")})
}

// AskedOfComparison is AskedOfRun of first, one of the runs of c, with the configurations in
// place of its pool. first is nil if no run can be read.
func AskedOfComparison(c *results.Comparison, first *results.Run) []Fact {
	facts := AskedOfRun(first)
	if first == nil {
		facts = told([]Fact{{"version", versionSays(c.Version)}})
	}
	facts = slices.DeleteFunc(facts, func(f Fact) bool { return f.Label == "pool" || f.Label == "client" })
	compared := Fact{"compared", strings.Join(ArmNames(c, 32), ", ")}
	if c.Repeats > 0 {
		compared.Value += fmt.Sprintf("; %s each", results.FormatCount(uint64(c.Repeats), "run"))
	}
	return insertedAfter(facts, []string{"load", "target", "command"}, compared)
}

func told(facts []Fact) []Fact {
	return slices.DeleteFunc(facts, func(f Fact) bool { return f.Value == "" })
}

// insertedAfter puts f behind the first of labels that facts has, or at the beginning.
func insertedAfter(facts []Fact, labels []string, f Fact) []Fact {
	for _, label := range labels {
		if i := slices.IndexFunc(facts, func(f Fact) bool { return f.Label == label }); i >= 0 {
			return slices.Insert(facts, i+1, f)
		}
	}
	return slices.Insert(facts, 0, f)
}

// targetSays names who answered.
func targetSays(s results.Setup) string {
	request := strings.TrimSpace(s.Method + " " + s.URL)
	if s.File != "" {
		request = "requests of " + s.File
	}
	var where []string
	if s.Server != nil {
		if s.URL == "" {
			request = cmp.Or(s.Method, "requests")
		}
		server := "kabench's own server"
		if set := settingsSay(s.Server, "delay", "idle_timeout", "max_requests"); set != "" {
			server += " (" + set + ")"
		}
		where = append(where, "to "+server)
	}
	if s.Proxies > 0 {
		where = append(where, "through "+ownProxies(s.Proxies))
	}
	if s.Link != nil {
		link := "over a link"
		if set := settingsSay(s.Link, "delay"); set != "" {
			link += " (" + set + " each way)"
		}
		where = append(where, link)
	}
	if s.Private {
		where = append(where, "in a private network")
	}
	return strings.TrimSpace(request + " " + strings.Join(where, " "))
}

func ownProxies(n int) string {
	if n == 1 {
		return "kabench's own proxy"
	}
	return fmt.Sprintf("%d of kabench's own proxies", n)
}

// settingsSay lists the settings with these keys: "delay 40ms, idle_timeout 1s". One that is
// off is left out.
func settingsSay(set map[string]string, keys ...string) string {
	var list []string
	for _, key := range keys {
		if value := set[key]; value != "" && value != "0s" && value != "0" && value != "-1" {
			list = append(list, key+" "+value)
		}
	}
	return strings.Join(list, ", ")
}

// loadSays describes the schedule: "400/s, poisson arrivals, at most 1000 in flight".
func loadSays(s results.Setup) string {
	if s.Load["rate"] == "" {
		return ""
	}
	list := []string{s.Load["rate"]}
	if arrivals := s.Load["arrivals"]; arrivals != "" {
		list = append(list, arrivalsSay(arrivals))
	}
	if n := s.Load["count"]; n != "" && n != "0" {
		list = append(list, n+" requests")
	}
	if algorithm := limitName(s.Load["limit"]); algorithm != "" && algorithm != "fixed" {
		list = append(list, "in flight limited by "+algorithm)
	} else if n := s.Load["max_in_flight"]; n != "" {
		list = append(list, "at most "+n+" in flight")
	}
	return strings.Join(list, ", ")
}

// limitName is the algorithm of a limit, which is a word or a JSON object with its algorithm.
func limitName(limit string) string {
	var set struct{ Algorithm string }
	if json.Unmarshal([]byte(limit), &set) == nil {
		return set.Algorithm
	}
	return limit
}

// arrivalsSay describes arrivals, which are a word or a JSON object with their process.
func arrivalsSay(arrivals string) string {
	var set map[string]any
	if json.Unmarshal([]byte(arrivals), &set) != nil {
		return arrivals + " arrivals"
	}
	process, _ := set["process"].(string)
	delete(set, "process")
	var list []string
	for _, key := range slices.Sorted(maps.Keys(set)) {
		list = append(list, fmt.Sprintf("%s %v", key, set[key]))
	}
	if len(list) == 0 {
		return process + " arrivals"
	}
	return fmt.Sprintf("%s arrivals (%s)", process, strings.Join(list, ", "))
}

// poolSays names the preset of the pool and what differs from it, or the settings that
// matter most.
func poolSays(run *results.Run, s results.Setup) string {
	switch {
	case run.Preset != nil:
		return run.Preset.String()
	case s.Client == "stock":
		return "Go's http.Transport, unchanged"
	case s.Pool == nil:
		return ""
	}
	list := []string{"no preset", "no cap on connections"}
	if s.MaxConns > 0 {
		list[1] = fmt.Sprintf("at most %s", results.FormatCount(uint64(s.MaxConns), "connection"))
	}
	if timeout := s.Pool["idle_timeout"]; timeout == "" || timeout == "0s" {
		list = append(list, "no idle_timeout")
	}
	if set := settingsSay(s.Pool, "idle_timeout", "max_lifetime", "lease_order"); set != "" {
		list = append(list, set)
	}
	return strings.Join(list, ", ")
}

// durationSays is how long requests were due, and the warm-up before that.
func durationSays(run *results.Run, s results.Setup) string {
	short := func(d time.Duration) string { return d.Round(100 * time.Millisecond).String() }
	took := run.End.Sub(run.Start)
	text := ""
	switch {
	case (run.Interrupted || !run.Complete) && took > 0:
		text = "ended after " + short(took)
		if s.Duration > 0 {
			text += " of " + short(s.Duration+s.WarmUp)
		}
		return text
	case s.Duration > 0:
		text = short(s.Duration)
	case took > 0:
		text = short(took)
	default:
		return ""
	}
	if s.WarmUp > 0 {
		text += ", after " + short(s.WarmUp) + " of warm-up"
	}
	return text
}

func machineSays(run *results.Run) string {
	h := run.Host
	if h.OS == "" {
		return ""
	}
	list := []string{strings.Join(slices.DeleteFunc([]string{h.OS, h.Arch, h.Kernel}, func(s string) bool { return s == "" }), " ")}
	if h.CPUs > 0 {
		list = append(list, results.FormatCount(uint64(h.CPUs), "core"))
	}
	if h.GoVersion != "" {
		list = append(list, h.GoVersion)
	}
	if n := len(run.Agents); n > 0 {
		list = append(list, results.FormatCount(uint64(n), "agent"))
	}
	return strings.Join(list, ", ")
}

func versionSays(version string) string {
	if version == "" {
		return ""
	}
	return "kabench " + version
}
