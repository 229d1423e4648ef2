package incident

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/autopsy"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/schema"
)

const ms = time.Millisecond

var (
	clientEnd = netip.MustParseAddrPort("10.0.0.1:40001")
	serverEnd = netip.MustParseAddrPort("10.25.3.7:8080")
)

// verdict is of a server that closes idle connections after timeout, and of failures that
// crossed the close.
func verdict(timeout time.Duration, failures int) *autopsy.Verdict {
	var all []evidence.Connection
	for n := range 30 {
		at := time.Duration(n) * 100 * ms
		all = append(all, evidence.Connection{
			Client: clientEnd, Server: serverEnd, Opened: at, Ready: at + 4*ms, RoundTrip: 4 * ms, Half: evidence.NotSeen, Since: at, Requests: 1, SYNs: 1,
			Exchanges: []evidence.Exchange{{Sent: at + 5*ms, First: at + 49*ms, Done: at + 49*ms, Status: 200}},
			Close:     evidence.Close{Basis: evidence.Seen, By: evidence.ByServer, How: evidence.FIN, At: at + 49*ms + timeout + time.Duration(n%5)*ms/2, FIN: evidence.NotSeen},
			Until:     at + 2*timeout,
		})
	}
	facts := evidence.Infer(all)
	v := &autopsy.Verdict{Found: failures > 0, Incident: "idle-race", Begin: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
	v.Servers = []autopsy.Server{{Address: serverEnd.String(), Sentence: facts.Sentence(), Facts: facts, Met: map[string]int{"crossed": failures}}}
	v.Clients = []autopsy.Client{{Server: serverEnd.String(), LeaseOrder: "lifo", IdleTimeout: &autopsy.Range{Count: 9, Low: 29, Median: 30, High: 31}}}
	for n := range failures {
		v.Failures = append(v.Failures, autopsy.Failure{Unanswered: evidence.Unanswered{Met: evidence.Crossed, Sent: timeout, Apart: time.Duration(n) * ms}, Server: serverEnd.String()})
	}
	return v
}

// bursts are requests as idle-race sends them.
func bursts(n int, silence time.Duration) (g autopsy.Gathered) {
	at := time.Duration(0)
	for range n {
		for range 50 {
			g.Requests = append(g.Requests, autopsy.Request{Sent: at})
			at += 5 * ms
		}
		at += silence
	}
	return g
}

func TestOfBursts(t *testing.T) {
	v := verdict(time.Second, 9)
	made, err := Of(v, bursts(15, 950*ms), "")
	if err != nil {
		t.Fatal(err)
	}
	p := made.Profile
	if lab := p.Target.Lab; lab == nil || p.Target.URL != "" || lab.IdleTimeout < 999*ms || lab.IdleTimeout > 1000*ms {
		t.Errorf("the server is %+v", p.Target)
	}
	if a := p.Load.Arrivals; a.On < 249*ms || a.On > 252*ms || a.Off < 945*ms || a.OffMax > 955*ms || p.Load.Rate < 190 || p.Load.Rate > 210 {
		t.Errorf("the load is %+v", p.Load)
	}
	if p.Pool.IdleTimeout != 30*time.Second || p.Pool.LeaseOrder.String() != "lifo" {
		t.Errorf("the pool is %+v", p.Pool)
	}
	if p.Target.Link == nil || p.Target.Link.Delay != leastDelay || p.Target.Lab.Delay.A != 44*ms-2*leastDelay {
		t.Errorf("the link is %+v, the server's delay %v", p.Target.Link, p.Target.Lab.Delay)
	}
	if len(p.Remedies) != 1 || made.Forecast.Mean < enough {
		t.Errorf("%d remedies, %v failures are expected", len(p.Remedies), made.Forecast.Mean)
	}
	text, err := made.Text()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), schema.Line("profile")) {
		t.Errorf("it does not name its schema:\n%s", text)
	}
	again, err := profiles.Load("mine.yaml", text, nil)
	if err != nil {
		t.Fatalf("the file cannot be read again: %v\n%s", err, text)
	}
	if again.Target.Lab.IdleTimeout != p.Target.Lab.IdleTimeout || again.Forecast == nil {
		t.Errorf("the file says %+v", again)
	}
	if strings.Contains(string(text), "10.25.3.7") {
		t.Error("the file has the server's address, which nobody needs to reproduce it")
	}
}

// Where the capture's own load would show too little, the traffic is planned.
func TestOfPlannedTraffic(t *testing.T) {
	for name, seen := range map[string]autopsy.Gathered{"few": {}, "long silences": bursts(8, 20*time.Second)} {
		made, err := Of(verdict(time.Second, 3), seen, "reactor-netty")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if made.Forecast.Mean < enough || made.Profile.Preset != "reactor-netty" || !strings.Contains(strings.Join(made.Says, " "), "planned") {
			t.Errorf("%s: %v failures are expected with %s: %v", name, made.Forecast.Mean, made.Profile.Preset, made.Says)
		}
	}
}

func TestOfOthers(t *testing.T) {
	none, silent, abandoned, fresh := verdict(time.Second, 0), verdict(time.Second, 3), verdict(time.Second, 3), verdict(time.Second, 3)
	silent.Incident, silent.Servers[0].Met = "silent-drop", map[string]int{"lost": 3}
	abandoned.Incident, abandoned.Servers[0].Met = "", map[string]int{"abandoned": 3}
	fresh.Servers[0].Facts.Idle = evidence.Timer{}
	for want, v := range map[string]*autopsy.Verdict{
		"nothing to reproduce": none, "kabench reproduce silent-drop": silent, "gave up on these requests itself": abandoned, "not known after which time": fresh,
	} {
		if _, err := Of(v, autopsy.Gathered{}, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
