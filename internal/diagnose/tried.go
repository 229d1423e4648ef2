package diagnose

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/profiles/lint"
	"github.com/kabench/kabench/results"
)

// Tried is an incident that was tried, or that was not because too few failures were
// expected.
type Tried struct {
	Try
	Forecast     *results.Forecast     `json:"forecast"`               // what was expected before the first request
	Reproduction *results.Reproduction `json:"reproduction,omitempty"` // nil: no request was sent
}

// Sends is what a step would send, at most.
type Sends struct {
	Step        string  `json:"step"`
	Incident    string  `json:"incident,omitempty"`
	What        string  `json:"what"` // in words
	Connections uint64  `json:"connections"`
	Requests    uint64  `json:"requests"`
	Seconds     float64 `json:"seconds"`
}

// WouldProbe says what a probe of one address would send.
func WouldProbe(target string, connections, requests int, limit time.Duration) Sends {
	return Sends{
		Step: Probe, Connections: uint64(connections), Requests: uint64(requests), Seconds: limit.Seconds(),
		What: fmt.Sprintf("Without --dry-run kabench would send up to %d requests to %s, on up to %d connections that are idle most of the time. The probe would take about as long as the server keeps an idle connection, and %s at most.",
			requests, target, connections, results.FormatSeconds(limit.Seconds())),
	}
}

// WouldReproduce says what an aimed incident would send.
func WouldReproduce(t Tried) Sends {
	f := t.Forecast
	return Sends{
		Step: Reproduce, Incident: t.Incident, Connections: f.Connections, Requests: f.AllRequests, Seconds: f.AllSeconds,
		What: fmt.Sprintf("Without --dry-run kabench would try %s: %s.", t.Incident, sending(f)),
	}
}

// WouldAim says what an incident would send at most, when the server is not measured yet.
func WouldAim(t Try, connections, requests int, limit time.Duration) Sends {
	return Sends{
		Step: Reproduce, Incident: t.Incident, Connections: uint64(connections), Requests: uint64(requests), Seconds: limit.Seconds(),
		What: fmt.Sprintf("Without --dry-run kabench would try %s: with up to %d requests in each run, on up to %d connections, within about %s in all. The measured timer decides how many it takes. With --server FILE, --dry-run knows it.",
			t.Incident, requests, connections, results.FormatSeconds(limit.Seconds())),
	}
}

// sending says how much the runs of an incident send.
func sending(f *results.Forecast) string {
	text := fmt.Sprintf("%d requests in %s, on up to %d connections, within %s", f.AllRequests, plural(f.Runs, "run"), f.Connections, results.FormatSeconds(f.AllSeconds))
	if f.LinkDelay > 0 {
		text += fmt.Sprintf(", over a link of kabench's own that delays by %s in each direction", results.FormatSeconds(f.LinkDelay))
	}
	return text
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Expected says what is expected of an incident, before its first request.
func Expected(t Tried, hopeless bool) string {
	f := t.Forecast
	if hopeless {
		return fmt.Sprintf("%s is not tried, because %s.%s", t.Incident, few(f), takes(f))
	}
	text := fmt.Sprintf("%s is tried, because %s. %s failures are expected, %d to %d, of %d requests (%s).",
		t.Incident, t.Why, results.FormatMean(f.Mean), f.Low, f.High, f.Requests, sending(f))
	if f.Disturbed != "" {
		text += " (" + f.Disturbed + ".)"
	}
	if f.Reason != "" {
		text += " That is few: " + f.Why + "." + takes(f)
	}
	return text
}

// few says that hardly a failure is expected, and why.
func few(f *results.Forecast) string {
	text := "no failure is expected"
	if f.Mean > 0 {
		text = "only " + results.FormatMean(f.Mean) + " failures are expected"
	}
	if f.Why == "" {
		return text
	}
	return text + ": " + strings.TrimSuffix(f.Why, ".")
}

func takes(f *results.Forecast) string {
	if f.Takes == "" {
		return ""
	}
	return " What it would take: " + strings.TrimSuffix(f.Takes, ".") + "."
}

// Settings returns what the first remedy that cleared the incident sets, in the words of
// the client.
func Settings(rep *results.Reproduction) []results.ClientSetting {
	for _, r := range rep.RemedyRuns {
		if r.Cleared && rep.Reproduced {
			return r.Settings
		}
	}
	return nil
}

// Outcome says in a sentence how the incidents that were tried ended.
func Outcome(all []Tried, rest []Try) string {
	var parts []string
	for _, t := range all {
		switch {
		case t.Reproduction == nil:
			parts = append(parts, t.Incident+" was not tried, because too few failures are expected.")
		case t.Reproduction.Reproduced:
			parts = append(parts, t.Incident+" was reproduced, and its remedy cleared it.")
		case happened(t.Reproduction.IncidentRun):
			parts = append(parts, t.Incident+" was reproduced; that its remedy clears it was not shown, because "+unproven(t.Reproduction)+".")
		default:
			parts = append(parts, t.Incident+" was not reproduced.")
		}
	}
	for _, t := range rest {
		parts = append(parts, t.Incident+" was not tried any more.")
	}
	return strings.Join(parts, " ")
}

// happened reports whether a run is valid and met what the incident expects.
func happened(run *results.Run) bool { return run != nil && run.Valid && len(run.Unmet()) == 0 }

// unproven says why the remedies of an incident that was shown prove nothing.
func unproven(rep *results.Reproduction) string {
	for _, r := range rep.RemedyRuns {
		switch {
		case r.Run == nil:
		case !r.Run.Valid:
			return "its run was invalid (a lower load.rate or a quieter machine helps)"
		case len(r.Run.Unmet()) > 0:
			return "its run did not meet what is expected of it"
		}
	}
	return "not every run was made"
}

// Verdict says in a few sentences, each a line or more, what the diagnosis came to.
// measured is the server, in a sentence; "": it is not known.
func Verdict(measured string, c Choice, findings []lint.Finding, all []Tried) string {
	var lines []string
	if measured != "" {
		lines = append(lines, measured)
	}
	for _, t := range all {
		if t.Reproduction == nil {
			lines = append(lines, fmt.Sprintf("%s was not tried, because %s.%s", t.Incident, few(t.Forecast), takes(t.Forecast)))
			continue
		}
		lines = append(lines, outcome(t))
	}
	if len(all) == 0 && len(c.Tries) == 0 && len(c.Not) > 0 {
		lines = append(lines, "No incident that fits the line can be caused on this server from outside.")
	}
	if !slices.ContainsFunc(all, func(t Tried) bool { return t.Reproduction != nil && t.Reproduction.Reproduced }) {
		for _, f := range findings {
			lines = append(lines, fmt.Sprintf("Lint found that %s is broken (%s; %s): set %s.", f.Rule, f.Numbers[0], f.Numbers[1], f.Set))
		}
	}
	if c.Unclear != "" {
		lines = append(lines, "The line itself did not help: "+c.Unclear+".")
	}
	return strings.Join(lines, "\n")
}

// outcome says in a few sentences what the runs of an incident came to. The paragraphs of
// the reproduction say more, and stand before the verdict.
func outcome(t Tried) string {
	rep := t.Reproduction
	if !rep.Reproduced {
		first, _, _ := strings.Cut(strings.TrimSpace(rep.Verdict), "\n")
		return fmt.Sprintf("%s: %s %s", t.Incident, first, counted(rep.Forecast))
	}
	before := rep.IncidentRun
	text := fmt.Sprintf("%s was reproduced: %d of %d requests failed. %s", t.Incident, before.Counts.Failed, before.Counts.Started, counted(rep.Forecast))
	for _, r := range rep.RemedyRuns {
		if !r.Cleared {
			continue
		}
		var sets []string
		for _, path := range slices.Sorted(maps.Keys(r.Change)) {
			sets = append(sets, path+" "+cmp.Or(r.Change[path], `""`))
		}
		return strings.TrimSpace(text) + fmt.Sprintf(" With %s %d of %d failed, and %d connections were opened instead of %d.",
			strings.Join(sets, " and "), r.Counts.Failed, r.Counts.Started, r.Connections.Opened, before.Connections.Opened)
	}
	return text
}

// counted compares what was expected with what came; "" if nothing was.
func counted(f *results.Forecast) string {
	if f == nil {
		return ""
	}
	text := fmt.Sprintf("Expected beforehand: %s, %d to %d", results.FormatMean(f.Mean), f.Low, f.High)
	if f.Seen != nil {
		text += fmt.Sprintf("; counted: %d", *f.Seen)
	}
	return text + " (" + f.Path + ")."
}

// Spelled says for which client a setting is, and where it is written, or why it cannot be.
func Spelled(s results.ClientSetting) string {
	if s.Text == "" {
		return fmt.Sprintf("%s, %s: %s.", s.Client, s.In, strings.TrimSuffix(s.Instead, "."))
	}
	return fmt.Sprintf("%s, %s (%s):", s.Client, s.In, s.Versions)
}
