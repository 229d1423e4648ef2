package names

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kabench/kabench/internal/sandbox"
	"github.com/kabench/kabench/internal/sandbox/sandboxtest"
	"github.com/kabench/kabench/profiles/network"
)

// patience is how long a test waits for what must happen. Nothing is measured by it.
const patience = 30 * time.Second

// served is a network with a server "a", a server "b" and the DNS server of cfg.
type served struct {
	*Server
	at netip.AddrPort
	n  *sandbox.Network
}

func serve(t *testing.T, cfg network.DNS, links ...network.Link) served {
	t.Helper()
	sandboxtest.Need(t)
	n, err := sandbox.Start(network.Config{
		Hosts: []network.Host{{Name: "a"}, {Name: "b"}, {Name: "dns"}}, Links: links, DNS: &cfg, BrokenIPv6: true,
		Record: network.Record{Packets: 1 << 10},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	at := netip.AddrPortFrom(n.Addr("dns"), network.DNSPort)
	udp, err := n.Host("dns").ListenPacket(t.Context(), "udp4", at.String())
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := n.Host("dns").Listen(t.Context(), "tcp4", at.String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Serve(cfg, n.Addr, udp, tcp)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return served{s, at, n}
}

// lookUp asks with Go's resolver.
func (s served) lookUp(t *testing.T, name string, wait time.Duration) ([]netip.Addr, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	addrs, err := Resolver(s.at, wait).LookupNetIP(ctx, "ip", name)
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, err
}

func TestANameMoves(t *testing.T) {
	s := serve(t, network.DNS{Records: []network.DNSRecord{
		{Name: "api.test", To: []string{"a"}, Until: "moved"},
		{Name: "api.test", To: []string{"b"}, After: "moved", IPv6: true},
		{Name: "other.test", To: []string{"a", "b"}},
	}})
	a, b := s.n.Addr("a"), s.n.Addr("b")
	if got, err := s.lookUp(t, "api.test", patience); err != nil || !slices.Equal(got, []netip.Addr{a}) {
		t.Errorf("before: %v, %v; want %v", got, err, a)
	}
	s.Event("moved")
	s.Event("nothing waits for it")
	// A resolver that follows RFC 6724 puts the global IPv6 address first.
	if got, err := s.lookUp(t, "api.test", patience); err != nil || !slices.Equal(got, []netip.Addr{network.IPv6Of(b), b}) {
		t.Errorf("after: %v, %v; want %v and %v", got, err, network.IPv6Of(b), b)
	}
	if got, err := s.lookUp(t, "other.test", patience); err != nil || len(got) != 2 || !slices.Contains(got, a) || !slices.Contains(got, b) {
		t.Errorf("of two hosts: %v, %v", got, err)
	}
	_, err := s.lookUp(t, "no.test", patience)
	if missing, is := errors.AsType[*net.DNSError](err); !is || !missing.IsNotFound {
		t.Errorf("unknown: %v", err)
	}
	if seen := s.Seen(); seen != (Seen{Queries: 6}) {
		t.Errorf("seen %+v, want six queries for the names that it knows", seen)
	}
}

// The server answers over TCP too, with the TTL of the record, whatever the case of the name.
func TestAnswers(t *testing.T) {
	s := serve(t, network.DNS{Records: []network.DNSRecord{{Name: "api.test", To: []string{"a"}, TTL: 30 * time.Second}}})
	for _, over := range []string{"udp", "tcp"} {
		ask := func(name string, kind uint16) *dns.Msg {
			t.Helper()
			m, _, err := (&dns.Client{Net: over, Timeout: patience}).Exchange(new(dns.Msg).SetQuestion(name, kind), s.at.String())
			if err != nil {
				t.Fatal(over, err)
			}
			return m
		}
		m := ask("API.test.", dns.TypeA)
		if len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != s.n.Addr("a").String() || m.Answer[0].Header().Ttl != 30 {
			t.Errorf("%s: %v", over, m)
		}
		if m := ask("api.test.", dns.TypeAAAA); len(m.Answer) != 0 || m.Rcode != dns.RcodeSuccess {
			t.Errorf("%s: of the other type: %v", over, m)
		}
		if m := ask("no.test.", dns.TypeA); m.Rcode != dns.RcodeNameError {
			t.Errorf("%s: unknown: %v", over, m)
		}
	}
}

var oneRecord = []network.DNSRecord{{Name: "api.test", To: []string{"a"}}}

// A late answer comes.
func TestDelay(t *testing.T) {
	const delay = 50 * time.Millisecond
	s := serve(t, network.DNS{Delay: delay, Records: oneRecord})
	begin := time.Now()
	if _, err := s.lookUp(t, "api.test", patience); err != nil || time.Since(begin) < delay {
		t.Errorf("after %v: %v", time.Since(begin), err)
	}
}

// Close does not wait for an answer that is due later.
func TestCloseBeforeAnAnswer(t *testing.T) {
	slow := serve(t, network.DNS{Delay: time.Hour, Records: oneRecord})
	udp, err := net.Dial("udp", slow.at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	query, err := new(dns.Msg).SetQuestion("api.test.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := udp.Write(query); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); slow.Seen().Queries == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the query did not arrive")
		}
	}
	slow.Close()
}

// Go's resolver and glibc's meet the same: each lookup loses its first queries, waits for the
// timeout, asks again, and gets the same addresses in the same order.
func TestSlowLookupsOfGoAndGlibc(t *testing.T) {
	const wait = time.Second // the least that resolv.conf can say
	s := serve(t, network.DNS{Unanswered: 1, Records: []network.DNSRecord{{Name: "api.test", To: []string{"a"}, IPv6: true}}})
	want := []netip.Addr{network.IPv6Of(s.n.Addr("a")), s.n.Addr("a")}
	begin := time.Now()
	got, err := s.lookUp(t, "api.test", wait)
	if took := time.Since(begin); err != nil || !slices.Equal(got, want) || took < wait {
		t.Errorf("Go: %v after %v, %v; want %v", got, took, err, want)
	}
	ofGo := s.Seen()
	if ofGo != (Seen{Queries: 4, Unanswered: 2}) {
		t.Errorf("Go: %+v, want A and AAAA twice each", ofGo)
	}

	begin = time.Now()
	got, why := getent(t, s.at.Addr(), wait)
	if why != "" {
		t.Skip(why)
	}
	if took := time.Since(begin); !slices.Equal(got, want) || took < wait {
		t.Errorf("glibc: %v after %v; want %v", got, took, want)
	}
	seen := s.Seen()
	if ofGlibc := (Seen{seen.Queries - ofGo.Queries, seen.Unanswered - ofGo.Unanswered}); ofGlibc != ofGo {
		t.Errorf("glibc: %+v, Go: %+v", ofGlibc, ofGo)
	}
}

// getent looks api.test up with the C library, which asks at: in a mount namespace of its own,
// with a resolv.conf of its own. skip says why that cannot be done here.
func getent(t *testing.T, at netip.Addr, wait time.Duration) (addrs []netip.Addr, skip string) {
	t.Helper()
	for _, program := range []string{"getent", "mount"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, err.Error()
		}
	}
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	text := "nameserver " + at.String() + "\noptions attempts:2 timeout:" + strings.TrimSuffix(wait.String(), "s") + "\n"
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	const mounting = 3 // the exit code of a mount that was refused
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `mount --bind "$1" /etc/resolv.conf || exit 3; exec getent ahosts api.test`, "sh", conf)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	exit, ended := errors.AsType[*exec.ExitError](err)
	switch {
	case err != nil && (!ended || exit.ExitCode() == mounting):
		return nil, "no other resolv.conf can be mounted here: " + err.Error() + " " + complaints.String()
	case err != nil:
		t.Fatalf("getent: %v, %s", err, &complaints)
	}
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[1] == "STREAM" {
			addrs = append(addrs, netip.MustParseAddr(fields[0]))
		}
	}
	return addrs, ""
}

// A server whose sockets are closed says so at once.
func TestServeOnAClosedSocket(t *testing.T) {
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	udp.Close()
	if s, err := Serve(network.DNS{}, nil, udp, tcp); err == nil {
		s.Close()
		t.Error("a server answers on a closed socket")
	}
	if _, err := tcp.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the other socket: %v", err)
	}
}
