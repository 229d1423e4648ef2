package applog

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// okhttp reads OkHttp's LoggingEventListener and HttpLoggingInterceptor. Neither names
// connections: the lines of a call are found by what stands before them, which has the
// thread.
type okhttp struct {
	lives *lives
	idle  idlePool
	calls map[string]*call
	inter map[string]*life // calls of the interceptor
}

// call is a call of the event listener.
type call struct {
	request string
	server  string
	since   *line // connectStart
	ready   *line
	life    *life
}

func newOkHTTP(s *lives) *okhttp {
	return &okhttp{lives: s, idle: idlePool{lives: s, format: OkHttp}, calls: map[string]*call{}, inter: map[string]*life{}}
}

func (o *okhttp) name() string { return OkHttp }

var (
	// okEvent matches [12 ms] connectStart: /127.0.0.1:8080 DIRECT.
	okEvent = regexp.MustCompile(`\[\d{1,12} ms\] ([a-zA-Z]{4,30})(?:: (.*))?$`)
	okSent  = regexp.MustCompile(`--> ([A-Z]{1,20}) (https?://\S+)`)
	okGot   = regexp.MustCompile(`<-- (\d{3}) .*\((\d{1,9}) ?ms`)
	okFail  = regexp.MustCompile(`<-- HTTP FAILED: (.*)`)
	okAddr  = regexp.MustCompile(`hostAddress=(\S+)`)
	okRequ  = regexp.MustCompile(`method=([A-Z]{1,20}), url=(\S+?)[},]`)
	okCode  = regexp.MustCompile(`code=(\d{3})`)
)

func (o *okhttp) line(l *line) bool {
	if m := find(okEvent, l.text, " ms] "); m != nil {
		return o.event(threadOf(l.text[:len(l.text)-len(m[0])]), m[1], m[2], l)
	}
	if !strings.Contains(l.text, "--> ") && !strings.Contains(l.text, "<-- ") {
		return false
	}
	return o.interceptor(l)
}

// threadOf is what stands before a message, without the time.
func threadOf(prefix string) string {
	if i := strings.LastIndexByte(prefix[:min(len(prefix), stampWithin)], ':'); i >= 0 && i+3 < len(prefix) && digit(prefix[i+1]) {
		prefix = strings.TrimLeft(prefix[i+1:], "0123456789.,+:Z")
	}
	if i := strings.IndexByte(prefix, '['); i >= 0 {
		if thread, _, ok := strings.Cut(prefix[i:], "]"); ok {
			return thread
		}
	}
	return strings.TrimLeft(prefix, "0123456789-T:.,+Z ")
}

// event takes one event of a call.
func (o *okhttp) event(thread, event, rest string, l *line) bool {
	if event == "callStart" {
		if len(o.calls) > maxLives {
			o.calls = map[string]*call{}
		}
		one := &call{}
		if m := okRequ.FindStringSubmatch(rest); m != nil {
			one.request = m[1] + " " + target(m[2])
		}
		o.calls[thread] = one
		return true
	}
	c := o.calls[thread]
	if c == nil {
		return false
	}
	switch event {
	case "connectStart":
		c.since = l
	case "secureConnectStart":
		c.server = "tls"
	case "connectEnd":
		c.ready = l
	case "connectFailed":
		c.since, c.ready = nil, nil
	case "connectionAcquired":
		o.acquired(c, rest, l)
	case "requestHeadersStart", "requestHeadersEnd", "requestBodyStart", "requestBodyEnd":
		if c.life != nil && c.life.asked == nil {
			c.life.ask(l, c.request)
		} else if c.life != nil {
			c.life.wrote(l)
		}
	case "responseHeadersStart":
		if c.life != nil {
			c.life.respond(l, 0)
		}
	case "responseHeadersEnd":
		o.status(c, rest)
	case "responseBodyEnd":
		if c.life != nil {
			c.life.complete(l)
		}
	case "requestFailed", "responseFailed", "callFailed":
		o.failed(c, rest, l)
	case "canceled":
		o.failed(c, "canceled", l)
	case "connectionReleased":
		if c.life != nil && c.life.ended == nil && c.life.asked == nil {
			o.idle.give(c.server, c.life)
		}
		c.life = nil
	case "callEnd":
		delete(o.calls, thread)
	}
	return true
}

// acquired is the connection of a call: a new one, or an idle one.
func (o *okhttp) acquired(c *call, rest string, l *line) {
	c.server = ""
	if m := okAddr.FindStringSubmatch(rest); m != nil {
		c.server = m[1]
	}
	if c.server == "" || !address(c.server).IsValid() {
		_, host, _ := strings.Cut(rest, "Connection{")
		c.server, _, _ = strings.Cut(host, ",")
	}
	if c.ready != nil {
		c.life = o.idle.fresh(c.server, l)
		c.life.Opened, c.life.Ready = c.since.orNone(), c.ready.at
		if d := c.life.Ready - c.life.Opened; c.life.Opened != evidence.NotSeen && d > 0 {
			c.life.RoundTrip = d
		}
	} else {
		c.life = o.idle.take(c.server, l)
	}
	c.life.Lazy = true
	c.since, c.ready = nil, nil
}

func (l *line) orNone() (at time.Duration) {
	if l == nil {
		return evidence.NotSeen
	}
	return l.at
}

func (o *okhttp) status(c *call, rest string) {
	if m := okCode.FindStringSubmatch(rest); m != nil && c.life != nil && c.life.first != nil {
		c.life.answer.Status, _ = strconv.Atoi(m[1])
	}
}

func (o *okhttp) failed(c *call, text string, l *line) {
	if c.life != nil && c.life.asked != nil {
		o.idle.failed(c.life, l, text)
	}
	c.life = nil
}

// target returns the path of a URL with its query.
func target(u string) string {
	if _, after, ok := strings.Cut(u, "://"); ok {
		if i := strings.IndexByte(after, '/'); i >= 0 {
			return after[i:]
		}
		return "/"
	}
	return u
}

// hostOf returns the host of a URL, with the scheme's port where it names none.
func hostOf(u string) string {
	scheme, after, ok := strings.Cut(u, "://")
	if !ok {
		return ""
	}
	if i := strings.IndexAny(after, "/?#"); i >= 0 {
		after = after[:i]
	}
	if i := strings.LastIndexByte(after, '@'); i >= 0 {
		after = after[i+1:]
	}
	switch {
	case strings.LastIndexByte(after, ':') > strings.LastIndexByte(after, ']'):
		return after
	case scheme == "https":
		return after + ":443"
	}
	return after + ":80"
}

// interceptor takes a line of HttpLoggingInterceptor: a call without its connection.
func (o *okhttp) interceptor(l *line) bool {
	if m := okSent.FindStringSubmatchIndex(l.text); m != nil {
		key := threadOf(l.text[:m[0]])
		if len(o.inter) > maxLives {
			o.inter = map[string]*life{}
		}
		u := l.text[m[4]:m[5]]
		c := o.idle.alone(hostOf(u), l)
		c.TLS = strings.HasPrefix(u, "https:")
		c.ask(l, l.text[m[2]:m[3]]+" "+target(u))
		o.inter[key] = c
		return true
	}
	key, rest, ok := strings.Cut(l.text, "<-- ")
	if !ok {
		return strings.Contains(l.text, "--> END ")
	}
	key = threadOf(key)
	c := o.inter[key]
	if c == nil {
		return false
	}
	switch got, fail := okGot.FindStringSubmatch(l.text), okFail.FindStringSubmatch(l.text); {
	case got != nil:
		status, _ := strconv.Atoi(got[1])
		c.respond(l, status)
		c.complete(l)
		o.lives.end(c)
		delete(o.inter, key)
	case fail != nil:
		o.idle.failed(c, l, fail[1])
		delete(o.inter, key)
	default:
		return strings.HasPrefix(rest, "END HTTP")
	}
	return true
}
