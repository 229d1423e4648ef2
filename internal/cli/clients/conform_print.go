package clients

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/conform"
	"github.com/kabench/kabench/internal/layout"
)

// listedStory is a story as --list prints it with --json.
type listedStory struct {
	Name  string        `json:"name"`
	About conform.About `json:"about"`
	Asks  string        `json:"asks"`
	Short bool          `json:"short"`
}

// printStories lists stories.
func printStories(s *cli.Streams, stories []conform.Story) error {
	if s.JSON {
		rows := []listedStory{}
		for _, one := range stories {
			rows = append(rows, listedStory{one.Name, one.About, one.Asks, one.Short})
		}
		return json.NewEncoder(s.Out).Encode(rows)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "stories, for 'kabench conform --story NAME'; * belongs to the short set\n")
	w := layout.Table(&b)
	for _, one := range stories {
		mark := ""
		if one.Short {
			mark = "*"
		}
		fmt.Fprintf(w, "  %s%s\t%s\t%s\n", one.Name, mark, one.About, one.Asks)
	}
	w.Flush()
	return layout.Print(s.Out, b.String(), 0)
}

// printReports prints what the stories said.
func printReports(s *cli.Streams, reports []conform.Report) error {
	if s.JSON {
		return conform.NewDocument(cli.Version(), reports).Encode(s.Out)
	}
	var b bytes.Buffer
	for _, r := range reports {
		printReport(&b, r)
	}
	if len(reports) > 1 {
		printTotals(&b, reports)
	}
	return layout.Print(s.Out, b.String(), 0)
}

func printReport(b *bytes.Buffer, r conform.Report) {
	fmt.Fprintf(b, "%s: %s beside preset %s\n", r.Driver, r.Name(), r.Preset)
	if r.Error != "" {
		layout.Paragraph(b, "  not played: ", r.Error)
		fmt.Fprintln(b)
		return
	}
	c := conform.Count(r)
	fmt.Fprintf(b, "  %d of %d stories agree, %d are known differences, %d differ", c.Agree, c.Pairs, c.Known, c.Differ)
	if n := c.Unknown - notPlayed(r); n > 0 {
		fmt.Fprintf(b, ", %d could not be judged", n)
	}
	fmt.Fprintf(b, "; %.0f s\n", r.Seconds)
	if len(r.Settings) > 0 {
		var set []string
		for name, value := range r.Settings {
			set = append(set, fmt.Sprintf("%s=%v", name, value))
		}
		slices.Sort(set)
		layout.Paragraph(b, "  set on the client: ", strings.Join(set, ", "))
	}
	if !r.RanBefore() {
		layout.Paragraph(b, "  ", versionNote(r))
	}
	for _, v := range []conform.Verdict{conform.Differs, conform.Known, conform.Disturbed, conform.Failed} {
		for _, one := range r.Results {
			if one.Verdict == v {
				printResult(b, one)
			}
		}
	}
	if n := notPlayed(r); n > 0 {
		fmt.Fprintf(b, "\n  not played, because kabench was stopped: %d\n", n)
	}
	fmt.Fprintln(b)
}

// notPlayed counts the stories that were left out because somebody stopped kabench.
func notPlayed(r conform.Report) int {
	n := 0
	for _, one := range r.Results {
		if one.Verdict == conform.NotPlayed {
			n++
		}
	}
	return n
}

// versionNote says that this version is not one for which the preset was run.
func versionNote(r conform.Report) string {
	if len(r.Run) == 0 {
		return fmt.Sprintf("preset %s names no version that it was run for; this is %s", r.Preset, r.Version)
	}
	return fmt.Sprintf("preset %s was run for %s; this is %s", r.Preset, strings.Join(r.Run, ", "), r.Version)
}

// mostRows is how many requests are shown of a story.
const mostRows = 12

func printResult(b *bytes.Buffer, r conform.Result) {
	fmt.Fprintf(b, "\n  %s: %s\n", r.Verdict, r.Story)
	layout.Paragraph(b, "    ", r.Asks)
	if r.Known != "" {
		layout.Paragraph(b, "    the preset cannot: ", r.Known)
	}
	if r.Why != "" {
		layout.Paragraph(b, "    why: ", r.Why)
		return
	}
	if r.Varies {
		layout.Paragraph(b, "    ", "of three plays one agreed, so the client or the machine is not always the same")
	}
	w := layout.Table(b)
	fmt.Fprintf(w, "    \tclient\tpreset\n")
	for _, row := range rows(r) {
		fmt.Fprintf(w, "    %s\t%s\t%s\n", row.What, row.Client, row.Preset)
	}
	w.Flush()
}

// rows are both plays side by side: each request if they are few, and what differs.
func rows(r conform.Result) []conform.Difference {
	var rows []conform.Difference
	if r.Client != nil && r.Preset != nil && r.About != conform.AboutCaps && r.About != conform.AboutQueues {
		for i := range min(mostRows, max(len(r.Client.Requests), len(r.Preset.Requests))) {
			rows = append(rows, conform.Difference{
				What: fmt.Sprintf("request %d", i+1), Client: r.Client.Text(i, true), Preset: r.Preset.Text(i, true),
			})
		}
	}
	for _, d := range r.Differences {
		if !slices.ContainsFunc(rows, func(row conform.Difference) bool { return row.What == d.What }) {
			rows = append(rows, d)
		}
	}
	return rows
}

// printTotals prints a row for each client and preset, and their sum.
func printTotals(b *bytes.Buffer, reports []conform.Report) {
	w := layout.Table(b)
	fmt.Fprintf(w, "driver\tclient\tpreset\tpairs\tagree\tknown\tdiffer\tnot judged\n")
	for _, r := range reports {
		c := conform.Count(r)
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\n", r.Driver, r.Name(), r.Preset, c.Pairs, c.Agree, c.Known, c.Differ, c.Unknown)
	}
	w.Flush()
	fmt.Fprintf(b, "\n%v\n", conform.Count(reports...))
}
