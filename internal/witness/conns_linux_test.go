package witness

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/capture"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/internal/packetring"
	"github.com/kabench/kabench/internal/sandbox"
	"github.com/kabench/kabench/internal/sandbox/sandboxtest"
	"github.com/kabench/kabench/profiles/network"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// steady is a short load.
func steady(rate float64, count uint64) generator.Load {
	return generator.Load{Rate: generator.Rate(rate), Count: count, Timeout: 10 * time.Second, Seed: 1, Arrivals: generator.Arrivals{Process: generator.Poisson}}
}

// Each time that a client sends a request again is an attempt.
func TestAgreesWhenSentAgain(t *testing.T) {
	policy := fifo(pool.None)
	policy.Resend = []pool.ResendRule{{On: pool.OnReused, After: pool.AfterUnsent | pool.AfterEOF | pool.AfterRST, Methods: "all", Max: 3}}
	pairs, _ := run(t, onLoopback(t, script.Server{IdleTimeout: keeps}, 0), load{policy: policy, load: bursts(600, keeps, 250)})
	a := compare(pairs)
	check(t, a, 1, 0)
	if a.attempts == a.exchanges {
		t.Error("nothing was sent again")
	}
}

// The witness counts connections as the client does.
func TestCountsConnections(t *testing.T) {
	for _, cfg := range []script.Server{{IdleTimeout: keeps}, {SayClose: true}, {Fault: script.ResetOnIdle}} {
		t.Run(cfg.Fault.String(), func(t *testing.T) {
			s := onLoopback(t, cfg, 0)
			w, err := Listen([]netip.AddrPort{s.at})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			c := client(t, s.url, pool.Default())
			epoch := time.Now()
			o := &watched{w: w, epoch: epoch}
			drive(t, c, o, steady(200, 60))
			for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(keeps) {
				if s := w.Stats(); s.Leased+s.Idle == 0 {
					break // the server has closed all
				}
			}
			c.Close()
			want, got := c.Stats(), w.Stats()
			// Where the client's kernel cannot say who was first, the packets may.
			room := want.ClosedUnknown + got.ClosedUnknown
			differ := func(a, b uint64) bool { return max(a, b)-min(a, b) > room }
			if got.Opened != want.Opened || differ(got.ClosedByUs, want.ClosedByUs) || differ(got.ClosedByPeer, want.ClosedByPeer) || got.ClosedReset != want.ClosedReset || got.Leased+got.Idle != 0 {
				t.Errorf("the client counts %+v, the witness %+v", [...]uint64{want.Opened, want.ClosedByUs, want.ClosedByPeer, want.ClosedReset, want.ClosedUnknown}, [...]uint64{got.Opened, got.ClosedByUs, got.ClosedByPeer, got.ClosedReset, got.ClosedUnknown})
			}
			conns := w.Conns(epoch)
			if uint64(len(conns)) != want.Opened {
				t.Errorf("%d connections, the client opened %d", len(conns), want.Opened)
			}
			for i, one := range conns {
				if one.N != uint64(i+1) || one.Close.How == evidence.Open || one.Requests == 0 || one.Refused {
					t.Errorf("%+v", one)
				}
				if cfg.IdleTimeout > 0 && (one.Close.By != evidence.ByServer || one.Idle != results.Never && one.Idle < keeps-time.Millisecond) {
					t.Errorf("the server closed it after %v: %+v", keeps, one)
				}
			}
		})
	}
}

func client(t testing.TB, url string, policy pool.Policy) *dialers.Client {
	t.Helper()
	r, err := dialers.NewRequest("GET", url, http.Header{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := dialers.NewClient(dialers.Config{Policy: policy, Requests: []*dialers.Request{r.Numbered()}, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func drive(t testing.TB, c *dialers.Client, o *watched, l generator.Load) {
	t.Helper()
	l.MaxInFlight = 10_000
	schedule, err := l.Schedule()
	if err != nil {
		t.Fatal(err)
	}
	(&generator.Open{Load: l, Schedule: schedule, Engine: c, Observer: o, Targets: 1}).Run(context.Background(), o.epoch, nil)
}

// A request whose connection was refused was never on the wire. The SYN was.
func TestRefused(t *testing.T) {
	s := onLoopback(t, script.Server{}, 0)
	s.lab.Close()
	pairs, w := run(t, s, load{policy: pool.Default(), load: steady(100, 5)})
	for _, p := range pairs {
		if p.e.Phase != results.PhaseConnect || p.e.Cause != results.CauseRefused {
			t.Fatalf("the client: %v/%v", p.e.Phase, p.e.Cause)
		}
		if n := len(p.seen.Attempts); n != 1 {
			t.Fatalf("%d attempts", n)
		}
		if a := p.seen.Attempts[0]; a.Phase != results.PhaseConnect || a.Cause != results.CauseRefused || a.Basis != evidence.Inferred || a.Began != results.Never {
			t.Errorf("%+v", a)
		}
	}
	if w.Saw(2, time.Now()).Attempts != nil {
		t.Error("without a window nothing says which SYN was whose")
	}
	for _, c := range w.Conns(time.Now()) {
		if !c.Refused {
			t.Errorf("%+v", c)
		}
	}
}

// A SYN that nothing answers is a dial that has not ended, not a failed one.
func TestUnansweredSYN(t *testing.T) {
	sandboxtest.Need(t)
	n, err := sandbox.Start(network.Config{
		Hosts:  []network.Host{{Name: "server"}},
		Links:  []network.Link{{Between: [2]string{network.ClientName, "server"}, Conditions: network.Conditions{Loss: 1}}},
		Record: network.Record{Packets: 1 << 10},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	at := netip.AddrPortFrom(n.Addr("server"), 8080)
	w, err := Listen([]netip.AddrPort{at})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	epoch := time.Now()
	if conn, err := net.DialTimeout("tcp4", at.String(), 100*time.Millisecond); err == nil {
		conn.Close()
		t.Fatal("connected")
	}
	dials := w.Dials(epoch, 0, time.Since(epoch))
	if len(dials) != 1 || dials[0].Phase != results.PhaseConnect || dials[0].Cause != results.CauseNone || dials[0].SYNs != 1 || dials[0].Ended != results.Never {
		t.Errorf("%+v", dials)
	}
	if s := w.Between(0, epoch, 0, time.Since(epoch)); !s.Seen || s.Attempts != nil {
		t.Errorf("%+v", s)
	}
}

// Only the servers' packets are taken, each once, over IPv4 and IPv6.
func TestTakesTheServersPackets(t *testing.T) {
	s := onLoopback(t, script.Server{}, 0)
	other := onLoopback(t, script.Server{}, 0)
	for _, dev := range []string{"all", "lo"} { // a private network turns IPv6 off
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+dev+"/disable_ipv6", []byte("0"), 0o644); err != nil {
			t.Skip(err)
		}
	}
	six, err := lab.Start(script.Server{}, "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer six.Close()
	w, err := Listen([]netip.AddrPort{s.at, netip.MustParseAddrPort(six.Addr())})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for seq, url := range []string{s.url, other.url, six.URL()} {
		c := client(t, url, pool.Default())
		e := &results.Exchange{}
		e.Reset(uint64(seq), 0)
		e.Start = 0
		c.Do(t.Context(), e)
		if !e.OK() {
			t.Fatalf("%s: %v/%v", url, e.Phase, e.Cause)
		}
	}
	for seq, want := range []int{1, 0, 1} {
		if sight := w.Saw(uint64(seq), time.Now()); len(sight.Attempts) != want {
			t.Errorf("request %d: %d attempts, want %d", seq, len(sight.Attempts), want)
		}
	}
	if w.lives.Copies > 0 {
		t.Errorf("%d packets were taken twice", w.lives.Copies)
	}
	conns := w.Conns(time.Now())
	if len(conns) != 2 || !conns[1].Client.Addr().Is6() {
		t.Errorf("%+v", conns)
	}
}

// Without CAP_NET_RAW there is nothing to be seen, and the error says so.
func TestNotAllowed(t *testing.T) {
	sandboxtest.Need(t)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread without the right ends with the goroutine
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if err := unix.Capget(&header, &data[0]); err != nil {
			done <- err
			return
		}
		data[0].Effective &^= 1 << unix.CAP_NET_RAW
		if err := unix.Capset(&header, &data[0]); err != nil {
			done <- err
			return
		}
		w, err := Listen([]netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")})
		if err == nil {
			w.Close()
		}
		done <- err
	}()
	if err := <-done; !errors.Is(err, ErrNotAllowed) {
		t.Errorf("%v, want %v", err, ErrNotAllowed)
	}
}

// What the ring had no room for is counted, and nothing that may be wrong is called seen.
func TestLost(t *testing.T) {
	s := onLoopback(t, script.Server{}, 0)
	w, err := Listen([]netip.AddrPort{s.at})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	conn, err := net.Dial("tcp", s.at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ask := func(seq uint64) {
		t.Helper()
		if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: " + idOf(seq) + "\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 4096)); err != nil {
			t.Fatal(err)
		}
	}
	ask(1)
	if a := w.Saw(1, time.Now()).Attempts; len(a) != 1 || a[0].Basis != evidence.Seen {
		t.Fatalf("%+v", a)
	}
	w.mu.Lock() // nobody takes what comes
	for seq := range uint64(packetring.Whole.Frames()) {
		ask(2 + seq)
	}
	w.mu.Unlock()
	w.Seen() // the ring is emptied
	if w.Lost() == 0 {
		t.Fatal("nothing was lost")
	}
	if s := w.Saw(uint64(packetring.Whole.Frames()), time.Now()); s.Seen {
		t.Errorf("one that was lost: %+v", s)
	}
	ask(1_000_000) // what is missing before it may still come, so it is not read yet
	if s := w.Saw(1_000_000, time.Now()); s.Seen && s.Attempts[0].Basis == evidence.Seen {
		t.Errorf("right after the loss: %+v", s)
	}
	time.Sleep(10 * time.Millisecond)
	ask(1_000_002)
	if a := w.Saw(1_000_002, time.Now()).Attempts; len(a) != 1 || a[0].Basis != evidence.Inferred || a[0].Phase != results.PhaseDone {
		t.Errorf("later on the same connection: %+v", a)
	}
	again, err := net.Dial("tcp", s.at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	conn = again
	time.Sleep(time.Millisecond)
	ask(1_000_001)
	if a := w.Saw(1_000_001, time.Now()).Attempts; len(a) != 1 || a[0].Basis != evidence.Seen || a[0].Use != 1 {
		t.Errorf("on a connection from after the loss: %+v", a)
	}
}

// The packets that are kept have no payload, and can be read again.
func TestPackets(t *testing.T) {
	pairs, w := run(t, onLoopback(t, script.Server{Fault: script.CloseBeforeResponse, FaultOn: script.OnReused}, 0), load{policy: fifo(pool.Events), load: steady(100, 8)})
	check(t, compare(pairs), 1, 0)
	failed := w.Failed()
	if len(failed) == 0 {
		t.Fatal("no failing connection is kept")
	}
	epoch := time.Now()
	list := w.Packets(failed[0], epoch)
	if len(list) < 8 || list[0].Flags != segments.FlagSYN || list[0].Payload != nil {
		t.Errorf("%+v", list)
	}
	var file bytes.Buffer
	if err := w.WritePcapng(&file); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(file.Bytes(), []byte("HTTP/1")) {
		t.Error("there is payload in the file")
	}
	name := filepath.Join(t.TempDir(), "packets.pcapng")
	if err := os.WriteFile(name, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	n, data := 0, 0
	if _, err := capture.Read([]string{name}, func(_ int, s *segments.Segment) { n, data = n+1, data+s.Len }); err != nil {
		t.Fatal(err)
	}
	if uint64(n) != w.Seen() || data == 0 {
		t.Errorf("%d packets with %d bytes in the file, %d were seen", n, data, w.Seen())
	}
}
