package target

import (
	"net/url"
	"os"
	"strings"

	"github.com/kabench/kabench/profiles"
)

// Serves reports whether p has kabench serve a target, or something in front of one.
func Serves(p *profiles.Profile) bool {
	return p.Network != nil || p.Target.Lab != nil || p.Target.Link != nil || len(p.Target.Proxies) > 0
}

// ForOthers returns p, whose target t is, as other processes of this machine need it: the
// addresses of kabench's own servers and link replace their descriptions. The other
// processes send the same bytes that this one would send. certificates is the path of a file
// that ForOthers writes, if they need the certificates of these servers.
func (t *Target) ForOthers(p *profiles.Profile, certificates string) (*profiles.Profile, error) {
	p = p.Clone()
	to := &p.Target
	if t.url != "" {
		to.URL = t.url
	}
	to.Lab, to.On, to.At, to.Proxies, to.Link = nil, nil, "", nil, nil
	if err := t.trust(p, certificates); err != nil {
		return nil, err
	}
	if t.link == nil {
		return p, nil
	}
	server, err := url.Parse(to.URL)
	if err != nil {
		return nil, err
	}
	if !hasHost(to.Headers) {
		if to.Headers == nil {
			to.Headers = map[string]string{}
		}
		to.Headers["Host"] = server.Host
	}
	if server.Scheme == "https" && to.TLS.ServerName == "" {
		to.TLS.ServerName = server.Hostname()
	}
	to.URL = t.link.URL(server).String()
	return p, nil
}

// trust has p's client trust the certificates that t serves, unless p names others.
func (t *Target) trust(p *profiles.Profile, path string) error {
	tls := &p.Target.TLS
	served := t.certificates()
	switch {
	case len(served) == 0 || tls.Insecure || tls.CAFile != "" || !strings.HasPrefix(p.Target.URL, "https:"):
		return nil
	case p.Client == profiles.ClientExternal: // a driver does not get certificates
		tls.Insecure = true
		return nil
	}
	tls.CAFile = path
	return os.WriteFile(path, served, 0o644)
}

func hasHost(headers map[string]string) bool {
	for name := range headers {
		if strings.EqualFold(name, "Host") {
			return true
		}
	}
	return false
}
