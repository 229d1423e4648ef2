package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
)

// A named pool's client has its own words for what an explanation advises.
func TestExplanationInWordsOfAClient(t *testing.T) {
	for _, test := range []struct{ text, pool, want string }{
		{"Connection prematurely closed BEFORE response", "reactor-netty", `for example     ConnectionProvider.builder("pool").maxIdleTime(Duration.ofSeconds(4)) (Java`},
		{"socket hang up", "node-agent", "for example     new http.Agent({ keepAlive: true, timeout: 4000 }) (JavaScript"},
		{"Pending acquire queue has reached its maximum size of 32", "reactor-netty-builder", `for example     ConnectionProvider.builder("pool").pendingAcquireMaxCount(1000)`},
		{"Connection prematurely closed BEFORE response", "requests", "for example     Python: requests has no idle timeout"},
		{"Connection prematurely closed BEFORE response", "default", ""},
	} {
		e := Explain(test.text)
		if err := e.InWordsOf(test.pool); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := e.Print(&b); err != nil {
			t.Fatal(err)
		}
		if got := b.String(); test.want == "" && len(e.Settings) > 0 || !strings.Contains(got, test.want) {
			t.Errorf("%s for %s:\n%s", test.text, test.pool, got)
		}
	}
	unknown := Explain("the quick brown fox")
	if err := unknown.InWordsOf("undici"); err != nil || len(unknown.Settings) > 0 {
		t.Errorf("%v, %+v", err, unknown.Settings)
	}
	e := Explain("socket hang up")
	if err := e.InWordsOf("node-agnt"); err == nil || !strings.Contains(err.Error(), "node-agent") {
		t.Errorf("an unknown pool: %v", err)
	}
}

func TestWritten(t *testing.T) {
	for _, test := range []struct {
		s    results.ClientSetting
		want string
	}{
		{results.ClientSetting{Text: "x=4", In: "a file", Versions: "1.0 and later"}, "x=4 (a file; 1.0 and later)"},
		{results.ClientSetting{Text: "x=4", In: "a file", Versions: "1.0 and later", Note: "y too"}, "x=4 (a file; 1.0 and later; y too)"},
		{results.ClientSetting{Instead: "there is none", In: "a file"}, "a file: there is none"},
	} {
		if got := written(test.s); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}
