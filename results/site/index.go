package site

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"slices"

	"github.com/kabench/kabench/results/page"
	"github.com/kabench/kabench/results/text"
)

var (
	//go:embed index.html
	indexText string
	//go:embed index.js
	indexProgram string
	//go:embed site.css
	ownStyle string

	indexTemplate = template.Must(template.New("index").Parse(indexText))
)

// style is the style sheet of the pages of a site: that of reports, and more.
func style() string { return page.Style() + ownStyle }

// policy allows a page to run only this program, and to use only this style.
func policy(program string) string {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	text := "default-src 'none'; base-uri 'none'; form-action 'none'; style-src" + hash(style())
	if program != "" {
		text += "; script-src" + hash(program)
	}
	return text
}

// indexView is what the template of the index shows.
type indexView struct {
	Title                  string
	Policy                 string
	Style                  template.CSS
	Program                template.JS
	Entries                []indexRow
	Names, Kinds, Verdicts []string // to filter by
}

// indexRow is a report in the table.
type indexRow struct {
	*Entry
	Trend string // link to the page with its trend; "": there is none
}

// Tone is the class of the badge with the verdict. Reports of earlier versions have none.
func (r indexRow) Tone() string { return cmp.Or(r.Headline.Tone, text.TonePlain) }

// index is the page that lists the reports. trends has the links to the pages of questions.
func (m *manifest) index(trends map[string]string) ([]byte, error) {
	v := indexView{Title: m.Title, Policy: policy(indexProgram), Style: template.CSS(style()), Program: template.JS(indexProgram)}
	for i := range m.Entries {
		e := &m.Entries[i]
		row := indexRow{Entry: e}
		for _, p := range e.Points {
			if link := trends[p.Question]; link != "" {
				row.Trend = link
				break
			}
		}
		v.Entries = append(v.Entries, row)
		v.Names, v.Kinds, v.Verdicts = append(v.Names, e.Title), append(v.Kinds, e.Kind), append(v.Verdicts, e.Outcome)
	}
	for _, list := range []*[]string{&v.Names, &v.Kinds, &v.Verdicts} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	var b bytes.Buffer
	err := indexTemplate.Execute(&b, v)
	return b.Bytes(), err
}
