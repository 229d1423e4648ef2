package profiles

import (
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/profiles/targets"
)

// A rule is broken if when is true: the field at path is wrong then, and text says
// what to do.
type rule struct {
	when bool
	path string
	text string
}

// broken returns the complaints about the rules that are broken. section is the part
// of the profile that their paths are in; "" is the profile itself.
func broken(section string, rules ...rule) (list Errors) {
	for _, r := range rules {
		if r.when {
			list = append(list, Complaint{Path: strictyaml.Join(section, r.path), Text: r.text})
		}
	}
	return list
}

// maxPipeline bounds how many requests are sent without waiting for a response.
const maxPipeline = 1000

// maxBody bounds a body that is given by its size.
const maxBody = 64 << 20

// maxUserTimeout bounds TCP_USER_TIMEOUT: the kernel gives up before.
const maxUserTimeout = time.Hour

// complaints returns those about the section target.
func (t Target) complaints() Errors {
	list := broken("target", slices.Concat(t.placeRules(), t.headerRules(), t.bodyRules(), t.sendingRules(), t.sourceRules())...)
	if t.Lab != nil {
		list = append(list, strictyaml.Under("target.lab", t.Lab.Validate())...)
	}
	if t.Link != nil {
		list = append(list, strictyaml.Under("target.link", t.Link.Validate())...)
	}
	return list
}

// placeRules are about the destination of requests: one of url, file and lab.
func (t Target) placeRules() []rule {
	url, file, served := t.URL != "", t.File != "", t.Lab != nil
	wrong := ""
	if url {
		wrong = textOf(targets.CheckURL(t.URL))
	}
	return []rule{
		{!url && !file && !served, "url", "there is no target; set target.url, for example to http://127.0.0.1:8080/, or target.file or target.lab"},
		{url && served, "url", "target.lab is a target already; remove one (--set target.lab=null)"},
		{url && file && !served, "url", "target.file has the targets already; remove one"},
		{!url && file && served, "file", "target.lab is a target already; remove one (--set target.lab=null)"},
		{wrong != "", "url", wrong},
		{!targets.ValidMethod(t.Method), "method", fmt.Sprintf("%q is not an HTTP method, such as GET", t.Method)},
	}
}

// headerRules are about target.headers.
func (t Target) headerRules() []rule {
	var rules []rule
	spelled := map[string]string{} // by canonical name
	for _, name := range slices.Sorted(maps.Keys(t.Headers)) {
		path, canonical := "headers."+name, http.CanonicalHeaderKey(name)
		wrong := textOf(targets.CheckHeader(name, t.Headers[name]))
		first, twice := spelled[canonical]
		spelled[canonical] = name
		rules = append(rules,
			rule{wrong != "", path, wrong},
			rule{twice, path, fmt.Sprintf("the same header as %s; remove one", first)})
	}
	return rules
}

// bodyRules are about the body.
func (t Target) bodyRules() []rule {
	file, sized := t.File != "", 0 < t.BodySize && t.BodySize <= maxBody
	return []rule{
		{file && len(t.Headers) > 0, "headers", "not used with target.file: its targets have their own; remove them"},
		{file && t.Body != "", "body", "not used with target.file: its targets have their own; remove it"},
		{t.BodySize < 0 || t.BodySize > maxBody, "body_size", fmt.Sprintf("%d is not between 0 and %d bytes", t.BodySize, maxBody)},
		{sized && file, "body_size", "not used with target.file: its targets have their own; remove it"},
		{sized && !file && t.Body != "", "body_size", "target.body is a body already; remove one"},
	}
}

// sendingRules are about how requests are sent.
func (t Target) sendingRules() []rule {
	body := t.Body != "" || t.BodySize > 0 || t.File != ""
	pipelined := 1 < t.Pipeline && t.Pipeline <= maxPipeline
	unsafe := body || !pool.Idempotent(t.Method)
	known := t.Format == targets.FormatHTTP || t.Format == targets.FormatJSON
	return []rule{
		{t.Pipeline < 0 || t.Pipeline > maxPipeline, "pipeline", fmt.Sprintf("%d is not between 0 and %d requests", t.Pipeline, maxPipeline)},
		{pipelined && unsafe, "pipeline", "a request with a body, from a file, or with a method that is not idempotent must not be sent before the previous response; remove it"},
		{pipelined && !unsafe && t.RequestID, "pipeline", "not used with request_id, which is one number for each exchange; remove one"},
		{t.SplitWrites && !body, "split_writes", "has no effect without a body; give body or body_size"},
		{t.RequestID && t.hasHeader("X-Request-Id"), "request_id", "target.headers has an X-Request-Id already; remove one"},
		{known && t.File == "", "format", "has no effect without target.file; remove it"},
		{t.Format != "" && !known, "format", fmt.Sprintf("%q is none of %s, %s", t.Format, targets.FormatHTTP, targets.FormatJSON)},
		{t.TLS.Insecure && t.TLS.CAFile != "", "tls.ca_file", "has no effect, because tls.insecure accepts any certificate; remove one"},
		{t.TLS.Resume && t.neverTLS(), "tls.resume", "has no effect, because the target does not speak TLS; remove it"},
		{t.TLS.CertFile != "" && t.neverTLS(), "tls.cert_file", "has no effect, because the target does not speak TLS; remove it"},
		{t.TLS.KeyFile != "" && t.TLS.CertFile == "", "tls.key_file", "needs tls.cert_file, the certificate that belongs to the key"},
		{t.TCP.UserTimeout < 0 || t.TCP.UserTimeout > maxUserTimeout, "tcp.user_timeout", fmt.Sprintf("%v is not between 0 and %v (0 means none)", t.TCP.UserTimeout, maxUserTimeout)},
		{t.TCP.KeepAlive < 0, "tcp.keep_alive", fmt.Sprintf("%v is negative (0 means off)", t.TCP.KeepAlive)},
	}
}

// momentComplaints returns the complaints about events of the lab for hosts that are none of
// servers.
func (t Target) momentComplaints(servers []string) (list Errors) {
	if t.Lab == nil {
		return nil
	}
	for _, at := range []struct {
		field   string
		moments script.Moments
	}{{"reload_on", t.Lab.ReloadOn}, {"stop_on", t.Lab.StopOn}} {
		for _, host := range slices.Sorted(maps.Keys(at.moments)) {
			list = append(list, broken("target.lab", rule{host != "" && !slices.Contains(servers, host), at.moments.Path(at.field, host),
				fmt.Sprintf("no host %q serves the target; name one event for all servers, or a host of target.on", host)})...)
		}
	}
	return list
}

// neverTLS reports whether it is known that no connection to t is over TLS.
func (t Target) neverTLS() bool {
	switch {
	case t.Lab == nil:
		return t.File == "" && strings.HasPrefix(strings.ToLower(t.URL), "http:")
	case len(t.Proxies) > 0:
		return !t.Proxies[0].TLS
	}
	return !t.Lab.TLS
}

// hasHeader reports whether target.headers contains a header, in any spelling.
func (t Target) hasHeader(name string) bool {
	for spelled := range t.Headers {
		if strings.EqualFold(spelled, name) {
			return true
		}
	}
	return false
}

// sourceRules are about source_addresses. The run checks whether the addresses belong
// to its machine: a profile may be checked on another one.
func (t Target) sourceRules() []rule {
	var rules []rule
	bad := func(i int, format string, args ...any) {
		rules = append(rules, rule{true, fmt.Sprintf("source_addresses.%d", i), fmt.Sprintf(format, args...)})
	}
	seen := map[netip.Addr]bool{}
	target, literal := t.literal()
	for i, text := range t.SourceAddresses {
		addr, err := netip.ParseAddr(text)
		addr = addr.Unmap()
		switch {
		case err != nil:
			bad(i, "%q is not an IP address, such as 127.0.0.2 or fd00::2; name each address on its own", text)
			continue
		case addr.Zone() != "":
			bad(i, "%s has a zone, which is not supported; name an address without one", text)
		case addr.IsUnspecified(), addr.IsMulticast():
			bad(i, "%s is not an address of a machine; remove it", text)
		case seen[addr]:
			bad(i, "%s is given twice; remove one", text)
		case literal && addr.Is4() != target.Is4():
			bad(i, "%s and the target, which is at %v, are not both IPv4 or both IPv6; remove it", text, target)
		}
		seen[addr] = true
	}
	return rules
}

// textOf returns an error's text, or "".
func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
