package script

import (
	"errors"
	"fmt"
	"time"

	"github.com/kabench/kabench/internal/enum"
)

// Proxy is the script of a proxy: one element of the `target.proxies:` section of a
// profile. The zero value keeps connections on both sides forever, removes
// hop-by-hop headers and never sends a request again.
type Proxy struct {
	// IdleTimeout is how long the proxy waits for a client's next request before it
	// closes; 0: forever. It does not apply to a connection that has not sent a
	// request yet.
	IdleTimeout time.Duration `yaml:"idle_timeout,omitempty"`
	// MaxRequests closes a client's connection after that many requests; 0: no
	// limit. The last response says `Connection: close`.
	MaxRequests int `yaml:"max_requests,omitempty"`
	// Hint is the value of the Keep-Alive header of responses, such as "timeout=5".
	// The header changes nothing: IdleTimeout decides.
	Hint string `yaml:"hint,omitempty"`
	// TLS serves the clients over TLS, with a certificate of the proxy's own; to the
	// servers the proxy speaks plain HTTP. NoCloseNotify ends connections without a
	// close_notify.
	TLS           bool `yaml:"tls,omitempty"`
	NoCloseNotify bool `yaml:"no_close_notify,omitempty"`
	// HopByHop says what the proxy does with the headers that are for one connection
	// only.
	HopByHop HopByHop `yaml:"hop_by_hop,omitempty"`
	// ProxyConnection says what the proxy does with the Proxy-Connection header of
	// requests.
	ProxyConnection ProxyConnection `yaml:"proxy_connection,omitempty"`
	// Via, if not empty, is the name with which the proxy adds itself to the Via
	// header of requests and responses.
	Via string `yaml:"via,omitempty"`
	// Errors says which product's error responses the proxy sends when a server
	// failed.
	Errors ErrorStyle `yaml:"errors,omitempty"`
	// Workers is the number of pools; the client connections are given to them in
	// turn. 0: one.
	Workers int `yaml:"workers,omitempty"`
	// Upstream is the proxy's pool of connections to the servers.
	Upstream Upstream `yaml:"upstream,omitempty"`
}

// Upstream is the pool of connections to the servers that each worker of a Proxy
// has, and how the worker uses it.
type Upstream struct {
	// Version is the HTTP version of the requests. With http/1.0 each request asks
	// to keep the connection, and the proxy keeps it if the server agrees.
	Version Version `yaml:"version,omitempty"`
	// PerRequest makes a connection for each request. The request says close.
	PerRequest bool `yaml:"per_request,omitempty"`
	// IdleTimeout is how long a connection may be idle; 0: forever.
	IdleTimeout time.Duration `yaml:"idle_timeout,omitempty"`
	// MaxRequests and MaxLifetime end a connection when it is released; 0: no limit.
	MaxRequests int           `yaml:"max_requests,omitempty"`
	MaxLifetime time.Duration `yaml:"max_lifetime,omitempty"`
	// MaxIdle is how many idle connections to all servers are kept; above it the one
	// that has been idle longest is closed. 0: no limit.
	MaxIdle int `yaml:"max_idle,omitempty"`
	// Order chooses among the idle connections to a server.
	Order LeaseOrder `yaml:"order,omitempty"`
	// Unwatched means that the proxy does not read idle connections: it notices at
	// the next use that the server has closed one, and checks IdleTimeout only then.
	Unwatched bool `yaml:"unwatched,omitempty"`
	// ConnectTimeout bounds a connect. Timeout bounds each wait until the server
	// takes or sends something. 0: no bound.
	ConnectTimeout time.Duration `yaml:"connect_timeout,omitempty"`
	Timeout        time.Duration `yaml:"timeout,omitempty"`
	// Retry says which requests are sent again, to the next server, when they failed
	// before the response. Retries is how often; 0: until each server has failed on
	// a fresh connection. A request that timed out is sent again only to another
	// server. RetryFresh makes a new connection for it.
	Retry      Retry `yaml:"retry,omitempty"`
	Retries    int   `yaml:"retries,omitempty"`
	RetryFresh bool  `yaml:"retry_fresh,omitempty"`
}

// HopByHop is what a proxy does with the headers of RFC 9110, section 7.6.1.
type HopByHop uint8

const (
	Removed   HopByHop = iota // removes those that Connection names and those known to be for one connection
	Forwarded                 // sends them on unchanged, in both directions
	Blind                     // sends them on unchanged; each response ends with the server's connection
)

var hopByHopNames = enum.Names[HopByHop]{"removed", "forwarded", "blind"}

// ProxyConnection is what a proxy does with a request's Proxy-Connection header.
type ProxyConnection uint8

const (
	Dropped    ProxyConnection = iota // removes it with the other hop-by-hop headers
	Understood                        // treats it as the client's Connection header, and removes it
	PassedOn                          // sends it on
)

var proxyConnectionNames = enum.Names[ProxyConnection]{"removed", "understood", "forwarded"}

// LeaseOrder is the order in which idle connections are leased.
type LeaseOrder uint8

const (
	LIFO LeaseOrder = iota // the one used last
	FIFO                   // the one used longest ago
)

var leaseOrderNames = enum.Names[LeaseOrder]{"lifo", "fifo"}

// Retry says which failed requests are sent again.
type Retry uint8

const (
	RetryNone       Retry = iota
	RetryUnsent           // requests with no byte written
	RetryIdempotent       // those, and all methods except POST, LOCK and PATCH, as nginx does
	RetryAlways           // all
)

var retryNames = enum.Names[Retry]{"none", "unsent", "idempotent", "always"}

// ErrorStyle says which product's error responses a proxy sends when the server
// failed.
type ErrorStyle uint8

const (
	// LikeNginx responds with 502, or with 504 if the server did not respond or could
	// not be reached in time.
	LikeNginx ErrorStyle = iota
	// LikeALB responds as AWS's load balancer, with the same statuses.
	LikeALB
	// LikeHAProxy responds with 502 and 504, and with 503 if the server could not be
	// reached. If a reused connection to the server failed and this was not the
	// client's first request, it closes without a response, so that the client sends
	// the request again.
	LikeHAProxy
)

var errorStyleNames = enum.Names[ErrorStyle]{"nginx", "alb", "haproxy"}

func (s ErrorStyle) String() string                   { return errorStyleNames.Text(s) }
func (s ErrorStyle) MarshalText() ([]byte, error)     { return errorStyleNames.Marshal(s) }
func (s *ErrorStyle) UnmarshalText(text []byte) error { return errorStyleNames.Unmarshal(text, s) }

func (h HopByHop) String() string                   { return hopByHopNames.Text(h) }
func (h HopByHop) MarshalText() ([]byte, error)     { return hopByHopNames.Marshal(h) }
func (h *HopByHop) UnmarshalText(text []byte) error { return hopByHopNames.Unmarshal(text, h) }

func (p ProxyConnection) String() string               { return proxyConnectionNames.Text(p) }
func (p ProxyConnection) MarshalText() ([]byte, error) { return proxyConnectionNames.Marshal(p) }
func (p *ProxyConnection) UnmarshalText(text []byte) error {
	return proxyConnectionNames.Unmarshal(text, p)
}

func (o LeaseOrder) String() string                   { return leaseOrderNames.Text(o) }
func (o LeaseOrder) MarshalText() ([]byte, error)     { return leaseOrderNames.Marshal(o) }
func (o *LeaseOrder) UnmarshalText(text []byte) error { return leaseOrderNames.Unmarshal(text, o) }

func (r Retry) String() string                   { return retryNames.Text(r) }
func (r Retry) MarshalText() ([]byte, error)     { return retryNames.Marshal(r) }
func (r *Retry) UnmarshalText(text []byte) error { return retryNames.Unmarshal(text, r) }

// Validate returns every complaint about p, joined, each beginning with the
// name of the field; nil when there is none. It changes nothing.
func (p Proxy) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if p.IdleTimeout < 0 {
		bad("idle_timeout: %v is negative (0 means for ever)", p.IdleTimeout)
	}
	if p.MaxRequests < 0 {
		bad("max_requests: %d is negative (0 means no limit)", p.MaxRequests)
	}
	if err := checkHint(p.Hint); err != nil {
		bad("hint: %w", err)
	}
	if p.NoCloseNotify && !p.TLS {
		bad("no_close_notify: has no effect without tls; set it or remove this")
	}
	errs = append(errs, p.validateHeaders()...)
	if !isToken(p.Via) {
		bad("via: %q is not a single word such as edge", p.Via)
	}
	if !errorStyleNames.Known(p.Errors) {
		bad("errors: %v is unknown", p.Errors)
	}
	if p.Workers < 0 || p.Workers > maxPlaces {
		bad("workers: %d is not between 0 and %d (0 means one)", p.Workers, maxPlaces)
	}
	errs = append(errs, p.Upstream.validate()...)
	if p.HopByHop == Blind && p.keepsOrChanges() {
		bad("hop_by_hop: a blind proxy keeps no connection and changes no header; of the rest it knows only errors, upstream.connect_timeout and upstream.timeout")
	}
	return errors.Join(errs...)
}

// validateHeaders checks what the proxy does with headers for one connection only.
func (p Proxy) validateHeaders() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !hopByHopNames.Known(p.HopByHop) {
		bad("hop_by_hop: %v is unknown", p.HopByHop)
	}
	if !proxyConnectionNames.Known(p.ProxyConnection) {
		bad("proxy_connection: %v is unknown", p.ProxyConnection)
	}
	if p.HopByHop != Removed && p.ProxyConnection != PassedOn {
		bad("proxy_connection: %v never happens with hop_by_hop: %v; set proxy_connection: forwarded", p.ProxyConnection, p.HopByHop)
	}
	if p.HopByHop != Removed && p.Hint != "" {
		bad("hint: is never sent with hop_by_hop: %v, which sends on the server's; remove it", p.HopByHop)
	}
	return errs
}

// keepsOrChanges reports whether p sets something that only a proxy does which
// keeps connections or changes headers.
func (p Proxy) keepsOrChanges() bool {
	u := p.Upstream
	u.ConnectTimeout, u.Timeout = 0, 0
	return u != (Upstream{}) || p.IdleTimeout > 0 || p.MaxRequests > 0 || p.Via != ""
}

func (u Upstream) validate() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("upstream."+format, args...)) }
	for _, d := range []struct {
		field string
		v     time.Duration
	}{{"idle_timeout", u.IdleTimeout}, {"max_lifetime", u.MaxLifetime}, {"connect_timeout", u.ConnectTimeout}, {"timeout", u.Timeout}} {
		if d.v < 0 {
			bad("%s: %v is negative (0 means none)", d.field, d.v)
		}
	}
	for _, n := range []struct {
		field string
		v     int
	}{{"max_requests", u.MaxRequests}, {"max_idle", u.MaxIdle}, {"retries", u.Retries}} {
		if n.v < 0 {
			bad("%s: %d is negative (0 means no limit)", n.field, n.v)
		}
	}
	if !versionNames.Known(u.Version) {
		bad("version: %v is unknown", u.Version)
	}
	if !leaseOrderNames.Known(u.Order) {
		bad("order: %v is unknown", u.Order)
	}
	if !retryNames.Known(u.Retry) {
		bad("retry: %v is unknown", u.Retry)
	}
	if u.Retry == RetryNone && (u.Retries > 0 || u.RetryFresh) {
		bad("retry: is none, so retries and retry_fresh have no effect; set retry or remove them")
	}
	if u.PerRequest && (u.IdleTimeout > 0 || u.MaxRequests > 0 || u.MaxLifetime > 0 || u.MaxIdle > 0 || u.Order != LIFO || u.Unwatched) {
		bad("per_request: keeps no connection, so idle_timeout, max_requests, max_lifetime, max_idle, order and unwatched have no effect; remove it or them")
	}
	return errs
}

// isToken reports whether s may stand in a list of header words; "" may.
func isToken(s string) bool {
	for _, r := range s {
		if r <= ' ' || r > '~' || r == ',' || r == ';' || r == '"' {
			return false
		}
	}
	return len(s) <= 200
}
