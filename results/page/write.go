package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"
	"sync"
)

//go:embed assets
var assets embed.FS

// program lists the files of the program that draws a page, in order.
var program = []string{"base.js", "chart.js", "zoom.js", "time.js", "latency.js", "lifelines.js", "tables.js", "compare.js", "head.js", "main.js"}

// static is the part that all pages share.
type static struct {
	style, program         string
	library                string // the chart library, gzipped, in base64
	styleHash, programHash string
	libraryHash            string // of the library as it is run
	licences               []licence
	head                   *template.Template
}

// licence is the text under which a part of the page is given.
type licence struct{ Of, Text string }

var prepared = sync.OnceValue(func() *static {
	read := func(name string) string {
		text, err := assets.ReadFile("assets/" + name)
		if err != nil {
			panic(err) // it is embedded
		}
		return string(text)
	}
	s := &static{style: read("page.css") + read("charts.css") + read("lifelines.css"), head: template.Must(template.New("page").Parse(read("page.html")))}
	var app strings.Builder
	app.WriteString("'use strict';\n(() => {\n")
	for _, name := range program {
		app.WriteString(read(name))
	}
	app.WriteString("})();\n")
	s.program = app.String()
	library := read("echarts/echarts.min.js")
	var packed bytes.Buffer
	zip, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // the level exists
	_, _ = zip.Write([]byte(library))                            // a buffer takes all
	_ = zip.Close()
	s.library = base64.StdEncoding.EncodeToString(packed.Bytes())
	s.styleHash, s.programHash, s.libraryHash = hashOf(s.style), hashOf(s.program), hashOf(library)
	for _, l := range [...]licence{
		{"Apache ECharts 6.0.0", "echarts/LICENSE"}, {"Notice of Apache ECharts", "echarts/NOTICE"},
		{"ZRender 6.0.0, in ECharts", "echarts/LICENSE-zrender"}, {"parts of d3, in ECharts", "echarts/LICENSE-d3"},
	} {
		s.licences = append(s.licences, licence{l.Of, read(l.Text)})
	}
	return s
})

// Style returns the style sheet of a page, for pages that other rooms draw.
func Style() string { return prepared().style }

// hashOf is the hash of text in the form of a content security policy.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// policy allows a page to run only its own program and the library, by their hashes:
// a text from a server that got in as markup would not run. A live page may fetch from
// its own origin.
func (s *static) policy(live bool) string {
	policy := "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; script-src " +
		s.programHash + " " + s.libraryHash + "; style-src " + s.styleHash
	if live {
		policy += "; connect-src 'self'"
	}
	return policy
}

// Write writes d as a page: one HTML file that needs nothing else. A page of live Data
// fetches data.json, as WriteData writes it, from its own folder every second and draws
// itself again, until the data is no longer live.
func Write(w io.Writer, d *Data) error {
	data, err := json.Marshal(d) // with <, >, &, U+2028 and U+2029 escaped
	if err != nil {
		return fmt.Errorf("making the report: %w", err)
	}
	s := prepared()
	var head bytes.Buffer
	view := map[string]any{"Data": d, "Policy": s.policy(d.Live), "Style": template.CSS(s.style), "Licences": s.licences, "Full": d.fullAnswer(), "Bad": d.badAnswer()}
	if d.Picture != nil {
		view["Drawn"] = template.HTML(d.Picture.SVG) // kabench drew it, and escaped its texts
	}
	if err := s.head.ExecuteTemplate(&head, "page", view); err != nil {
		return fmt.Errorf("making the report: %w", err)
	}
	for _, part := range [...]string{
		head.String(),
		"<script type=\"application/json\" id=\"data\">", string(data), "</script>\n",
		"<script type=\"text/plain\" id=\"library\">", s.library, "</script>\n",
		"<script>", s.program, "</script>\n",
		"</body>\n</html>\n",
	} {
		if _, err := io.WriteString(w, part); err != nil {
			return err
		}
	}
	return nil
}

// WriteData writes d as the JSON that a page draws.
func WriteData(w io.Writer, d *Data) error { return json.NewEncoder(w).Encode(d) }
