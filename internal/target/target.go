package target

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/internal/lab/proxy"
	"github.com/kabench/kabench/internal/names"
	"github.com/kabench/kabench/internal/sandbox"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/profiles/targets"
	"github.com/kabench/kabench/results/redact"
)

// Target is a profile's target, ready for connections: whatever the profile has
// kabench serve is being served.
type Target struct {
	Requests []*dialers.Request
	Names    []string        // of the targets of Requests, as results shows them
	Secrets  *redact.Secrets // what the requests carry that nothing may show
	Dialer   *dialers.Dialer
	Remotes  []netip.AddrPort // where connections go
	Servers  []netip.AddrPort // where the server accepts, if not there

	network  *sandbox.Network // nil: this machine's
	lab      []*lab.Server    // none: somebody else's
	hosts    []string         // of the network, that the lab's servers are on, in their order
	proxies  []*proxy.Proxy   // before the lab's servers, the client's side first
	link     *lab.Link        // nil: none
	looks    looks
	url      string        // of the lab or the proxies before it; "": somebody else's
	names    *names.Server // of the network; nil: it has none
	resolver *net.Resolver // that asks it; nil: the machine's

	known bool // that the servers accept connections
	real  bool // the client is a real one, in a process of its own

	watchers []*host.SocketWatcher // of CountAccepted
	events   events
}

// Open serves what p has kabench serve, and finds out whether p's servers accept
// connections. An error says what the user must change, or that ctx is done;
// whatever Open started has been stopped then.
func Open(ctx context.Context, p *profiles.Profile) (*Target, error) { return open(ctx, p, &Target{}) }

// OpenKnown is Open for a target whose servers another process of this machine has found to
// accept connections. ends are its ends of the connections that it opened for that; they
// are not the run's.
func OpenKnown(ctx context.Context, p *profiles.Profile, ends []netip.AddrPort) (*Target, error) {
	t := &Target{known: true}
	t.looks.local = ends
	return open(ctx, p, t)
}

// open makes t the target of p.
func open(ctx context.Context, p *profiles.Profile, t *Target) (_ *Target, err error) {
	t.real = p.Client == profiles.ClientExternal
	defer func() {
		if err != nil {
			t.Close()
			err = t.Secrets.Error(err)
		}
	}()
	p = p.Clone()
	t.events.at = p.Events
	switch {
	case p.Network != nil:
		p.Target.URL, err = t.serveInNetwork(p)
	case p.Target.Lab != nil:
		p.Target.URL, err = t.serve(p)
		t.url = p.Target.URL
	}
	if err != nil {
		return nil, err
	}
	if t.Dialer, err = dialer(p, t.certificates()); err != nil {
		return nil, err
	}
	t.Dialer.Resolver = t.resolver
	requests, err := profiles.Requests(p)
	if err != nil {
		return nil, err
	}
	t.Secrets = profiles.Secrets(p, requests)
	t.Names = namesOf(requests, t.Secrets)
	if p.Target.Link != nil {
		if err := t.putLinkBefore(ctx, *p.Target.Link, requests); err != nil {
			return nil, err
		}
	}
	for _, r := range requests {
		prepared, err := dialers.NewRequest(r.Method, r.URL, r.Header, r.Body)
		if err != nil {
			return nil, profiles.WithoutSecrets(fmt.Errorf("target %s: %w", r.URL, err), r.URL)
		}
		if p.Target.RequestID || t.real { // a real client's requests are known by it
			prepared = prepared.Numbered()
		}
		if p.Target.Pipeline > 1 {
			prepared = prepared.Pipelined(p.Target.Pipeline)
		}
		if p.Target.SplitWrites {
			prepared = prepared.Split()
		}
		t.Requests = append(t.Requests, prepared)
	}
	if err := t.reach(ctx); err != nil {
		return nil, err
	}
	if err := t.Dialer.CheckSources(ctx, t.Remotes); err != nil {
		return nil, fmt.Errorf("target.source_addresses: %w", err)
	}
	return t, nil
}

// Sources is the number of addresses that connections to the target come from, in
// turn; 0: the kernel chooses one.
func (t *Target) Sources() int {
	n := 0
	for _, source := range t.Dialer.Sources {
		if slices.ContainsFunc(t.Remotes, func(r netip.AddrPort) bool { return r.Addr().Is4() == source.Is4() }) {
			n++
		}
	}
	return n
}

// serve starts the lab and the proxies before it on the loopback, and returns the URL for
// the requests.
func (t *Target) serve(p *profiles.Profile) (string, error) {
	server, err := onCleanPort(func() (*lab.Server, error) { return lab.Start(*p.Target.Lab, "") })
	if err != nil {
		return "", err
	}
	t.lab = append(t.lab, server)
	where, address := server.URL(), server.Addr()
	for i := len(p.Target.Proxies) - 1; i >= 0; i-- {
		started, err := onCleanPort(func() (*proxy.Proxy, error) { return proxy.Start(p.Target.Proxies[i].Proxy, "", address) })
		if err != nil {
			return "", fmt.Errorf("target.proxies.%d: %w", i, err)
		}
		t.proxies = append([]*proxy.Proxy{started}, t.proxies...)
		where, address = started.URL(), started.Addr()
	}
	return where, nil
}

// Close stops what Open started, beginning at the client's side, so that none of it
// loses its peer before it stops. The error says that the network was broken before;
// a second call returns nil.
func (t *Target) Close() error {
	t.events.end()
	if t.link != nil {
		t.link.Close()
	}
	for _, p := range t.proxies {
		p.Close()
	}
	for _, s := range t.lab {
		s.Close()
	}
	for _, w := range t.watchers {
		_ = w.Close() // a read-only socket to the kernel
	}
	t.watchers = nil
	if t.names != nil {
		t.names.Close()
	}
	if t.network != nil {
		return t.network.Close()
	}
	return nil
}

// certificates returns the certificates of the servers and proxies of t, as PEM.
func (t *Target) certificates() (pem []byte) {
	for _, s := range t.lab {
		pem = append(pem, s.CertPEM()...)
	}
	for _, p := range t.proxies {
		pem = append(pem, p.CertPEM()...)
	}
	return pem
}

// dialer returns p's dialer, which trusts the certificates served, unless the profile names
// others.
func dialer(p *profiles.Profile, served []byte) (*dialers.Dialer, error) {
	config, err := ClientTLS(p.Target, served)
	if err != nil {
		return nil, err
	}
	if p.Target.TLS.CAFile == "" && len(served) > 0 && p.Network != nil && config.ServerName == "" {
		config.ServerName = "localhost" // which all certificates are valid for; the address may be a balancer's
	}
	if p.Target.TCP.UserTimeout > 0 && runtime.GOOS != "linux" {
		return nil, errors.New("target.tcp.user_timeout: TCP_USER_TIMEOUT is an option of Linux, and this system has none; remove it, and set pool.response_timeout")
	}
	return &dialers.Dialer{
		Timeout: p.Pool.ConnectTimeout, Nagle: p.Target.TCP.Nagle, KeepAlive: p.Target.TCP.KeepAlive, UserTimeout: p.Target.TCP.UserTimeout, TLS: config, Resume: p.Target.TLS.Resume,
		Sources: p.Target.Sources(), FallbackDelay: p.Pool.FallbackDelay, Fallback: p.Pool.Fallback, ResolveCache: p.Pool.ResolveCache,
	}, nil
}

// ClientTLS returns how a client checks the certificate of t's server: by the file that t
// names, else by the certificates served, which are in PEM form, else, if there are none,
// by the system's roots. It has the certificate that the client shows, if t names one.
func ClientTLS(t profiles.Target, served []byte) (*tls.Config, error) {
	config := &tls.Config{InsecureSkipVerify: t.TLS.Insecure, ServerName: t.TLS.ServerName}
	pem := served
	if path := t.TLS.CAFile; path != "" {
		var err error
		if pem, err = os.ReadFile(path); err != nil {
			return nil, fmt.Errorf("target.tls.ca_file: %w", err)
		}
	}
	if len(pem) > 0 || t.TLS.CAFile != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("target.tls.ca_file: %s holds no certificate in PEM form", t.TLS.CAFile)
		}
	}
	if t.TLS.CertFile != "" {
		shown, err := clientCertificate(t.TLS.CertFile, t.TLS.KeyFile, time.Now())
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{shown}
		// A certificate that the server's list of issuers leaves out is shown too: whether to
		// take it is the server's decision, and a run without it would be another question.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &shown, nil }
	}
	return config, nil
}

// putLinkBefore starts a link to the server of the requests and sends them
// through it. The server still sees its own name in the Host header.
func (t *Target) putLinkBefore(ctx context.Context, cfg script.Link, requests []targets.Request) error {
	server, err := oneServer(requests)
	if err != nil {
		return err
	}
	// A link accepts connections whether or not there is a server behind it.
	if err := t.lookAt(ctx, server.String(), withPort(server), server.Scheme == "https"); err != nil {
		return err
	}
	t.looks.over.Wait()
	if t.link, err = onCleanPort(func() (*lab.Link, error) { return lab.StartLink(cfg, "", withPort(server)) }); err != nil {
		return err
	}
	t.Servers = addresses(ctx, withPort(server))
	if t.Dialer.TLS.ServerName == "" {
		t.Dialer.TLS.ServerName = server.Hostname()
	}
	for i, r := range requests {
		u, err := url.Parse(r.URL)
		if err != nil {
			return err
		}
		if r.Header = r.Header.Clone(); r.Header == nil {
			r.Header = http.Header{}
		}
		if len(r.Values("Host")) == 0 {
			r.Header.Set("Host", u.Host)
		}
		r.URL = t.link.URL(u).String()
		requests[i] = r
	}
	return nil
}

// oneServer returns the server that all requests go to.
func oneServer(requests []targets.Request) (*url.URL, error) {
	var server *url.URL
	for _, r := range requests {
		u, err := url.Parse(r.URL)
		if err != nil {
			return nil, err
		}
		if server == nil {
			server = &url.URL{Scheme: u.Scheme, Host: u.Host}
		}
		if u.Host != server.Host || u.Scheme != server.Scheme {
			return nil, fmt.Errorf("target.link: the requests go to %s and %s, but a link leads to one server; remove target.link or the other server's requests", server.Host, u.Host)
		}
	}
	return server, nil
}

// Origins is the number of servers that the requests go to, by name.
func (t *Target) Origins() int {
	seen := map[dialers.Origin]bool{}
	for _, r := range t.Requests {
		seen[r.Origin()] = true
	}
	return len(seen)
}

// Networked reports whether t stands in a private network.
func (t *Target) Networked() bool { return t.network != nil }
