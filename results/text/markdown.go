package text

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// MaxMarkdown is the length in bytes that RenderMarkdown stays below: the limit of a
// comment on a pull request.
const MaxMarkdown = 64 << 10

// markdownRoom is the largest length of all parts of a report together, in bytes. The
// rest is for the note that names the parts that were left out.
const markdownRoom = MaxMarkdown - 4<<10

// part is a section of a Markdown report. If there is no room for all parts, those of
// the highest rank are left out first. Parts of rank 0 always stay.
type part struct {
	rank int
	name string // its heading, also named in the note; "": no heading
	text string
}

// RenderMarkdown writes reports one after the other as GitHub's Markdown:
// question, answer and three figures, the runs side by side, text charts, a
// failure packet by packet. Text that came from a server or a file is escaped: it
// creates neither markup nor a link. The whole is shorter than MaxMarkdown: parts
// without room are left out, and a note names them.
func RenderMarkdown(w io.Writer, all ...*record.Archive) error {
	var b bytes.Buffer
	for i, k := range all {
		if i > 0 {
			b.WriteString("\n")
		}
		writeMarkdown(k, &b, markdownRoom/len(all))
	}
	if b.Len() >= MaxMarkdown {
		return fmt.Errorf("%d reports do not fit into the %d KiB of one comment; export fewer at a time", len(all), MaxMarkdown>>10)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func writeMarkdown(k *record.Archive, b *bytes.Buffer, room int) {
	parts := []part{{text: markdownHead(k)}}
	add := func(rank int, name, text string) {
		if text != "" {
			parts = append(parts, part{rank, name, text})
		}
	}
	var torn []string
	if c := k.Comparison; c != nil {
		add(1, "Pair by pair", markdownPairs(c))
		add(1, "Side by side", markdownArms(c))
		add(3, "Intervals", fence(intervalCharts(c)))
		add(2, "Runs left out", markdownExcluded(c))
	} else {
		add(1, "Side by side", markdownTable(k))
		var over string
		over, torn = chartsOverTime(k)
		add(2, "Idle connections", markdownIdle(k))
		add(3, "Over time", fence(over))
		add(3, "By target", markdownTargets(k))
		add(3, "Agents", markdownAgents(k))
		add(2, "Expectations", markdownExpectations(k))
		add(4, "A failure, packet by packet", markdownLadder(k))
		add(5, "What the errors said", markdownErrors(k))
	}
	add(6, "Warnings", markdownWarnings(k, torn))
	add(0, "", markdownFoot(k))

	var left []string
	for size(parts) > room {
		worst := 0
		for i, p := range parts {
			if p.rank >= parts[worst].rank {
				worst = i
			}
		}
		if parts[worst].rank == 0 {
			break // the remaining parts must stay
		}
		left = append(left, parts[worst].name)
		parts = slices.Delete(parts, worst, worst+1)
	}
	for i, p := range parts {
		if i == len(parts)-1 && len(left) > 0 {
			fmt.Fprintf(b, "\nLeft out for lack of room: %s.\n", strings.Join(left, ", "))
		}
		b.WriteString(p.heading() + p.text)
	}
}

func (p part) heading() string {
	if p.name == "" {
		return ""
	}
	return "\n## " + p.name + "\n\n"
}

func size(parts []part) int {
	n := 0
	for _, p := range parts {
		n += len(p.heading()) + len(p.text)
	}
	return n
}

func markdownHead(k *record.Archive) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", prose(cmp.Or(k.Title(), record.KindRun), maxLabel))
	if q := k.Question(); q != "" {
		fmt.Fprintf(&b, "> %s\n\n", prose(q, maxSentence))
	}
	h := HeadlineOf(k)
	fmt.Fprintf(&b, "**%s.** %s\n", OutcomeOf(k), inline(strings.Join(append([]string{h.Answer}, h.More...), " "), maxAnswer))
	if len(h.Figures) > 0 {
		rows := make([][]string, 3)
		for _, f := range h.Figures {
			rows[0] = append(rows[0], "**"+inline(f.Value, maxLabel)+"**")
			rows[1] = append(rows[1], inline(f.Label, maxLabel))
			rows[2] = append(rows[2], inline(f.Note, maxLabel))
		}
		b.WriteString("\n")
		markdownRows(&b, rows, ":---:")
	}
	b.WriteString(markdownPools(k))
	return b.String()
}

// markdownPools names the preset of each run's pool and the settings that differ from
// the preset.
func markdownPools(k *record.Archive) string {
	var b strings.Builder
	said := ""
	for _, r := range k.Runs {
		if r.Run == nil {
			continue
		}
		if d := r.Run.Driver; d != nil {
			fmt.Fprintf(&b, "\nClient of %s: %s\n", inline(cmp.Or(r.Name, record.KindRun), maxLabel), inline(DriverLine(d), maxSentence))
		}
		if r.Run.Preset == nil {
			continue
		}
		if text := inline(r.Run.Preset.String(), maxSentence); text != said {
			said = text
			fmt.Fprintf(&b, "\nPool of %s: %s\n", inline(cmp.Or(r.Name, record.KindRun), maxLabel), text)
		}
	}
	return b.String()
}

// markdownRows writes a table. Its cells are Markdown already. align has the alignment
// of the columns; the last entry applies to all further columns.
func markdownRows(b *strings.Builder, rows [][]string, align ...string) {
	for i, row := range rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(row, " | "))
		if i > 0 {
			continue
		}
		b.WriteString("|")
		for j := range row {
			fmt.Fprintf(b, " %s |", align[min(j, len(align)-1)])
		}
		b.WriteString("\n")
	}
}

// markdownColumns is the largest number of runs or arms in one table.
const markdownColumns = 5

// markdownTable returns the table that a terminal shows. Runs that do not fit beside
// the first run follow in further tables, which repeat the first run.
func markdownTable(k *record.Archive) string {
	var b strings.Builder
	var columns []column
	for _, r := range k.Runs {
		columns = append(columns, column{cmp.Or(r.Name, record.KindRun), cmp.Or(r.Run, &results.Run{})})
	}
	first, rest := columns[0], columns[1:]
	chunks := slices.Collect(slices.Chunk(rest, markdownColumns-1))
	if len(chunks) == 0 {
		chunks = [][]column{nil}
	}
	for i, chunk := range chunks {
		if i > 0 {
			b.WriteString("\n")
		}
		rows := sideBySide(append([]column{first}, chunk...))
		for _, row := range rows {
			for j, cell := range row {
				row[j] = inline(cell, maxLabel)
				if j == 0 && strings.HasPrefix(cell, "  ") {
					row[j] = "&nbsp;&nbsp;" + row[j]
				}
			}
		}
		markdownRows(&b, rows, ":---", "---:")
	}
	if k.Reproduction != nil {
		b.WriteString("\n")
		for _, r := range k.Reproduction.RemedyRuns {
			fmt.Fprintf(&b, "- Remedy **%s**: %s\n", inline(r.Remedy, maxLabel), inline(changes(r.Change), maxSentence))
		}
		markdownSpelled(&b, k.Reproduction)
	}
	return b.String()
}

func markdownExpectations(k *record.Archive) string {
	rows := [][]string{{"", "of", "expected", "", "seen"}}
	for _, r := range k.Runs {
		if r.Run == nil {
			continue
		}
		for _, why := range r.Run.Invalid {
			rows = append(rows, []string{"**invalid**", inline(r.Name, maxLabel), "", "", inline(why, maxSentence)})
		}
		for _, e := range r.Run.Expect {
			met := "met"
			switch {
			case e.Unknown:
				met = "**not judged**"
			case !e.Met:
				met = "**not met**"
			}
			rows = append(rows, []string{met, inline(r.Name, maxLabel), inline(e.Path, maxLabel), inline(e.Want, maxLabel), inline(cmp.Or(e.Why, e.Seen), maxSentence)})
		}
	}
	if len(rows) == 1 {
		return ""
	}
	var b strings.Builder
	markdownRows(&b, rows, ":---")
	return b.String()
}

// markdownLadder returns the ladder of the first failure whose packets were recorded.
func markdownLadder(k *record.Archive) string {
	for _, r := range k.Runs {
		if r.Run == nil || r.Run.Packets == nil || len(r.Run.Packets.Failures) == 0 {
			continue
		}
		var b bytes.Buffer
		renderEvidence(&b, r.Run.Packets.Failures[0])
		ladder := fence(b.String())
		if note := r.Run.PacketsNote(); note != "" {
			ladder += "\n" + note + "\n"
		}
		return ladder
	}
	return ""
}

// markdownErrors returns an example of each way in which exchanges failed, and what
// the client's log would have said.
func markdownErrors(k *record.Archive) string {
	var b bytes.Buffer
	for _, r := range k.Runs {
		if r.Run == nil {
			continue
		}
		for _, o := range r.Run.Outcomes {
			if o.Failed() && o.Example != "" {
				fmt.Fprintf(&b, "%s: %v / %v: %s\n", r.Name, o.Phase, o.Cause, o.Example)
			}
		}
		if d := r.Run.Driver; d != nil {
			for _, e := range ShownDriverErrors(d) {
				head, more := DriverErrorLines(e)
				fmt.Fprintf(&b, "%s: %d x %s: %s; %s\n", r.Name, e.Count, d.Client, layout.OneLine(head), layout.OneLine(strings.Join(more, "; ")))
			}
		}
		if p := r.Run.Preset; p != nil {
			for _, line := range p.Log {
				fmt.Fprintf(&b, "%s: %v / %v: the log of %s: %s\n", r.Name, line.Phase, line.Cause, p.Client, strings.Join(line.Says, " | "))
			}
		}
	}
	return fence(b.String())
}

func markdownWarnings(k *record.Archive, torn []string) string {
	warnings := append(slices.Clone(k.Notes), torn...)
	if k.Comparison != nil {
		warnings = append(warnings, k.Comparison.Warnings...)
	} else {
		for _, r := range k.Runs {
			if r.Run == nil {
				continue
			}
			for _, text := range r.Run.Warnings {
				if len(k.Runs) > 1 {
					text = r.Name + ": " + text
				}
				warnings = append(warnings, text)
			}
		}
	}
	var b strings.Builder
	for _, text := range warnings {
		fmt.Fprintf(&b, "- %s\n", prose(text, maxSentence))
	}
	return b.String()
}

// markdownFoot says which version of kabench measured, when, and on which machine.
func markdownFoot(k *record.Archive) string {
	says := []string{"kabench " + cmp.Or(k.Version(), "of an unknown version")}
	if start := k.Start(); !start.IsZero() {
		says = append(says, "measured "+start.UTC().Format("2006-01-02 15:04 MST"))
	}
	if len(k.Runs) > 0 && k.Runs[0].Run != nil {
		if h := k.Runs[0].Run.Host; h.OS != "" {
			says = append(says, fmt.Sprintf("on %s %s, %s, %d CPUs", h.OS, h.Kernel, h.Arch, h.CPUs))
		}
	}
	return "\n---\n\n" + prose(strings.Join(says, ", "), maxSentence) + "\n"
}
