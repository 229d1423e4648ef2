package site

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
	"github.com/kabench/kabench/results/trend"
)

//go:embed trend.html
var trendText string

var trendTemplate = template.Must(template.New("trend").Parse(trendText))

// trendView is what the template of a page of trends shows.
type trendView struct {
	Title, Asks string
	Home        string // link to the index; "": there is none
	Policy      string
	Style       template.CSS
	Series      []seriesView
	Note        string
}

// seriesView is the runs of a setting.
type seriesView struct {
	ID, Title, Spans string
	Verdict          []verdictView
	Charts           []plot
	Rows             []runRow
}

// Single reports whether the charts need the whole width of the page.
func (s seriesView) Single() bool { return len(s.Rows) > 60 }

type verdictView struct {
	Text  string
	Worse bool
}

// runRow is a run in the table.
type runRow struct {
	Link, When, Commit, Rate, RateInterval, P99, P99Interval, Version, Used string
}

// WriteTrend writes a page with all series: one HTML file that needs no network and runs
// no program. home is the link to the index of the site; "": there is none.
func WriteTrend(w io.Writer, title, home string, all []trend.Series) error {
	v := trendView{
		Title: title, Home: home, Policy: policy(""), Style: template.CSS(style()),
		Note: fmt.Sprintf("Bars are 95 %% intervals of one run, which assume that its requests did not depend on each other. "+
			"A change is tested over runs: in a series without any, each of the two figures is said to have changed with a probability of at most %s. "+
			"Runs that are not used are hollow.", results.FormatPercent(trend.Level)),
	}
	for i := range all {
		s := &all[i]
		if v.Asks == "" {
			v.Asks = s.Asks
		}
		o := seriesView{ID: fmt.Sprintf("series-%d", i+1), Title: s.Title(), Spans: s.Spans(), Charts: []plot{failuresPlot(s), timesPlot(s)}}
		verdict := s.Verdict()
		for n, text := range verdict {
			o.Verdict = append(o.Verdict, verdictView{text, n < len(s.Changes) && s.Changes[n].Worse})
		}
		for n := len(s.Points) - 1; n >= 0; n-- { // the newest first
			o.Rows = append(o.Rows, rowOf(&s.Points[n]))
		}
		v.Series = append(v.Series, o)
	}
	for i := range all {
		if all[i].Asks != v.Asks {
			v.Asks = "" // the page is of several questions
		}
	}
	return trendTemplate.ExecuteTemplate(w, "trend", v)
}

func rowOf(p *trend.Point) runRow {
	r := runRow{Link: p.Link, When: p.At(), Commit: p.Short(), Rate: "-", RateInterval: "-", P99: "-", P99Interval: "-", Version: p.Version, Used: "yes"}
	if p.Unfit != "" {
		r.Used = "no, it " + p.Unfit
	}
	if p.Started > 0 {
		rate, low, high := p.Rate()
		r.Rate, r.RateInterval = results.FormatPercent(rate), results.FormatPercent(low)+" to "+results.FormatPercent(high)
	}
	if p.P99 > 0 {
		r.P99 = results.FormatSeconds(p.P99)
	}
	if p.P99High > 0 {
		r.P99Interval = results.FormatSecondsRange(p.P99Low, p.P99High)
	}
	return r
}

// dirTrends is the directory of the pages of trends in a site.
const dirTrends = "trends"

// trends makes a page for each question that has been asked several times with the same
// setting. links has the pages' links by the question, from the site's root.
func (m *manifest) trends() (files map[string][]byte, links map[string]string, err error) {
	var points []trend.Point
	for i := range m.Entries {
		for _, p := range m.Entries[i].Points {
			p.Link = "../" + m.Entries[i].Link()
			points = append(points, p)
		}
	}
	questions := map[string][]trend.Series{}
	for _, s := range trend.Of(points) {
		if len(s.Points) > 1 {
			questions[s.Key()] = append(questions[s.Key()], s)
		}
	}
	files, links = map[string][]byte{}, map[string]string{}
	for question, all := range questions {
		var b bytes.Buffer
		if err := WriteTrend(&b, all[0].Name, "../"+fileIndex, all); err != nil {
			return nil, nil, err
		}
		name := dirTrends + "/" + question + ".html"
		files[name], links[question] = b.Bytes(), name
	}
	return files, links, nil
}

// points returns the runs of k for the trends of a site. shown is k as it is published. A
// run that is named after its host has no name that could be shown, and without names and
// hosts, the runs of several hosts would look like one question.
func points(k, shown *record.Archive) (list []trend.Point, notes []string) {
	all, notes := trend.Points(shown, "")
	names := map[string]bool{}
	for i := range k.Runs {
		if k.Runs[i].Run != nil {
			names[k.Runs[i].Run.Name] = true
		}
	}
	left := false
	for _, p := range all {
		if names[p.Name] && strings.TrimSpace(p.Name) != "" {
			list = append(list, p)
		} else {
			left = true
		}
	}
	if left {
		notes = append(notes, "it is in no trend, because it is named after its host: give the profile a name, or publish with --show-hosts")
	}
	return list, notes
}
