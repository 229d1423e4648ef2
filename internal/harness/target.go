package harness

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/internal/sandbox"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/targets"
	"github.com/kabench/kabench/results"
)

// InputError is something the user asked for that cannot be done, found before
// any traffic.
type InputError struct{ Err error }

func (e *InputError) Error() string { return e.Err.Error() }
func (e *InputError) Unwrap() error { return e.Err }

func inputErrorf(format string, args ...any) error { return &InputError{fmt.Errorf(format, args...)} }

// target is a profile's target, standing: what the profile has kabench serve is
// being served.
type target struct {
	network  *sandbox.Network // nil: this machine's
	lab      []*lab.Server    // none: somebody else's
	proxies  []*lab.Proxy     // before the lab's servers, the client's side first
	link     *lab.Link        // nil: none
	requests []*dialers.Request
	names    []string         // of the targets of requests, as results shows them
	secrets  *results.Secrets // what the requests carry that nothing may show
	dialer   *dialers.Dialer
	remotes  []netip.AddrPort // where connections go
	servers  []netip.AddrPort // where the server accepts, if not there
	looks    looks
}

// open makes p's target stand. Whatever it started is stopped when it fails.
func open(ctx context.Context, p *profiles.Profile) (_ *target, err error) {
	t := &target{}
	defer func() {
		if err != nil {
			t.close()
			err = withoutSecrets(t.secrets, err)
		}
	}()
	p = p.Clone()
	switch {
	case p.Network != nil:
		p.Target.URL, err = t.serveInNetwork(p)
	case p.Target.Lab != nil:
		p.Target.URL, err = t.serve(p)
	}
	if err != nil {
		return nil, &InputError{err}
	}
	if t.dialer, err = dialer(p, t.certificates()); err != nil {
		return nil, err
	}
	requests, err := profiles.Requests(p)
	if err != nil {
		return nil, &InputError{err}
	}
	t.secrets = profiles.Secrets(p, requests)
	t.names = targetNames(requests, t.secrets)
	if p.Target.Link != nil {
		if err := t.putLinkBefore(ctx, *p.Target.Link, requests); err != nil {
			return nil, err
		}
	}
	for _, r := range requests {
		prepared, err := dialers.NewRequest(r.Method, r.URL, r.Header, r.Body)
		if err != nil {
			return nil, &InputError{profiles.WithoutSecrets(fmt.Errorf("target %s: %w", r.URL, err), r.URL)}
		}
		if p.Target.RequestID {
			prepared = prepared.Numbered()
		}
		if p.Target.Pipeline > 1 {
			prepared = prepared.Pipelined(p.Target.Pipeline)
		}
		if p.Target.SplitWrites {
			prepared = prepared.Split()
		}
		t.requests = append(t.requests, prepared)
	}
	if err := t.reach(ctx); err != nil {
		return nil, err
	}
	if err := t.dialer.CheckSources(ctx, t.remotes); err != nil {
		return nil, inputErrorf("target.source_addresses: %w", err)
	}
	return t, nil
}

// withoutSecrets is err without the secrets in its text.
func withoutSecrets(s *results.Secrets, err error) error {
	if input, ok := err.(*InputError); ok {
		return &InputError{s.Error(input.Err)}
	}
	return s.Error(err)
}

// sources is how many addresses connections to the target come from, in turn;
// 0: the kernel chooses.
func (t *target) sources() int {
	n := 0
	for _, source := range t.dialer.Sources {
		if slices.ContainsFunc(t.remotes, func(r netip.AddrPort) bool { return r.Addr().Is4() == source.Is4() }) {
			n++
		}
	}
	return n
}

// serve starts the lab and what stands before it on the loopback, and returns
// the address of its page.
func (t *target) serve(p *profiles.Profile) (string, error) {
	server, err := unused(func() (*lab.Server, error) { return lab.Start(*p.Target.Lab, "") })
	if err != nil {
		return "", err
	}
	t.lab = append(t.lab, server)
	where, address := server.URL(), server.Addr()
	for i := len(p.Target.Proxies) - 1; i >= 0; i-- {
		proxy, err := unused(func() (*lab.Proxy, error) { return lab.StartProxy(p.Target.Proxies[i].ProxyConfig, "", address) })
		if err != nil {
			return "", fmt.Errorf("target.proxies.%d: %w", i, err)
		}
		t.proxies = append([]*lab.Proxy{proxy}, t.proxies...)
		where, address = proxy.URL(), proxy.Addr()
	}
	return where, nil
}

// close stops what was started, from the client's side on, so that nobody is
// left without whom it talks to. The error is that of a network which was
// broken before; again it is nil.
func (t *target) close() error {
	if t.link != nil {
		t.link.Close()
	}
	for _, p := range t.proxies {
		p.Close()
	}
	for _, s := range t.lab {
		s.Close()
	}
	if t.network != nil {
		return t.network.Close()
	}
	return nil
}

// certificates are those of what t serves, as PEM.
func (t *target) certificates() (pem []byte) {
	for _, s := range t.lab {
		pem = append(pem, s.CertPEM()...)
	}
	for _, p := range t.proxies {
		pem = append(pem, p.CertPEM()...)
	}
	return pem
}

// dialer is p's, which trusts the certificates served unless the profile names
// others.
func dialer(p *profiles.Profile, served []byte) (*dialers.Dialer, error) {
	config := &tls.Config{InsecureSkipVerify: p.Target.TLS.Insecure, ServerName: p.Target.TLS.ServerName}
	var pem []byte
	if path := p.Target.TLS.CAFile; path != "" {
		var err error
		if pem, err = os.ReadFile(path); err != nil {
			return nil, inputErrorf("target.tls.ca_file: %w", err)
		}
	} else if pem = served; len(pem) > 0 && p.Network != nil && config.ServerName == "" {
		config.ServerName = "localhost" // which all of them are good for: the address may be a balancer's
	}
	if len(pem) > 0 || p.Target.TLS.CAFile != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, inputErrorf("target.tls.ca_file: %s holds no certificate in PEM form", p.Target.TLS.CAFile)
		}
	}
	return &dialers.Dialer{
		Timeout: p.Pool.ConnectTimeout, Nagle: p.Target.TCP.Nagle, KeepAlive: p.Target.TCP.KeepAlive, TLS: config,
		Sources: p.Target.Sources(),
	}, nil
}

// putLinkBefore starts a link to the server of the requests and sends them
// through it. The server still sees its own name in the Host header.
func (t *target) putLinkBefore(ctx context.Context, cfg lab.LinkConfig, requests []targets.Request) error {
	server, err := oneServer(requests)
	if err != nil {
		return err
	}
	// A link accepts whether or not there is a server behind it.
	if err := t.lookAt(ctx, server.String(), withPort(server), server.Scheme == "https"); err != nil {
		return err
	}
	t.looks.over.Wait()
	if t.link, err = unused(func() (*lab.Link, error) { return lab.StartLink(cfg, "", withPort(server)) }); err != nil {
		return &InputError{err}
	}
	t.servers = addresses(ctx, withPort(server))
	if t.dialer.TLS.ServerName == "" {
		t.dialer.TLS.ServerName = server.Hostname()
	}
	for i, r := range requests {
		u, err := url.Parse(r.URL)
		if err != nil {
			return &InputError{err}
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

// oneServer is the server that all the requests go to.
func oneServer(requests []targets.Request) (*url.URL, error) {
	var server *url.URL
	for _, r := range requests {
		u, err := url.Parse(r.URL)
		if err != nil {
			return nil, &InputError{err}
		}
		if server == nil {
			server = &url.URL{Scheme: u.Scheme, Host: u.Host}
		}
		if u.Host != server.Host || u.Scheme != server.Scheme {
			return nil, inputErrorf("target.link: the requests go to %s and %s, but a link leads to one server; remove target.link or the other server's requests", server.Host, u.Host)
		}
	}
	return server, nil
}

func withPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// addresses are those a name and port stand for; none when they cannot be
// looked up.
func addresses(ctx context.Context, hostport string) []netip.AddrPort {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil
	}
	n, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	var all []netip.AddrPort
	for _, ip := range ips {
		all = append(all, netip.AddrPortFrom(ip.Unmap(), uint16(n)))
	}
	return all
}
