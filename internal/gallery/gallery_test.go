package main

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gallery": main})
}

func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("-short reproduces no incident")
	}
	kabench := filepath.Join(t.TempDir(), "kabench.exe")
	if out, err := exec.Command("go", "build", "-o", kabench, "github.com/kabench/kabench/cmd/kabench").CombinedOutput(); err != nil {
		t.Fatalf("building kabench: %v: %s", err, out)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("KABENCH", kabench)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits CODE COMMAND...: runs the command and checks its exit code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Check(err)
		}
		got = exit.ExitCode()
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}
