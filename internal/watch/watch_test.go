package watch

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
)

const ms = time.Millisecond

var server = netip.MustParseAddrPort("10.0.0.2:8080")

// flow is the nth connection of the service to the server.
func flow(n int) Flow {
	return Flow{netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(40000+n)), server}
}

// world plays what the kernel would show of connections that a service opens.
type world struct {
	t    *testing.T
	w    *Watch
	told []evidence.Connection
	now  time.Duration
	all  map[int]*Socket
	at   map[int][2]time.Duration // when data was sent and received
	wait []Flow

	later []Ended
}

func newWorld(t *testing.T) *world {
	k := &world{t: t, all: map[int]*Socket{}, at: map[int][2]time.Duration{}}
	k.w = New(func(c *evidence.Connection) { k.told = append(k.told, *c) }, nil)
	return k
}

// opened has a connection be there.
func (k *world) opened(n int) {
	k.all[n] = &Socket{Flow: flow(n), Cookie: uint64(1000*n + int(k.now/ms) + 1), State: "ESTABLISHED", Bytes: [2]uint64{1, 0}}
	k.at[n] = [2]time.Duration{k.now, k.now}
}

// served has a request and its response pass.
func (k *world) served(n int, took time.Duration) {
	k.asked(n)
	k.all[n].Bytes[0] += 100
	k.all[n].Bytes[1] += 300
	k.at[n] = [2]time.Duration{k.at[n][0], k.now + took}
}

func (k *world) asked(n int) { k.at[n] = [2]time.Duration{k.now, k.at[n][1]} }

// look is a look at the sockets that are there now.
func (k *world) look(to time.Duration) {
	k.now = to
	l := &Look{At: to, Range: 28232, Ports: len(k.all)}
	for n, s := range k.all {
		one := *s
		one.Sent, one.Received = to-k.at[n][0], to-k.at[n][1]
		l.Sockets = append(l.Sockets, one)
	}
	for _, f := range k.wait {
		l.Sockets = append(l.Sockets, Socket{Flow: f, State: "TIME_WAIT", Sent: -1, Received: -1})
	}
	l.TimeWait[0] = len(k.wait)
	k.w.Look(l)
	for i := range k.later {
		k.w.Ended(&k.later[i])
	}
	k.later = nil
}

// gone has the kernel free a socket.
func (k *world) gone(n int, written uint64) {
	s := *k.all[n]
	s.Sent, s.Received, s.State = k.now-k.at[n][0], k.now-k.at[n][1], "CLOSE"
	if s.Bytes == [2]uint64{} {
		s.Flow.Remote = netip.AddrPort{} // as the kernel does
	}
	delete(k.all, n)
	k.w.Gone(&Gone{At: k.now, Socket: s, Written: written})
}

// ended has the kernel's events say how a connection ended, at the next look.
func (k *world) ended(n int, by evidence.Side, how evidence.Kind) {
	k.later = append(k.later, Ended{
		Connection: evidence.Connection{
			Client: flow(n).Local, Server: server, Opened: notSeen, Since: 0, Until: k.now,
			Close: evidence.Close{Basis: evidence.Seen, By: by, How: how, At: k.now, FIN: notSeen, Why: "the kernel says so"},
		},
		Flow: flow(n), Cookie: k.all[n].Cookie, Over: true,
	})
}

func (k *world) end() []evidence.Connection { k.w.End(); return k.told }

// one returns the only connection that was reported.
func (k *world) one() evidence.Connection {
	k.t.Helper()
	list := k.end()
	if len(list) != 1 {
		k.t.Fatalf("%d connections were reported, want 1: %+v", len(list), list)
	}
	return list[0]
}

func TestWhoClosedAsEachLayerShowsIt(t *testing.T) {
	for name, c := range map[string]struct {
		play  func(k *world)
		by    evidence.Side
		how   evidence.Kind
		basis evidence.Basis
		at    time.Duration
	}{
		"a look shows CLOSE_WAIT": {func(k *world) { k.all[1].State = "CLOSE_WAIT"; k.look(5100 * ms) }, evidence.ByServer, evidence.FIN, evidence.Seen, 5100 * ms},
		"a look shows TIME_WAIT": {func(k *world) {
			delete(k.all, 1)
			k.wait = append(k.wait, flow(1))
			k.look(5100 * ms)
		}, evidence.ByClient, evidence.FIN, evidence.Seen, 5100 * ms},
		"it is gone, and TIME_WAIT is not here": {func(k *world) { delete(k.all, 1); k.look(5100 * ms) }, evidence.ByServer, evidence.FIN, evidence.Inferred, 5100 * ms},
		"its last word has the FIN of the server and ours": {func(k *world) {
			k.now = 5040 * ms
			k.all[1].Bytes = [2]uint64{102, 301}
			k.gone(1, 100)
			k.look(5100 * ms)
		}, evidence.ByServer, evidence.FIN, evidence.Inferred, 5040 * ms},
		"its last word, and TIME_WAIT": {func(k *world) {
			k.now = 5040 * ms
			k.all[1].Bytes = [2]uint64{102, 301}
			k.gone(1, 100)
			k.wait = append(k.wait, flow(1))
			k.look(5100 * ms)
		}, evidence.ByClient, evidence.FIN, evidence.Seen, 5040 * ms},
		"it was reset while it was idle": {func(k *world) { k.now = 5040 * ms; k.gone(1, 100); k.look(5100 * ms) }, evidence.ByServer, evidence.RST, evidence.Inferred, 5040 * ms},
		"this end gave it up": {func(k *world) {
			k.now = 5040 * ms
			k.all[1].Bytes = [2]uint64{}
			k.gone(1, 0)
			k.look(5100 * ms)
		}, evidence.ByClient, evidence.RST, evidence.Inferred, 5040 * ms},
		"the kernel reports the server's FIN": {func(k *world) {
			k.now = 5013 * ms
			k.ended(1, evidence.ByServer, evidence.FIN)
			delete(k.all, 1)
			k.look(5100 * ms)
		}, evidence.ByServer, evidence.FIN, evidence.Seen, 5013 * ms},
		"the kernel reports ours": {func(k *world) {
			k.now = 5013 * ms
			k.ended(1, evidence.ByClient, evidence.FIN)
			delete(k.all, 1)
			k.wait = append(k.wait, flow(1))
			k.look(5100 * ms)
		}, evidence.ByClient, evidence.FIN, evidence.Seen, 5013 * ms},
		"the kernel reports a RST": {func(k *world) {
			k.now = 5013 * ms
			k.ended(1, evidence.ByServer, evidence.RST)
			delete(k.all, 1)
			k.look(5100 * ms)
		}, evidence.ByServer, evidence.RST, evidence.Seen, 5013 * ms},
		"it is open at the end": {func(k *world) { k.look(5100 * ms) }, evidence.Nobody, evidence.Open, evidence.Unknown, evidence.NotSeen},
	} {
		t.Run(name, func(t *testing.T) {
			k := newWorld(t)
			k.opened(1)
			k.served(1, 4*ms)
			k.look(100 * ms)
			k.look(5000 * ms)
			c.play(k)
			got := k.one()
			if got.Close.By != c.by || got.Close.How != c.how || got.Close.Basis != c.basis || got.Close.At != c.at {
				t.Errorf("closed by the %v with %v at %v (%v): %s", got.Close.By, got.Close.How, got.Close.At, got.Close.Basis, got.Close.Why)
			}
			if len(got.Exchanges) != 1 || got.Exchanges[0].Done != 4*ms || got.Client != flow(1).Local || len(got.Unanswered) > 0 {
				t.Errorf("%+v", got)
			}
			if idle, ok := IdleBefore(&got); c.how != evidence.Open && (!ok || idle != c.at-4*ms) {
				t.Errorf("idle for %v before the close", idle)
			}
		})
	}
}

// A request that met the close, as a plain user's layers show it: the last word of the
// kernel says whether its bytes were acknowledged.
func TestRequestsThatMetTheClose(t *testing.T) {
	for name, c := range map[string]struct {
		acked, written uint64
		event          bool
		met            evidence.Meeting
	}{
		"not acknowledged": {101, 200, false, evidence.Crossed},
		"acknowledged":     {201, 200, false, evidence.Arrived},
		"the kernel reported the close long before": {101, 200, true, evidence.Late},
	} {
		t.Run(name, func(t *testing.T) {
			k := newWorld(t)
			k.opened(1)
			k.served(1, 4*ms)
			k.look(100 * ms)
			k.look(4900 * ms)
			if c.event {
				k.now = 4950 * ms
				k.ended(1, evidence.ByServer, evidence.FIN)
			}
			k.now = 5000 * ms
			k.asked(1)
			k.now = 5002 * ms
			k.all[1].Bytes = [2]uint64{c.acked, 300}
			k.gone(1, c.written)
			k.look(5100 * ms)
			got := k.one()
			if len(got.Unanswered) != 1 {
				t.Fatalf("%+v", got)
			}
			u := got.Unanswered[0]
			if u.Met != c.met || u.Basis != evidence.Inferred || u.Sent != 5000*ms || u.Idle != 4996*ms || !u.Reused || u.Why == "" {
				t.Errorf("%v (%v): %+v", u.Met, u.Basis, u)
			}
			if got.Close.By != evidence.ByServer || k.w.Sum.Failures != 1 || k.w.Sum.Met[c.met.String()] != 1 {
				t.Errorf("%+v, %+v", got.Close, k.w.Sum)
			}
		})
	}
}

// Between two looks there may have been requests; their number is a lower bound,
// and the newest response counts for the idle time.
func TestExchangesBetweenLooks(t *testing.T) {
	k := newWorld(t)
	k.opened(1)
	k.look(50 * ms)
	for i := range 30 {
		k.now = time.Duration(100*(i+1)) * ms
		k.served(1, 10*ms)
		k.look(k.now + 50*ms)
	}
	k.now = 4000 * ms
	k.asked(1)
	k.look(4050 * ms)
	if p := k.w.Now(); p.Leased != 1 || p.Idle != 0 {
		t.Errorf("while the request is under way: %+v", p)
	}
	k.all[1].Bytes[0] += 100
	for i := range 5 { // a long response
		k.all[1].Bytes[1] += 1000
		k.at[1] = [2]time.Duration{k.at[1][0], time.Duration(4100+100*i) * ms}
		k.look(time.Duration(4120+100*i) * ms)
	}
	got := k.one()
	if n := len(got.Exchanges); got.Requests != 31 || n != 31 {
		t.Fatalf("%d requests", got.Requests)
	}
	if e := got.Exchanges[30]; e.Sent != 4000*ms || e.Done != 4500*ms {
		t.Errorf("the last exchange: %+v", e)
	}
	if got.LongestIdle != 990*ms {
		t.Errorf("it survived %v", got.LongestIdle)
	}
}

// seg is a segment without payload between the service and the server.
func seg(at time.Duration, n int, fromServer bool, flags segments.Flags, seq, ack uint32, length int) *segments.Segment {
	f := flow(n)
	s := &segments.Segment{At: at, Src: f.Local, Dst: f.Remote, Flags: flags, Seq: seq, Ack: ack, Len: length, TTL: 64}
	if fromServer {
		s.Src, s.Dst = s.Dst, s.Src
	}
	return s
}

const ack, fin, rst = segments.FlagACK, segments.FlagFIN, segments.FlagRST

// Ports are used again at once: packets show that the first connection is over before the
// kernel's events of it come. Each counts once.
func TestPortsThatAreUsedAgain(t *testing.T) {
	k := newWorld(t)
	k.opened(1)
	k.look(100 * ms) // so that the server is known
	const syn = segments.FlagSYN
	ended := func(at, until time.Duration) {
		k.w.Ended(&Ended{
			Connection: evidence.Connection{
				Client: flow(2).Local, Server: server, Opened: at, Since: at, Until: until,
				Close: evidence.Close{Basis: evidence.Seen, By: evidence.ByServer, How: evidence.FIN, At: until, FIN: notSeen},
			},
			Flow: flow(2), Over: true,
		})
	}
	for i := range 2 {
		at := time.Duration(200+2800*i) * ms
		seq := uint32(1000 * (i + 1))
		k.w.Segment(seg(at, 2, false, syn, seq, 0, 0))
		k.w.Segment(seg(at+ms, 2, true, syn|ack, 7*seq, seq+1, 0))
		k.w.Segment(seg(at+2*ms, 2, true, fin|ack, 7*seq+1, seq+1, 0))
		k.w.Segment(seg(at+3*ms, 2, false, fin|ack, seq+1, 7*seq+2, 0))
		k.w.Segment(seg(at+4*ms, 2, true, ack, 7*seq+2, seq+2, 0))
	}
	ended(200*ms, 204*ms)
	ended(3000*ms, 3004*ms)
	for at := 4000 * ms; at < 12*time.Second; at += 100 * ms {
		k.look(at)
	}
	k.end()
	if n := k.w.Sum.Closes["server"]; n != 2 {
		t.Errorf("%d closes by the server, and there were 2", n)
	}
	if len(k.w.sights) > 0 {
		t.Errorf("%d sightings are kept", len(k.w.sights))
	}
}

// Packets date a race on a connection that is older than the watch; its socket says since
// when it had been idle.
func TestPacketsOfAnOlderConnection(t *testing.T) {
	k := newWorld(t)
	k.opened(1)
	k.served(1, 4*ms)
	k.look(100 * ms)
	k.look(4900 * ms)
	k.w.Segment(seg(5000*ms, 1, true, fin|ack, 900, 500, 0))
	k.w.Segment(seg(5001*ms, 1, false, ack, 500, 900, 80)) // does not acknowledge the FIN: they crossed
	k.w.Segment(seg(5002*ms, 1, true, rst, 900, 0, 0))
	delete(k.all, 1)
	for at := 5100 * ms; at < 15*time.Second; at += 100 * ms {
		k.look(at)
	}
	got := k.one()
	if len(got.Unanswered) != 1 || got.Close.By != evidence.ByServer || got.Close.At != 5000*ms || got.Close.Basis != evidence.Seen {
		t.Fatalf("%+v", got)
	}
	u := got.Unanswered[0]
	if u.Met != evidence.Crossed || u.Basis != evidence.Seen || u.Apart != -1*ms || u.Idle != 4997*ms || u.Nth != 2 || !u.Reused {
		t.Errorf("%+v", u)
	}
	if got.Requests != 1 || len(got.Exchanges) != 1 || got.Exchanges[0].Done != 4*ms {
		t.Errorf("the exchange before the packets: %+v", got.Exchanges)
	}
	if s := k.w.Sum; s.Connections != 1 || s.Older != 1 || s.Failures != 1 || s.Closes["server"] != 1 {
		t.Errorf("%+v", s)
	}
}

// Each connection is reported once, whatever the layers show of it, and although its
// ports are used again.
func TestEachConnectionIsReportedOnce(t *testing.T) {
	k := newWorld(t)
	k.look(0)
	const rounds, size = 20, 50
	for round := range rounds {
		begin := time.Duration(round) * 3 * time.Second
		k.now = begin + 10*ms
		for n := range size {
			k.opened(n)
			base := uint32(round+1) * 1_000_000
			at := k.now
			k.w.Segment(seg(at, n, false, segments.FlagSYN, base, 0, 0))
			k.w.Segment(seg(at+ms, n, true, segments.FlagSYN|ack, base+500_000, base+1, 0))
			k.w.Segment(seg(at+2*ms, n, false, ack, base+1, base+500_001, 100))
			k.w.Segment(seg(at+3*ms, n, true, ack, base+500_001, base+101, 300))
			k.served(n, 3*ms)
		}
		k.look(begin + 100*ms)
		k.now = begin + 1200*ms
		for n := range size {
			base := uint32(round+1) * 1_000_000
			k.w.Segment(seg(k.now, n, true, fin|ack, base+500_301, base+101, 0))
			k.w.Segment(seg(k.now+ms, n, false, fin|ack, base+101, base+500_302, 0))
			if n%2 == 0 {
				k.ended(n, evidence.ByServer, evidence.FIN)
			}
			delete(k.all, n)
		}
		k.look(begin + 1300*ms)
		k.look(begin + 2500*ms)
	}
	list := k.end()
	if len(list) != rounds*size || k.w.Sum.Connections != rounds*size || k.w.Sum.Closes["server"] != rounds*size {
		t.Fatalf("%d connections reported; %+v", len(list), k.w.Sum)
	}
	for _, c := range list {
		idle, ok := IdleBefore(&c)
		if !ok || idle != 1187*ms || c.Requests != 1 || c.Close.Basis != evidence.Seen {
			t.Fatalf("idle %v: %+v", idle, c)
		}
	}
	if spans := k.w.Sum.Idle["server"]; spans.Count != rounds*size || (spans.Median()-1187*ms).Abs() > 150*ms {
		t.Errorf("%+v, median %v", spans.Count, spans.Median())
	}
}

func TestPoolAgainstItsSockets(t *testing.T) {
	k := newWorld(t)
	for n := range 10 {
		k.opened(n)
		k.served(n, ms)
	}
	k.now = 50 * ms
	k.asked(3)
	k.all[4].State = "CLOSE_WAIT"
	for i := 1; i <= 20; i++ {
		says := Gauges{At: time.Duration(100*i) * ms, Pool: "reactor.netty 10.0.0.2:8080", Idle: 9, Leased: 1, Open: 10, Pending: 3, Max: 50}
		if i > 17 {
			says.Idle, says.Open = 14, 15
		}
		k.w.Gauges(&says)
		k.look(time.Duration(100*i+5) * ms)
	}
	if p := k.w.Now(); p.Idle != 8 || p.Leased != 1 || p.Stale != 1 || p.SaysIdle != 14 || p.Pending != 3 {
		t.Errorf("%+v", p)
	}
	want := "The pool's gauges and its sockets agreed within one connection at 17 of 20 scrapes. At most they differed by 5: the gauges said 15, and there were 10 sockets."
	each := "One by one they agreed within one connection: idle at 17 of 20, leased at 20 of 20. A request that begins or ends between the scrape and the look makes a difference."
	if says := k.w.PoolSays(); len(says) != 4 || says[0] != want || says[1] != each {
		t.Errorf("%q", says)
	}
	defer func() { // a scrape that fails leaves nothing of the gauges, and a pool that is gone does not count
		k.w.NoGauges()
		if _, known := k.w.Figures()["pool.pending"]; known {
			t.Error("gauges are known after a scrape has failed")
		}
		k.w.Gauges(&Gauges{At: 3000 * ms, Pool: "another", Idle: 2, Leased: -1, Open: -1, Pending: -1, Max: -1})
		if p := k.w.Now(); p.SaysIdle != 2 || p.Pending != -1 {
			t.Errorf("after another pool: %+v", p)
		}
	}()
	f := k.w.Figures()
	if f["pool.pending"] != 3 || f["connections.stale"] != 1 || f["connections"] != 10 || f["ports.left"] != 28222 {
		t.Errorf("%v", f)
	}
	for name := range f {
		if !contains(Paths(), name) {
			t.Errorf("%s is not among the paths that are listed", name)
		}
	}
}

func contains(list []string, name string) bool {
	for _, one := range list {
		if one == name {
			return true
		}
	}
	return false
}

func TestPortsThatGrow(t *testing.T) {
	k := newWorld(t)
	for s := range 30 {
		k.w.Look(&Look{At: time.Duration(s) * time.Second, Range: 1000, Ports: 100 + 20*s, Toward: []PortUse{{Remote: server, Ports: 100 + 20*s}}})
	}
	if got, want := k.w.PortsSay(), "680 of 1000 local ports are in use towards 10.0.0.2:8080; at this rate the last one is taken in 16s (16s to 16s)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A ring has a bound, keeps failures longest, and counts what it left out.
func TestRing(t *testing.T) {
	r := &Ring{}
	for n := range 3 * maxRing {
		c := evidence.Connection{Server: server, Until: time.Duration(n) * ms, Requests: 2}
		if n < 100 {
			c.Unanswered = []evidence.Unanswered{{}}
		}
		r.Add(&c)
	}
	list := r.Connections()
	if len(list) > maxRing+maxRing/10 || len(list) < maxRing || len(list[99].Unanswered) != 1 || len(list[100].Unanswered) != 0 {
		t.Errorf("%d are kept", len(list))
	}
	if left := r.Left[server]; left[0]+len(list) != 3*maxRing || left[1] != 2*left[0] {
		t.Errorf("%v were left out", left)
	}
	r.Last = time.Second
	r.Pass(3 * maxRing * ms)
	if n := len(r.Connections()); n != 1000 {
		t.Errorf("%d are from the last second", n)
	}
}

// Weeks of connections take a bounded memory: what has ended leaves nothing behind.
func TestMemoryIsBounded(t *testing.T) {
	r := &Ring{Last: time.Minute}
	w := New(r.Add, nil)
	var peak uint64
	for i := range 3000 {
		at := time.Duration(i) * time.Second
		l := &Look{At: at}
		for n := range 20 {
			l.Sockets = append(l.Sockets, Socket{Flow: flow((i*20 + n) % 20000), Cookie: uint64(i*20 + n + 1), State: "ESTABLISHED", Bytes: [2]uint64{101, 300}})
		}
		w.Look(l)
		r.Pass(at)
		if i%500 == 499 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
	}
	if len(w.open) > 20 || len(w.ended) > 100 || len(w.told) > 0 || len(w.cookies) > 20 || len(w.series.Points) > maxPoints || len(r.list) > 1300 {
		t.Errorf("open %d, ended %d, told %d, points %d, kept %d", len(w.open), len(w.ended), len(w.told), len(w.series.Points), len(r.list))
	}
	if peak > 64<<20 {
		t.Errorf("%d MB of memory", peak>>20)
	}
	if w.Sum.Connections != 60000 {
		t.Error(w.Sum.Connections)
	}
}

// A look at 50,000 sockets is taken.
func TestFiftyThousandSockets(t *testing.T) {
	w := New(func(*evidence.Connection) {}, nil)
	l := &Look{At: time.Second}
	for n := range 50_000 {
		local := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(n >> 14), 1}), uint16(1024+n%(1<<14)))
		l.Sockets = append(l.Sockets, Socket{Flow: Flow{local, server}, Cookie: uint64(n + 1), State: "ESTABLISHED", Bytes: [2]uint64{101, 300}})
	}
	w.Look(l)
	if p := w.Now(); p.Idle != 50_000 {
		t.Errorf("%+v", p)
	}
	w.Look(&Look{At: 2 * time.Second})
	w.End()
	if w.Sum.Closes["server"] != 50_000 {
		t.Errorf("%+v", w.Sum)
	}
}

func ExampleLayers() {
	for _, text := range Layers([]Sees{{Layer: Sockets, On: true, Says: "states of 12 sockets"}, {Layer: Packets, Lacks: "CAP_NET_RAW"}, {Layer: Kernel, On: true, Says: "state changes", Lost: 3}}) {
		fmt.Println(text)
	}
	// Output:
	// sockets: states of 12 sockets
	// packets: off; lacks CAP_NET_RAW
	// kernel: state changes; 3 events were lost
}

// What the layers saw of connections counts as soon as a look shows that their server is one
// that the service uses; connections of others never do, whichever end has the lower port.
func TestServersThatBecomeKnown(t *testing.T) {
	k := newWorld(t)
	other := Flow{netip.MustParseAddrPort("10.0.0.9:30000"), netip.MustParseAddrPort("10.0.0.8:40000")}
	word := func(n int, f Flow, cookie uint64) {
		k.w.Gone(&Gone{At: k.now, Written: 100, Socket: Socket{Flow: f, Cookie: cookie, Sent: 300 * ms, Received: 296 * ms, Bytes: [2]uint64{102, 301}}})
	}
	k.look(100 * ms)
	k.now = 500 * ms
	word(1, flow(1), 77)
	word(2, other, 78)
	k.w.Ended(&Ended{Flow: flow(2), Over: true, Connection: evidence.Connection{
		Client: flow(2).Local, Server: server, Opened: 10 * ms, Since: 10 * ms, Until: 500 * ms,
		Close: evidence.Close{Basis: evidence.Seen, By: evidence.ByServer, How: evidence.FIN, At: 490 * ms, FIN: notSeen},
	}})
	k.w.Ended(&Ended{Flow: Flow{server, flow(2).Local}, Accepted: true, Over: true}) // the other end of it, on this machine
	low := netip.MustParseAddrPort("10.0.0.1:1025")                                  // a port below the server's
	for _, s := range []*segments.Segment{seg(500*ms, 3, true, fin|ack, 900, 500, 0), seg(501*ms, 3, false, fin|ack, 500, 901, 0)} {
		for _, end := range []*netip.AddrPort{&s.Src, &s.Dst} {
			if *end != server {
				*end = low
			}
		}
		k.w.Segment(s)
	}
	for at := 600 * ms; at < 8*time.Second; at += 100 * ms {
		k.look(at)
	}
	if len(k.told) > 0 {
		t.Fatalf("before the server is known: %+v", k.told)
	}
	k.opened(9)
	k.look(8 * time.Second)
	list := k.end()
	closed := 0
	for _, c := range list {
		if c.Server != server || c.Client == server {
			t.Errorf("%v to %v", c.Client, c.Server)
		}
		if c.Close.How != evidence.Open && c.Close.By == evidence.ByServer {
			closed++
		}
	}
	if len(list) != 4 || closed != 3 || k.w.Sum.Connections != 4 {
		t.Errorf("%d connections, %d closed by the server: %+v", len(list), closed, list)
	}
}

// The kernel reports RSTs of all processes; those of the service's own connections count.
func TestResetsOfOthersAreNotCounted(t *testing.T) {
	at := netip.MustParseAddrPort
	mine := Flow{at("10.0.0.1:40000"), at("10.0.0.2:80")}
	w := New(func(*evidence.Connection) {}, func(f Flow) (accepted, ok bool) { return false, f == mine })
	for _, f := range []Flow{mine, {at("10.0.0.1:40001"), at("10.0.0.3:80")}} {
		for _, kind := range []EventKind{ResetReceived, ResetSent, Retransmitted} {
			w.Event(&Event{Kind: kind, Flow: f})
		}
	}
	if s := w.Sum; s.Resets["received"] != 1 || s.Resets["sent"] != 1 || s.Retransmits != 1 {
		t.Errorf("%v, %d sent again", s.Resets, s.Retransmits)
	}
}
