package host

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// What the checks before a run rely on: a low soft limit is not the one there
// is, because the runtime raises it.
func TestSoftLimitIsRaisedAtStart(t *testing.T) {
	const child = "KABENCH_TEST_LIMIT"
	if os.Getenv(child) != "" {
		soft, hard, err := OpenFileLimit()
		fmt.Println("limits", soft, hard, err)
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("sh", "-c", `ulimit -S -n 64 && ulimit -H -n 128 && exec "$0" -test.run='^TestSoftLimitIsRaisedAtStart$' -test.v`, exe)
	c.Env = append(os.Environ(), child+"=1")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if s := string(out); !strings.Contains(s, "limits 128 128 <nil>") && !strings.Contains(s, "limits 127 128 <nil>") {
		t.Errorf("want a soft limit of 128, or one less:\n%s", out)
	}
}
