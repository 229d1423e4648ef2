package profiles

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/kabench/kabench/profiles/network"

	"golang.org/x/net/http/httpguts"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
)

// Validate returns every complaint about p as an Errors; nil when there is
// none. It changes nothing, and reads no file but a pool that a remedy names.
func (p *Profile) Validate() error { return p.complaints().asError() }

func (p *Profile) complaints() Errors {
	own := p.ownComplaints()
	list := append(slices.Clone(own), badWords("says.happened", p.Says.Happened)...)
	list = append(list, badWords("says.set", p.Says.Set)...)
	for i, r := range p.Remedies {
		at := join("remedies", strconv.Itoa(i))
		if r.Name == "" {
			list = append(list, Complaint{Path: join(at, "name"), Text: "a remedy needs a name"})
		}
		if len(r.Set) == 0 {
			list = append(list, Complaint{Path: join(at, "set"), Text: "changes nothing; say what to set, as path: value"})
		}
		list = append(list, badExpectations(join(at, "expect"), r.Expect, results.ValidateRemedy)...)
		list = append(list, badWords(join(at, "cost"), r.Cost)...)
		remedied, err := p.With(r)
		var bad Errors
		if errors.As(err, &bad) {
			for _, c := range bad {
				list = append(list, Complaint{Path: join(join(at, "set"), c.Path), Text: c.Text})
			}
			continue
		}
		if len(own) > 0 {
			continue // the same would be said again
		}
		list = append(list, remedied.neverKnown(join(at, "expect"), remedied.Expect)...)
		remedied.Expect = nil // looked at above
		for _, c := range remedied.ownComplaints() {
			list = append(list, Complaint{Path: join(at, "set"), Text: "with this change, " + c.Error()})
		}
	}
	return list
}

// With is p changed as the remedy says, its expectations in place of p's. It is
// not validated.
func (p *Profile) With(r Remedy) (*Profile, error) {
	changed := p.Clone()
	var list Errors
	for _, path := range slices.Sorted(maps.Keys(r.Set)) {
		var bad Errors
		if errors.As(Set(changed, path, r.Set[path]), &bad) {
			list = append(list, bad...)
		}
	}
	changed.Expect = maps.Clone(r.Expect)
	changed.Remedies = nil
	return changed, list.asError()
}

// ownComplaints are those about p without its remedies.
func (p *Profile) ownComplaints() Errors {
	var list Errors
	if p.Client != ClientPolicy && p.Client != ClientStock {
		list = append(list, Complaint{Path: "client", Text: fmt.Sprintf("%q is none of %s, %s", p.Client, ClientPolicy, ClientStock)})
	}
	if p.Target.SplitWrites && p.Client == ClientStock {
		list = append(list, Complaint{Path: "target.split_writes", Text: "the stock client writes requests its own way; remove it"})
	}
	if p.Target.Pipeline > 1 && p.Client == ClientStock {
		list = append(list, Complaint{Path: "target.pipeline", Text: "the stock client does not pipeline; remove it"})
	}
	list = append(list, under("load", p.Load.Validate())...)
	list = append(list, under("pool", p.Pool.Validate())...)
	list = append(list, under("target", p.Target.validate())...)
	list = append(list, p.networkComplaints()...)
	list = append(list, under("server", p.Server.Validate())...)
	list = append(list, under("via", p.Via.Validate())...)
	if p.Preset != "" {
		if _, found := FindPool(p.Preset); !found {
			list = append(list, Complaint{Path: "preset", Text: fmt.Sprintf("there is no preset %q; 'kabench pools' lists them, and --pool NAME takes one's parameters", p.Preset)})
		}
	}
	list = append(list, p.neverKnown("expect", p.Expect)...)
	list = append(list, p.neverKnown("abort_when", p.AbortWhen)...)
	list = append(list, badExpectations("expect", p.Expect, results.ValidateExpectations)...)
	return append(list, badExpectations("abort_when", p.AbortWhen, results.ValidateAbort)...)
}

// neverKnown are the conditions, in that section, on what p's runs cannot know.
func (p *Profile) neverKnown(section string, conditions map[string]string) Errors {
	var list Errors
	for _, path := range slices.Sorted(maps.Keys(conditions)) {
		why := results.NeverKnown(path, p.Client, p.Target.Lab != nil, len(p.Target.Proxies) > 0, p.Network != nil)
		if why == "" {
			why = p.neverCounted(path)
		}
		if why != "" {
			list = append(list, Complaint{Path: join(section, path), Text: "can never be checked: " + why + "; remove it"})
		}
	}
	return list
}

// neverCounted says why p's runs do not count what is at path; "" if they do.
func (p *Profile) neverCounted(path string) string {
	section, rest, _ := strings.Cut(path, ".")
	name, _, dotted := strings.Cut(rest, ".")
	switch {
	case section == "kernel" && dotted && name != network.ClientName && !slices.Contains(hostNames(p.Network), name):
		return fmt.Sprintf("there is no host %q (%s)", name, hostsThereAre(hostNames(p.Network)))
	case section == "lab" && dotted && name == "headers" && !p.Target.Lab.RecordHeaders:
		return "the server keeps no headers without target.lab.record_headers: true"
	case path == "ports.met" || path == "ports.predicted":
		if p.Client == ClientStock || p.Pool.MaxIdle != 0 && p.Pool.MaxRequests == 0 {
			return "when ports run out is predicted only where each connection serves so many requests: pool.max_idle: 0 or pool.max_requests"
		}
	}
	return p.neverMeasured(path)
}

// neverMeasured says why p's runs have no time of what is at path; "" if they do.
func (p *Profile) neverMeasured(path string) string {
	for _, kind := range []string{"fresh.", "reused.", "failed."} {
		path = strings.TrimPrefix(path, kind)
	}
	name, stat, timed := strings.Cut(path, ".")
	if !timed || stat == "count" || stat == "overflow" {
		return ""
	}
	switch {
	case name == results.LatencyBuffer && p.Load.Buffer == 0:
		return "nothing waits in a buffer without load.buffer"
	case name == results.PhaseTLS.String() && p.Target.Lab != nil && !p.Target.Lab.TLS:
		return "the target does not speak TLS (target.lab.tls)"
	case name == results.PhaseTLS.String() && strings.HasPrefix(p.Target.URL, "http:"):
		return "the target does not speak TLS (target.url is http:)"
	}
	return ""
}

func badExpectations(section string, expect map[string]string, validate func(map[string]string) error) Errors {
	var list Errors
	for _, path := range slices.Sorted(maps.Keys(expect)) {
		if err := validate(map[string]string{path: expect[path]}); err != nil {
			list = append(list, Complaint{Path: join(section, path), Text: strings.TrimPrefix(err.Error(), path+": ")})
		}
	}
	return list
}

// badWords complains about the figures named in words of the verdict.
func badWords(path, text string) Errors {
	if err := results.ValidateFillIn(text); err != nil {
		return Errors{{Path: path, Text: err.Error()}}
	}
	return nil
}

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
		if err := checkURL(t.URL); err != nil {
			bad("url: %w", err)
		}
	}
	if !validMethod(t.Method) {
		bad("method: %q is not an HTTP method, such as GET", t.Method)
	}
	canonical := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(t.Headers)) {
		if err := checkHeader(name, t.Headers[name]); err != nil {
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
	case formatHTTP, formatJSON:
		if t.File == "" {
			bad("format: has no effect without target.file; remove it")
		}
	default:
		bad("format: %q is none of %s, %s", t.Format, formatHTTP, formatJSON)
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
	for _, err := range unjoin(err) {
		errs = append(errs, fmt.Errorf("%s.%w", section, err))
	}
	return errs
}

// checkURL says what keeps text from being the URL of a target.
func checkURL(text string) error {
	u, err := url.Parse(text)
	var bad *url.Error
	switch {
	case errors.As(err, &bad):
		return fmt.Errorf("not a URL: %w", bad.Err)
	case err != nil:
		return fmt.Errorf("not a URL: %w", err)
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%q must begin with http:// or https://", redactURL(text))
	case u.Hostname() == "":
		return fmt.Errorf("%q names no host; write it as http://127.0.0.1:8080/", redactURL(text))
	case !validPort(u.Port()):
		return fmt.Errorf("port %s is not between 1 and 65535", u.Port())
	}
	return nil
}

func validPort(port string) bool {
	if port == "" {
		return true // the scheme's
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// validMethod reports whether a method is a token, as header names are.
func validMethod(method string) bool { return httpguts.ValidHeaderFieldName(method) }

// checkHeader says what keeps a header from being sent.
func checkHeader(name, value string) error {
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return errors.New("not a valid header name")
	case !httpguts.ValidHeaderFieldValue(value):
		return errors.New("the value has characters that a header cannot carry")
	}
	switch http.CanonicalHeaderKey(name) {
	case "Content-Length", "Transfer-Encoding":
		return errors.New("kabench sets it by the body; remove it")
	case "Trailer":
		return errors.New("kabench sends no trailers; remove it")
	}
	return nil
}
