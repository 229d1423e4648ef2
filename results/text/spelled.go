package text

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results"
)

// ofOneClient reports whether the settings are of one client.
func ofOneClient(list []results.ClientSetting) bool {
	return len(list) > 0 && !slices.ContainsFunc(list, func(s results.ClientSetting) bool { return s.Client != list[0].Client })
}

// Spelled writes settings in the words of clients: of one client whole, of several a line
// each.
func Spelled(b *bytes.Buffer, list []results.ClientSetting) {
	if ofOneClient(list) {
		renderSpelled(b, list)
		return
	}
	t := table(b)
	for _, s := range list {
		says := s.Text
		if says == "" {
			says = s.Instead
		}
		fmt.Fprintf(t, "  %s\t%s\n", s.Client, layout.OneLine(says))
	}
	t.Flush()
}

// renderSpelled writes settings in the words of one client: what to write, and where.
// It writes nothing if there are none, or if they are of several clients.
func renderSpelled(b *bytes.Buffer, list []results.ClientSetting) {
	if !ofOneClient(list) {
		return
	}
	path := ""
	for _, s := range list {
		if s.Path != path {
			path = s.Path
			fmt.Fprintf(b, "  %s in the words of %s\n", path, s.Client)
		}
		if s.Text == "" {
			wrap(b, "    ", s.In+": "+s.Instead)
			continue
		}
		fmt.Fprintf(b, "    %s\n", layout.OneLine(s.Text))
		wrap(b, "      ", aboutSpelled(s))
	}
}

// aboutSpelled says where a setting is written, for which versions, and what else it does.
func aboutSpelled(s results.ClientSetting) string {
	text := fmt.Sprintf("sets %s; %s; %s", s.Value, s.In, s.Versions)
	if s.Unchecked {
		text += " (not checked in its source)"
	}
	if s.Note != "" {
		text += "; " + s.Note
	}
	return text
}

// SpelledRemedies returns the remedies whose settings are worth showing: those that
// cleared an incident that was there.
func SpelledRemedies(r *results.Reproduction) []results.RemedyRun {
	shown := r.IncidentRun != nil && r.IncidentRun.Valid && len(r.IncidentRun.Unmet()) == 0
	if !shown && !r.Reproduced {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(r.RemedyRuns), func(r results.RemedyRun) bool { return !r.Cleared || len(r.Settings) == 0 })
}

// markdownSpelled writes the settings of remedies: of one client as code, of several as a
// table.
func markdownSpelled(b *strings.Builder, r *results.Reproduction) {
	for _, remedy := range SpelledRemedies(r) {
		fmt.Fprintf(b, "\nRemedy **%s** in the words of clients:\n\n", inline(remedy.Remedy, maxLabel))
		rows := [][]string{{"client", "write", "in"}}
		for _, s := range remedy.Settings {
			write := inline(s.Instead, maxSentence)
			if s.Text != "" {
				write = codeSpan(s.Text)
			}
			rows = append(rows, []string{inline(s.Client, maxLabel), write, inline(s.In+"; "+s.Versions, maxSentence)})
		}
		markdownRows(b, rows, ":---")
	}
}

// codeSpan writes text as code in a cell of a Markdown table.
func codeSpan(text string) string {
	fence := "`"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence + " " + strings.ReplaceAll(layout.OneLine(text), "|", `\|`) + " " + fence
}
