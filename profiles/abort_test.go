package profiles

import (
	"strings"
	"testing"
)

// abort_when reads as it is written, by --set too, and says at once what can
// only be known at the end.
func TestAbortWhen(t *testing.T) {
	text := "load: {rate: 10/s}\ntarget: {url: 'http://127.0.0.1:1/'}\nabort_when:\n  failures.rate: \"> 50% after 5s\"\n  response.p99: \"> 2s\"\n"
	p, err := Load("p.yaml", []byte(text), []string{"abort_when.counts.dropped=>= 100 after 200 requests", "abort_when.response.p99=> 3s"})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.AbortWhen) != 3 || p.AbortWhen["failures.rate"] != "> 50% after 5s" || p.AbortWhen["counts.dropped"] != ">= 100 after 200 requests" {
		t.Errorf("%v", p.AbortWhen)
	}
	p, err = Load("p.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	written, err := Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Load("", written, nil); err != nil || again.AbortWhen["failures.rate"] != p.AbortWhen["failures.rate"] {
		t.Errorf("%v, %v", again, err)
	}
	for set, say := range map[string]string{
		"abort_when.valid=false":                           "valid is known at the end of a run only",
		"abort_when.failures=not worse than baseline":      "not worse than cannot be asked again",
		"abort_when.failures.connect=> 5 after lunch":      "neither a time nor a number of requests",
		"abort_when.lab.requests=> 5":                      "can never be checked",
		"abort_when.connections.evictions.expired=> 1 day": "neither a number",
	} {
		_, err := Load("p.yaml", []byte(text), []string{set})
		if err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v, want %q", set, err, say)
		}
	}
}
