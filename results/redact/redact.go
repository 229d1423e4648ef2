package redact

import (
	"cmp"
	"maps"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kabench/kabench/results"
)

// blanked stands in reports where a secret was.
const blanked = "(blanked)"

// Redactor makes what was measured fit to be shown to anybody: names and
// addresses of hosts become host-1, address-1 and so on, the same everywhere it
// has been used, paths of files and of URLs go, and what looks like a secret is
// blanked. The values of headers, user names and secret parameters are blanked
// in the results already; this is about texts that a server or a system wrote.
//
// The zero value knows no hosts: Learn them from each document before it is
// used. It errs on the side of secrecy.
type Redactor struct {
	// ShowHosts leaves hosts, addresses and paths as they are, and blanks
	// secrets alone.
	ShowHosts bool

	names     map[string]string     // a host's name, in lower case -> what stands for it
	addresses map[netip.Addr]string // the same of addresses
	keep      map[netip.Prefix]bool // private networks that kabench made
	paths     []string              // of files and directories that are read, the longest first
	arms      []arm                 // names that would change, the longest first
	hosts     int
}

// arm is the name of a configuration, and what stands for it: two that differ
// in a path or a secret must not be called the same.
type arm struct{ name, stands string }

// standIn is what is in the place of the arm with this index while a text is gone
// through: a character that no rule knows.
func standIn(i int) string { return string(rune(0xF0000 + i)) }

// Learn notes the names of hosts in the profile of run, and which addresses are
// of a private network and say nothing.
func (r *Redactor) Learn(run *results.Run) {
	if run == nil || r.ShowHosts {
		return
	}
	for _, host := range results.SetupOf(run).Hosts {
		r.learn(host)
	}
	if b := run.Baseline; b != nil {
		if host, _, _ := strings.Cut(b.Name, ":"); hostForm(strings.ToLower(host)) {
			r.learn(b.Name) // a run without a profile is named after its target
		}
	}
	if p := run.Packets; p != nil {
		if r.keep == nil {
			r.keep = map[netip.Prefix]bool{}
		}
		for _, e := range p.Failures {
			for _, end := range []string{e.Client, e.Server} {
				if at, err := netip.ParseAddrPort(end); err == nil && at.Addr().Is4() && at.Addr().IsPrivate() {
					r.keep[network(at.Addr())] = true
				}
			}
		}
	}
	for _, o := range run.Outcomes {
		if m := lookedUp.FindStringSubmatch(o.Example); m != nil {
			r.learn(m[1])
		}
	}
}

// learnPath notes where results are, as it was given and in full: it goes
// wherever it is in a text, whatever is in it. A name alone is no path, and may be a word.
func (r *Redactor) learnPath(path string) {
	full, err := filepath.Abs(path)
	if err != nil {
		full = path
	}
	for _, p := range []string{path, filepath.Clean(path), full} {
		if strings.ContainsAny(p, `/\\`) && len(p) > 3 && !slices.Contains(r.paths, p) {
			r.paths = append(r.paths, p)
		}
	}
	slices.SortFunc(r.paths, longestFirst)
}

// learnArms notes how the arms of c are called.
func (r *Redactor) learnArms(c *results.Comparison) {
	if c == nil {
		return
	}
	used := map[string]bool{}
	var list []arm
	for _, a := range c.Arms {
		if a.Name == "" {
			continue
		}
		shown := r.Text(a.Name)
		for n, first := 2, shown; used[shown]; n++ {
			shown = first + " (" + strconv.Itoa(n) + ")"
		}
		used[shown] = true
		if shown != a.Name || r.Text(shown) != shown {
			list = append(list, arm{a.Name, shown})
		}
	}
	slices.SortFunc(list, func(a, b arm) int { return longestFirst(a.name, b.name) })
	r.arms = list
}

// learn notes the host of text, with a port or without. Words that results are
// made of say nothing, and stay.
func (r *Redactor) learn(text string) {
	host := strings.ToLower(strings.Trim(text, "[] ."))
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.Count(host, ":") == 1 {
		host = host[:i]
	}
	if _, err := netip.ParseAddr(host); err == nil || host == "" || ownWords[host] {
		return // addresses are found wherever they are
	}
	r.nameOf(host)
	if dashed := strings.ReplaceAll(host, ".", "-"); dashed != host {
		r.names[dashed] = r.names[host] // as in the name of a directory
	}
}

// ownWords are hosts whose names say nothing, because results use them as words.
var ownWords = map[string]bool{
	"localhost": true, "client": true, "server": true, "proxy": true, "link": true, "peer": true, "target": true,
	"pool": true, "run": true, "incident": true, "remedy": true, "kabench": true, "host": true, "a": true,
	"http": true, "https": true, "tcp": true, "tls": true, "fin": true, "rst": true, "ok": true, "failed": true,
}

// nameOf is what stands for the host called name.
func (r *Redactor) nameOf(name string) string {
	if r.names == nil {
		r.names = map[string]string{}
	}
	name = strings.ToLower(name)
	if r.names[name] == "" {
		r.hosts++
		r.names[name] = "host-" + strconv.Itoa(r.hosts)
	}
	return r.names[name]
}

// network is the one that hosts of a private network of kabench's are in.
func network(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, 16).Masked() }

// addressOf is what stands for an address. Loopback and unspecified ones are
// everybody's, and those of kabench's own networks nobody's.
func (r *Redactor) addressOf(a netip.Addr) string {
	plain := a.Unmap().WithZone("")
	if plain.IsLoopback() || plain.IsUnspecified() || plain.Is4() && r.keep[network(plain)] {
		return ""
	}
	if r.addresses == nil {
		r.addresses = map[netip.Addr]string{}
	}
	if r.addresses[plain] == "" {
		r.addresses[plain] = "address-" + strconv.Itoa(len(r.addresses)+1)
	}
	return r.addresses[plain]
}

var (
	// lookedUp is the name in the error of a lookup, certified are those that a
	// certificate was for, and authority is who signed it: no form tells what they are.
	lookedUp  = regexp.MustCompile(`\blookup ([^\s:]+)`)
	certified = regexp.MustCompile(`(valid for (?:any of )?)(.*)(, not )`)

	authority = regexp.MustCompile(`(authority certificate )"[^"]*"`)

	anyURL = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>|]+`)
	// filePath is a path of two parts or more, from the root, a home, a drive or another machine.
	filePath = regexp.MustCompile(`(^|[\s"'(=:,<\[{])(~?(?:/[^\s/"'():,\]>}]+){2,}/?|~/[^\s"'():,]+|[A-Za-z]:\\[^\s"'():,]+|\\\\[^\s"'():,]+)`)
	// pathError is a path in the error of a system call, where it may have spaces.
	pathError = regexp.MustCompile(`\b(open|read|write|stat|lstat|mkdir|remove|readdirent|fdopendir|truncate|close|sync|fork/exec) ((?:~?/|[A-Za-z]:\\|\\\\)[^:"\n]+|[^\s:"]*[/\\][^\s:"]*)(: )`)
	// systemPath begins those that every machine has.
	systemPath = regexp.MustCompile(`^/(?:proc|sys|dev)/`)
	// word is a host name, an address, or another word with dots or colons in it.
	word = regexp.MustCompile(`[\p{L}\p{N}_.:%*-]+`)

	// named is a secret after its name, as in a header, a parameter or JSON.
	named = regexp.MustCompile(`(?i)([\w-]*(?:auth|bearer|cookie|credential|csrf|jwt|passw|passphrase|pwd|secret|session|sessid|token|signature|xsrf|api[-_]?key|access[-_]?key|private[-_]?key)[\w-]*["']?\s*[:=]\s*)("[^"]*"?|'[^']*'?|[^\r\n"&]+)`)
	// scheme is a secret after the name of how it is used.
	scheme = regexp.MustCompile(`(?i)\b(bearer|basic|digest|negotiate)\s+[A-Za-z0-9._~+/=-]{6,}`)
	// user is what stands before the host in a URL, or before that of an address of mail.
	user = regexp.MustCompile(`(//)[^/\s@"]+@|\b[\w.+-]+@([\w-]+\.)`)
	// parameter is a secret after the name of a parameter that is too short to be one elsewhere.
	parameter = regexp.MustCompile(`(?i)\b(sid|sig|pass|otp)=[^\s"'&;]+`)
	// numbered is a host named after its address, as a cloud does.
	numbered = regexp.MustCompile(`^ip-\d{1,3}(?:-\d{1,3}){3}$`)
	// shaped are secrets that are known by their shape: JSON web tokens, keys of AWS,
	// GitHub, GitLab, npm, Slack, Google, Stripe and those that begin alike, PEM.
	shaped = regexp.MustCompile(`eyJ[\w-]{8,}\.[\w-]+\.?[\w-]*|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}|\bnpm_\w{30,}|\bsk-[\w-]{20,}|\bxox[abprs]-[\w-]{10,}|\bAIza[\w-]{30,}|\b[sr]k_(?:live|test)_\w{10,}|-----BEGIN [^-]*-----[^-]*(?:-----END [^-]*-----)?`)
)

// Text is text with the hosts that are known, all addresses, paths of files and
// secrets gone.
func (r *Redactor) Text(text string) string { return r.text(text, false) }

// Foreign is Text of what a server or a system may have written: whatever has
// the form of a host's name is gone as well.
func (r *Redactor) Foreign(text string) string { return r.text(text, true) }

func (r *Redactor) text(text string, foreign bool) string {
	if text == "" {
		return text
	}
	if len(r.arms) == 0 {
		return r.redact(text, foreign)
	}
	for i, a := range r.arms {
		text = strings.ReplaceAll(text, a.name, standIn(i))
	}
	text = r.redact(text, foreign)
	for i, a := range r.arms {
		text = strings.ReplaceAll(text, standIn(i), a.stands)
	}
	return text
}

func (r *Redactor) redact(text string, foreign bool) string {
	text = shaped.ReplaceAllString(text, blanked)
	text = user.ReplaceAllString(text, "${1}"+blanked+"@${2}")
	text = parameter.ReplaceAllString(text, "${1}="+blanked)
	if foreign || strings.ContainsAny(text, "=\"") {
		text = named.ReplaceAllString(text, "${1}"+blanked)
	}
	text = scheme.ReplaceAllString(text, "${1} "+blanked)
	if r.ShowHosts {
		return text
	}
	for _, path := range r.paths {
		text = strings.ReplaceAll(text, path, "(path)")
	}
	text = anyURL.ReplaceAllStringFunc(text, r.url)
	if foreign {
		text = certified.ReplaceAllString(text, "${1}(names)${3}")
		text = authority.ReplaceAllString(text, `${1}"(name)"`)
		text = lookedUp.ReplaceAllStringFunc(text, func(found string) string {
			_, name, _ := strings.Cut(found, " ")
			if ownWords[strings.ToLower(name)] {
				return found
			}
			if _, err := netip.ParseAddr(name); err == nil {
				return found
			}
			return "lookup " + r.nameOf(name)
		})
	}
	text = pathError.ReplaceAllStringFunc(text, func(found string) string {
		m := pathError.FindStringSubmatch(found)
		if systemPath.MatchString(m[2]) {
			return found
		}
		return m[1] + " (path)" + m[3]
	})
	text = filePath.ReplaceAllStringFunc(text, func(found string) string {
		m := filePath.FindStringSubmatch(found)
		if systemPath.MatchString(m[2]) {
			return found
		}
		return m[1] + "(path)"
	})
	return word.ReplaceAllStringFunc(text, func(w string) string { return r.word(w, foreign) })
}

// url is a URL with nothing left but its scheme and port.
func (r *Redactor) url(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return blanked
	}
	host := r.word(u.Hostname(), true)
	if host == u.Hostname() && !ownWords[strings.ToLower(host)] {
		if _, err := netip.ParseAddr(host); err != nil {
			host = r.nameOf(host)
		}
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	shown := u.Scheme + "://" + host
	if u.Port() != "" {
		shown += ":" + u.Port()
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return shown + "/..."
	}
	return shown + u.Path
}

// word is a word of a text, in which a host may be, with the port after it or
// the punctuation.
func (r *Redactor) word(w string, foreign bool) string {
	if a, err := netip.ParseAddr(w); err == nil { // whose end may be colons
		return r.known(w, r.addressOf(a), "")
	}
	core := strings.TrimRight(w, ".:")
	tail := w[len(core):]
	if a, err := netip.ParseAddr(core); err == nil {
		return r.known(w, r.addressOf(a), tail)
	}
	host, port := core, ""
	if i := strings.LastIndexByte(core, ':'); i >= 0 {
		host, port = core[:i], core[i:]
	}
	// Between the ends of a connection stands "->", of which "-" is in the word.
	host, arrow := strings.TrimRight(host, "-"), host[len(strings.TrimRight(host, "-")):]
	host = strings.TrimSuffix(host, ".") // the root of names
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return r.known(w, r.addressOf(a), arrow+port+tail)
	}
	if strings.Contains(host, ":") { // as in dial:host:port
		parts := strings.Split(core, ":")
		for i, part := range parts {
			parts[i] = r.word(part, foreign)
		}
		return strings.Join(parts, ":") + tail
	}
	lower := strings.ToLower(strings.TrimPrefix(host, "*."))
	if stands := r.names[lower]; stands != "" {
		return r.known(w, stands, arrow+port+tail)
	}
	for _, name := range slices.SortedFunc(maps.Keys(r.names), longestFirst) {
		switch {
		case strings.HasSuffix(lower, "."+name), strings.Contains(name, ".") && strings.Contains(lower, name):
			return r.nameOf(lower) + arrow + port + tail // a host below one that is known
		case strings.Contains(name, "-") && strings.Contains(lower, name): // in the name of a directory
			return strings.ReplaceAll(lower, name, r.names[name]) + arrow + port + tail
		}
	}
	if foreign && (hostForm(lower) || numbered.MatchString(lower)) {
		return r.known(w, r.nameOf(lower), arrow+port+tail)
	}
	return w
}

func longestFirst(a, b string) int {
	return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
}

// known is w, with what stands for its host in the host's place if there is
// something.
func (r *Redactor) known(w, stands, rest string) string {
	if stands == "" {
		return w
	}
	return stands + rest
}
