package profiles

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles/targets"
)

// maxPipeline bounds how many requests are sent without waiting for an answer.
const maxPipeline = 1000

// maxBody bounds a body that is given by its size.
const maxBody = 64 << 20

// validate returns the complaints about t, joined, each beginning with the
// field's path.
func (t Target) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	switch {
	case t.URL == "" && t.File == "" && t.Lab == nil:
		bad("url: there is no target; set target.url, for example to http://127.0.0.1:8080/, or target.file or target.lab")
	case t.URL != "" && t.Lab != nil:
		bad("url: target.lab is a target already; remove one (--set target.lab=null)")
	case t.URL != "" && t.File != "":
		bad("url: target.file has the targets already; remove one")
	case t.File != "" && t.Lab != nil:
		bad("file: target.lab is a target already; remove one (--set target.lab=null)")
	}
	if t.URL != "" {
		if err := targets.CheckURL(t.URL); err != nil {
			bad("url: %w", err)
		}
	}
	if !targets.ValidMethod(t.Method) {
		bad("method: %q is not an HTTP method, such as GET", t.Method)
	}
	canonical := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(t.Headers)) {
		if err := targets.CheckHeader(name, t.Headers[name]); err != nil {
			bad("headers.%s: %w", name, err)
		}
		if first, twice := canonical[http.CanonicalHeaderKey(name)]; twice {
			bad("headers.%s: the same header as %s; remove one", name, first)
		}
		canonical[http.CanonicalHeaderKey(name)] = name
	}
	if t.File != "" && len(t.Headers) > 0 {
		bad("headers: not used with target.file, whose targets have their own; remove them")
	}
	if t.File != "" && t.Body != "" {
		bad("body: not used with target.file, whose targets have their own; remove it")
	}
	switch {
	case t.BodySize < 0 || t.BodySize > maxBody:
		bad("body_size: %d is not between 0 and %d bytes", t.BodySize, maxBody)
	case t.BodySize > 0 && t.File != "":
		bad("body_size: not used with target.file, whose targets have their own; remove it")
	case t.BodySize > 0 && t.Body != "":
		bad("body_size: target.body is a body already; remove one")
	}
	switch {
	case t.Pipeline < 0 || t.Pipeline > maxPipeline:
		bad("pipeline: %d is not between 0 and %d requests", t.Pipeline, maxPipeline)
	case t.Pipeline <= 1:
	case t.Body != "" || t.BodySize > 0 || t.File != "" || !pool.Idempotent(t.Method):
		bad("pipeline: requests with a body, of a file, or that are not idempotent are not sent before the answer to those ahead of them is known; remove it")
	case t.RequestID:
		bad("pipeline: not used with request_id, which is one number for each exchange; remove one")
	}
	if t.SplitWrites && t.Body == "" && t.BodySize == 0 && t.File == "" {
		bad("split_writes: has no effect without a body; give body or body_size")
	}
	if t.RequestID && canonical["X-Request-Id"] != "" {
		bad("request_id: target.headers has an X-Request-Id already; remove one")
	}
	switch t.Format {
	case "":
	case targets.FormatHTTP, targets.FormatJSON:
		if t.File == "" {
			bad("format: has no effect without target.file; remove it")
		}
	default:
		bad("format: %q is none of %s, %s", t.Format, targets.FormatHTTP, targets.FormatJSON)
	}
	if t.TLS.Insecure && t.TLS.CAFile != "" {
		bad("tls.ca_file: has no effect, because tls.insecure accepts any certificate; remove one")
	}
	if t.TCP.KeepAlive < 0 {
		bad("tcp.keep_alive: %v is negative (0 means off)", t.TCP.KeepAlive)
	}
	errs = append(errs, t.checkSources()...)
	if t.Lab != nil {
		errs = append(errs, within("lab", t.Lab.Validate())...)
	}
	if t.Link != nil {
		errs = append(errs, within("link", t.Link.Validate())...)
	}
	return errors.Join(errs...)
}

// within puts a section in front of each complaint about its fields.
func within(section string, err error) []error {
	var errs []error
	for _, err := range strictyaml.Unjoin(err) {
		errs = append(errs, fmt.Errorf("%s.%w", section, err))
	}
	return errs
}

// checkSources returns the complaints about SourceAddresses. Whether they are of
// this machine is for the run to find out: a profile may be checked on another.
func (t Target) checkSources() []error {
	var errs []error
	bad := func(i int, format string, args ...any) {
		errs = append(errs, fmt.Errorf("source_addresses.%d: "+format, append([]any{i}, args...)...))
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
	return errs
}
