package drivers

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kabench/kabench/profiles"
)

// TestCatalogue: every driver has a name of its own, a language, sources, exact versions of
// its packages, presets that there are, and tools that are known.
func TestCatalogue(t *testing.T) {
	presets := map[string]bool{}
	for _, p := range profiles.Pools() {
		presets[p.Name] = true
	}
	seen := map[string]bool{}
	for _, e := range All() {
		if !regexp.MustCompile(`^[a-z][a-z0-9-]*$`).MatchString(e.Name) || seen[e.Name] {
			t.Errorf("driver %q: the name is used twice, or is no plain word", e.Name)
		}
		seen[e.Name] = true
		files, err := e.files()
		if err != nil || len(files) == 0 {
			t.Errorf("driver %s: %d sources: %v", e.Name, len(files), err)
		}
		if e.Client == "" || len(e.languageTools()) == 0 {
			t.Errorf("driver %s: client %q in %q", e.Name, e.Client, e.Language)
		}
		for _, name := range e.needs() {
			if !slices.ContainsFunc(tools, func(t Tool) bool { return t.Name == name }) {
				t.Errorf("driver %s: needs %s, which tools.go has not", e.Name, name)
			}
		}
		for _, p := range e.Preset {
			if !presets[p] {
				t.Errorf("driver %s: there is no pool preset %s", e.Name, p)
			}
		}
		pinned := strings.Join(e.Pins, "\n") + e.Note // libcurl comes inside another package, which the note names
		for _, pin := range e.Pins {
			if !regexp.MustCompile(`^[\w.-]+:[\w.-]+:\d[\w.-]*$`).MatchString(pin) {
				t.Errorf("driver %s: %q is no group:artifact:version", e.Name, pin)
			}
		}
		for _, f := range files {
			if !slices.Contains(code, path.Ext(f.name)) {
				pinned += string(f.data)
			}
		}
		if e.Version != "" && !strings.Contains(pinned, e.Version) {
			t.Errorf("driver %s: no package is pinned to version %s", e.Name, e.Version)
		}
	}
}

// code are the ends of the names of source files. Other files of a driver name its packages.
var code = []string{".java", ".js", ".mjs", ".cjs", ".py", ".rb", ".rs", ".go"}

// mostLines is how long a driver's own source may be, beside the kit of its language. Who
// writes another driver should see that it is little work.
const mostLines = 150

// TestDriversAreShort: no source of a client's driver is long. The drivers of proxies have to
// write configurations and to start processes.
func TestDriversAreShort(t *testing.T) {
	eachSource(t, func(name string, data []byte) {
		if strings.Contains(name, "kit") || strings.HasPrefix(name, "proxies/") || !slices.Contains(code, path.Ext(name)) {
			return
		}
		if n := bytes.Count(data, []byte("\n")); n > mostLines {
			t.Errorf("%s has %d lines; %d are enough", name, n, mostLines)
		}
	})
}

// TestSourcesNameNoAddress: files that name packages do not say where the packages come
// from: the tools of the machine know it.
func TestSourcesNameNoAddress(t *testing.T) {
	eachSource(t, func(name string, data []byte) {
		if slices.Contains(code, path.Ext(name)) {
			return
		}
		for line := range bytes.Lines(data) {
			if bytes.Contains(line, []byte("://")) || bytes.Contains(line, []byte(`"resolved"`)) {
				t.Errorf("%s has an address: %s", name, line)
			}
		}
	})
}

// TestEverySourceIsUsed: a source that no driver has is forgotten.
func TestEverySourceIsUsed(t *testing.T) {
	used := map[string]bool{}
	for _, e := range All() {
		for _, s := range e.Sources {
			from, _, _ := strings.Cut(s, "=")
			used[from] = true
		}
	}
	eachSource(t, func(name string, _ []byte) {
		if !used[name] && !strings.HasSuffix(name, "_test.go") {
			t.Errorf("no driver has the source %s", name)
		}
	})
}

func eachSource(t *testing.T, look func(name string, data []byte)) {
	t.Helper()
	err := fs.WalkDir(sources, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := sources.ReadFile(name)
		if err == nil {
			look(name, data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFind(t *testing.T) {
	if e, err := Find("reactor-netty"); err != nil || e.Client != "Reactor Netty" {
		t.Errorf("%v, %v", e, err)
	}
	if _, err := Find("reactor-nety"); err == nil || !strings.Contains(err.Error(), "did you mean reactor-netty?") {
		t.Error(err)
	}
	if _, err := Find("x"); err == nil || !strings.Contains(err.Error(), "kabench driver list") {
		t.Error(err)
	}
}

// TestCommand: a name is a driver's; everything else is a command line.
func TestCommand(t *testing.T) {
	t.Setenv("KABENCH_DRIVERS", t.TempDir())
	if _, err := Command("reactor-netty"); err == nil || err.Error() != "the driver reactor-netty is not built; run 'kabench driver build reactor-netty'" {
		t.Error(err)
	}
	if _, err := Command("reactor-nety"); err == nil || !strings.Contains(err.Error(), "did you mean reactor-netty?") {
		t.Error(err)
	}
	if _, err := Command("./no-such"); err == nil || !strings.Contains(err.Error(), "the driver ./no-such cannot be started: ") {
		t.Error(err)
	}
	if c, err := Command("python9 my_driver.py"); err != nil || len(c.Argv) != 2 {
		t.Errorf("%v, %v", c, err)
	}
	if c, err := Command("/bin/sh"); err != nil || len(c.Argv) != 1 {
		t.Errorf("%v, %v", c, err)
	}
}

// TestCIBuildsWhatItNeeds: .ci/drivers builds the drivers that must not be skipped there.
func TestCIBuildsWhatItNeeds(t *testing.T) {
	script, err := os.ReadFile("../../../.ci/drivers")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(script), "\ngo run ./cmd/kabench driver build ")
	list, _, _ = strings.Cut(list, "\n")
	for _, name := range ofCI {
		if !slices.Contains(strings.Fields(list), name) {
			t.Errorf(".ci/drivers does not build %s", name)
		}
		if _, err := Find(name); err != nil {
			t.Error(err)
		}
	}
}
