package transport

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// descriptors opens n of them.
func descriptors(t *testing.T, n int) []int {
	t.Helper()
	fds := make([]int, n)
	for i := range fds {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		fds[i] = fd
	}
	return fds
}

// stillOpen counts those that are open. Nothing else in this test opens any meanwhile.
func stillOpen(fds []int) (n int) {
	for _, fd := range fds {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			n++
		}
	}
	return n
}

// Fewer sockets than a batch wait until the loop is idle, or for a millisecond of its
// time at most.
func TestClosingsWaitForTheLoop(t *testing.T) {
	var c Closings
	fds := descriptors(t, 2)
	c.add(make(posts), fds[0])
	if waiting := c.Tend(time.Second); !waiting || stillOpen(fds) != 2 {
		t.Errorf("waiting %v, %d open, before the loop is idle", waiting, stillOpen(fds))
	}
	if c.Now(); stillOpen(fds) != 1 || c.Tend(2*time.Second) {
		t.Errorf("%d open after the loop was idle, want the other one", stillOpen(fds))
	}
	c.add(make(posts), fds[1])
	c.Tend(3 * time.Second)
	if waiting := c.Tend(3*time.Second + maxCloseLag); waiting || stillOpen(fds) != 0 {
		t.Errorf("waiting %v, %d open, after %v", waiting, stillOpen(fds), maxCloseLag)
	}
}

// A loop that is never idle still has its sockets closed, each once, and the end leaves
// none. After it nothing waits.
func TestClosingsOfABusyLoop(t *testing.T) {
	for _, procs := range []int{1, 2} {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		var c Closings
		fds := descriptors(t, 10*closeBatch+3)
		for _, fd := range fds {
			c.add(make(posts), fd)
		}
		if !c.all() && procs > 1 {
			t.Error("nothing waited")
		}
		if n := stillOpen(fds); n != 0 {
			t.Errorf("%d open after all were closed, with %d processors", n, procs)
		}
		late := descriptors(t, 1)
		c.End()
		if c.add(make(posts), late[0]); stillOpen(late) != 0 {
			t.Error("one that came after the end is open")
		}
	}
}
