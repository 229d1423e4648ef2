package faults

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/kabench/kabench/internal/sandbox"
)

// roleVariable is the environment variable that makes a copy of the test binary one of the
// processes of a fleet, with its arguments: see roles.
const roleVariable = "FAULTS_TEST_ROLE"

// unavailable is why there can be no private network here.
var unavailable error

// The tests run in a network namespace of their own, where they make hosts and links.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role, os.Args[1:]))
	}
	flag.Parse()
	unavailable = sandbox.Available()
	if sandbox.Inside() || unavailable != nil || testing.Short() {
		code := m.Run()
		if built.dir != "" {
			os.RemoveAll(built.dir)
		}
		os.Exit(code)
	}
	code, err := sandbox.Reexec(context.Background(), os.Args, sandbox.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// needFleet skips a test with real processes where there can be no private network, and in
// -short; in CI there must be one.
func needFleet(t testing.TB) {
	t.Helper()
	switch {
	case testing.Short():
		t.Skip("it starts the processes of a fleet")
	case unavailable != nil && os.Getenv("CI") != "":
		t.Fatal(unavailable)
	case unavailable != nil:
		t.Skip(unavailable)
	}
}

// built is the program kabench, made from this source when the first test needs it.
var built struct {
	once      sync.Once
	dir, path string
	err       error
}

// program returns the path of kabench. It has the race detector if the tests have it.
func program(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "kabench-faults-"); built.err != nil {
			return
		}
		built.path = filepath.Join(built.dir, "kabench")
		// Without the version control's revision, as the test binary, so that both are the same
		// version of kabench.
		args := []string{"build", "-buildvcs=false", "-o", built.path}
		if raceDetector {
			args = append(args, "-race")
		}
		if out, err := exec.Command("go", append(args, "github.com/kabench/kabench/cmd/kabench")...).CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}
