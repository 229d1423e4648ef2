package site

import (
	"bytes"
	_ "embed"
	"html/template"
)

//go:embed index.html
var indexText string

var indexTemplate = template.Must(template.New("index").Parse(indexText))

// index is the page that lists the reports.
func (m *manifest) index() ([]byte, error) {
	var b bytes.Buffer
	err := indexTemplate.Execute(&b, m)
	return b.Bytes(), err
}
