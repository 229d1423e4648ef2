package profiles

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kabench/kabench/dialers/pool"
)

// A cap that there is not is written in one way in all fields. What an earlier
// version wrote is read as it was meant, and named.
func TestNoCap(t *testing.T) {
	fields := map[string]func(*Profile) *int{
		"max_conns":     func(p *Profile) *int { return &p.Pool.MaxConns },
		"max_conns_all": func(p *Profile) *int { return &p.Pool.MaxConnsAll },
		"max_requests":  func(p *Profile) *int { return &p.Pool.MaxRequests },
		"max_idle":      func(p *Profile) *int { return &p.Pool.MaxIdle },
		"max_idle_all":  func(p *Profile) *int { return &p.Pool.MaxIdleAll },
		"pending_max":   func(p *Profile) *int { return &p.Pool.PendingMax },
	}
	for field, of := range fields {
		zero := 0 // it means something where nothing can be kept or waited for
		var warning []string
		if strings.HasPrefix(field, "max_conns") || field == "max_requests" {
			zero = pool.NoCap
			warning = []string{"p.yaml:5:3: pool." + field + ": 0 is an old spelling of no cap; write none, or -1"}
		}
		for text, want := range map[string]int{"none": pool.NoCap, "-1": pool.NoCap, "null": pool.NoCap, "3": 3, "0": zero} {
			load := []byte(good + "pool:\n  " + field + ":\n  " + text + "\n")
			p, err := Load("p.yaml", load, nil)
			if err != nil || *of(p) != want {
				t.Errorf("%s: %s in a file: %v, %v", field, text, p, err)
				continue
			}
			if text == "0" && !slices.Equal(p.Warnings, warning) || text != "0" && p.Warnings != nil {
				t.Errorf("%s: %s in a file: warnings %q, want %q", field, text, p.Warnings, warning)
			}
			d := Default()
			if err := Set(&d, "pool."+field, text); err != nil || *of(&d) != want || len(d.Warnings) != len(p.Warnings) {
				t.Errorf("%s: %s set: %d, %q, %v", field, text, *of(&d), d.Warnings, err)
			}
		}
		for text, says := range map[string]string{"-2": "write none, or -1, for no cap", "some": "is not a whole number"} {
			if _, err := Load("p.yaml", []byte(good), []string{"pool." + field + "=" + text}); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %s: error %v, want one that says %q", field, text, err, says)
			}
		}
		p := Default()
		p.Target.URL, p.Load.Rate = "http://127.0.0.1:1/", 1
		*of(&p) = 0
		if err := p.Validate(); (err != nil) != (zero != 0) {
			t.Errorf("%s 0 in a program: error %v", field, err)
		}
	}
}

// The profile in the results of an earlier version says the same as it did.
func TestAProfileOfAnEarlierVersionIsRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "profile.yaml")
	old := good + "pool:\n  max_conns: 0\n  max_idle: -1\n  pending_max: -1\n  max_requests: 0\n  max_conns_all: 0\n  max_idle_all: -1\n"
	if err := os.WriteFile(file, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := LoadFile(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	now, err := Load("now.yaml", []byte(good), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Warnings) != 3 {
		t.Errorf("warnings %q", p.Warnings)
	}
	was, _ := json.Marshal(p)
	is, _ := json.Marshal(now)
	if string(was) != string(is) {
		t.Errorf("read as\n%s\nwant\n%s", was, is)
	}
	// A pool in a file, and one that a remedy sets.
	policy := filepath.Join(filepath.Dir(file), "pool.yaml")
	if err := os.WriteFile(policy, []byte("max_conns: 0\nmax_idle: 4\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Set(now, "pool", policy); err != nil || now.Pool.MaxConns != pool.NoCap || len(now.Warnings) != 1 || !strings.Contains(now.Warnings[0], "pool.yaml:1:12: max_conns") {
		t.Errorf("a pool's file: %+v, %q, %v", now.Pool, now.Warnings, err)
	}
	remedied, err := p.With(Remedy{Set: Changes{"pool.max_conns": "0"}})
	if err != nil || remedied.Pool.MaxConns != pool.NoCap {
		t.Errorf("a remedy: %+v, %v", remedied, err)
	}
}
