package closes

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/watch"
)

var (
	near = netip.MustParseAddrPort("10.0.0.1:40000")
	far  = netip.MustParseAddrPort("10.0.0.2:8080")
)

// events reads lines "MS FROM>TO", "MS sent [REASON]", "MS taken", "MS again". A line may
// begin with "socket=N", "none" for a RST without a socket, and "accepts" for a service at
// the other end.
func events(t *testing.T, text string) (all []watch.Event) {
	t.Helper()
	flow := watch.Flow{Local: near, Remote: far}
	for line := range strings.Lines(strings.TrimSpace(text)) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		e := watch.Event{Flow: flow, Socket: 1}
		for ; len(f) > 0; f = f[1:] {
			if n := uint64(0); f[0] == "accepts" {
				flow = watch.Flow{Local: far, Remote: near}
				e.Flow = flow
			} else if f[0] == "none" {
				e.Socket = 0
			} else if _, err := fmt.Sscanf(f[0], "socket=%d", &n); err == nil {
				e.Socket = n
			} else {
				break
			}
		}
		ms := 0.0
		if _, err := fmt.Sscanf(f[0], "%g", &ms); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		e.At = time.Duration(ms * 1e6)
		switch f[1] {
		case "sent":
			if e.Kind = watch.ResetSent; len(f) > 2 {
				e.Reason = f[2]
			}
		case "taken":
			e.Kind = watch.ResetReceived
		case "again":
			e.Kind = watch.Retransmitted
		default:
			e.From, e.To, _ = strings.Cut(f[1], ">")
			if e.To == synSent {
				e.Flow.Local = netip.AddrPortFrom(netip.IPv4Unspecified(), 0) // no port is chosen yet
			}
		}
		all = append(all, e)
	}
	return all
}

func sum(l *Life) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %v %v", l.Close.Basis, l.Close.By, l.Close.How)
	if l.Close.At != evidence.NotSeen {
		fmt.Fprintf(&b, " at %v", l.Close.At)
	}
	switch {
	case l.BothWait:
		b.WriteString("; both wait")
	case l.TimeWait != evidence.Nobody:
		fmt.Fprintf(&b, "; %v waits", l.TimeWait)
	}
	if len(l.Resets) > 0 {
		fmt.Fprintf(&b, "; %d RSTs", len(l.Resets))
	}
	if l.Older {
		b.WriteString("; older")
	}
	return b.String()
}

const (
	opened = `
0 CLOSE>SYN_SENT
10 SYN_SENT>ESTABLISHED
`
	accepted = `
accepts 10 LISTEN>SYN_RECV
10 SYN_RECV>ESTABLISHED
`
)

// The orders are those of Linux 6.18, except where said.
func TestOrders(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"the service closes first", opened + "100 ESTABLISHED>FIN_WAIT1\n110 FIN_WAIT1>FIN_WAIT2\n110 FIN_WAIT2>CLOSE", "seen client fin at 100ms; client waits"},
		{"the server closes first", opened + "100 ESTABLISHED>CLOSE_WAIT\n150 CLOSE_WAIT>LAST_ACK\n160 LAST_ACK>CLOSE", "seen server fin at 100ms; server waits"},
		{"accepted, the service closes first", accepted + "100 ESTABLISHED>FIN_WAIT1\n110 FIN_WAIT2>CLOSE", "seen server fin at 100ms; server waits"},
		{"accepted, the client closes first", accepted + "100 ESTABLISHED>CLOSE_WAIT\n150 CLOSE_WAIT>LAST_ACK\n160 LAST_ACK>CLOSE", "seen client fin at 100ms; client waits"},
		{"without the event that makes the socket", "accepts 10 SYN_RECV>ESTABLISHED\n100 ESTABLISHED>FIN_WAIT1", "seen server fin at 100ms"},
		{"both close", opened + "100 ESTABLISHED>FIN_WAIT1\n105 FIN_WAIT1>CLOSING\n110 CLOSING>CLOSE", "inferred client fin at 100ms; both wait"},
		{"closed half", opened + "100 ESTABLISHED>FIN_WAIT1\n110 FIN_WAIT1>FIN_WAIT2", "seen client fin at 100ms"},
		{"stale: the server has closed, the client not yet", opened + "100 ESTABLISHED>CLOSE_WAIT", "seen server fin at 100ms"},
		{"a RST was taken", opened + "100 taken\n100 ESTABLISHED>CLOSE", "seen server rst at 100ms; 1 RSTs"},
		{"closed with data unread", opened + "100 ESTABLISHED>CLOSE\n100.01 sent TCP_ABORT_ON_CLOSE", "seen client rst at 100ms; 1 RSTs"},
		{"a RST was sent before", opened + "100 sent TCP_KEEPALIVE_TIMEOUT\n100.01 ESTABLISHED>CLOSE", "seen client rst at 100ms; 1 RSTs"},
		{"the server closes, a late request is reset", opened + "100 ESTABLISHED>CLOSE_WAIT\n150 taken\n150 CLOSE_WAIT>CLOSE", "seen server fin at 100ms; 1 RSTs"},
		{"data after the end is reset, without a socket", opened + "100 ESTABLISHED>FIN_WAIT1\n110 FIN_WAIT2>CLOSE\nnone 200 sent NO_SOCKET", "seen client fin at 100ms; 1 RSTs"},
		{"refused", "0 CLOSE>SYN_SENT\n10 taken\n10 SYN_SENT>CLOSE", "seen server rst at 10ms; 1 RSTs"},
		{"no answer to the SYN", "0 CLOSE>SYN_SENT\n1000 again\n3000 again\n5000 SYN_SENT>CLOSE", "seen nobody silent at 1s"},
		{"given up at once", "0 CLOSE>SYN_SENT\n100 SYN_SENT>CLOSE", "unknown nobody open"},
		{"the peer is gone", opened + "100 again\n300 again\n700 again\n1500 ESTABLISHED>CLOSE", "seen nobody silent at 100ms"},
		{"the kernel gave up without a word", opened + "1500 ESTABLISHED>CLOSE", "unknown nobody open"},
		{"older, the service closes", "100 ESTABLISHED>FIN_WAIT1\n110 FIN_WAIT2>CLOSE", "seen client fin at 100ms; client waits; older"},
		{"older, the service had closed", "110 FIN_WAIT2>CLOSE", "inferred client fin; client waits; older"},
		{"older, the server had closed", "150 CLOSE_WAIT>LAST_ACK\n160 LAST_ACK>CLOSE", "inferred server fin; server waits; older"},
		{"older, a RST was taken", "100 taken\n100 ESTABLISHED>CLOSE", "seen server rst at 100ms; 1 RSTs; older"},
		{"older, the peer is gone", "100 again\n300 again\n1500 ESTABLISHED>CLOSE", "seen nobody silent at 100ms; older"},
		{"open", opened, "unknown nobody open"},
	} {
		var all []*Life
		f := New(watch.Ends{Targets: []netip.AddrPort{far}}, func(l *Life) { all = append(all, l) })
		for _, e := range events(t, c.text) {
			f.Add(e)
		}
		f.End(10 * time.Second)
		if len(all) != 1 {
			t.Errorf("%s: %d connections", c.name, len(all))
			continue
		}
		l := all[0]
		if got := sum(l); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s\n%s", c.name, got, c.want, l.Close.Why)
		}
		if l.Close.Why == "" {
			t.Errorf("%s: no reason is said", c.name)
		}
		if strings.Contains(c.text, ">ESTABLISHED") && (l.Client != near || l.Server != far || l.Ready != 10*time.Millisecond) {
			t.Errorf("%s: %v to %v, ready at %v", c.name, l.Client, l.Server, l.Ready)
		}
	}
}

// The kernel uses the memory of a socket again at once.
func TestSocketsAreUsedAgain(t *testing.T) {
	var all []string
	f := New(watch.Ends{}, func(l *Life) { all = append(all, sum(l)) })
	for _, e := range events(t, `
0 CLOSE>SYN_SENT
10 SYN_SENT>ESTABLISHED
100 ESTABLISHED>FIN_WAIT1
110 FIN_WAIT2>CLOSE
200 CLOSE>SYN_SENT
210 SYN_SENT>ESTABLISHED
300 taken
300 ESTABLISHED>CLOSE`) {
		f.Add(e)
	}
	if len(all) != 1 {
		t.Errorf("the first connection is over when the socket is used again: %q", all)
	}
	f.Advance(2 * time.Second)
	want := []string{"seen client fin at 100ms; client waits", "seen server rst at 300ms; 1 RSTs"}
	if fmt.Sprint(all) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", all, want)
	}
	if len(f.open)+len(f.flows)+len(f.ended) != 0 {
		t.Errorf("%d, %d and %d are left", len(f.open), len(f.flows), len(f.ended))
	}
}

func TestWhatIsLostMakesUnsure(t *testing.T) {
	var all []*Life
	f := New(watch.Ends{}, func(l *Life) { all = append(all, l) })
	list := events(t, opened+"100 ESTABLISHED>FIN_WAIT1")
	for _, e := range list[:2] {
		f.Add(e)
	}
	f.Lost()
	f.Add(list[2])
	f.End(time.Second)
	if len(all) != 1 || !all[0].Unsure || all[0].Close.Basis != evidence.Inferred || all[0].Close.By != evidence.ByClient {
		t.Errorf("%+v", all)
	}
}

// Sockets that listen are no connections, and RSTs for nobody are counted.
func TestNoConnections(t *testing.T) {
	f := New(watch.Ends{}, func(l *Life) { t.Errorf("a connection: %s", sum(l)) })
	for _, e := range events(t, "0 CLOSE>LISTEN\nnone 10 sent NO_SOCKET\n20 LISTEN>CLOSE") {
		f.Add(e)
	}
	f.End(time.Second)
	if f.Strays != 1 {
		t.Errorf("%d RSTs for nobody", f.Strays)
	}
}

// Which end accepted a connection that is older than the watch.
func TestWhoAccepted(t *testing.T) {
	for _, c := range []struct {
		name    string
		ends    watch.Ends
		before  string
		accepts bool
		guessed bool
	}{
		{"the service listens there", watch.Ends{Listens: []netip.AddrPort{near}}, "", true, false},
		{"on every address", watch.Ends{Listens: []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), near.Port())}}, "", true, false},
		{"it is a target", watch.Ends{Targets: []netip.AddrPort{far}}, "", false, false},
		{"nothing is known", watch.Ends{}, "", false, true},
		{"another one was accepted there", watch.Ends{}, "socket=2 0 SYN_RECV>ESTABLISHED\n", true, false},
	} {
		var last *Life
		f := New(c.ends, func(l *Life) {
			if l.Socket == 1 {
				last = l
			}
		})
		for _, e := range events(t, c.before+"100 ESTABLISHED>FIN_WAIT1") {
			f.Add(e)
		}
		f.End(time.Second)
		if last == nil || last.Accepted != c.accepts || last.Guessed != c.guessed {
			t.Errorf("%s: %+v", c.name, last)
		}
	}
}
