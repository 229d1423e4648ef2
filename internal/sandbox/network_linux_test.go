package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/kabench/kabench/profiles/network"
	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what must happen. Nothing is measured
// by it.
const patience = 30 * time.Second

// echo starts a server in host that answers each line with its name and
// returns its port.
func echo(t testing.TB, h *Host, port int) int {
	t.Helper()
	ln, err := h.Listen(context.Background(), "tcp4", fmt.Sprintf(":%d", port))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var conns []net.Conn // of the accepting goroutine, until that has ended
	accepting := make(chan struct{})
	wg.Go(func() {
		defer close(accepting)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conns = append(conns, conn)
			wg.Go(func() {
				defer conn.Close()
				buf := make([]byte, 1024)
				for {
					conn.SetDeadline(time.Now().Add(patience))
					if _, err := conn.Read(buf); err != nil {
						return
					}
					if _, err := conn.Write([]byte(h.Name())); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		<-accepting
		for _, conn := range conns { // not every client's end is heard of here
			conn.Close()
		}
		wg.Wait()
	})
	return ln.Addr().(*net.TCPAddr).Port
}

func dial(t testing.TB, addr netip.Addr, port int) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTimeout("tcp4", netip.AddrPortFrom(addr, uint16(port)).String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn)
}

// ask sends a line and returns the answer.
func ask(conn net.Conn) (string, error) {
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte("who?\n")); err != nil {
		return "", err
	}
	buf := make([]byte, 1024)
	n, err := conn.Read(buf)
	return string(buf[:n]), err
}

func ends(conn net.Conn) (a, b netip.AddrPort) {
	return conn.LocalAddr().(*net.TCPAddr).AddrPort(), conn.RemoteAddr().(*net.TCPAddr).AddrPort()
}

func TestARoundTripTakesTwiceTheDelay(t *testing.T) {
	const delay = 20 * time.Millisecond
	n := startNetwork(t, clientServer(network.Link{Conditions: network.Conditions{Delay: delay}}))
	port := echo(t, n.Host("server"), 0)
	begin := time.Now()
	conn := dial(t, n.Addr("server"), port)
	if took := time.Since(begin); took < 2*delay {
		t.Errorf("connected after %v, before a round trip of %v", took, 2*delay)
	}
	begin = time.Now()
	if _, err := ask(conn); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < 2*delay {
		t.Errorf("answered after %v, before a round trip of %v", took, 2*delay)
	}
	a, b := ends(conn)
	for _, p := range n.Connection(a, b, 0) {
		if p.Fate == FateDelivered && p.Left-p.At < delay {
			t.Errorf("packet %d took %v, less than %v", p.ID, p.Left-p.At, delay)
		}
	}
}

func TestWhatIsLostIsSentAgain(t *testing.T) {
	cfg := clientServer(network.Link{Conditions: network.Conditions{Loss: .1, Delay: time.Millisecond}})
	cfg.Seed = 3
	n := startNetwork(t, cfg)
	ln, err := n.Host("server").Listen(context.Background(), "tcp4", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	want := bytes.Repeat([]byte("0123456789"), 50_000)
	got := make(chan []byte, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			got <- nil
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		b, _ := io.ReadAll(conn)
		got <- b
	}()
	conn := dial(t, n.Addr("server"), ln.Addr().(*net.TCPAddr).Port)
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(want); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if b := <-got; !bytes.Equal(b, want) {
		t.Errorf("%d bytes arrived of %d", len(b), len(want))
	}
	if s := n.Stats(); s.Fates["lost"] == 0 {
		t.Errorf("nothing was lost: %v", s.Fates)
	}
}

func TestDroppedSYNsTimeOut(t *testing.T) {
	n := startNetwork(t, clientServer(network.Link{Rules: []network.Rule{{Name: "no syn", Flags: network.SYN, NotFlags: network.ACK}}}))
	_, err := net.DialTimeout("tcp4", netip.AddrPortFrom(n.Addr("server"), 80).String(), 100*time.Millisecond)
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("dial: %v, want a timeout", err)
	}
	if s := n.Stats(); s.Fates["dropped"] == 0 {
		t.Errorf("no packet was dropped: %v", s.Fates)
	}
}

// firstClose says who sent the first FIN or RST, and which; "": nobody.
func firstClose(packets []Packet, client netip.AddrPort) string {
	for _, p := range packets {
		who := "server"
		switch {
		case p.ByLink():
			who = "link"
		case p.Src == client:
			who = "client"
		}
		if p.Flags&network.RST != 0 {
			return who + " rst"
		}
		if p.Flags&network.FIN != 0 {
			return who + " fin"
		}
	}
	return ""
}

func TestRSTByRuleIsAConnectionReset(t *testing.T) {
	n := startNetwork(t, clientServer(network.Link{Rules: []network.Rule{{From: "client", Data: true, Skip: 1, Do: network.ActionRST, To: network.RSTToBoth}}}))
	conn := dial(t, n.Addr("server"), echo(t, n.Host("server"), 0))
	if who, err := ask(conn); err != nil || who != "server" {
		t.Fatalf("before the rule strikes: %q, %v", who, err)
	}
	if _, err := ask(conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after it: %v, want connection reset", err)
	}
	a, b := ends(conn)
	packets := n.Connection(a, b, 0)
	if c := firstClose(packets, a); c != "link rst" {
		t.Errorf("closed by %s; want link rst", c)
	}
}

func TestEventWakesARule(t *testing.T) {
	n := startNetwork(t, clientServer(network.Link{Rules: []network.Rule{{Data: true, Do: network.ActionRST, After: "cut"}}}))
	conn := dial(t, n.Addr("server"), echo(t, n.Host("server"), 0))
	if _, err := ask(conn); err != nil {
		t.Fatal(err)
	}
	if err := n.Event("cut"); err != nil {
		t.Fatal(err)
	}
	if struck := n.Stats().Struck["client-server: rule 1"]; struck != 0 {
		t.Errorf("asleep, the rule struck %d packets", struck)
	}
	if _, err := ask(conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after the event: %v, want connection reset", err)
	}
	if struck := n.Stats().Struck["client-server: rule 1"]; struck != 1 {
		t.Errorf("awake, the rule struck %d packets, want 1", struck)
	}
	if err := n.Event("cat"); err == nil {
		t.Error("an event that no rule knows was taken")
	}
}

func TestAForgottenFlowIsDroppedWithoutAWord(t *testing.T) {
	n := startNetwork(t, clientServer(network.Link{Flows: &network.Flows{Idle: time.Hour, Unknown: network.UnknownDrop}}))
	conn := dial(t, n.Addr("server"), echo(t, n.Host("server"), 0))
	if _, err := ask(conn); err != nil {
		t.Fatal(err)
	}
	if flows, err := n.Forget("client-server"); flows != 1 || err != nil {
		t.Fatalf("forgot %d, %v", flows, err)
	}
	if _, err := conn.Write([]byte("who?\n")); err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	if _, err := conn.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v, want a timeout", err)
	}
	a, b := ends(conn)
	forgotten := 0
	for _, p := range n.Connection(a, b, 0) {
		if p.Flags&(network.FIN|network.RST) != 0 {
			t.Errorf("a %v was sent", p.Flags)
		}
		if p.Fate == FateForgotten {
			forgotten++
		}
	}
	if forgotten == 0 {
		t.Error("no packet was dropped for its flow")
	}
	if _, err := n.Forget("nobody"); err == nil {
		t.Error("what does not exist forgot its flows")
	}
}

// TestBalancerThatForgets is rows 19 to 22 of the incidents: the flow of an idle
// connection is forgotten, and its next packet goes where the balancer's kind
// sends it.
func TestBalancerThatForgets(t *testing.T) {
	for _, c := range []struct {
		name   string
		cfg    network.Balancer
		ok     bool
		closer string
	}{
		{"source hash", network.Balancer{Choose: network.SourceHash}, true, ""},
		{"round robin", network.Balancer{Choose: network.RoundRobin}, false, "server rst"},
		{"rst", network.Balancer{Flows: network.Flows{Unknown: network.UnknownRST}}, false, "link rst"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := balanced(c.cfg)
			cfg.Balancers[0].Idle = time.Hour
			n := startNetwork(t, cfg)
			for _, server := range []string{"server1", "server2"} {
				echo(t, n.Host(server), 8080)
			}
			conn := dial(t, n.Addr("vip"), 8080)
			first, err := ask(conn)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := ask(conn); err != nil || again != first {
				t.Fatalf("%q after %q, %v: a known flow must stay", again, first, err)
			}
			if flows, err := n.Forget("vip"); flows != 1 || err != nil {
				t.Fatalf("forgot %d, %v", flows, err)
			}
			who, err := ask(conn)
			switch {
			case c.ok && (err != nil || who != first):
				t.Errorf("%q, %v; want the answer of %q", who, err, first)
			case !c.ok && !errors.Is(err, syscall.ECONNRESET):
				t.Errorf("%q, %v; want connection reset", who, err)
			}
			a, b := ends(conn)
			packets := n.Connection(a, b, 0)
			if closed := firstClose(packets, a); closed != c.closer {
				t.Errorf("closed by %q, want %q", closed, c.closer)
			}
			if c.closer == "server rst" {
				last := packets[len(packets)-1]
				if last.From == first || last.Flags != network.RST || last.SeenSrc != b {
					t.Errorf("the RST came from %s (%v) as %v; want a bare one of the other server, as %v", last.From, last.Flags, last.SeenSrc, b)
				}
			}
		})
	}
}

func TestAnIdleFlowIsForgottenInTime(t *testing.T) {
	cfg := balanced(network.Balancer{Flows: network.Flows{Idle: 300 * time.Millisecond, AtExpiry: network.ExpiryRST}})
	n := startNetwork(t, cfg)
	echo(t, n.Host("server1"), 8080)
	echo(t, n.Host("server2"), 8080)
	conn := dial(t, n.Addr("vip"), 8080)
	_, err := ask(conn)
	if err == nil { // the machine was not so slow that the time was over before
		conn.SetReadDeadline(time.Now().Add(patience))
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: %v, want the balancer's RST", err)
	}
	a, b := ends(conn)
	if closed := firstClose(n.Connection(a, b, 0), a); closed != "link rst" {
		t.Errorf("closed by %q, want the link", closed)
	}
}

func TestPortsRunOut(t *testing.T) {
	const ports = 100
	n := startNetwork(t, network.Config{Hosts: []network.Host{
		{Name: "server"},
		{Name: "user", PortRange: [2]int{40000, 40000 + ports - 1}, Sysctls: map[string]string{"net.ipv4.tcp_tw_reuse": "0"}},
	}})
	to := netip.AddrPortFrom(n.Addr("server"), uint16(echo(t, n.Host("server"), 0))).String()
	user := n.Host("user")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	opened := 0
	var err error
	for ; opened <= ports; opened++ {
		var conn net.Conn
		if conn, err = user.Dial(ctx, "tcp4", to); err != nil {
			break
		}
		defer conn.Close()
	}
	if opened != ports || !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("%d connections, then %v; want %d, then cannot assign requested address", opened, err, ports)
	}
	if value, err := n.Host("server").ReadSysctl("net.ipv4.ip_local_port_range"); err != nil || value == "40000\t40099" {
		t.Errorf("the server's range is %q, %v", value, err)
	}
}

func TestAProgramRunsInItsHost(t *testing.T) {
	n := startNetwork(t, network.Config{Hosts: []network.Host{{Name: "server"}}})
	cmd := exec.Command("cat", "/proc/self/net/fib_trie")
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := n.Host("server").Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), n.Addr("server").String()) {
		t.Errorf("%s is not an address where the program ran", n.Addr("server"))
	}
	cmd = exec.Command("sleep", "600")
	if err := n.Host("server").Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("after Close the program ended with %v, want killed", err)
	}
	if err := n.Host("server").Do(func() error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("Do after Close: %v", err)
	}
}

// TestTheMainThreadStaysInItsNamespace runs many goroutines in a host at once, enough
// for the first thread of the process to take some of them.
func TestTheMainThreadStaysInItsNamespace(t *testing.T) {
	n := startNetwork(t, network.Config{Hosts: []network.Host{{Name: "server"}}})
	here, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 20 {
				err := n.Host("server").Do(func() error {
					pause := unix.NsecToTimespec(int64(time.Millisecond))
					_ = unix.Nanosleep(&pause, nil) // keeps its thread, so that all are needed
					mine, err := os.Readlink("/proc/thread-self/ns/net")
					if err == nil && mine == here {
						return errors.New("not in the host's namespace")
					}
					if leader, err := os.Readlink("/proc/self/ns/net"); err != nil || leader != here {
						return fmt.Errorf("the main thread is in %s, %v", leader, err)
					}
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				if mine, err := os.Readlink("/proc/self/ns/net"); err != nil || mine != here {
					t.Errorf("after it: %s, %v", mine, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestSysctlsAreOfTheHostAlone(t *testing.T) {
	n := startNetwork(t, network.Config{Hosts: []network.Host{{Name: "server"}}})
	const key = "net.ipv4.tcp_slow_start_after_idle"
	before, err := n.Host("client").ReadSysctl(key)
	if err != nil {
		t.Fatal(err)
	}
	other := map[string]string{"0": "1", "1": "0"}[before]
	if err := n.Host("server").Sysctl(key, other); err != nil {
		t.Fatal(err)
	}
	if value, err := n.Host("client").ReadSysctl(key); err != nil || value != before {
		t.Errorf("the client's became %q, %v", value, err)
	}
	if err := n.Host("server").Sysctl("net.ipv4.no_such", "1"); err == nil || !strings.Contains(err.Error(), "no such setting") {
		t.Errorf("a setting that does not exist: %v", err)
	}
	if err := n.Host("server").Sysctl("vm.swappiness", "1"); err == nil {
		t.Error("a setting of the whole machine was taken")
	}
}

func TestThePcapngReadsBack(t *testing.T) {
	cfg := balanced(network.Balancer{})
	cfg.Links = []network.Link{{Between: [2]string{"client", "vip"}, Rules: []network.Rule{{Name: "cut", From: "client", Data: true, Skip: 1, Do: network.ActionRST}}}}
	n := startNetwork(t, cfg)
	echo(t, n.Host("server1"), 8080)
	echo(t, n.Host("server2"), 8080)
	conn := dial(t, n.Addr("vip"), 8080)
	if _, err := ask(conn); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("%v, want connection reset", err)
	}
	if err := n.WritePcapng(io.Discard); err != nil { // while it runs
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "packets.pcapng")
	if err := n.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	var comments []string
	taps := map[uint64][]string{} // where each packet appears, by its id
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	var last time.Time
	count := 0
	for {
		data, ci, options, err := r.ReadPacketDataWithOptions()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		count++
		if ci.Timestamp.Before(last) || ci.Timestamp.Before(n.Began().Round(0)) {
			t.Errorf("packet %d is at %v, after one at %v", count, ci.Timestamp, last)
		}
		last = ci.Timestamp
		tap, err := r.Interface(ci.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		if r.LinkType() != layers.LinkTypeIPv4 {
			t.Fatalf("link type %v", r.LinkType())
		}
		if options.PacketID == nil {
			t.Fatalf("packet %d has no id", count)
		}
		taps[*options.PacketID] = append(taps[*options.PacketID], tap.Name)
		comments = append(comments, options.Comments...)
		packet := gopacket.NewPacket(data, layers.LayerTypeIPv4, gopacket.Default)
		h, ok := parse(data)
		if packet.ErrorLayer() != nil || !ok || ci.Length == ci.CaptureLength && !validChecksums(data, &h) {
			t.Errorf("packet %d is broken: %v", count, packet)
		}
		if server := strings.HasPrefix(tap.Name, "server"); server && (h.src == number("10.77.0.4") || h.dst == number("10.77.0.4")) {
			t.Errorf("packet %d at %s has the balancer's address: %v", count, tap.Name, packet)
		}
	}
	if !slices.Contains(comments, "answered_rst by cut") || !slices.Contains(comments, "made by cut, delivered") {
		t.Errorf("comments %q do not say what the rule did", comments)
	}
	if syn := taps[1]; len(syn) != 2 || syn[0] != "client" || !strings.HasPrefix(syn[1], "server") {
		t.Errorf("the SYN appears at %q, want client and a server", syn)
	}
	t.Run("tcpdump", func(t *testing.T) { tcpdumpReads(t, path, count) })
}

func tcpdumpReads(t *testing.T, path string, count int) {
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if !outsideRoot() {
		t.Skip("tcpdump becomes another user when it runs as root, and there is no other in this user namespace")
	}
	var out, errs bytes.Buffer
	cmd := exec.Command(tcpdump, "-n", "-vv", "-r", path, "tcp")
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, &errs)
	}
	if lines := strings.Count(out.String(), "Flags ["); lines != count {
		t.Errorf("tcpdump read %d packets, want %d:\n%s", lines, count, &out)
	}
	if strings.Contains(out.String(), "incorrect") || strings.Contains(out.String(), "bad ") {
		t.Errorf("tcpdump found a wrong checksum:\n%s", &out)
	}
}

func TestStartRefusesWhatIsWrong(t *testing.T) {
	if _, err := Start(network.Config{MTU: 1}); err == nil || !strings.Contains(err.Error(), "mtu") {
		t.Errorf("a wrong config: %v", err)
	}
	needSandbox(t)
	outside := os.Getenv(marker)
	t.Setenv(marker, "")
	if _, err := Start(network.Config{}); err == nil || !strings.Contains(err.Error(), "inside the sandbox") {
		t.Errorf("outside: %v", err)
	}
	t.Setenv(marker, outside)
	if _, err := Start(network.Config{Hosts: []network.Host{{Name: "a", Sysctls: map[string]string{"net.no_such": "1"}}}}); err == nil {
		t.Error("a setting that does not exist was taken")
	}
}

// TestCloseLeavesNothing counts descriptors, goroutines and threads, also after
// a network that could not be made.
func TestCloseLeavesNothing(t *testing.T) {
	needSandbox(t)
	once := func(cfg network.Config, ok bool) {
		n, err := Start(cfg)
		if (err == nil) != ok {
			t.Fatalf("start: %v", err)
		}
		if !ok {
			return
		}
		ln, err := n.Host("server").Listen(context.Background(), "tcp4", ":0")
		if err != nil {
			t.Fatal(err)
		}
		conn := dial(t, n.Addr("server"), ln.Addr().(*net.TCPAddr).Port)
		conn.Close()
		ln.Close()
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		if err := n.Close(); err != nil {
			t.Fatalf("a second time: %v", err)
		}
	}
	good := network.Config{Hosts: []network.Host{{Name: "server"}, {Name: "proxy"}}, Record: network.Record{Packets: 1000}}
	bad := network.Config{Hosts: []network.Host{{Name: "server", Sysctls: map[string]string{"net.no_such": "1"}}}, Record: network.Record{Packets: 1000}}
	once(good, true) // what the runtime and the packages make once for all
	files, goroutines, procs := entries(t, "/proc/self/fd"), runtime.NumGoroutine(), runtime.GOMAXPROCS(0)
	threads := entries(t, "/proc/self/task")
	const rounds = 10
	for range rounds {
		once(good, true)
		once(bad, false)
	}
	if now := entries(t, "/proc/self/fd"); now > files {
		t.Errorf("%d descriptors, %d before", now, files)
	}
	if now := runtime.GOMAXPROCS(0); now != procs {
		t.Errorf("GOMAXPROCS is %d, and was %d", now, procs)
	}
	// The goroutines and threads of a host are at their end when Close returns,
	// but may still be seen.
	for end := time.Now().Add(patience); runtime.NumGoroutine() > goroutines || entries(t, "/proc/self/task") >= threads+rounds; {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines and %d threads, %d and %d before %d networks", runtime.NumGoroutine(), entries(t, "/proc/self/task"), goroutines, threads, 2*rounds)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if out, err := os.ReadFile("/proc/self/net/dev"); err != nil || strings.Contains(string(out), "kab") {
		t.Errorf("devices are left: %s, %v", out, err)
	}
}

func entries(t *testing.T, dir string) int {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
