package drivers

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// documented is the document with the table of drivers.
const documented = "../../../docs/drivers.md"

// TestDocsListTheDrivers: the table of docs/drivers.md is that of the catalogue.
// KABENCH_MAP=write writes it.
func TestDocsListTheDrivers(t *testing.T) {
	text, err := os.ReadFile(documented)
	if err != nil {
		t.Fatal(err)
	}
	place := regexp.MustCompile(`(?s)(<!-- drivers -->\n).*(<!-- /drivers -->)`)
	want := place.ReplaceAllString(string(text), "${1}"+strings.ReplaceAll(table(), "$", "$$")+"${2}")
	switch {
	case !place.Match(text):
		t.Errorf("%s has no place for the table of drivers", documented)
	case want == string(text):
	case os.Getenv("KABENCH_MAP") == "write":
		if err := os.WriteFile(documented, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("the table of %s is not that of the catalogue; write it with KABENCH_MAP=write go test -run TestDocs ./dialers/external/drivers", documented)
	}
}

// table is the catalogue in Markdown.
func table() string {
	var b strings.Builder
	b.WriteString("| name | client | language | presets | |\n| --- | --- | --- | --- | --- |\n")
	for _, e := range All() {
		presets := "none"
		if len(e.Preset) > 0 {
			presets = "`" + strings.Join(e.Preset, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", e.Name, strings.TrimSpace(e.Client+" "+e.Version), e.Language, presets, e.Note)
	}
	return b.String()
}
