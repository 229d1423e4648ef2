package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/kabench/kabench/profiles/network"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Host is a network namespace with addresses on a network. A socket made in it belongs
// to it, and any goroutine may use that socket. The client is the namespace of the
// process itself.
type Host struct {
	name  string
	addrs []netip.Addr
	mu    sync.RWMutex   // guards ns
	ns    netns.NsHandle // -1 once closed
	thread
}

// thread is an OS thread that a host has for itself. The host's programs are started
// from it and are killed when it ends, so Go must not end it earlier.
type thread struct {
	jobs   chan func()
	closed chan struct{}
	ended  chan struct{}
	once   sync.Once
}

// ErrClosed is the error of calls after Network.Close.
var ErrClosed = errors.New("the network is closed")

// newHost makes a host. own says whether it gets a namespace of its own; otherwise it
// is the namespace of the process.
func newHost(name string, addrs []netip.Addr, own bool) (*Host, error) {
	h := &Host{name: name, addrs: addrs, ns: -1, thread: thread{
		jobs: make(chan func()), closed: make(chan struct{}), ended: make(chan struct{}),
	}}
	ready := make(chan error)
	onOwnThread(func() { h.run(own, ready) })
	if err := <-ready; err != nil {
		h.close()
		return nil, fmt.Errorf("host %s: %w", name, err)
	}
	return h, nil
}

// onMainThread reports whether the calling thread is the first one of the process. It
// must not enter the namespaces of hosts: it cannot end before the process, and
// /proc/self/net shows the namespace of this thread. The calling goroutine must be
// locked to its thread.
func onMainThread() bool { return unix.Gettid() == unix.Getpid() }

// onOwnThread runs f on a goroutine with a thread of its own, which is not the main
// thread and ends after f.
func onOwnThread(f func()) {
	go func() {
		runtime.LockOSThread() // never unlocked, so that the thread ends with the goroutine
		if !onMainThread() {
			f()
			return
		}
		begun := make(chan struct{})
		go func() { // on another thread, because this one is in use
			runtime.LockOSThread()
			close(begun)
			f()
		}()
		<-begun
		runtime.UnlockOSThread()
	}()
}

func (h *Host) run(own bool, ready chan<- error) {
	defer close(h.ended)
	if own {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			ready <- fmt.Errorf("new network namespace: %w", err)
			return
		}
	}
	ns, err := netns.Get()
	if err != nil {
		ready <- fmt.Errorf("network namespace: %w", err)
		return
	}
	h.ns = ns
	ready <- loopbackUp()
	for {
		select {
		case job := <-h.jobs:
			job()
		case <-h.closed:
			return
		}
	}
}

// close ends the host's thread, which kills the programs started from it.
func (h *Host) close() {
	h.once.Do(func() { close(h.closed) })
	<-h.ended
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ns >= 0 {
		_ = h.ns.Close()
		h.ns = -1
	}
}

// onThread runs f on the host's own thread and waits for it.
func (h *Host) onThread(f func() error) error {
	done := make(chan error, 1)
	select {
	case h.jobs <- func() { done <- f() }:
		return <-done
	case <-h.closed:
		return ErrClosed
	}
}

// Name returns the host's name.
func (h *Host) Name() string { return h.name }

// Do runs f on a thread in the host's namespace. Sockets that f opens belong to the
// host from then on. Goroutines that f starts are not in the namespace, and f may run
// on another goroutine than the caller's. Do may be called concurrently.
func (h *Host) Do(f func() error) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if !onMainThread() {
		return h.visit(f)
	}
	err = fmt.Errorf("host %s: the function did not return", h.name)
	done := make(chan struct{})
	go func() { // on another thread, because this one is in use
		defer close(done)
		err = h.visit(f)
	}()
	<-done
	return err
}

func (h *Host) visit(f func() error) error {
	runtime.LockOSThread()
	here, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("host %s: own namespace: %w", h.name, err)
	}
	defer here.Close()
	if err := h.enter(); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer func() {
		// A thread that cannot return to its namespace stays locked and ends with this
		// goroutine.
		if netns.Set(here) == nil {
			runtime.UnlockOSThread()
		}
	}()
	return f()
}

// enter moves the calling thread into the host's namespace.
func (h *Host) enter() error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.ns < 0 {
		return ErrClosed
	}
	if err := netns.Set(h.ns); err != nil {
		return fmt.Errorf("host %s: enter namespace: %w", h.name, err)
	}
	return nil
}

// Listen listens in the host. If addr has no IP address, it listens on all of them.
func (h *Host) Listen(ctx context.Context, network, addr string) (ln net.Listener, err error) {
	err = h.Do(func() error {
		var lc net.ListenConfig
		lc.SetMultipathTCP(false)
		ln, err = lc.Listen(ctx, network, addr)
		return err
	})
	return ln, err
}

// ListenPacket is Listen for UDP.
func (h *Host) ListenPacket(ctx context.Context, network, addr string) (conn net.PacketConn, err error) {
	err = h.Do(func() error {
		var lc net.ListenConfig
		conn, err = lc.ListenPacket(ctx, network, addr)
		return err
	})
	return conn, err
}

// Dial connects from the host. addr must have an IP address, because goroutines
// outside of the namespace would resolve a name.
func (h *Host) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return h.DialWith(ctx, &net.Dialer{}, network, addr)
}

// DialWith is Dial with the dialer d.
func (h *Host) DialWith(ctx context.Context, d *net.Dialer, network, addr string) (conn net.Conn, err error) {
	if _, err := netip.ParseAddrPort(addr); err != nil {
		return nil, fmt.Errorf("host %s: dial %q: want IP address and port: %w", h.name, addr, err)
	}
	err = h.Do(func() error {
		conn, err = d.DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

// Start starts cmd in the host's namespace. cmd is killed when the network is closed
// or kabench ends in any way. The caller must wait for it.
func (h *Host) Start(cmd *exec.Cmd) error {
	return h.onThread(func() error {
		if cmd.SysProcAttr == nil {
			cmd.SysProcAttr = &syscall.SysProcAttr{}
		}
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
		return cmd.Start()
	})
}

// Sysctl sets a kernel setting of the host's namespace, such as
// net.ipv4.tcp_tw_reuse.
func (h *Host) Sysctl(key, value string) error {
	if err := network.CheckSysctl(key); err != nil {
		return fmt.Errorf("host %s: %w", h.name, err)
	}
	err := h.onThread(func() error { return os.WriteFile(sysctlPath(key), []byte(value), 0) })
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("host %s: %s: this kernel has no such setting per namespace", h.name, key)
	}
	if err != nil {
		return fmt.Errorf("host %s: %s = %q: %w", h.name, key, value, err)
	}
	return nil
}

// ReadSysctl reads a kernel setting of the host's namespace.
func (h *Host) ReadSysctl(key string) (value string, err error) {
	if err := network.CheckSysctl(key); err != nil {
		return "", fmt.Errorf("host %s: %w", h.name, err)
	}
	err = h.onThread(func() error {
		b, err := os.ReadFile(sysctlPath(key))
		value = strings.TrimSpace(string(b))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("host %s: %w", h.name, err)
	}
	return value, nil
}

func sysctlPath(key string) string {
	return filepath.Join("/proc/sys", strings.ReplaceAll(key, ".", "/"))
}

// configure applies the host's settings. six says whether it has IPv6.
func (h *Host) configure(c network.Host, six bool) error {
	disabled := map[bool]string{false: "1", true: "0"}[six]
	for _, scope := range []string{"all", "default"} {
		// The wire carries only IPv4. A kernel without IPv6 has nothing to switch off.
		key := "net.ipv6.conf." + scope + ".disable_ipv6"
		if _, err := h.ReadSysctl(key); err == nil {
			if err := h.Sysctl(key, disabled); err != nil {
				return err
			}
		} else if six {
			return fmt.Errorf("host %s: broken_ipv6 needs a kernel with IPv6: %w", h.name, err)
		}
	}
	if six { // the host asks for no router, and takes no address of its own choice
		for _, setting := range []string{"router_solicitations=0", "addr_gen_mode=1", "accept_ra=0"} {
			key, value, _ := strings.Cut(setting, "=")
			if err := h.Sysctl("net.ipv6.conf.default."+key, value); err != nil {
				return err
			}
		}
	}
	if c.PortRange != [2]int{} {
		if err := h.Sysctl("net.ipv4.ip_local_port_range", strconv.Itoa(c.PortRange[0])+" "+strconv.Itoa(c.PortRange[1])); err != nil {
			return err
		}
	}
	for key, value := range c.Sysctls {
		if err := h.Sysctl(key, value); err != nil {
			return err
		}
	}
	return nil
}
