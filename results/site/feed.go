package site

import (
	"bytes"
	"encoding/xml"
	"net/url"
	"time"
)

// The Atom feed (RFC 4287).
type (
	atomFeed struct {
		XMLName   xml.Name      `xml:"http://www.w3.org/2005/Atom feed"`
		ID        string        `xml:"id"`
		Title     string        `xml:"title"`
		Updated   string        `xml:"updated"`
		Author    atomAuthor    `xml:"author"`
		Generator atomGenerator `xml:"generator"`
		Links     []atomLink    `xml:"link"`
		Entries   []atomEntry   `xml:"entry"`
	}
	atomAuthor struct {
		Name string `xml:"name"`
	}
	atomGenerator struct {
		Version string `xml:"version,attr,omitempty"`
		Name    string `xml:",chardata"`
	}
	atomLink struct {
		Rel  string `xml:"rel,attr"`
		Type string `xml:"type,attr,omitempty"`
		Href string `xml:"href,attr"`
	}
	atomEntry struct {
		ID        string       `xml:"id"`
		Title     string       `xml:"title"`
		Published string       `xml:"published"`
		Updated   string       `xml:"updated"`
		Links     []atomLink   `xml:"link"`
		Category  atomCategory `xml:"category"`
		Summary   string       `xml:"summary"` // of type text, like titles
	}
	atomCategory struct {
		Term string `xml:"term,attr"`
	}
)

// feed is the Atom feed of the site. Without a base URL its links are relative,
// and it does not name itself.
func (m *manifest) feed() ([]byte, error) {
	f := atomFeed{
		ID: m.ID, Title: m.Title, Author: atomAuthor{"kabench"}, Generator: atomGenerator{m.Version, "kabench"},
		Links: []atomLink{{"alternate", "text/html", m.BaseURL + fileIndex}},
	}
	if m.BaseURL != "" {
		f.Links = append(f.Links, atomLink{"self", "application/atom+xml", m.BaseURL + fileFeed})
	}
	var updated time.Time
	for _, e := range m.Entries {
		if e.Updated.After(updated) {
			updated = e.Updated
		}
		links := []atomLink{{"alternate", "text/markdown", m.BaseURL + e.Markdown()}}
		if e.HasPage {
			links = append([]atomLink{{"alternate", "text/html", m.BaseURL + e.Link()}}, links...)
		}
		title := e.Title + ": " + e.Outcome
		summary := e.Headline.Answer
		if e.Question != "" {
			summary = e.Question + "\n\n" + summary
		}
		f.Entries = append(f.Entries, atomEntry{
			ID: m.ID + "/" + url.PathEscape(e.Slug), Title: title, Published: e.Published.Format(time.RFC3339), Updated: e.Updated.Format(time.RFC3339),
			Links: links, Category: atomCategory{e.Kind}, Summary: summary,
		})
	}
	f.Updated = updated.Format(time.RFC3339)
	var b bytes.Buffer
	b.WriteString(xml.Header)
	enc := xml.NewEncoder(&b)
	enc.Indent("", "  ")
	if err := enc.Encode(f); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}
