package conform

import (
	"fmt"
	"slices"
	"strings"
)

// Markdown writes the reports as tables: a row for each client and preset, and a row for
// each story in which they do not agree.
func (d Document) Markdown() string {
	var b strings.Builder
	c := d.Counts
	fmt.Fprintf(&b, "%v\n\n", c)
	if c.Unknown > 0 {
		fmt.Fprintf(&b, "Not judged: %d.\n\n", c.Unknown)
	}
	b.WriteString("| driver | client | preset | pairs | agree | known | differ | run |\n| --- | --- | --- | ---: | ---: | ---: | ---: | --- |\n")
	for _, r := range d.Reports {
		c := Count(r)
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %d | %d | %d | %s |\n", r.Driver, cell([]string{r.Name()}), r.Preset, c.Pairs, c.Agree, c.Known, c.Differ, r.when())
	}
	d.abouts(&b)
	d.stories(&b, Differs, "### What differs", "| driver | preset | story | client | preset |\n| --- | --- | --- | --- | --- |\n", func(r Report, one Result) string {
		var client, preset []string
		for _, diff := range one.Differences {
			client = append(client, diff.What+": "+diff.Client)
			preset = append(preset, diff.What+": "+diff.Preset)
		}
		return fmt.Sprintf("| %s | %s | %s | %s | %s |\n", r.Driver, r.Preset, one.Story, cell(client), cell(preset))
	})
	d.known(&b)
	d.stories(&b, "", "### What could not be judged", "| driver | preset | story | why |\n| --- | --- | --- | --- |\n", func(r Report, one Result) string {
		return fmt.Sprintf("| %s | %s | %s | %s: %s |\n", r.Driver, r.Preset, one.Story, one.Verdict, cell([]string{one.Why}))
	})
	return b.String()
}

// Name is the client with its version and, if that is not the same, its runtime.
func (r Report) Name() string {
	name := strings.TrimSpace(r.Client + " " + r.Version)
	if r.Runtime != "" && !strings.Contains(r.Runtime, r.Version) {
		name += ", " + r.Runtime
	}
	return name
}

func (r Report) when() string {
	return strings.TrimSpace(strings.Join([]string{r.Date, r.Error}, " "))
}

// abouts counts what differs for each part of a pool's behaviour.
func (d Document) abouts(b *strings.Builder) {
	b.WriteString("\n| about | pairs | agree | known | differ |\n| --- | ---: | ---: | ---: | ---: |\n")
	for _, about := range Abouts() {
		var one Report
		for _, r := range d.Reports {
			for _, result := range r.Results {
				if result.About == about {
					one.Results = append(one.Results, result)
				}
			}
		}
		c := Count(one)
		fmt.Fprintf(b, "| %s | %d | %d | %d | %d |\n", about, c.Pairs, c.Agree, c.Known, c.Differ)
	}
}

// stories writes a row for each story with the verdict; with none, for each that could not
// be judged.
func (d Document) stories(b *strings.Builder, v Verdict, title, head string, row func(Report, Result) string) {
	var rows []string
	for _, r := range d.Reports {
		for _, one := range r.Results {
			judged := one.Verdict == Agrees || one.Verdict == Differs || one.Verdict == Known
			if one.Verdict == v || v == "" && !judged {
				rows = append(rows, row(r, one))
			}
		}
	}
	if len(rows) > 0 {
		b.WriteString("\n" + title + "\n\n" + head + strings.Join(rows, ""))
	}
}

// known lists what the presets say they cannot express, with the stories that show it.
func (d Document) known(b *strings.Builder) {
	var rows []string
	for _, r := range d.Reports {
		var limits []string
		stories := map[string][]string{}
		for _, one := range r.Results {
			if one.Verdict != Known {
				continue
			}
			if !slices.Contains(limits, one.Known) {
				limits = append(limits, one.Known)
			}
			stories[one.Known] = append(stories[one.Known], one.Story)
		}
		for _, limit := range limits {
			rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s |\n", r.Driver, r.Preset, cell([]string{limit}), strings.Join(stories[limit], ", ")))
		}
	}
	if len(rows) > 0 {
		b.WriteString("\n### What the presets say they cannot express\n\n| driver | preset | what | stories |\n| --- | --- | --- | --- |\n" + strings.Join(rows, ""))
	}
}

// cell writes lines into a cell of a table.
func cell(lines []string) string {
	return strings.ReplaceAll(strings.ReplaceAll(strings.Join(lines, "; "), "|", "\\|"), "\n", " ")
}
