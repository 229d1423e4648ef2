package text

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results"
)

// DriverLine names the real client of a run, and what was set on it: "OkHttp 5.3.2 (driver
// okhttp, Java 17.0.17), keepAliveDuration none".
func DriverLine(d *results.DriverSeen) string {
	name := strings.TrimSpace(d.Client + " " + d.Version)
	from := "driver " + d.Name
	if d.Name == "" {
		from = "driver " + d.Driver
	}
	if d.Runtime != "" {
		from += ", " + d.Runtime
	}
	text := fmt.Sprintf("%s (%s)", name, from)
	if len(d.Settings) == 0 {
		return text + ", with its own defaults"
	}
	var set []string
	for _, key := range slices.Sorted(maps.Keys(d.Settings)) {
		set = append(set, key+" "+driverValue(d, key))
	}
	return text + ", " + strings.Join(set, ", ")
}

// driverValue writes the value of a client's setting. Durations are in milliseconds.
func driverValue(d *results.DriverSeen, name string) string {
	value := d.Settings[name]
	i := slices.IndexFunc(d.Available, func(s results.DriverSetting) bool { return s.Name == name })
	switch v := value.(type) {
	case nil:
		return "none"
	case time.Duration:
		return v.String()
	case float64:
		if i >= 0 && d.Available[i].Kind == "duration" {
			return time.Duration(v * float64(time.Millisecond)).String()
		}
	}
	return fmt.Sprint(value)
}

// mostDriverErrors is how many of a client's error texts a report shows.
const mostDriverErrors = 8

// DriverErrorLines describes an error: what the client gave to its caller, what was seen, and
// what kabench takes the words to mean.
func DriverErrorLines(e results.DriverError) (head string, more []string) {
	head = said(e.Class, e.Text)
	for _, c := range e.Causes {
		more = append(more, "caused by "+said(c.Class, c.Text))
	}
	outcome := func(o *results.DriverErrorOutcome) string { return fmt.Sprintf("%v / %v", o.Phase, o.Cause) }
	switch {
	case !e.Agree && e.Differ != "":
		more = append(more, "DISAGREES: "+e.Differ)
	case e.Wire != nil && e.Words != nil && e.Agree:
		more = append(more, "seen: "+outcome(e.Wire)+"; its words mean the same")
	case e.Wire != nil:
		more = append(more, "seen: "+outcome(e.Wire)+"; kabench does not know its words")
	case e.Words != nil:
		more = append(more, "by its words: "+outcome(e.Words)+"; not seen on a connection")
	default:
		more = append(more, "not seen on a connection, and kabench does not know its words")
	}
	return head, more
}

// said is an error of a client in one line.
func said(class, text string) string {
	switch {
	case text == "":
		return class
	case class == "" || strings.HasPrefix(text, class):
		return text
	}
	return class + ": " + text
}

// renderDriver writes what a real client did and said.
func renderDriver(b *bytes.Buffer, run *results.Run) {
	d := run.Driver
	if d == nil {
		return
	}
	fmt.Fprintf(b, "\nThe client, %s\n", layout.OneLine(d.Client))
	t := table(b)
	for _, row := range DriverRows(d) {
		fmt.Fprintf(t, "  %s\t%s\n", row[0], row[1])
	}
	t.Flush()
	renderDriverErrors(b, d)
}

// DriverRows are the figures of a real client, each with its label.
func DriverRows(d *results.DriverSeen) (rows [][2]string) {
	add := func(label, format string, args ...any) {
		rows = append(rows, [2]string{label, fmt.Sprintf(format, args...)})
	}
	add("requests", "%d handed to it, %d answered", d.Dispatched, d.Answered)
	if d.Looked {
		add("sent again unasked", "%d", d.Resends)
	} else {
		add("sent again unasked", "not seen")
	}
	add("late, its calls", "p50 %s, p99 %s, at most %s", d.Late.Format(50), d.Late.Format(99), results.FormatSeconds(d.Late.Max))
	add("  of it its own lag", "p50 %s, p99 %s, at most %s", d.Lag.Format(50), d.Lag.Format(99), results.FormatSeconds(d.Lag.Max))
	if w := d.WarmUp; w != nil {
		add("warmed up", "%d requests in %s, before the run", w.Requests, results.FormatSeconds(w.Seconds))
	}
	for _, f := range d.Faults {
		add("FAULT", "%s, %d in all: %s", f.Name, f.Count, layout.OneLine(f.Example))
	}
	if d.Ended != "" {
		add("ENDED", "%s", layout.OneLine(d.Ended))
	}
	return rows
}

// renderDriverErrors writes the texts of a client's errors beside what was seen.
func renderDriverErrors(b *bytes.Buffer, d *results.DriverSeen) {
	if len(d.Errors) == 0 {
		return
	}
	fmt.Fprintf(b, "\nWhat %s said\n", layout.OneLine(d.Client))
	for i, e := range d.Errors {
		if i == mostDriverErrors {
			fmt.Fprintf(b, "  and %d other texts\n", len(d.Errors)-i)
			break
		}
		head, more := DriverErrorLines(e)
		wrap(b, fmt.Sprintf("  %d x ", e.Count), layout.OneLine(head))
		for _, line := range more {
			wrap(b, "      ", layout.OneLine(line))
		}
	}
}

// ShownDriverErrors are the error texts of a client that a report has room for.
func ShownDriverErrors(d *results.DriverSeen) []results.DriverError {
	return d.Errors[:min(len(d.Errors), mostDriverErrors)]
}

// remedySets says what a remedy sets: on a real client by the client's own settings, where
// it has them.
func remedySets(r results.RemedyRun) string {
	rest := maps.Clone(r.Change)
	var own []string
	if r.Run != nil && r.Driver != nil {
		for _, s := range r.Settings {
			if _, there := rest[s.Path]; there && s.Text != "" {
				own = append(own, s.Text)
				delete(rest, s.Path)
			}
		}
	}
	if len(rest) > 0 || len(own) == 0 {
		own = append(own, changes(rest))
	}
	return strings.Join(own, ", ")
}

// notAvailable says which remedies cannot be set on the client of a reproduction.
func notAvailable(r *results.Reproduction) (lines []string) {
	for _, n := range r.NotAvailable {
		lines = append(lines, fmt.Sprintf("Remedy %s is not available: %s", n.Remedy, n.Why))
	}
	return lines
}
