package kabench

import (
	"strings"
	"testing"

	"github.com/kabench/kabench/internal/host"
)

// What the machine cannot hold is refused before any traffic, by a run itself.
func TestARunBeyondTheLimitIsRefused(t *testing.T) {
	soft, _, err := host.OpenFileLimit()
	if err != nil {
		t.Skip(err)
	}
	if soft > 1<<30 {
		t.Skipf("this machine lets a process open %d files", soft)
	}
	_, err = Run(t.Context(), load(t, "quick", "load.rate=1e9", "load.max_in_flight=1000000000"), Options{Out: t.TempDir()})
	if _, ok := err.(*InputError); !ok || !strings.Contains(err.Error(), "ulimit -n") {
		t.Errorf("got %v", err)
	}
}
