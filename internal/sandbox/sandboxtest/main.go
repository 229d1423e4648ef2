// Package sandboxtest runs the tests of a package in a network namespace of their own.
package sandboxtest

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/kabench/kabench/internal/sandbox"
)

// unavailable is why there is no namespace to test in.
var unavailable error

// Main runs the tests in a namespace of their own, or where they are if there can be none. It
// is for TestMain, and does not return.
func Main(m *testing.M) {
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

// Need skips a test if there is no namespace; in CI there must be one.
func Need(t testing.TB) {
	t.Helper()
	if unavailable == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal(unavailable)
	}
	t.Skip(unavailable)
}
