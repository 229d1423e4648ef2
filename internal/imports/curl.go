package imports

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/nearest"
	"github.com/kabench/kabench/profiles/targets"
)

// Command is the request of a curl command.
type Command struct {
	targets.Request
	Insecure                  bool   // -k
	CAFile, CertFile, KeyFile string // --cacert, --cert, --key
	Timeout                   time.Duration
	Notes                     []string // sentences: what was left out, and what a run does otherwise
}

// Curl reads a curl command, as words. The error says which part of it has no meaning in a
// run, and what to do.
func Curl(words []string, o Options) (*Command, error) {
	if len(words) == 0 || strings.TrimSuffix(path.Base(strings.ReplaceAll(words[0], `\`, "/")), ".exe") != "curl" {
		return nil, errors.New("the command does not begin with curl")
	}
	c := &curl{Command: Command{Request: targets.Request{Header: http.Header{}}}, left: removed{}}
	if err := c.read(words[1:]); err != nil {
		return nil, err
	}
	if err := c.complete(); err != nil {
		return nil, err
	}
	q, err := finish(c.Request, o, c.left)
	if err != nil {
		return nil, err
	}
	c.Request = q
	if note := c.left.note(); note != "" {
		c.Notes = append(c.Notes, note)
	}
	return &c.Command, nil
}

// curl is a command that is being read.
type curl struct {
	Command
	left      removed
	data      []string
	hasData   bool
	get, head bool
	gone      []string // default headers that the command takes away
}

// effect is what an option does to the request. value is "" for an option without one.
type effect func(c *curl, value string) error

// option is an option of curl.
type option struct {
	short string
	value bool // it has a value
	do    effect
}

// ignore is the effect of options that are about curl's output or its own ways.
func ignore(*curl, string) error { return nil }

func note(text string) effect {
	return func(c *curl, _ string) error { c.Notes = append(c.Notes, text); return nil }
}

func refuse(text string) effect { return func(*curl, string) error { return errors.New(text) } }

func header(name string) effect {
	return func(c *curl, value string) error { addHeader(c.Header, name, value); return nil }
}

func data(c *curl, value string) error {
	if strings.HasPrefix(value, "@") {
		return fmt.Errorf("the body is in the file %s, and no file is read; write it into the command, or set target.body in the profile", value[1:])
	}
	return rawData(c, value)
}

func rawData(c *curl, value string) error {
	c.data, c.hasData = append(c.data, value), true
	return nil
}

func urlencoded(c *curl, value string) error {
	name, content, named := strings.Cut(value, "=")
	switch {
	case !named && strings.Contains(value, "@"):
		return data(c, value[strings.IndexByte(value, '@'):])
	case !named:
		return rawData(c, url.QueryEscape(value))
	case name == "":
		return rawData(c, url.QueryEscape(content))
	}
	return rawData(c, name+"="+url.QueryEscape(content))
}

const manyRequests = "one command is one request; import the requests one by one, or write a target file"

// options are curl's, by their long names.
var options = map[string]option{
	"request": {"X", true, func(c *curl, v string) error { c.Method = v; return nil }},
	"url":     {"", true, (*curl).setURL},
	"header":  {"H", true, (*curl).header},
	"data":    {"d", true, data}, "data-ascii": {"", true, data}, "data-binary": {"", true, data}, "data-raw": {"", true, rawData}, "data-urlencode": {"", true, urlencoded},
	"json": {"", true, func(c *curl, v string) error {
		setDefault(c.Header, "Content-Type", "application/json")
		setDefault(c.Header, "Accept", "application/json")
		if n := len(c.data); n > 0 && !strings.HasPrefix(v, "@") { // several are one text
			c.data[n-1] += v
			return nil
		}
		return data(c, v)
	}},
	"get":  {"G", false, func(c *curl, _ string) error { c.get = true; return nil }},
	"head": {"I", false, func(c *curl, _ string) error { c.head = true; return nil }},
	"user": {"u", true, func(c *curl, v string) error {
		return header("Authorization")(c, "Basic "+base64.StdEncoding.EncodeToString([]byte(v)))
	}},
	"oauth2-bearer": {"", true, func(c *curl, v string) error { return header("Authorization")(c, "Bearer "+v) }},
	"user-agent":    {"A", true, header("User-Agent")}, "referer": {"e", true, header("Referer")},
	"cookie": {"b", true, func(c *curl, v string) error {
		if !strings.Contains(v, "=") {
			return fmt.Errorf("the cookies are in the file %s, and no file is read; give them as -b 'name=value'", v)
		}
		return header("Cookie")(c, v)
	}},
	"range": {"r", true, func(c *curl, v string) error { return header("Range")(c, "bytes="+v) }},
	"compressed": {"", false, func(c *curl, _ string) error {
		setDefault(c.Header, "Accept-Encoding", "gzip, deflate, br, zstd")
		return nil
	}},
	"insecure": {"k", false, func(c *curl, _ string) error { c.Insecure = true; return nil }},
	"cacert":   {"", true, func(c *curl, v string) error { c.CAFile = v; return nil }},
	"cert": {"E", true, func(c *curl, v string) error {
		if strings.Contains(v, ":") {
			return errors.New("the certificate has a password; write its key without one, and name the file alone")
		}
		c.CertFile = v
		return nil
	}},
	"key": {"", true, func(c *curl, v string) error { c.KeyFile = v; return nil }},
	"max-time": {"m", true, func(c *curl, v string) error {
		s, err := strconv.ParseFloat(v, 64)
		if err != nil || !(s > 0 && s < 1e6) {
			return fmt.Errorf("%q is no number of seconds above 0", v)
		}
		c.Timeout = time.Duration(s * float64(time.Second))
		return nil
	}},

	"location": {"L", false, note("kabench follows no redirects: a response with status 301 or 302 is the response")},
	"http2":    {"", false, note("kabench speaks HTTP/1.1, not HTTP/2")}, "http2-prior-knowledge": {"", false, refuse("kabench speaks HTTP/1.1, and this server HTTP/2 only")},
	"http3": {"", false, note("kabench speaks HTTP/1.1, not HTTP/3")}, "http1.0": {"0", false, note("kabench speaks HTTP/1.1")},
	"no-keepalive": {"", false, ignore}, "connect-timeout": {"", true, note("the limit of a connect is pool.connect_timeout in the profile")},
	"retry": {"", true, note("what is sent again is decided by pool.retry in the profile")},

	"form":        {"F", true, refuse("a multipart form is not imported; send it once with curl -v --trace-ascii -, and give its body with --data-binary and its Content-Type with -H")},
	"form-string": {"", true, refuse("a multipart form is not imported; give its body with --data-binary and its Content-Type with -H")},
	"upload-file": {"T", true, refuse("no file is read; write the body into the command with --data-binary, or set target.body in the profile")},
	"config":      {"K", true, refuse("no file is read; write its options into the command")},
	"next":        {":", false, refuse(manyRequests)},
	"proxy":       {"x", true, refuse("kabench sends to the server itself and to no proxy; remove it")},
	"socks5":      {"", true, refuse("kabench sends to the server itself and to no proxy; remove it")},
	"resolve":     {"", true, refuse("write the address in the URL and the name in -H 'Host: NAME', and remove it")},
	"connect-to":  {"", true, refuse("write the address in the URL and the name in -H 'Host: NAME', and remove it")},
	"unix-socket": {"", true, refuse("kabench connects over TCP only")},
	"digest":      {"", false, refuse("this authentication takes two requests; give the header Authorization with -H, or remove it")},
	"ntlm":        {"", false, refuse("this authentication belongs to a connection; remove it")}, "negotiate": {"", false, refuse("this authentication belongs to a connection; remove it")},
	"anyauth": {"", false, refuse("this authentication takes two requests; give the header Authorization with -H, or remove it")},

	"basic": {"", false, ignore}, "silent": {"s", false, ignore}, "show-error": {"S", false, ignore}, "verbose": {"v", false, ignore}, "include": {"i", false, ignore},
	"fail": {"f", false, ignore}, "fail-with-body": {"", false, ignore}, "no-buffer": {"N", false, ignore}, "progress-bar": {"#", false, ignore},
	"no-progress-meter": {"", false, ignore}, "globoff": {"g", false, ignore}, "remote-name": {"O", false, ignore}, "remote-header-name": {"J", false, ignore},
	"http1.1": {"", false, ignore}, "ipv4": {"4", false, ignore}, "ipv6": {"6", false, ignore}, "tlsv1.2": {"", false, ignore}, "tlsv1.3": {"", false, ignore},
	"path-as-is": {"", false, ignore}, "disable": {"q", false, ignore}, "output": {"o", true, ignore}, "write-out": {"w", true, ignore}, "dump-header": {"D", true, ignore},
	"cookie-jar": {"c", true, ignore}, "stderr": {"", true, ignore}, "trace": {"", true, ignore}, "trace-ascii": {"", true, ignore}, "tcp-nodelay": {"", false, ignore},
	"keepalive-time": {"", true, ignore}, "speed-limit": {"Y", true, ignore}, "speed-time": {"y", true, ignore}, "max-redirs": {"", true, ignore}, "no-sessionid": {"", false, ignore},
}

// longOf are the long names of the short options.
var longOf = func() map[string]string {
	m := map[string]string{}
	for name, o := range options {
		if o.short != "" {
			m[o.short] = name
		}
	}
	return m
}()

// read applies the words after curl.
func (c *curl) read(words []string) error {
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		var err error
		switch {
		case word == "--": // what follows are URLs
			for _, u := range words {
				if err := c.setURL(u); err != nil {
					return err
				}
			}
			return nil
		case strings.HasPrefix(word, "--"):
			words, err = c.apply(word, strings.TrimPrefix(word, "--"), words)
		case strings.HasPrefix(word, "-") && len(word) > 1:
			words, err = c.cluster(word[1:], words)
		default:
			err = c.setURL(word)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// cluster applies short options that are written together, as in -sSXPOST.
func (c *curl) cluster(letters string, words []string) ([]string, error) {
	for letters != "" {
		letter := letters[:1]
		letters = letters[1:]
		name, known := longOf[letter]
		if !known {
			return nil, fmt.Errorf("-%s is an option of curl that kabench does not know; remove it if it does not change the request", letter)
		}
		if options[name].value && letters != "" {
			_, err := c.apply("-"+letter, name, []string{letters})
			return words, err
		}
		var err error
		if words, err = c.apply("-"+letter, name, words); err != nil {
			return nil, err
		}
	}
	return words, nil
}

// apply applies one option, and returns the words that are left. spelled is how the command
// has it.
func (c *curl) apply(spelled, name string, words []string) ([]string, error) {
	o, known := options[name]
	if !known {
		hint := "remove it if it does not change the request"
		var names []string
		for n := range options {
			names = append(names, n)
		}
		if near := nearest.Name(name, names); near != "" {
			hint += ", or write --" + near + " if you meant that"
		}
		return nil, fmt.Errorf("%s is an option of curl that kabench does not know; %s", spelled, hint)
	}
	value := ""
	if o.value {
		if len(words) == 0 {
			return nil, fmt.Errorf("%s has no value; the command is cut off", spelled)
		}
		value, words = words[0], words[1:]
	}
	if err := o.do(c, value); err != nil {
		return nil, fmt.Errorf("%s: %w", spelled, err)
	}
	return words, nil
}

func (c *curl) setURL(text string) error {
	if c.URL != "" {
		return fmt.Errorf("there are two URLs; %s", manyRequests)
	}
	if text == "" {
		return errors.New("a URL is empty")
	}
	if scheme, _, found := strings.Cut(text, "://"); !found || strings.ContainsAny(scheme, "/?.:") {
		text = "http://" + text // as curl guesses
	}
	c.URL = text
	return nil
}

func (c *curl) header(line string) error {
	if strings.HasPrefix(line, "@") {
		return fmt.Errorf("the headers are in the file %s, and no file is read; give each with -H", line[1:])
	}
	if strings.HasPrefix(line, ":") { // a pseudo header of HTTP/2
		return nil
	}
	name, value, found := strings.Cut(line, ":")
	if !found {
		name, found = strings.CutSuffix(line, ";") // curl's form of a header without a value
		if !found {
			return fmt.Errorf("%q is no header; write it as 'Name: value'", cut(line))
		}
		addHeader(c.Header, name, "")
		return nil
	}
	if value = strings.Trim(value, " \t"); value == "" {
		c.gone = append(c.gone, name)
		return nil
	}
	if isHopByHop(name) {
		if !strings.HasPrefix(name, ":") && !strings.EqualFold(name, "content-length") {
			c.Notes = append(c.Notes, "the header "+name+" was left out: it is about one connection, and the pool decides about those")
		}
		return nil
	}
	addHeader(c.Header, name, value)
	return nil
}

// complete puts the parts together when all have been read.
func (c *curl) complete() error {
	if c.URL == "" {
		return errors.New("the command has no URL")
	}
	body := strings.Join(c.data, "&")
	switch {
	case c.get && c.hasData:
		u, err := url.Parse(c.URL)
		if err != nil {
			return targets.CheckURL(c.URL)
		}
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += body
		c.URL = u.String()
	case c.hasData:
		c.Body = []byte(body)
		setDefault(c.Header, "Content-Type", "application/x-www-form-urlencoded")
	}
	for _, name := range c.gone {
		drop(c.Header, name)
	}
	switch {
	case c.Method != "":
	case c.head:
		c.Method = http.MethodHead
	case c.hasData && !c.get:
		c.Method = http.MethodPost
	default:
		c.Method = http.MethodGet
	}
	return nil
}

// cut shortens what a complaint quotes.
func cut(text string) string {
	if r := []rune(text); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return text
}
