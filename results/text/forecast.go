package text

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
)

// renderForecast writes what was played, the counts with their intervals, when the first
// failure is expected, and what is left out.
func renderForecast(b *bytes.Buffer, run *results.Run) {
	f := run.Forecast
	wrap(b, "FORECAST  ", forecastHead(f))
	fmt.Fprintln(b)
	t := table(b)
	for _, row := range ForecastRows(f) {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	t.Flush()
	fmt.Fprintln(b)
	wrap(b, "First failure  ", FirstFailure(run))
	if r := f.Races; r != nil {
		wrap(b, "Races  ", fmt.Sprintf("%s met the server's close; integrated over the time in which a request would meet one: %s (95 %% interval %s to %s)",
			results.FormatCount(r.Counted, "attempt"), rateText(r.Expected), rateText(r.Low), rateText(r.High)))
	}
}

// ForecastRows has the counts of f with their intervals, as printed. The first row is the
// head.
func ForecastRows(f *results.Simulation) [][]string {
	rows := [][]string{{"", "a day", "95 % interval"}}
	if f.Whole {
		rows[0] = []string{"", "mean", "95 % of the runs"}
	}
	for _, c := range parentFirst(f.Figures) {
		if rest, of := strings.CutPrefix(c.Path, "failures."); of && !strings.Contains(rest, ".") {
			continue // its causes stand below
		}
		rows = append(rows, []string{forecastLabel(c.Path), rateText(c.Mean), forecastInterval(c)})
	}
	return rows
}

func forecastInterval(c results.SimulatedCount) string {
	return rateText(c.Low) + " to " + rateText(c.High)
}

// forecastMade says that a document is a forecast.
func forecastMade(f *results.Simulation) string {
	if f.Whole {
		return fmt.Sprintf("This is a forecast, and no request was sent: %d runs of %s were played, and the counts are those of the first.", f.Spans, LongTime(f.Seconds))
	}
	return fmt.Sprintf("This is a forecast, and no request was sent: %s were played.", LongTime(f.Seconds))
}

// forecastSays returns the sentences of a forecast's short answer.
func forecastSays(run *results.Run) []string {
	first, _, _ := strings.Cut(FirstFailure(run), " [")
	return []string{forecastMade(run.Forecast), exchangesAnswer(run), "First failure: " + first + "."}
}

// forecastFigures has the failures, the first of them, and the connections opened, with their
// intervals.
func forecastFigures(f *results.Simulation) []Figure {
	each, of := " a day", "95 % interval "
	if f.Whole {
		each, of = " in a run, mean", "95 % of the runs: "
	}
	count := func(path string) Figure {
		figure := Figure{Value: unknown, Label: forecastLabel(path) + each, Note: "not counted"}
		if i := slices.IndexFunc(f.Figures, func(c results.SimulatedCount) bool { return c.Path == path }); i >= 0 {
			figure.Value, figure.Note = rateText(f.Figures[i].Mean), of+forecastInterval(f.Figures[i])
		}
		return figure
	}
	first := Figure{Value: "none", Label: "first failure", Note: "none in " + LongTime(f.Seconds)}
	if t := f.First; t != nil {
		first.Value, first.Label, first.Note = LongTime(t.Mean), "to the first failure, on average", "95 % interval "+LongTime(t.Low)+" to "+LongTime(t.High)
		if f.Whole {
			first.Label = "to the first failure, median of the runs with one"
		}
		if t.High == 0 {
			first.Note = "95 % interval from " + LongTime(t.Low) + ", not bounded"
		}
	} else if f.Whole {
		first.Note = "most runs have none"
	}
	return []Figure{count("failures"), first, count("connections.opened")}
}

func renderLeftOut(b *bytes.Buffer, f *results.Simulation) {
	fmt.Fprintf(b, "\nNot in this forecast\n")
	for _, text := range f.LeftOut {
		wrap(b, "  - ", text)
	}
}

func forecastHead(f *results.Simulation) string {
	if f.Whole {
		return fmt.Sprintf("%d runs of %s on virtual time, seed %d; no request was sent. The accounts are those of the first run", f.Spans, LongTime(f.Seconds), f.Seed)
	}
	return fmt.Sprintf("%s on virtual time, in %s, seed %d; no request was sent", LongTime(f.Seconds), results.FormatCount(uint64(f.Spans), "span"), f.Seed)
}

// FirstFailure says when a forecast expects the first failure: "once in 9.0 days [6.1, 14]".
func FirstFailure(run *results.Run) string {
	f := run.Forecast
	switch first := f.First; {
	case first == nil && f.Whole:
		return "most runs have none"
	case first == nil:
		return fmt.Sprintf("none is expected; there was none in %s", LongTime(f.Seconds))
	case f.Whole:
		return fmt.Sprintf("after %s in the median of the runs that have one [%s, %s]", LongTime(first.Mean), LongTime(first.Low), LongTime(first.High))
	case first.High == 0:
		return fmt.Sprintf("once in %s [%s, not bounded]", LongTime(first.Mean), LongTime(first.Low))
	default:
		return fmt.Sprintf("once in %s [%s, %s]", LongTime(first.Mean), LongTime(first.Low), LongTime(first.High))
	}
}

// LongTime writes seconds in the unit that a person would choose, up to days.
func LongTime(s float64) string {
	for _, unit := range []struct {
		seconds float64
		name    string
	}{{86400, "days"}, {3600, "hours"}, {60, "minutes"}} {
		if s >= 2*unit.seconds {
			return trimmed(s/unit.seconds) + " " + unit.name
		}
	}
	return results.FormatSeconds(s)
}

// trimmed is v with three digits at most, and without zeros at the end.
func trimmed(v float64) string {
	text := results.FormatThree(v)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// rateText writes a count or a rate with three digits.
func rateText(v float64) string {
	if v == 0 {
		return "0"
	}
	return results.FormatThree(v)
}

// parentFirst puts the connections that were opened before how they were closed.
func parentFirst(list []results.SimulatedCount) []results.SimulatedCount {
	key := func(c results.SimulatedCount) string { return strings.TrimSuffix(c.Path, ".opened") }
	return slices.SortedStableFunc(slices.Values(list), func(a, b results.SimulatedCount) int { return cmp.Compare(key(a), key(b)) })
}

// forecastLabel is the path of a figure for people.
func forecastLabel(path string) string {
	switch path {
	case "failures":
		return "failures"
	case "connections.opened":
		return "connections opened"
	case "connections.closed_by_us":
		return "  closed first by us"
	case "connections.closed_by_peer":
		return "  closed first by the peer"
	case "counts.dropped":
		return "dropped"
	case "resends.count":
		return "requests sent again"
	}
	if rest, found := strings.CutPrefix(path, "failures."); found {
		return "  " + strings.Replace(rest, ".", " / ", 1)
	}
	return path
}
