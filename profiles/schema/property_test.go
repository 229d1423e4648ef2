package schema

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/kabench/kabench/profiles"
)

// oddities are values that a field may be changed to: most are wrong in most fields.
var oddities = []any{
	nil, true, false, 0, 1, -1, 5, 1.5, -0.5, 70000, 1e30, "", "0", "5", "+5", "-5", "007", "0x10", "1_000", "none", "null", "tRUE", "yes",
	"3s", "3", "1h2m.5s", "-3s", "+3s", ".5s", "3 s", "3d", "5µs", "400/s", "+5e1/m", "0/s", "5/d", ".5", "5.", "1e3", "inf", "0x1p-2",
	"uniform 1ms 2ms", " exp\t20ms ", "uniform 1ms", "normal 1ms 2ms", "closed", "drain 2s", "drain", "every 3", "every +3", "every 0", "reused",
	"okhttp", "tomcat", "okhtpp", "partial", "lease", "eof", "GET", "!POST LOCK", "S.", "A", "X", "10.0.0.0/24", "/", "2026-01-02T03:04:05Z",
	"poisson", "lifo", "silent", "error", []any{}, []any{nil}, []any{"lease", "timer"}, []any{1, 2}, []any{"GET"}, []any{map[string]any{}},
	map[string]any{}, map[string]any{"a": "b"}, map[string]any{"preset": "okhttp"}, map[string]any{"preset": "tomcat"}, map[string]any{"what": "a"},
}

func oddity(r *rand.Rand) any { return copied(oddities[r.IntN(len(oddities))]) }

// copied returns a copy of a document.
func copied(v any) any {
	switch v := v.(type) {
	case map[string]any:
		all := map[string]any{}
		for key, value := range v {
			all[key] = copied(value)
		}
		return all
	case []any:
		all := []any{}
		for _, value := range v {
			all = append(all, copied(value))
		}
		return all
	}
	return v
}

// change makes one change somewhere in v.
func change(r *rand.Rand, v any) any {
	if r.IntN(4) == 0 {
		return oddity(r)
	}
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			break
		}
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		key := keys[r.IntN(len(keys))]
		switch r.IntN(12) {
		case 0:
			delete(v, key)
		case 1:
			v[key+"s"] = v[key]
			delete(v, key)
		case 2:
			v[[]string{"preset", "name", "load", "pool", "max_conns", "fault_on", "resend"}[r.IntN(7)]] = oddity(r)
		default:
			v[key] = change(r, v[key])
		}
		return v
	case []any:
		if len(v) > 0 {
			i := r.IntN(len(v))
			v[i] = change(r, v[i])
			return v
		}
	}
	return oddity(r)
}

// oldSpelling reports whether a pool's file has a field in an old spelling.
func oldSpelling(t *testing.T, text []byte) bool {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := profiles.ReadPool(path)
	return err == nil && len(p.Warnings) > 0
}

// What a schema refuses, kabench refuses too: an editor never complains about a good file.
func TestGoodFilesAreNeverRefused(t *testing.T) {
	schemas, files := validators(t), map[string][]any{}
	for kind, texts := range shipped(t) {
		for _, text := range texts {
			var document any
			if err := yaml.Unmarshal(text, &document); err != nil {
				t.Fatal(err)
			}
			files[kind] = append(files[kind], document)
		}
	}
	r := rand.New(rand.NewPCG(16, 2026))
	for _, kind := range Names() {
		taken, refused, both := 0, 0, 0
		changes := 120
		if kind == "matrix" {
			changes = 30 // each reads the names of all profiles
		}
		for range changes {
			document := copied(files[kind][r.IntN(len(files[kind]))])
			for range 1 + r.IntN(2) {
				document = change(r, document)
			}
			changed, err := json.Marshal(document) // which is YAML
			if err != nil {
				t.Fatal(err)
			}
			loads, fits := load(t, kind, changed), validJSON(schemas[kind], changed)
			switch {
			case loads == nil && fits != nil && kind == "pool" && oldSpelling(t, changed):
				// it is taken with a warning, and an editor may warn too
			case loads == nil && fits != nil:
				t.Errorf("kabench takes this %s, and its schema does not: %v\n%s", kind, fits, changed)
			case loads == nil:
				taken++
			case fits != nil:
				both++
			default:
				refused++
			}
		}
		t.Logf("%s: %d were taken, %d refused by both, %d by kabench alone", kind, taken, both, refused)
		if taken == 0 || both < 10 {
			t.Errorf("%s: only %d changed files were taken, and %d refused by both", kind, taken, both)
		}
	}
}
