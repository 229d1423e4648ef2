package harness

import (
	"os"
	"testing"

	"github.com/kabench/kabench/internal/sandbox"
)

// The test binary is the child that runs in a network of its own, too.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == InSandbox {
		os.Exit(Child(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// needSandbox skips a test where there can be no private network; in CI there
// must be one.
func needSandbox(t *testing.T) {
	t.Helper()
	if err := sandbox.Available(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}
