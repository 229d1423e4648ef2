package sandbox

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A container mounts /proc/sys read-only. That is said before a network is made.
func TestReadOnlySettingsAreRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount")
	}
	dir := t.TempDir()
	if err := settable(dir); err != nil {
		t.Errorf("a directory that can be written: %v", err)
	}
	done := make(chan error, 1)
	go func() {
		// The thread has a mount namespace of its own, and ends with this goroutine.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
			done <- err
			return
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			done <- err
			return
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_RDONLY, ""); err != nil {
			done <- err
			return
		}
		if err := settable(dir); err == nil || !strings.Contains(err.Error(), "systempaths=unconfined") {
			t.Errorf("mounted read-only: %v", err)
		}
		done <- nil
	}()
	if err := <-done; err != nil {
		t.Skipf("nothing can be mounted here: %v", err)
	}
	if err := settable("/no/such/directory"); err != nil {
		t.Errorf("not there: %v", err)
	}
}
