package kabench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles/script"
)

// Each of several targets has the figures of its own requests. One host responds, one
// responds with errors, and one closes before it responds.
func TestFiguresOfEachTarget(t *testing.T) {
	var text strings.Builder
	for _, cfg := range []script.Server{{Body: 10}, {Body: 10, Status: 503}, {Body: 10, Fault: script.CloseBeforeResponse}} {
		server, err := lab.Start(cfg, "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { server.Close() })
		text.WriteString("GET " + server.URL() + "path?key=s3cret\n\n")
	}
	file := filepath.Join(t.TempDir(), "targets.txt")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	run, err := Run(t.Context(), load(t, "", "target.file="+file, "load.rate=100/s", "load.count=60", "load.max_lag=0", "load.warm_up=100ms"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Targets) != 3 {
		t.Fatalf("%+v", run.Targets)
	}
	var started, ok, failed uint64
	for i, f := range run.Targets {
		started, ok, failed = started+f.Started, ok+f.OK, failed+f.Failed
		if f.Started != 20 || strings.Contains(f.Target, "s3cret") || !strings.HasSuffix(f.Target, "/path") || f.Response.Count != f.OK {
			t.Errorf("%d: %+v", i, f)
		}
	}
	if a, b, c := run.Targets[0], run.Targets[1], run.Targets[2]; a.OK != 20 || a.ErrorAnswers != 0 || b.OK != 20 || b.ErrorAnswers != 20 || c.Failed != 20 {
		t.Errorf("%+v", run.Targets)
	}
	if n := run.Counts; n.Started != started || n.OK != ok || n.Failed != failed {
		t.Errorf("%+v are not the sums of %+v", n, run.Targets)
	}
}
