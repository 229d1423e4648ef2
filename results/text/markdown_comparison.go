package text

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
)

func markdownPairs(c *results.Comparison) string {
	var b strings.Builder
	for _, p := range c.Pairs {
		fmt.Fprintf(&b, "- **%s** against **%s**: %s\n", inline(p.B, maxLabel), inline(p.A, maxLabel), inline(p.Verdict, maxSentence))
	}
	return b.String()
}

// markdownArmsShown is the largest number of arms in the tables. The JSON has all.
const markdownArmsShown = 25

// markdownArms returns the table of the measures with intervals, a column for each arm.
func markdownArms(c *results.Comparison) string {
	var b strings.Builder
	if len(c.Arms) == 0 {
		return ""
	}
	first, rest := c.Arms[0], c.Arms[1:min(len(c.Arms), markdownArmsShown)]
	chunks := slices.Collect(slices.Chunk(rest, markdownColumns-1))
	if len(chunks) == 0 {
		chunks = [][]results.Arm{nil}
	}
	for _, chunk := range chunks {
		arms := append([]results.Arm{first}, chunk...)
		head, runs := []string{""}, []string{"valid runs"}
		for _, arm := range arms {
			head = append(head, inline(arm.Name, maxLabel))
			text := fmt.Sprint(arm.Runs)
			if arm.Excluded > 0 {
				text += fmt.Sprintf(" (%d left out)", arm.Excluded)
			}
			runs = append(runs, text)
		}
		rows := [][]string{head, runs}
		for _, name := range c.MeasureNames() {
			row := []string{inline(results.MeasureLabel(name), maxLabel)}
			for _, arm := range arms {
				row = append(row, inline(measureInterval(arm.Measures[name]), maxLabel))
			}
			rows = append(rows, row)
		}
		markdownRows(&b, rows, ":---", "---:")
		b.WriteString("\n")
	}
	if n := len(c.Arms) - markdownArmsShown; n > 0 {
		fmt.Fprintf(&b, "%d more arms are in the JSON.\n\n", n)
	}
	fmt.Fprintf(&b, "In brackets: %s intervals.\n", results.FormatPercent(c.Confidence))
	for _, arm := range c.Arms[:min(len(c.Arms), markdownArmsShown)] {
		if len(arm.Change) > 0 {
			fmt.Fprintf(&b, "- **%s**: %s\n", inline(arm.Name, maxLabel), inline(changes(arm.Change), maxSentence))
		}
	}
	return b.String()
}

// measureInterval returns the measure as printed, with its interval: "10.0 % (8.00 % to 12.0 %)".
func measureInterval(m results.Measure) string {
	switch {
	case !m.Known:
		return "-"
	case !m.Bounded:
		return m.String()
	}
	end := func(v float64) string { m.Value = v; return m.String() }
	return fmt.Sprintf("%s (%s to %s)", m.String(), end(m.Low), end(m.High))
}

func markdownExcluded(c *results.Comparison) string {
	var b strings.Builder
	for _, r := range c.Runs {
		if r.Excluded != "" {
			fmt.Fprintf(&b, "- %s, block %d: %s\n", prose(r.Arm, maxLabel), r.Block, inline(r.Excluded, maxSentence))
		}
	}
	return b.String()
}
