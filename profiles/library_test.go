package profiles

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
)

func names(list []Embedded) []string {
	var names []string
	for _, e := range list {
		names = append(names, e.Name)
	}
	return names
}

func TestLibraryLoads(t *testing.T) {
	if got, want := names(Profiles()), []string{"buffer", "quick", "steady"}; !slices.Equal(got, want) {
		t.Errorf("profiles %q, want %q", got, want)
	}
	if len(Incidents()) < 20 {
		t.Errorf("incidents %q", names(Incidents()))
	}
	for _, e := range append(Profiles(), Incidents()...) {
		p, err := Load(e.Name, []byte(e.Text), nil)
		if err != nil {
			t.Errorf("%s:\n%v", e.Name, err)
			continue
		}
		if p.Name != e.Name || p.Question == "" || p.Question != e.Question || p.Source != e.Source {
			t.Errorf("%s: name %q, question %q (listed as %q), source %q (%q)", e.Name, p.Name, p.Question, e.Question, p.Source, e.Source)
		}
	}
	for _, e := range Incidents() {
		p, err := Load(e.Name, []byte(e.Text), nil)
		if err != nil {
			continue
		}
		if p.Source == "" || p.Scale == "" || len(p.Expect) == 0 || p.Says.Happened == "" || len(p.Remedies) > 0 && p.Says.Set == "" {
			t.Errorf("%s: an incident needs a source, its scale, a signature and the sentences of the verdict", e.Name)
		}
		for _, r := range p.Remedies {
			if len(r.Expect) == 0 || r.Cost == "" {
				t.Errorf("%s: remedy %q needs expectations and its cost in words", e.Name, r.Name)
			}
		}
	}
}

func TestFind(t *testing.T) {
	if e, found := Find("idle-race"); !found || !strings.Contains(e.Text, "idle_timeout") {
		t.Errorf("idle-race: %v, %q", found, e.Text)
	}
	if _, found := Find("idle-rcae"); found {
		t.Error("idle-rcae was found")
	}
	want := "profile idle-rcae: no such name or file; did you mean idle-race?"
	if err := NotFound("idle-rcae"); err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

func TestLoadPoolFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	want := pool.Default()
	want.MaxIdle, want.LeaseOrder = 3, pool.FIFO
	for name, text := range map[string]string{
		"bare.yaml":     "max_idle: 3\nlease_order: fifo\n",
		"document.yaml": "name: mine\nwhat: a pool\npool: {max_idle: 3, lease_order: fifo}\n",
		"null.yaml":     "max_idle: 3\nlease_order: fifo\npending_max: null\nexpiry: null\n",
		"nulls.yaml":    "name: null\npool: {max_idle: 3, lease_order: fifo, pending_max: null, expiry: null}\n",
		"profile.yaml":  "load: {rate: 1}\npool: {max_idle: 3, lease_order: fifo}\ntarget: {url: http://h/}\n",
	} {
		got, err := LoadPool(write(name, text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	for text, complaint := range map[string]string{
		"max_idl: 3\n":                       ":1:1: max_idl: unknown key; did you mean max_idle?",
		"pool:\n  max_idle: -3\n":            ":2:3: pool.max_idle: -3 is below 0 (write none, or -1, for no cap; 0 means no keep-alive)",
		"pool:\n  max_idle: 3\nmax_conns: 1": ":3:1: max_conns: unknown key here; did you mean pool.max_conns?",
		"":                                   ": is empty; write the pool's parameters",
		"[fifo]":                             ":1:1: is a list; a mapping of keys to values belongs here",
	} {
		path := write("bad.yaml", text)
		if _, err := LoadPool(path); err == nil || err.Error() != path+complaint {
			t.Errorf("%q: error\n%v, want\n%s", text, err, path+complaint)
		}
	}
	_, err := LoadPool("reactor-nety-builder")
	if err == nil || !strings.HasSuffix(err.Error(), "did you mean reactor-netty-builder?") {
		t.Errorf("unknown pool: error %v", err)
	}
	if _, err := LoadPool("zqxj"); err == nil || !strings.HasSuffix(err.Error(), "no such name or file; 'kabench pools' lists them") {
		t.Errorf("a name near to none: error %v", err)
	}
	if _, err := LoadPool(dir); err == nil {
		t.Error("a directory was read as a pool")
	}
}

// The defaults stand in two rooms; a profile that says nothing must be both.
func TestDefault(t *testing.T) {
	p := Default()
	if p.Load != generator.Default() || !cmp.Equal(p.Pool, pool.Default()) || p.Target.Method != "GET" || p.Client != ClientPolicy {
		t.Errorf("default profile %+v", p)
	}
}
