// Package autopsypage draws a verdict as an HTML page: the requests that failed and how
// they met the close, when each server closes idle connections, and the lives of
// connections.
package autopsypage

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/kabench/kabench/internal/autopsy"
	"github.com/kabench/kabench/internal/chart"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/page"
)

//go:embed page.html
var markup string

//go:embed page.css
var ownStyle string

var pages = template.Must(template.New("page").Parse(chart.Template + markup))

// Document is what a page shows.
type Document struct {
	Verdict *autopsy.Verdict
	Seen    autopsy.Gathered // of the server with the most failures
	Advice  []string         // sentences: what would have prevented the failures
	Version string           // of kabench

	// The other fields are for a watch.

	Command  string // that saw it; "": autopsy
	What     string // what was watched
	Pictures []Picture
	Parts    []Part
	Newer    bool // the page is loaded again and again
}

// Picture is a further picture.
type Picture struct {
	Title, How string
	Chart      *chart.Chart
}

// Part has further sentences.
type Part struct {
	Title string
	Says  []string
}

// shown is how many servers and clients a page shows, and how many failures.
const (
	shownServers  = 5
	shownFailures = 100
)

// view is what the template draws.
type view struct {
	Policy   string
	Style    template.CSS
	Doc      Document
	Command  string
	Missing  string // the title of Cannot
	Parts    []Part
	Files    string
	Title    string
	Answer   string
	Figures  []figure
	Failures []failure
	More     int
	Races    []race
	Closes   *chart.Chart
	Lives    *chart.Chart
	Servers  []server
	Says     []string
	Advice   []string
	Clients  []string
	Cannot   []string
	Read     []string
}

type figure struct{ Value, Label, Note string }

// failure is a row of the table of failures.
type failure struct {
	When, Client, Server, Request, Idle, Met, Why, Packet string
	Lines                                                 []string // of a log, that show it
}

// server has the facts about a server.
type server struct {
	Address, Says string
	Statements    []evidence.Statement
}

// Write writes the page of d. It needs no network and runs no program.
func Write(w io.Writer, d Document) error {
	style := page.Style() + chart.Style + ownStyle
	sum := sha256.Sum256([]byte(style))
	v := d.Verdict
	o := view{
		Policy: "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'",
		Style:  template.CSS(style), Doc: d, Files: layout.OneLine(strings.Join(v.Files, ", ")),
		Figures: figuresOf(v), Races: racesOf(d), Closes: closesChart(d), Lives: livesChart(d), Clients: clientsOf(v), Read: readOf(v),
		Says: clean(v.Says), Advice: clean(d.Advice), Cannot: clean(v.Cannot),
	}
	if o.Command, o.Missing = "autopsy", "Not in the capture"; d.Command != "" {
		o.Command, o.Files, o.Missing = d.Command, layout.OneLine(d.What), "Not seen"
	}
	for _, p := range d.Parts {
		o.Parts = append(o.Parts, Part{p.Title, clean(p.Says)})
	}
	o.Title, o.Answer, _ = strings.Cut(layout.OneLine(v.Headline), ": ")
	if o.Answer != "" {
		o.Answer = strings.ToUpper(o.Answer[:1]) + o.Answer[1:]
	}
	for i := range v.Failures[:min(len(v.Failures), shownFailures)] {
		o.Failures = append(o.Failures, rowOf(&v.Failures[i]))
	}
	o.More = len(v.Failures) + v.Left - len(o.Failures)
	for _, s := range v.Servers[:min(len(v.Servers), shownServers)] {
		o.Servers = append(o.Servers, serverOf(s))
	}
	return pages.Execute(w, o)
}

// clean makes the texts that may have bytes of a capture printable.
func clean(texts []string) (list []string) {
	for _, text := range texts {
		list = append(list, layout.OneLine(text))
	}
	return list
}

func rowOf(f *autopsy.Failure) failure {
	r := failure{Client: f.Client, Server: f.Server, Request: layout.Clean(f.Line, 120), Met: f.Sentence(), Why: layout.OneLine(f.Why)}
	if f.Behind != "" { // the race was behind a proxy
		r.Why = layout.OneLine("passed on to " + f.Behind + ": " + f.WhyBehind)
	}
	if f.Begun != evidence.NotSeen {
		r.When = fmt.Sprintf("%.6f s", f.Begun.Seconds())
	}
	if f.Idle != evidence.NotSeen {
		r.Idle = results.FormatSeconds(f.Idle.Seconds())
	}
	for _, q := range f.Lines {
		r.Lines = append(r.Lines, fmt.Sprintf("line %d: %s (%s)", q.Line, layout.OneLine(q.Text), layout.OneLine(q.Shows)))
	}
	if f.Number > 0 {
		r.Packet = fmt.Sprint(f.Number)
	}
	if r.Request == "" && f.TLS {
		r.Request = "(TLS)"
	}
	return r
}

func serverOf(s autopsy.Server) server {
	o := server{Address: s.Address, Says: layout.OneLine(s.Sentence)}
	for _, one := range s.Statements {
		one.Text, one.Why = layout.OneLine(one.Text), layout.OneLine(one.Why)
		one.About = strings.ReplaceAll(one.About, "_", " ")
		o.Statements = append(o.Statements, one)
	}
	return o
}

func clientsOf(v *autopsy.Verdict) (list []string) {
	for i := range v.Clients[:min(len(v.Clients), shownServers)] {
		if text := v.Clients[i].Sentence(); text != "" {
			list = append(list, fmt.Sprintf("Client %s to %s: %s.", v.Clients[i].Address, v.Clients[i].Server, text))
		}
	}
	for _, text := range v.Counts() {
		list = append(list, strings.ToUpper(text[:1])+text[1:]+".")
	}
	return list
}

// readOf says where the segments were captured, and what was not read.
func readOf(v *autopsy.Verdict) (list []string) {
	for i := range v.Places {
		list = append(list, layout.OneLine(v.Places[i].Sentence())+".")
	}
	for _, one := range v.Logs {
		list = append(list, fmt.Sprintf("%s: %d lines; %d are about connections.", layout.OneLine(one.File), one.Lines, one.Known))
	}
	for _, note := range v.Notes {
		list = append(list, layout.OneLine(note))
	}
	return list
}

func figuresOf(v *autopsy.Verdict) (list []figure) {
	failed := len(v.Failures) + v.Left
	list = append(list, figure{fmt.Sprint(failed), "requests without a whole response", fmt.Sprintf("of %d on %d connections", v.Requests, v.Connections)})
	if len(v.Servers) == 0 {
		return list
	}
	switch idle := v.Servers[0].Facts.Idle; {
	case idle.Known():
		list = append(list, figure{
			results.FormatSeconds(idle.Median.Seconds()), "idle timeout of " + v.Servers[0].Address,
			fmt.Sprintf("median of %d closes, %s to %s", idle.Closes, exact(idle.Min), exact(idle.Max)),
		})
	case idle.LongerThan > 0:
		list = append(list, figure{"> " + results.FormatSeconds(idle.LongerThan.Seconds()), "idle timeout of " + v.Servers[0].Address, "no idle connection was closed within this time"})
	}
	if v.Incident != "" {
		list = append(list, figure{v.Incident, "the incident that shows the same", "kabench reproduce " + v.Incident})
	}
	return list
}
