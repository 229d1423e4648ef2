package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/profiles/network"
)

// passage is a client and a server with a NAT between them.
type passage struct {
	client, server *Host
	addr           netip.Addr // of the server
}

// bothNATs tests the wire's NAT and, beside it, the kernel's own: nft's masquerade, in a
// namespace of its own between two others. sysctls are those of the kernel's NAT.
func bothNATs(t *testing.T, cfg network.NAT, sysctls map[string]string, test func(t *testing.T, p passage)) {
	t.Run("the wire's", func(t *testing.T) {
		n := startNetwork(t, behindNAT(cfg))
		test(t, passage{n.Host("client"), n.Host("server"), n.Addr("server")})
	})
	t.Run("the kernel's", func(t *testing.T) { test(t, kernelNAT(t, cfg, sysctls)) })
}

// kernelNAT makes three namespaces, and of the middle one a NAT like cfg. The size of the
// kernel's table (nf_conntrack_max) is not set here: it is one for the whole machine, and
// read-only in other namespaces.
func kernelNAT(t *testing.T, cfg network.NAT, sysctls map[string]string) passage {
	t.Helper()
	needSandbox(t)
	for _, tool := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	var hosts [3]*Host // client, NAT, server
	var pids [3]string // of a process in each
	for i, name := range []string{"client", "nat", "server"} {
		h, err := newHost(name, nil, true)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(h.close)
		sleep := exec.Command("sleep", "600")
		if err := h.Start(sleep); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sleep.Process.Kill(); _ = sleep.Wait() })
		hosts[i], pids[i] = h, strconv.Itoa(sleep.Process.Pid)
	}
	in := func(h *Host, line string, stdin ...string) {
		t.Helper()
		words := strings.Fields(line)
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Stdin = strings.NewReader(strings.Join(stdin, "\n"))
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		err := h.Start(cmd)
		if err == nil {
			err = cmd.Wait()
		}
		if err != nil {
			t.Fatalf("%s: %s: %v\n%s", h.name, line, err, out.String())
		}
	}
	client, nat, server := hosts[0], hosts[1], hosts[2]
	in(nat, "ip link add name inside type veth peer name eth netns "+pids[0])
	in(nat, "ip link add name outside type veth peer name eth netns "+pids[2])
	for h, lines := range map[*Host][]string{
		client: {"ip addr add 10.78.1.1/24 dev eth", "ip link set eth up", "ip route add default via 10.78.1.2"},
		nat:    {"ip addr add 10.78.1.2/24 dev inside", "ip link set inside up", "ip addr add 10.78.2.1/24 dev outside", "ip link set outside up"},
		server: {"ip addr add 10.78.2.2/24 dev eth", "ip link set eth up"},
	} {
		for _, line := range lines {
			in(h, line)
		}
	}
	if err := nat.Sysctl("net.ipv4.ip_forward", "1"); err != nil {
		t.Fatal(err)
	}
	invalid := ""
	if cfg.Unknown == network.UnknownDrop {
		invalid = "ct state invalid drop"
	}
	in(nat, "nft -f -", fmt.Sprintf(`table ip nat {
	chain after {
		type nat hook postrouting priority 100
		oifname "outside" ip protocol tcp masquerade to :40000-%d
	}
	chain forward {
		type filter hook forward priority 0
		%s
	}
}`, 40000+cfg.Ports-1, invalid), "")
	for key, value := range sysctls { // they exist since the rules do
		if err := nat.Sysctl(key, value); err != nil {
			t.Fatal(err)
		}
	}
	return passage{client, server, netip.MustParseAddr("10.78.2.2")}
}

// A NAT without a free port lets connects time out: it refuses none, and the client's own
// ports do not run out. What is open stays as it was.
func TestNATRunsOutOfPortsAsTheKernelsDoes(t *testing.T) {
	const ports, tries = 20, 32
	bothNATs(t, network.NAT{Ports: ports}, nil, func(t *testing.T, p passage) {
		port := echo(t, p.server, 0)
		var mu sync.Mutex
		var kept []net.Conn
		var timeouts int
		var wg sync.WaitGroup
		for range tries {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second) // time for more SYNs
				defer cancel()
				conn, err := p.client.Dial(ctx, "tcp4", netip.AddrPortFrom(p.addr, uint16(port)).String())
				var timeout net.Error
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					kept = append(kept, conn)
				case errors.As(err, &timeout) && timeout.Timeout():
					timeouts++
				default:
					t.Errorf("dial: %v, want a timeout", err)
				}
			})
		}
		wg.Wait()
		if len(kept) != ports || timeouts != tries-ports {
			t.Errorf("%d connections and %d timeouts, want %d and %d", len(kept), timeouts, ports, tries-ports)
		}
		for _, conn := range kept {
			if _, err := ask(conn); err != nil {
				t.Errorf("on a connection that was kept: %v", err)
			}
			conn.Close()
		}
	})
}

// A NAT that has forgotten a connection gives its next packet another port, for which the
// server has no connection; or it drops the packet.
func TestNATForgetsAsTheKernelsDoes(t *testing.T) {
	for unknown, c := range map[network.Unknown]struct {
		loose string
		reset bool
	}{network.UnknownPass: {"1", true}, network.UnknownDrop: {"0", false}} {
		cfg := network.NAT{Ports: 2000, Idle: 2 * time.Second, Unknown: unknown}
		sysctls := map[string]string{
			"net.netfilter.nf_conntrack_tcp_timeout_established": "2",
			"net.netfilter.nf_conntrack_tcp_loose":               c.loose,
		}
		t.Run(unknown.String(), func(t *testing.T) {
			bothNATs(t, cfg, sysctls, func(t *testing.T, p passage) {
				port := echo(t, p.server, 0)
				conn, err := p.client.Dial(context.Background(), "tcp4", netip.AddrPortFrom(p.addr, uint16(port)).String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, err := ask(conn); err != nil {
					t.Fatal(err)
				}
				time.Sleep(3200 * time.Millisecond) // which the kernel counts in ticks
				wait := patience
				if !c.reset {
					wait = time.Second // for nothing
				}
				conn.SetDeadline(time.Now().Add(wait))
				_, err = conn.Write([]byte("who?\n"))
				if err == nil {
					_, err = conn.Read(make([]byte, 10))
				}
				var timeout net.Error
				if reset := errors.Is(err, syscall.ECONNRESET); reset != c.reset || !reset && !(errors.As(err, &timeout) && timeout.Timeout()) {
					t.Errorf("%v, want a reset: %v", err, c.reset)
				}
			})
		})
	}
}

// A NAT gives a port again for which the server has a TIME_WAIT socket. Without timestamps
// about half of the SYNs are too old for that: it answers with an ACK, the client resets
// what it does not know, and its SYN is accepted when it is sent again.
func TestNATPortMeetsTimeWaitAsTheKernelsDoes(t *testing.T) {
	const ports = 40
	cfg := network.NAT{Ports: ports}
	sysctls := map[string]string{"net.netfilter.nf_conntrack_tcp_timeout_time_wait": "1"}
	bothNATs(t, cfg, sysctls, func(t *testing.T, p passage) {
		if err := p.client.Sysctl("net.ipv4.tcp_timestamps", "0"); err != nil {
			t.Fatal(err)
		}
		ln, err := p.server.Listen(context.Background(), "tcp4", ":0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		go func() {
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				conn.Close() // first
			}
		}()
		addr := netip.AddrPortFrom(p.addr, uint16(ln.Addr().(*net.TCPAddr).Port)).String()
		round := func() (resets int) {
			before := outRsts(t, p.client)
			var wg sync.WaitGroup
			for range ports {
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					defer cancel()
					conn, err := p.client.Dial(ctx, "tcp4", addr)
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, conn)
					conn.Close()
				})
			}
			wg.Wait()
			return outRsts(t, p.client) - before
		}
		begun := time.Now()
		if n := round(); n != 0 && time.Since(begun) < time.Second { // the kernel's NAT forgets after that
			t.Errorf("%d resets on ports that are new to the server", n)
		}
		time.Sleep(2200 * time.Millisecond) // until the kernel's NAT has forgotten all of them
		// Half of 40 are too old, and the next SYN may meet another's TIME_WAIT. As the
		// kernel's NAT draws lots for its ports, some of them are new to the server.
		n := round()
		if n < 4 || n > 2*ports {
			t.Errorf("%d SYNs of %d met TIME_WAIT", n, ports)
		}
		t.Logf("%d SYNs met TIME_WAIT", n)
	})
}

// outRsts reads how many RSTs a host has sent.
func outRsts(t *testing.T, h *Host) (n int) {
	t.Helper()
	err := h.Do(func() error {
		b, err := os.ReadFile("/proc/thread-self/net/snmp")
		if err != nil {
			return err
		}
		var names []string
		for line := range strings.Lines(string(b)) {
			words := strings.Fields(line)
			if words[0] != "Tcp:" {
				continue
			}
			if names == nil {
				names = words
				continue
			}
			for i, name := range names {
				if name == "OutRsts" {
					n, err = strconv.Atoi(words[i])
					return err
				}
			}
		}
		return errors.New("no OutRsts in /proc/net/snmp")
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
