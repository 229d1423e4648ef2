// Package probepage draws what a probe has found as an HTML page: when idle connections
// were closed, what late requests met, and the life of each connection.
package probepage

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"

	"github.com/kabench/kabench/internal/chart"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/probe"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/page"
)

//go:embed page.html
var markup string

//go:embed page.css
var ownStyle string

var pages = template.Must(template.New("page").Funcs(template.FuncMap{"seconds": results.FormatSeconds}).Parse(chart.Template + markup))

// view is what the template draws.
type view struct {
	Policy  string
	Style   template.CSS
	Title   string
	Doc     probe.Document
	Servers []server
}

// server is one address on the page.
type server struct {
	probe.Found
	Figures []figure
	Closes  *chart.Chart
	Lives   *chart.Chart
}

// figure is a value behind the first sentence.
type figure struct{ Value, Label, Note string }

// Write writes the page of d. It needs no network and runs no program.
func Write(w io.Writer, d probe.Document) error {
	style := page.Style() + chart.Style + ownStyle
	sum := sha256.Sum256([]byte(style))
	v := view{
		Policy: "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'",
		Style:  template.CSS(style),
		Title:  d.URL,
		Doc:    d,
	}
	for _, found := range d.Servers {
		v.Servers = append(v.Servers, draw(clean(found), d))
	}
	return pages.Execute(w, v)
}

// clean makes the texts that come from a server printable.
func clean(f probe.Found) probe.Found {
	f.Says, f.Error = layout.OneLine(f.Says), layout.OneLine(f.Error)
	f.Statements, f.Notes = slices.Clone(f.Statements), slices.Clone(f.Notes)
	for i := range f.Statements {
		f.Statements[i].Text, f.Statements[i].Why = layout.OneLine(f.Statements[i].Text), layout.OneLine(f.Statements[i].Why)
	}
	for i := range f.Notes {
		f.Notes[i] = layout.OneLine(f.Notes[i])
	}
	return f
}

func draw(f probe.Found, d probe.Document) server {
	s := server{Found: f}
	if f.Server == nil {
		return s
	}
	s.Figures = figuresOf(f.Server)
	s.Closes = closesChart(f)
	s.Lives = livesChart(f.Seen, d.Took)
	return s
}

func figuresOf(s *evidence.Server) (list []figure) {
	switch idle := s.Idle; {
	case idle.Known():
		list = append(list, figure{
			results.FormatSeconds(idle.Median.Seconds()), "idle timeout, median of " + fmt.Sprint(idle.Closes) + " closes",
			fmt.Sprintf("closes came after %s to %s", exact(idle.Min), exact(idle.Max)),
		})
	case idle.LongerThan > 0:
		list = append(list, figure{"> " + results.FormatSeconds(idle.LongerThan.Seconds()), "idle timeout", "no idle connection was closed within this time"})
	}
	if s.Close != evidence.Open {
		list = append(list, figure{s.Close.String(), "ends idle connections", ""})
	}
	if s.RoundTrip.Known() {
		list = append(list, figure{
			results.FormatSeconds(s.RoundTrip.Median.Seconds()), "round trip, median",
			fmt.Sprintf("%s to %s", results.FormatSeconds(s.RoundTrip.Min.Seconds()), results.FormatSeconds(s.RoundTrip.Max.Seconds())),
		})
	}
	return list
}
