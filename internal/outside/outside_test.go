// Package outside uses kabench as another module does.
package outside

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The program in testdata/program is built in a module of its own, without network, and
// says in which phases requests failed.
func TestAProgramOfAnotherModule(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"go.sum", "internal/outside/testdata/program/main.go"} {
		copyTo(t, dir, filepath.Join(root, filepath.FromSlash(name)))
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(moduleUsing(t, root)), 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "program.exe")
	build(t, dir, "build", "-o", program, ".")
	out, err := exec.Command(program).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"acquire / queue_full: ", "done / "} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is missing:\n%s", want, out)
		}
	}
	t.Logf("%s", out)
}

// moduleUsing is the go.mod of a module that requires the one in root, and what that
// requires.
func moduleUsing(t *testing.T, root string) string {
	t.Helper()
	ours, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	const name = "github.com/kabench/kabench"
	text := strings.Replace(string(ours), "module "+name, "module example.com/program", 1)
	return text + "\nrequire " + name + " v0.0.0\n\nreplace " + name + " => " + filepath.ToSlash(root) + "\n"
}

func copyTo(t *testing.T, dir, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func build(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
