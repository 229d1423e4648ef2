package capacity

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestNeeds(t *testing.T) {
	for _, tc := range []struct {
		name               string
		sets               []string
		origins, addresses int
		open               int
		capped             bool
		files, places      int
		why                string
	}{
		{"no cap", nil, 1, 1, 1000, false, 2, 1, "load.max_in_flight 1000"},
		{"no cap, several origins", nil, 3, 1, 3000, false, 2, 1, "× 3 origins"},
		{"a cap", []string{"pool.max_conns=40"}, 1, 1, 40, true, 2, 1, "pool.max_conns 40"},
		{"a cap for each origin and shard", []string{"pool.max_conns=40", "pool.shards=2"}, 3, 2, 240, true, 2, 2, "pool.max_conns 40 × 3 origins × 2 shards"},
		{"a cap beyond what is in flight", []string{"pool.max_conns=4000"}, 1, 1, 1000, false, 2, 1, "load.max_in_flight 1000"},
		{"a cap over all", []string{"pool.max_conns_all=70"}, 9, 1, 70, true, 2, 1, "pool.max_conns_all 70"},
		{"a cap that idle ones do not count in", []string{"pool.max_conns=40", "pool.cap_counts=leased"}, 1, 1, 1000, false, 2, 1, "in_flight"},
		{"nor here, but these are capped too", []string{"pool.max_conns=40", "pool.cap_counts=leased", "pool.max_idle=5"}, 1, 1, 45, true, 2, 1, "pool.max_conns 40 and pool.max_idle 5"},
		{"none kept", []string{"pool.max_idle=0"}, 4, 1, 1000, false, 2, 1, "in_flight"},
		{"a short run", []string{"load.duration=1s", "load.rate=10/s"}, 1, 1, 120, false, 2, 1, "so short a run"},
		{"a link", []string{"target.link.delay=1ms"}, 1, 1, 1000, false, 4, 1, ""},
		{"proxies", []string{"target.proxies=[{}, {}]"}, 1, 1, 1000, false, 6, 1, ""},
		{"few requests", []string{"load.duration=0", "load.count=10"}, 1, 1, 120, false, 2, 1, "so short a run"},
		{"a server of somebody else", []string{"target.lab=null", "target.url=http://127.0.0.1:1/"}, 1, 1, 1000, false, 1, 1, ""},
		{"the stock client", []string{"client=stock", "pool=default"}, 2, 1, 2000, false, 2, 1, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := load(t, "quick", append([]string{"load.duration=60s"}, tc.sets...)...)
			n := NeedsOf(p, tc.origins, tc.addresses, 1)
			if n.open != tc.open || n.capped != tc.capped || n.files != tc.files || n.places != tc.places || !strings.Contains(n.why, tc.why) {
				t.Errorf("%+v, want %+v", n, tc)
			}
		})
	}
}

// Agents on one machine share its ports, and kabench's own server has a file for each of
// their connections.
func TestNeedsOfAgentsTogether(t *testing.T) {
	p := load(t, "quick", "load.duration=60s", "pool.max_conns=40", "pool.max_requests=2", "load.rate=700/s")
	one := NeedsOf(p, 1, 1, 4)
	four := one.Together(4)
	if one.open != 40 || one.dials != 87.5 || four.open != 160 || four.dials != 350 || four.files != 1 {
		t.Errorf("one %+v, four %+v", one, four)
	}
	if _, err := four.Check(Limits{openFiles: 190}, nil); err == nil || !strings.Contains(err.Error(), "pool.max_conns 40 × 4 agents), which takes 192 open files") {
		t.Errorf("%v", err)
	}
	elsewhere := load(t, "quick", "pool.max_conns=40", "target.lab=null", "target.url=http://127.0.0.1:1/")
	limits := Limits{openFiles: 50, Ports: 100, timeWait: TimeWait}
	if _, err := NeedsOf(elsewhere, 1, 1, 4).Together(4).Check(limits, nil); err == nil || !strings.Contains(err.Error(), "160 connections open at once") || strings.Contains(err.Error(), "open files") {
		t.Errorf("%v", err)
	}
}

func TestNeedsAgainstLimits(t *testing.T) {
	plenty := Limits{openFiles: 1 << 20, Ports: 28000, timeWait: TimeWait, maxInWait: 1 << 20}
	with := func(change func(*Limits)) Limits { l := plenty; change(&l); return l }
	for _, tc := range []struct {
		name   string
		l      Limits
		sets   []string
		places int
		err    string // "": none
		note   string // "": none
	}{
		{name: "plenty", l: plenty},
		{name: "nothing is known", l: Limits{timeWait: TimeWait}},
		{name: "files", l: with(func(l *Limits) { l.openFiles, l.inUse = 1024, 10 }),
			err: "may open 1000 connections at once (load.max_in_flight 1000), which takes 2042 open files (the server's side, which is kabench too, and what is open already), and the limit is 1024: raise it, for example with `ulimit -n 2042`"},
		{name: "fewer fit", l: with(func(l *Limits) { l.openFiles = 1024 }), sets: []string{"pool.max_conns=400"}},
		{name: "how many fit is said", l: with(func(l *Limits) { l.openFiles = 1024 }), err: "at most 496, with pool.max_conns"},
		{name: "files are to run out", l: with(func(l *Limits) { l.openFiles = 100 }), sets: []string{"expect.failures.connect.fd_exhausted=>0"}},
		{name: "files are not to run out", l: with(func(l *Limits) { l.openFiles = 100 }), sets: []string{"expect.failures.connect.fd_exhausted=0"}, err: "limit is 100"},
		{name: "a cap beyond the ports", l: with(func(l *Limits) { l.Ports = 300 }), sets: []string{"pool.max_conns=500"},
			err: "the pool may have 500 connections open at once (pool.max_conns 500), and there are 300 ephemeral ports: widen"},
		{name: "twice the ports", l: with(func(l *Limits) { l.Ports = 300 }), sets: []string{"pool.max_conns=500"}, places: 2},
		{name: "ports are to run out", l: with(func(l *Limits) { l.Ports = 300 }), sets: []string{"pool.max_conns=500", "expect.failures.connect.port_exhausted=> 5"}},
		{name: "no cap, few ports", l: with(func(l *Limits) { l.Ports = 300 }), note: "the pool has no cap and may open 1000 connections"},
		{name: "a port for each request", l: plenty, sets: []string{"pool.max_idle=0", "load.rate=700/s"},
			note: "pool.max_idle is 0, so each request has a connection of its own: 700 new connections a second, each with a port in TIME_WAIT for 1m0s after we close it, use up the 28000 ephemeral ports in about 40s"},
		{name: "not within the run", l: plenty, sets: []string{"pool.max_idle=0", "load.rate=700/s", "load.duration=30s"}},
		{name: "not so many requests", l: plenty, sets: []string{"pool.max_idle=0", "load.rate=700/s", "load.count=27000"}},
		{name: "just as many", l: plenty, sets: []string{"pool.max_idle=0", "load.rate=700/s", "load.count=29000"}, note: "in about 40s"},
		{name: "every second request", l: plenty, sets: []string{"pool.max_requests=2", "load.rate=700/s"}},
		{name: "every second of more", l: plenty, sets: []string{"pool.max_requests=2", "load.rate=1400/s"}, note: "pool.max_requests is 2: 700 new"},
		{name: "ports come back after a second", l: with(func(l *Limits) { l.timeWait, l.waitReused = time.Second, true }), sets: []string{"pool.max_idle=0", "load.rate=700/s"}},
		{name: "a bound on TIME_WAIT", l: with(func(l *Limits) { l.maxInWait = 8192 }), sets: []string{"pool.max_idle=0", "load.rate=700/s"}},
		{name: "the server closes first", l: plenty, sets: []string{"pool.max_idle=0", "load.rate=700/s", "target.lab.say_close=true"}},
		{name: "ports and files", l: with(func(l *Limits) { l.openFiles, l.Ports = 100, 300 }), sets: []string{"pool.max_conns=500"}, err: "300 ephemeral ports"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := load(t, "quick", append([]string{"load.duration=60s"}, tc.sets...)...)
			n := NeedsOf(p, 1, max(tc.places, 1), 1)
			notes, err := n.Check(tc.l, p.Expect)
			if (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			if text := strings.Join(notes, "\n"); (text != "") != (tc.note != "") || !strings.Contains(text, tc.note) {
				t.Errorf("notes %q, want %q", text, tc.note)
			}
		})
	}
}

func TestWhenPortsReturn(t *testing.T) {
	here := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:80"), netip.MustParseAddrPort("[::1]:80")}
	there := append(here[:1:1], netip.MustParseAddrPort("192.0.2.1:80"))
	for _, tc := range []struct {
		mode, stamps, delay string
		to                  []netip.AddrPort
		want                time.Duration
	}{
		{"2", "1", "", here, time.Second},
		{"2", "1", "", there, time.Minute},
		{"2", "1", "", nil, time.Minute},
		{"1", "1", "", there, time.Second},
		{"1", "1", "500", there, 500 * time.Millisecond},
		{"1", "0", "", there, time.Minute},
		{"0", "1", "500", here, time.Minute},
		{"", "", "", here, time.Minute},
	} {
		got, reused := portsReturn(map[string]string{"net.ipv4.tcp_tw_reuse": tc.mode, "net.ipv4.tcp_timestamps": tc.stamps, "net.ipv4.tcp_tw_reuse_delay": tc.delay}, tc.to)
		if got != tc.want || reused != (tc.want < time.Minute) {
			t.Errorf("%+v: %v, %v", tc, got, reused)
		}
	}
}
