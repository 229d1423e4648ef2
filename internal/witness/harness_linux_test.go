package witness

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/dialers/external"
	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/internal/sandbox"
	"github.com/kabench/kabench/internal/sandbox/sandboxtest"
	"github.com/kabench/kabench/profiles/network"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// up brings lo up: the namespace of the tests begins without.
var up = sync.OnceValue(func() error {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	return err
})

// served is a lab server that a test's client talks to.
type served struct {
	lab  *lab.Server
	at   netip.AddrPort
	url  string
	cert []byte
}

// onLoopback serves cfg on lo; behind a link if there is a delay.
func onLoopback(t *testing.T, cfg script.Server, delay time.Duration) served {
	t.Helper()
	sandboxtest.Need(t)
	if err := up(); err != nil {
		t.Fatal(err)
	}
	return startLab(t, cfg, delay)
}

func startLab(t testing.TB, cfg script.Server, delay time.Duration) served {
	t.Helper()
	s, err := lab.Start(cfg, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	addr := s.Addr()
	if delay > 0 {
		link, err := lab.StartLink(script.Link{Delay: delay}, "", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { link.Close() })
		addr = link.Addr()
	}
	return servedAt(s, addr, cfg.TLS)
}

func servedAt(s *lab.Server, addr string, secure bool) served {
	scheme := "http"
	if secure {
		scheme = "https"
	}
	return served{s, netip.MustParseAddrPort(addr), scheme + "://" + addr + "/", s.CertPEM()}
}

// inNetwork serves cfg on a host of a private network, whose packets cross a TUN device.
func inNetwork(t *testing.T, cfg script.Server, delay time.Duration) served {
	t.Helper()
	return behind(t, cfg, network.Link{Conditions: network.Conditions{Delay: delay}})
}

// behind serves cfg on a host of a private network, behind a link.
func behind(t *testing.T, cfg script.Server, link network.Link) served {
	t.Helper()
	sandboxtest.Need(t)
	link.Between = [2]string{network.ClientName, "server"}
	n, err := sandbox.Start(network.Config{
		Hosts:  []network.Host{{Name: "server"}},
		Links:  []network.Link{link},
		Record: network.Record{Packets: 1 << 10},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	addr := netip.AddrPortFrom(n.Addr("server"), 8080).String()
	var s *lab.Server
	if err := n.Host("server").Do(func() (err error) { s, err = lab.Start(cfg, addr); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return servedAt(s, addr, cfg.TLS)
}

// pair is an exchange as the client reports it, and as the witness saw it.
type pair struct {
	e    results.Exchange
	seen external.Sight
}

// watched asks the witness at the moment at which an exchange is over.
type watched struct {
	w     *Witness
	epoch time.Time
	mu    sync.Mutex
	pairs []pair

	silent bool          // nothing is kept
	took   time.Duration // the questions
}

func (o *watched) Observe(e *results.Exchange) {
	if o.silent {
		if o.w != nil {
			began := time.Now()
			if s := o.w.Between(e.Seq, o.epoch, e.Start, e.Done); len(s.Attempts) != 1 || s.Attempts[0].Phase != e.Phase {
				panic("not seen")
			}
			o.took += time.Since(began)
		}
		return
	}
	seen := o.w.Between(e.Seq, o.epoch, e.Start, e.Done)
	o.mu.Lock()
	defer o.mu.Unlock()
	one := *e
	one.Tries = append([]results.Try(nil), e.Tries...)
	o.pairs = append(o.pairs, pair{one, seen})
}

// load is a run's client and what it sends.
type load struct {
	policy  pool.Policy
	load    generator.Load
	method  string
	body    []byte
	stories bool // the witness hears the server's
}

// run makes a run of kabench's own client against s, and returns what both say.
func run(t *testing.T, s served, l load) ([]pair, *Witness) {
	t.Helper()
	w, err := Listen([]netip.AddrPort{s.at})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	if l.stories {
		s.lab.Follow()
		w.Hear(s.lab)
	}
	if l.method == "" {
		l.method = "GET"
	}
	r, err := dialers.NewRequest(l.method, s.url, http.Header{}, l.body)
	if err != nil {
		t.Fatal(err)
	}
	dialer := &dialers.Dialer{}
	if s.cert != nil {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(s.cert)
		dialer.TLS = &tls.Config{RootCAs: roots, ServerName: "localhost"}
	}
	c, err := dialers.NewClient(dialers.Config{Policy: l.policy, Dialer: dialer, Requests: []*dialers.Request{r.Numbered()}, Timeout: l.load.Timeout})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l.load.MaxInFlight = 10_000
	schedule, err := l.load.Schedule()
	if err != nil {
		t.Fatal(err)
	}
	o := &watched{w: w, epoch: time.Now().Add(20 * time.Millisecond)}
	open := &generator.Open{Load: l.load, Schedule: schedule, Engine: c, Observer: o, Targets: 1}
	open.Run(context.Background(), o.epoch, nil)
	return o.pairs, w
}
