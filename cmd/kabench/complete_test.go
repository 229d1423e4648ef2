package main

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/profiles"
)

// offered returns the completions of words, and the directive that comes with them.
func offered(t *testing.T, words ...string) (names []string, directive string) {
	t.Helper()
	var out strings.Builder
	if code := run(append([]string{"__complete"}, words...), &out, io.Discard); code != exit.Done {
		t.Fatalf("%q: exit code %d", words, code)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for _, line := range lines[:len(lines)-1] {
		name, _, _ := strings.Cut(line, "\t")
		names = append(names, name)
	}
	return names, lines[len(lines)-1]
}

func TestCompletion(t *testing.T) {
	const files, none, dirs, noSpace = ":0", ":4", ":16", ":6"
	for words, want := range map[string]struct{ name, directive string }{
		"run --pool reac":                   {"reactor-netty", files},
		"compare --pool okh":                {"okhttp", files},
		"lint --pool okh":                   {"okhttp", files},
		"lint --server tom":                 {"tomcat", files},
		"lint --via ngi":                    {"nginx", files},
		"lab --as tom":                      {"tomcat", files},
		"run --set pool.idle_t":             {"pool.idle_timeout=", noSpace},
		"compare --axis pool.idle_t":        {"pool.idle_timeout=", noSpace},
		"compare --axis pool=default,reac":  {"pool=default,reactor-netty", none},
		"reproduce --set load.arrivals=poi": {"load.arrivals=poisson", none},
		"lint --set server.idle_t":          {"server.idle_timeout=", noSpace},
		"lab --set target.lab.idle_t":       {"target.lab.idle_timeout=", noSpace},
		"run --arrivals poi":                {"poisson", files},
		"compare --client st":               {"stock", files},
		"run --format j":                    {"json", files},
		"export --format mark":              {"markdown", files},
		"export --tag resp":                 {"response", files},
		"run qui":                           {"quick", files},
		"compare qui":                       {"quick", files},
		"reproduce idle-race-t":             {"idle-race-tls", files},
		"lint idle-race-t":                  {"idle-race-tls", files},
		"show pool:reactor-netty-b":         {"pool:reactor-netty-builder", none},
		"help repr":                         {"reproduce", none},
		"compare a ":                        {"", dirs},
		"report ":                           {"", dirs},
		"export ":                           {"", dirs},
		"publish ":                          {"", dirs},
		"publish --site ":                   {"", dirs},
		"trend ":                            {"", dirs},
		"run --out ":                        {"", dirs},
		"run --baseline ":                   {"", dirs},
		"run --targets ":                    {"", files},
		"run --trace=":                      {"", files},
		"run --rate ":                       {"", none},
		"compare --repeats ":                {"", none},
		"explain ":                          {"", none},
	} {
		names, directive := offered(t, strings.Split(words, " ")...)
		if directive != want.directive || want.name != "" && !slices.Contains(names, want.name) || want.name == "" && len(names) > 0 {
			t.Errorf("%s: %q %s, want %q %s", words, names, directive, want.name, want.directive)
		}
	}
	// --set knows every field that completion offers.
	names, _ := offered(t, "run", "--set", "load.")
	for _, name := range names {
		if !slices.Contains(profiles.Fields(), strings.TrimSuffix(name, "=")) {
			t.Errorf("%s is no field", name)
		}
	}
}

// Every flag with a value has a completion, even an empty one. Otherwise the shell would offer
// files for a rate.
func TestEveryFlagHasACompletion(t *testing.T) {
	flags := 0
	for _, c := range newRoot(io.Discard, io.Discard).Commands() {
		if c.Name() == "completion" {
			continue // cobra's
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if _, has := c.GetFlagCompletionFunc(f.Name); !has && f.Value.Type() != "bool" {
				t.Errorf("%s --%s has none", c.Name(), f.Name)
			}
			flags++
		})
		if c.ValidArgsFunction == nil && strings.Contains(c.Use, "DIR") {
			t.Errorf("%s completes no directory", c.Name())
		}
	}
	if flags < 40 {
		t.Errorf("%d flags only", flags)
	}
}
