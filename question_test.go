package kabench

import "testing"

// Runs of a store that differ in what was measured are left out; those against another host, with
// another certificate or of another length fit.
func TestOtherQuestions(t *testing.T) {
	for path, other := range map[string]bool{
		"network.delay": true, "target.proxies": true, "target.lab.idle_timeout": true, "target.method": true, "target.body_size": true, "load.rate": true,
		"load.duration": false, "load.seed": false, "target.headers.X": false, "target.tls.ca_file": false, "target.labels": false,
	} {
		if got := (difference{path, "1", "2"}).otherQuestion(); got != other {
			t.Errorf("%s: %v, want %v", path, got, other)
		}
	}
	for now, other := range map[string]bool{`"http://b:2/x?y"`: false, `"http://a:1/z"`: true} {
		if got := (difference{"target.url", `"http://a:1/x?y"`, now}).otherQuestion(); got != other {
			t.Errorf("%s: %v, want %v", now, got, other)
		}
	}
}
