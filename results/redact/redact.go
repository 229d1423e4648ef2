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

// blanked replaces a secret.
const blanked = "(blanked)"

// Redactor makes results fit to be shown to anybody. It replaces names and addresses
// of hosts with host-1, address-1 and so on, always the same for one host or address.
// It removes paths of files and of URLs, and blanks text that looks like a secret.
// The values of headers, user names and secret parameters are already blanked in the
// results; a Redactor is needed for texts that a server or a system wrote.
//
// The zero value knows no hosts: call Learn for each document before redacting any.
// When in doubt, a Redactor removes a text.
type Redactor struct {
	// ShowHosts keeps hosts, addresses and paths. Only secrets are blanked.
	ShowHosts bool

	names     map[string]string     // a host's name, in lower case -> its replacement
	addresses map[netip.Addr]string // an address -> its replacement
	keep      map[netip.Prefix]bool // private networks that kabench made: their addresses stay
	paths     []string              // of the files and directories with the results, the longest first
	arms      []arm                 // names that redaction would change, the longest first
	hosts     int
}

// arm is the name of a configuration, and its replacement. Two names that differ only
// in a path or a secret need different replacements.
type arm struct{ name, stands string }

// standIn returns the character that replaces the name of arm i while a text is
// redacted. No pattern matches it.
func standIn(i int) string { return string(rune(0xF0000 + i)) }

// Learn notes the names of hosts in run. It also notes which addresses belong to a
// private network that kabench made: these addresses reveal nothing and stay.
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
	for _, a := range run.Agents {
		if !localAgent.MatchString(a.Name) { // others are named after their machines
			r.learn(a.Name)
		}
	}
	if d := run.Driver; d != nil {
		for word := range strings.FieldsSeq(d.Name) { // of a command
			r.learnPath(strings.Trim(word, `"'`))
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

// localAgent matches the names that kabench gives to agents on its own machine.
var localAgent = regexp.MustCompile(`^agent-\d+$`)

// learnPath notes the path of results, both as given and as an absolute path. The
// path is removed wherever it occurs in a text, even with spaces in it. A name without
// a separator is not noted, because it could be an ordinary word.
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

// learnArms notes the names of c's arms and gives each a replacement of its own.
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

// learn notes the host in text, which may have a port. Words that results use
// themselves reveal nothing and stay.
func (r *Redactor) learn(text string) {
	host := strings.ToLower(strings.Trim(text, "[] ."))
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.Count(host, ":") == 1 {
		host = host[:i]
	}
	if _, err := netip.ParseAddr(host); err == nil || host == "" || ownWords[host] {
		return // addresses have a form of their own, so they are found without being noted
	}
	r.nameOf(host)
	if dashed := strings.ReplaceAll(host, ".", "-"); dashed != host {
		r.names[dashed] = r.names[host] // names of directories have this form
	}
}

// ownWords are names of hosts that reveal nothing, because results use them as words.
var ownWords = map[string]bool{
	"localhost": true, "client": true, "server": true, "proxy": true, "link": true, "peer": true, "target": true,
	"pool": true, "run": true, "incident": true, "remedy": true, "kabench": true, "host": true, "a": true,
	"http": true, "https": true, "tcp": true, "tls": true, "fin": true, "rst": true, "ok": true, "failed": true,
}

// nameOf returns the replacement for the host called name.
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

// network returns the /16 network of a, which covers a private network of kabench.
func network(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, 16).Masked() }

// addressOf returns the replacement for an address, or "" if the address stays:
// loopback and unspecified addresses exist on every machine, and addresses in
// kabench's own networks identify no machine.
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
	// lookedUp finds the name in the error of a lookup, certified the names in a
	// certificate, and authority the name of its signer. Only the words around these
	// names show what they are.
	lookedUp  = regexp.MustCompile(`\blookup ([^\s:]+)`)
	certified = regexp.MustCompile(`(valid for (?:any of )?)(.*)(, not )`)

	authority = regexp.MustCompile(`(authority certificate )"[^"]*"`)

	anyURL = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>|]+`)
	// filePath finds a path that begins at the root, a home directory, a drive or another
	// machine. From the root it must have at least two parts.
	filePath = regexp.MustCompile(`(^|[\s"'(=:,<\[{])(~?(?:/[^\s/"'():,\]>}]+){2,}/?|~/[^\s"'():,]+|[A-Za-z]:\\[^\s"'():,]+|\\\\[^\s"'():,]+)`)
	// pathError finds a path in the error of a system call. There it may have spaces.
	pathError = regexp.MustCompile(`\b(open|read|write|stat|lstat|mkdir|remove|readdirent|fdopendir|truncate|close|sync|fork/exec) ((?:~?/|[A-Za-z]:\\|\\\\)[^:"\n]+|[^\s:"]*[/\\][^\s:"]*)(: )`)
	// systemPath matches the beginning of the paths that every machine has.
	systemPath = regexp.MustCompile(`^/(?:proc|sys|dev)/`)
	// word finds words: host names, addresses, and all others, with their dots and colons.
	word = regexp.MustCompile(`[\p{L}\p{N}_.:%*-]+`)

	// named finds a secret after its name, as in a header, a parameter or JSON.
	named = regexp.MustCompile(`(?i)([\w-]*(?:auth|bearer|cookie|credential|csrf|jwt|passw|passphrase|pwd|secret|session|sessid|token|signature|xsrf|api[-_]?key|access[-_]?key|private[-_]?key)[\w-]*["']?\s*[:=]\s*)("[^"]*"?|'[^']*'?|[^\r\n"&]+)`)
	// scheme finds a secret after the name of its authentication scheme.
	scheme = regexp.MustCompile(`(?i)\b(bearer|basic|digest|negotiate)\s+[A-Za-z0-9._~+/=-]{6,}`)
	// user finds the user before the host in a URL or in a mail address.
	user = regexp.MustCompile(`(//)[^/\s@"]+@|\b[\w.+-]+@([\w-]+\.)`)
	// parameter finds a secret after one of the short names that mean a secret only if "="
	// follows.
	parameter = regexp.MustCompile(`(?i)\b(sid|sig|pass|otp)=[^\s"'&;]+`)
	// numbered matches a host that a cloud named after its address.
	numbered = regexp.MustCompile(`^ip-\d{1,3}(?:-\d{1,3}){3}$`)
	// shaped finds secrets by their shape: JSON web tokens, keys of AWS, GitHub, GitLab,
	// npm, Slack, Google and Stripe, other keys with the same prefixes, and PEM blocks.
	shaped = regexp.MustCompile(`eyJ[\w-]{8,}\.[\w-]+\.?[\w-]*|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}|\bnpm_\w{30,}|\bsk-[\w-]{20,}|\bxox[abprs]-[\w-]{10,}|\bAIza[\w-]{30,}|\b[sr]k_(?:live|test)_\w{10,}|-----BEGIN [^-]*-----[^-]*(?:-----END [^-]*-----)?`)
)

// Text returns text without known hosts, addresses, paths of files and secrets.
func (r *Redactor) Text(text string) string { return r.text(text, false) }

// Foreign is Text for a text that a server or a system may have written. It also
// replaces every word that has the form of a host's name.
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

// url returns the URL with only its scheme, its port and the replacement of its host.
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

// word returns w with the host in it replaced. w is one word of a text and may have a
// port or punctuation after the host.
func (r *Redactor) word(w string, foreign bool) string {
	if a, err := netip.ParseAddr(w); err == nil { // before the colons at the end are cut off: an IPv6 address may end with "::"
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
	// The two ends of a connection are joined by "->". Its "-" is part of the word.
	host, arrow := strings.TrimRight(host, "-"), host[len(strings.TrimRight(host, "-")):]
	host = strings.TrimSuffix(host, ".") // the dot of the DNS root
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
			return r.nameOf(lower) + arrow + port + tail // a host in the domain of a known host
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

// known returns stands and rest, or w unchanged if stands is "".
func (r *Redactor) known(w, stands, rest string) string {
	if stands == "" {
		return w
	}
	return stands + rest
}
