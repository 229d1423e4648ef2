package place

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Network is a network namespace. It stays while it is open, even if its last process ends.
type Network struct {
	number uint32
	own    bool // the namespace of this process
	ns     netns.NsHandle
}

// NetworkOf opens the network namespace of a process. Its error says which right is missing, or
// that the process is gone.
func NetworkOf(pid int) (*Network, error) {
	file := "/proc/" + strconv.Itoa(pid) + "/ns/net"
	number, err := numberOf(file)
	if err == nil {
		var ours uint32
		if ours, err = numberOf("/proc/self/ns/net"); err == nil && ours == number {
			return &Network{number, true, -1}, nil
		}
	}
	if err != nil {
		return nil, refusal(pid, err)
	}
	ns, err := netns.GetFromPath(file)
	if err != nil {
		return nil, refusal(pid, err)
	}
	return &Network{number, false, ns}, nil
}

// refusal says why a namespace cannot be had.
func refusal(pid int, err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ESRCH):
		return fmt.Errorf("process %d: %w", pid, ErrGone)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("process %d: %w", pid, ErrNoRight)
	}
	return fmt.Errorf("process %d: its network namespace: %w", pid, err)
}

func numberOf(file string) (uint32, error) {
	var st unix.Stat_t
	if err := unix.Stat(file, &st); err != nil {
		return 0, err
	}
	return uint32(st.Ino), nil
}

// Number is the kernel's number of the namespace, as in net:[4026531833].
func (n *Network) Number() uint32 { return n.number }

// Own reports whether the namespace is that of this process.
func (n *Network) Own() bool { return n.own }

// Close closes the namespace; sockets that were made in it stay.
func (n *Network) Close() error {
	if n.own {
		return nil
	}
	return n.ns.Close()
}

// Do runs f on a thread in the namespace. Sockets that f opens belong to the namespace from
// then on, and goroutines that f starts are not in it. It needs CAP_SYS_ADMIN, unless the
// namespace is that of this process. Do may be called concurrently.
func (n *Network) Do(f func() error) error {
	if n.own {
		return f()
	}
	err := errors.New("the function did not return")
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		// The main thread would take the namespace of the process with it: /proc/self shows its.
		if unix.Gettid() == unix.Getpid() {
			other := make(chan struct{})
			go func() {
				defer close(other)
				runtime.LockOSThread()
				err = n.visit(f)
			}()
			<-other
			runtime.UnlockOSThread()
			return
		}
		err = n.visit(f)
	}()
	<-done
	return err
}

// visit runs f in the namespace on this thread, which the caller has locked. A thread that
// cannot return stays locked, so that it ends with its goroutine.
func (n *Network) visit(f func() error) error {
	here, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("own network namespace: %w", err)
	}
	defer here.Close()
	if err := netns.Set(n.ns); err != nil {
		runtime.UnlockOSThread()
		if errors.Is(err, unix.EPERM) {
			return ErrNoRight
		}
		return fmt.Errorf("enter the network namespace: %w", err)
	}
	defer func() {
		if netns.Set(here) == nil {
			runtime.UnlockOSThread()
		}
	}()
	return f()
}

// DialContext connects from the namespace. A host that is not an IP address is resolved
// outside of it.
func (n *Network) DialContext(ctx context.Context, network, address string) (conn net.Conn, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	for _, ip := range ips {
		err = n.Do(func() error {
			// One address, so the dialer connects on this thread.
			conn, err = new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(ip.Unmap().String(), port))
			return err
		})
		if err == nil {
			return conn, nil
		}
	}
	return nil, err
}
