package verdict

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/kabench/kabench/internal/applog"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/wording"
	"github.com/kabench/kabench/results"
)

// shownQuoted is how many failures are shown with their lines.
const shownQuoted = 3

// lines quotes the lines of logs that decided something.
func (f *Found) lines(b *bytes.Buffer) {
	if len(f.Logs) == 0 {
		return
	}
	shown := 0
	for i := range f.Failures {
		one := &f.Failures[i]
		if len(one.Lines) == 0 {
			continue
		}
		if shown++; shown > shownQuoted {
			break
		}
		b.WriteString("\n")
		layout.Paragraph(b, "", fmt.Sprintf("%s, %s: %s", name(layout.Clean(one.Line, 60)), one.Sentence(), layout.OneLine(one.Why)))
		quotes(b, one.Lines)
	}
	f.meanings(b)
	closes := f.Closes
	if shown > 0 {
		closes = closes[:min(len(closes), 2)]
	}
	if len(closes) > 0 {
		b.WriteString("\n")
		layout.Paragraph(b, "", "Closes of idle connections in the log:")
		quotes(b, closes)
	}
}

// meanings says what the texts of clients and proxies in the quoted lines prove, and what
// they do not, as 'kabench explain' does.
func (f *Found) meanings(b *bytes.Buffer) {
	said := map[string]bool{}
	for i := range f.Failures[:min(len(f.Failures), shownQuoted)] {
		for _, q := range f.Failures[i].Lines {
			found := wording.Explain(q.Text)
			if len(found) == 0 || found[0].Vague || found[0].Partial || wording.Shared(found) || said[found[0].Text] {
				continue
			}
			one := found[0]
			said[one.Text] = true
			b.WriteString("\n")
			layout.Paragraph(b, "", fmt.Sprintf("%s writes %q; kabench explain knows it:", one.ClientName, layout.Clean(one.Text, 120)))
			layout.Paragraph(b, "  proves          ", one.Proves)
			if one.DoesNotProve != "" {
				layout.Paragraph(b, "  does not prove  ", one.DoesNotProve)
			}
		}
	}
}

func name(request string) string {
	if request == "" {
		return "a request"
	}
	return request
}

func quotes(b *bytes.Buffer, list []applog.Quote) {
	for _, q := range list {
		where := fmt.Sprintf("line %d", q.Line)
		if q.File != "" {
			where = q.File + " " + where
		}
		layout.Paragraph(b, "  ", fmt.Sprintf("%s: %s", where, layout.OneLine(q.Shows)))
		layout.Paragraph(b, "    | ", layout.Clean(q.Text, 240))
	}
}

// logs says what was read of logs.
func (f *Found) logs(b *bytes.Buffer) {
	for _, log := range f.Logs {
		var formats []string
		for format, n := range log.Formats {
			formats = append(formats, fmt.Sprintf("%s of %s", count(n, "line"), format))
		}
		slices.Sort(formats)
		text := fmt.Sprintf("read %s: %s; about connections are %s", log.File, count(int(log.Lines), "line"), strings.Join(formats, " and "))
		if log.Clock != nil {
			ahead := "ahead of"
			if *log.Clock < 0 {
				ahead = "behind"
			}
			text += fmt.Sprintf("; its clock is %s %s the capture's (from %s)", results.FormatSeconds(max(*log.Clock, -*log.Clock)), ahead, count(log.ClockFrom, "connection"))
		}
		layout.Paragraph(b, "", layout.OneLine(text))
	}
}
