//go:build unix

package drivers

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// tooled makes a machine whose only programs are shell scripts, and an empty cache. It
// returns the cache.
func tooled(t *testing.T, scripts map[string]string) string {
	t.Helper()
	bin := t.TempDir()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh")
	}
	for name, script := range scripts {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!"+sh+"\nPATH=/usr/bin:/bin\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	cache := filepath.Join(t.TempDir(), "drivers")
	t.Setenv("KABENCH_DRIVERS", cache)
	return cache
}

func found(t *testing.T, name string) Entry {
	t.Helper()
	e, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// left lists what is in a cache.
func left(cache string) []string {
	var names []string
	entries, _ := os.ReadDir(cache)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestBuildIsKept(t *testing.T) {
	cache := tooled(t, map[string]string{"java": "", "javac": "echo ran >>" + filepath.Join(t.TempDir(), "ran") + "; mkdir classes"})
	e := found(t, "jdk-httpclient")
	if _, built := e.Built(); built {
		t.Error("it is built before it is built")
	}
	first, err := e.Build(t.Context(), &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	second, err := e.Build(t.Context(), &log)
	if err != nil || strings.Join(second.Argv, " ") != strings.Join(first.Argv, " ") || log.Len() > 0 {
		t.Errorf("built twice: %v, %v, %v: %s", first, second, err, &log)
	}
	if names := left(cache); len(names) != 1 || !strings.HasPrefix(names[0], "jdk-httpclient-") {
		t.Errorf("the cache has %v", names)
	}
	e.Main += "x"
	if _, built := e.Built(); built {
		t.Error("another driver is taken for the built one")
	}
}

func TestBuildsAtOnce(t *testing.T) {
	cache := tooled(t, map[string]string{"java": "", "javac": "sleep 0.1; mkdir classes"})
	e := found(t, "jdk-httpclient")
	var builds sync.WaitGroup
	for range 4 {
		builds.Go(func() {
			c, err := e.Build(t.Context(), &bytes.Buffer{})
			if err != nil || len(c.Argv) == 0 {
				t.Errorf("%v, %v", c, err)
			}
		})
	}
	builds.Wait()
	if names := left(cache); len(names) != 1 {
		t.Errorf("the cache has %v", names)
	}
}

func TestMissingTools(t *testing.T) {
	for _, c := range []struct {
		driver string
		tools  map[string]string
		want   string
	}{
		{"reactor-netty", nil, "driver reactor-netty: java, javac and mvn are missing; on Debian: apt install default-jdk-headless; apt install maven"},
		{"reactor-netty", map[string]string{"java": "", "javac": ""}, "driver reactor-netty: mvn is missing; on Debian: apt install maven"},
		{"jdk-httpclient", map[string]string{"java": ""}, "driver jdk-httpclient: javac is missing; on Debian: apt install default-jdk-headless"},
	} {
		cache := tooled(t, c.tools)
		_, err := found(t, c.driver).Build(t.Context(), &bytes.Buffer{})
		if missing, ok := errors.AsType[*MissingError](err); !ok || missing.Error() != c.want {
			t.Errorf("%v, not %s", err, c.want)
		}
		if names := left(cache); names != nil {
			t.Errorf("the cache has %v", names)
		}
	}
}

func TestBrokenTool(t *testing.T) {
	cache := tooled(t, map[string]string{"java": "", "javac": "echo 'Kit.java:1: error: it rains'; echo '1 error'; exit 3"})
	var log bytes.Buffer
	_, err := found(t, "jdk-httpclient").Build(t.Context(), &log)
	if want := "driver jdk-httpclient: javac: exit status 3: Kit.java:1: error: it rains"; err == nil || err.Error() != want {
		t.Errorf("%v, not %s", err, want)
	}
	if !strings.Contains(log.String(), "javac --release 17") || !strings.Contains(log.String(), "it rains") {
		t.Errorf("log: %s", &log)
	}
	if names := left(cache); names != nil {
		t.Errorf("the cache has %v", names)
	}
}

func TestStoppedBuild(t *testing.T) {
	began := filepath.Join(t.TempDir(), "began")
	cache := tooled(t, map[string]string{"java": "", "javac": "sleep 60 & echo $! >" + began + "; wait"})
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			if text, _ := os.ReadFile(began); bytes.HasSuffix(text, []byte("\n")) {
				break
			}
		}
		stop()
	}()
	_, err := found(t, "jdk-httpclient").Build(ctx, &bytes.Buffer{})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if names := left(cache); names != nil {
		t.Errorf("the cache has %v", names)
	}
	pid, _ := os.ReadFile(began)
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		state, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		if err != nil || bytes.Contains(state, []byte(") Z ")) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the tool's child goes on")
		}
	}
}

// TestAbandonedBuilds: what a killed build left is removed after a day.
func TestAbandonedBuilds(t *testing.T) {
	cache := tooled(t, map[string]string{"java": "", "javac": "mkdir classes"})
	for _, name := range []string{"old", "new"} {
		if err := os.MkdirAll(filepath.Join(cache, unfinished+name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	before := time.Now().Add(-2 * abandoned)
	if err := os.Chtimes(filepath.Join(cache, unfinished+"old"), before, before); err != nil {
		t.Fatal(err)
	}
	if _, err := found(t, "jdk-httpclient").Build(t.Context(), &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	if names := left(cache); len(names) != 2 || names[0] != unfinished+"new" {
		t.Errorf("the cache has %v", names)
	}
}

// TestLostInterpreter: a driver whose interpreter has gone is not built, and is built again.
func TestLostInterpreter(t *testing.T) {
	venv := `[ "$1" = -c ] || { mkdir -p venv/bin; printf '#!/bin/sh\n' >venv/bin/python; chmod +x venv/bin/python; }`
	tooled(t, map[string]string{"python3": venv})
	e := Entry{Name: "p", Client: "P", Language: Python, Sources: []string{"java/kit/Kit.java=requirements.txt", "java/kit/Json.java=p.py"}, Main: "p.py"}
	for range 2 {
		c, err := e.Build(t.Context(), &bytes.Buffer{})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(c.Argv[0]); err != nil {
			t.Fatal(err)
		}
		if _, built := e.Built(); built {
			t.Error("it is built without its interpreter")
		}
	}
}

// TestRealBuild builds a driver that needs no packages with the real tools.
func TestRealBuild(t *testing.T) {
	t.Setenv("KABENCH_DRIVERS", t.TempDir())
	c, err := found(t, "jdk-httpclient").Build(t.Context(), &bytes.Buffer{})
	if missing, ok := errors.AsType[*MissingError](err); ok && os.Getenv("CI") == "" {
		t.Skip(missing)
	}
	if err != nil {
		t.Fatal(err)
	}
	start(t, c).bye()
}
