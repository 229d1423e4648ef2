package names

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/kabench/kabench/internal/sandbox"
)

// unavailable is why there is no sandbox to test in.
var unavailable error

// TestMain runs the tests inside a sandbox.
func TestMain(m *testing.M) {
	if sandbox.Inside() {
		os.Exit(m.Run())
	}
	if unavailable = sandbox.Available(); unavailable != nil {
		os.Exit(m.Run())
	}
	code, err := sandbox.Reexec(context.Background(), os.Args, sandbox.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// needSandbox skips a test that runs where there is no sandbox; in CI there must be one.
func needSandbox(t testing.TB) {
	t.Helper()
	if unavailable == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal(unavailable)
	}
	t.Skip(unavailable)
}
