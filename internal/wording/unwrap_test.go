package wording

import (
	"encoding/json"
	"fmt"
	"html"
	"strconv"
	"strings"
	"testing"
)

// quoted is a text as a JSON string.
func quoted(t *testing.T, text string) string {
	t.Helper()
	b, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// envelopes are what carries a message in logs.
func envelopes(t *testing.T, text string) map[string]string {
	oneLine := strings.ReplaceAll(text, "\n", " ")
	colour := "\x1b[31m" + strings.Replace(text, " ", " \x1b[0m\x1b[1m", 1) + "\x1b[0m"
	return map[string]string{
		"JSON":          `{"level":"ERROR","logger":"x","message":` + quoted(t, text) + `,"thread":"main"}`,
		"stack trace":   `{"stack_trace":` + quoted(t, "Handler failed\n"+text+"\n\tat x.Y.z(Unknown Source)\n") + `}`,
		"JSON in JSON":  `{"log":` + quoted(t, `{"msg":"Request failed","err":`+quoted(t, text)+`}`+"\n") + `,"stream":"stderr"}`,
		"docker":        `{"log":` + quoted(t, text+"\n") + `,"stream":"stderr","time":"2026-11-28T02:03:04.123456789Z"}`,
		"CRI":           "2026-11-28T02:03:04.123456789Z stderr F " + strings.ReplaceAll(text, "\n", "\n2026-11-28T02:03:04.123456789Z stderr F "),
		"CRI, cut":      "2026-11-28T02:03:04.123456789Z stderr P " + oneLine[:len(oneLine)/2] + "\n2026-11-28T02:03:04.123456790Z stderr F " + oneLine[len(oneLine)/2:],
		"klog":          "E1128 02:03:04.123456       1 unknown] " + text,
		"logfmt":        `time="2025-03-18T05:41:30+01:00" level=warning msg=` + strconv.Quote(text),
		"log4j":         "2026-11-28 02:03:04,123 ERROR [main] x - " + text,
		"Go's log":      "2026/11/28 02:03:04 " + text,
		"syslog":        "<11>Nov 28 02:03:04 host app[7]: " + strings.ReplaceAll(text, "\n", "#012"),
		"HTML":          "<td>" + html.EscapeString(text) + "</td>",
		"colours":       colour,
		"Windows' ends": strings.ReplaceAll(text, "\n", "\r\n") + "\r\n",
		"after a line":  "handling the order failed\n" + text,
	}
}

// Each example is found again in each envelope.
func TestExamplesInEnvelopes(t *testing.T) {
	for i, w := range All() {
		if w.Silent || testing.Short() && i%5 > 0 {
			continue
		}
		for name, text := range envelopes(t, w.Example) {
			found := Explain(text)
			if len(found) == 0 {
				t.Errorf("%s %q in %s is not known: %s", w.Client, w.Text, name, text)
				continue
			}
			if best := found[0]; best.Client != w.Client || best.Pattern != w.Pattern || best.code != w.code {
				t.Errorf("%s %q in %s is taken for %s %q (%d): %s", w.Client, w.Text, name, best.Client, best.Text, best.Score, text)
			}
		}
	}
}

// An errno is the same in the words of every system, and names no client.
func TestErrnosOfEverySystem(t *testing.T) {
	for _, e := range known().systems.foreign {
		for _, text := range append([]string{e.Text, strings.ToUpper(e.Text)}, e.Texts...) {
			found := Explain("order 17 failed: " + text)
			if len(found) == 0 || found[0].Client != "" || found[0].Outcomes[0] != e.outcomes["any"][0] {
				t.Errorf("%s: %q is taken for %v", e.Name, text, found)
			}
		}
		for _, n := range e.Numbers {
			text := fmt.Sprintf("requests.exceptions.ConnectionError: ('Connection aborted.', OSError(%d, '%s'))", n, e.Text)
			if found := Explain(text); len(found) == 0 || found[0].Client != "requests" || found[0].Outcomes[0].Cause != e.outcomes["any"][0].Cause {
				t.Errorf("%s: %q is taken for %v", e.Name, text, found)
			}
		}
	}
}

func TestUnwrap(t *testing.T) {
	for text, want := range map[string]string{
		`a\nb`:                   "a\nb",
		`a\\nb`:                  "a\nb",
		`\u002f\u003d`:           "/=",
		`&quot;&#x27;&amp;lt;`:   `"'<`,
		`GuzzleHttp\Exception\X`: `GuzzleHttp\Exception\X`,
		`\u00zz \ud800 \`:        `\u00zz \ud800 \`,
		"one#012two":             "one\ntwo",
		"2026-11-28T02:03:04.123456789Z stdout P one \n2026-11-28T02:03:04.123456789Z stdout F two\n": "one two\n",
	} {
		if got := unwrap(text); got != want {
			t.Errorf("%q is unwrapped to %q, want %q", text, got, want)
		}
	}
}

func FuzzUnwrap(f *testing.F) {
	for _, seed := range []string{`\u0`, `&#x110000;`, "\x1b[", `\\\\\\n`, "#01", "2026-11-28T02:03:04.123456789Z stderr P ", "E1128 02:03:04.1 1 a] ", "(,)"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		plain := unwrap(text)
		if len(plain) > 4*len(text)+16 {
			t.Errorf("%d bytes became %d", len(text), len(plain))
		}
		read(text, "")
	})
}
