package profiles

import (
	"strings"
	"testing"
)

// Loading never panics; what loads can be written, loads back, and can be checked.
func FuzzLoad(f *testing.F) {
	for _, e := range append(Profiles(), Incidents()...) {
		f.Add([]byte(e.Text), "load.rate=5")
	}
	for _, p := range Pools() {
		f.Add([]byte(p.Text()), "load.rate=5")
	}
	for _, text := range []string{
		good, "load: {rate: 1, arrivals: {process: burst, on: 1s, off: 1s}}\ntarget: {lab: {delay: exp 1s}}", "a: &a [*a]", "? [a]\n: {b: c}", "!!map {<<: *x}",
		"load:\n  rate: |\n    5\n", "load: {rate: >-\n 5}", "- - - a", "a:\n- b:\n  - c", "\ufeff", "%YAML 1.2\n---\n", "{a: 'b'", "load: \"\\u2028\"",
	} {
		f.Add([]byte(text), "target.headers.X-A=b")
	}
	f.Add([]byte(good), "remedies=[{name: a, set: {pool.max_idle: 2}}]")
	f.Fuzz(func(t *testing.T, data []byte, set string) {
		all := string(data) + set
		if strings.HasPrefix(set, "pool=") || strings.HasPrefix(set, "target.lab=") ||
			strings.Contains(all, "remedies") && (strings.Contains(all, "pool:") || strings.Contains(all, "target.lab:")) {
			t.Skip("reads files")
		}
		p, err := Load("fuzz.yaml", data, []string{set})
		if err != nil {
			if p != nil || err.Error() == "" {
				t.Fatalf("profile %v beside error %q", p, err)
			}
			return
		}
		loadsBack(t, p)
		red := Redact(*p)
		if _, err := Marshal(&red); err != nil {
			t.Fatal(err)
		}
	})
}
