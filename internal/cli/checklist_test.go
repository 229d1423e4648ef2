package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/lint"
)

// The lines of lint are as wide as a page, and hang below their names.
func TestChecklistIsWrapped(t *testing.T) {
	p, err := profiles.Open("idle-race", []string{"pool=reactor-netty"})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := PrintChecklist(&b, lint.Check(p, lint.Options{})); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if n := layout.Columns(strings.TrimSuffix(line, "\n")); n > checklistWidth {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if !strings.Contains(b.String(), "\n  rule  The side") || !strings.Contains(b.String(), "\n        ") {
		t.Errorf("%s", &b)
	}
}
