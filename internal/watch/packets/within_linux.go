package packets

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// within calls do on a thread in a network namespace, given by its file; "": on this thread.
func within(namespace string, do func() error) error {
	if namespace == "" {
		return do()
	}
	done := make(chan error)
	go func() { done <- inNamespace(namespace, do) }()
	return <-done
}

// inNamespace moves the thread of the goroutine. If the thread cannot be moved back, it ends
// with the goroutine.
func inNamespace(namespace string, do func() error) error {
	runtime.LockOSThread()
	home, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	if err != nil {
		return err
	}
	defer home.Close()
	there, err := os.Open(namespace)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("the network namespace of the service: %w", err)
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		if errors.Is(err, unix.EPERM) {
			return fmt.Errorf("CAP_SYS_ADMIN, for the network namespace of the service: %w", err)
		}
		return fmt.Errorf("the network namespace of the service: %w", err)
	}
	err = do()
	if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
		runtime.UnlockOSThread()
	}
	return err
}
