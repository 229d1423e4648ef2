package packets

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/kabench/kabench/internal/sandbox"
)

// unavailable is why there is no namespace to test in.
var unavailable error

// TestMain runs the tests in a network namespace of their own.
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

// needSandbox skips a test where there is no namespace; in CI there must be one.
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
