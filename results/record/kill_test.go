package record

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// killedDir is the environment variable with the run directory for a copy of the test
// binary, which writes a run until it is killed.
const killedDir = "RESULTS_TEST_KILLED_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedDir); dir != "" {
		writeUntilKilled(dir)
	}
	os.Exit(m.Run())
}

func writeUntilKilled(dir string) {
	w, err := Create(dir)
	if err != nil || w.Begin(begun()) != nil {
		os.Exit(1)
	}
	for seq := uint64(0); ; seq++ {
		w.Observe(done(seq))
		time.Sleep(100 * time.Microsecond)
	}
}

func TestSIGKILL(t *testing.T) {
	exe, err := os.Executable()
	must(t, err)
	dir := filepath.Join(t.TempDir(), "run")
	child := exec.Command(exe)
	child.Env = append(os.Environ(), killedDir+"="+dir)
	must(t, child.Start())
	record := filepath.Join(dir, fileExchanges)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if info, err := os.Stat(record); err == nil && info.Size() > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Error("nothing was recorded")
			break
		}
	}
	must(t, child.Process.Kill())
	_ = child.Wait() // the error only says that it was killed
	d, err := Open(dir)
	must(t, err)
	run, err := d.Run()
	must(t, err)
	if run.Complete || run.Counts.OK == 0 || !run.Counts.Balance() || run.Name != "idle-race" {
		t.Errorf("document = %+v, want an incomplete run with what was recorded", run)
	}
}
