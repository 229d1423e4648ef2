package script

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// maxPlaces bounds what a server has a limited number of.
const maxPlaces = 1 << 20

// Server is the script of a server: the `target.lab:` section of a profile.
// The zero value answers 200 at once, with no body, and keeps connections for
// ever.
type Server struct {
	// IdleTimeout is how long after the last byte of an answer the server waits
	// for the next request before it closes (its keep-alive timeout); 0: for
	// ever. A connection that has not sent a request yet is left alone.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// IdleLate is drawn for each wait and added to IdleTimeout: servers whose
	// timers tick close late.
	IdleLate Delay `yaml:"idle_late,omitempty"`
	// TimerVsData says what becomes of a request that has arrived and was not
	// read yet when the idle timer fires.
	TimerVsData TimerVsData `yaml:"timer_vs_data,omitempty"`
	// AfterFIN says what becomes of what arrives after the server's FIN, when
	// that was not by a fault.
	AfterFIN AfterFIN `yaml:"after_fin,omitempty"`
	// Hint is the value of the Keep-Alive header of answers, as "timeout=5"; with
	// HintIfAsked it is sent only to requests that say `Connection: keep-alive`.
	// It promises nothing: IdleTimeout is what happens.
	Hint        string `yaml:"hint,omitempty"`
	HintIfAsked bool   `yaml:"hint_if_asked,omitempty"`
	// MaxRequests closes a connection after so many; 0: no limit. The last
	// answer says `Connection: close` unless Unannounced.
	MaxRequests int  `yaml:"max_requests,omitempty"`
	Unannounced bool `yaml:"unannounced,omitempty"`
	// Version is that of the answers. With http/1.0 they have no chunks, and a
	// connection is kept only if the request says `Connection: keep-alive`, as it
	// is for requests of HTTP/1.0 in any case; the answer then says so too.
	Version Version `yaml:"version,omitempty"`
	// IgnoreKeepAlive is a server that does not know that word of HTTP/1.0: by
	// its rules connections are closed after the answer, which says nothing.
	IgnoreKeepAlive bool `yaml:"ignore_keep_alive,omitempty"`
	// Delay is the time from request read to first byte of the answer: a
	// duration, or a distribution: "uniform 10ms 30ms", "exp 20ms", "normal 20ms 5ms".
	Delay Delay `yaml:"delay"`
	// Body is the size of the answer's body in bytes.
	Body int64 `yaml:"body,omitempty"`
	// Chunked sends the body with Transfer-Encoding: chunked.
	Chunked bool `yaml:"chunked,omitempty"`
	// UntilClose sends the body with neither a length nor chunks: it ends with
	// the connection, which the answer says unless Unannounced.
	UntilClose bool `yaml:"until_close,omitempty"`
	// SplitWrites sends head and body of an answer in two writes, and Nagle leaves
	// TCP_NODELAY off: with both, the second waits for the first to be acknowledged.
	SplitWrites bool `yaml:"split_writes,omitempty"`
	Nagle       bool `yaml:"nagle,omitempty"`
	// Upload is what the server does with a request's body; what it leaves of it
	// unread makes the close a RST, unless AfterFIN drains.
	Upload Upload `yaml:"upload,omitempty"`
	// Status of the answers, 200 to 599; 0: 200.
	Status int `yaml:"status,omitempty"`
	// SayClose puts `Connection: close` on every answer and closes after it.
	SayClose bool `yaml:"say_close,omitempty"`
	// Fault is what the server does wrong, and FaultOn to which exchanges.
	Fault   Fault   `yaml:"fault,omitempty"`
	FaultOn FaultOn `yaml:"fault_on,omitempty"`
	// TLS serves https with a certificate made at start.
	TLS bool `yaml:"tls,omitempty"`
	// NotifyLead is the time between a close_notify and its FIN, when the client
	// does not close first; for the closes that AfterFIN drains.
	NotifyLead time.Duration `yaml:"notify_lead,omitempty"`
	// MaxConnections is how many may be open; 0: no limit. The others are not
	// accepted: the kernel keeps them in its queue, Backlog long (0: as the system
	// has it), and then drops their SYNs (Linux). AcceptPause is drawn between two
	// accepts. A connection has its place until the server has closed it.
	MaxConnections int   `yaml:"max_connections,omitempty"`
	Backlog        int   `yaml:"backlog,omitempty"`
	AcceptPause    Delay `yaml:"accept_pause,omitempty"`
	// Threads is how many requests are served at a time, from their first byte to
	// the last of the answer; 0: no limit. The others wait, first come first served.
	Threads int `yaml:"threads,omitempty"`
	// ReloadEvery reloads the server so often, 0: never; Reload is what that does
	// to the connections then open.
	ReloadEvery time.Duration `yaml:"reload_every,omitempty"`
	Reload      Reload        `yaml:"reload,omitempty"`
	// RecordHeaders keeps the headers of the requests in the stories.
	RecordHeaders bool `yaml:"record_headers,omitempty"`
}

// Validate returns every complaint about c, joined, each beginning with the
// name of the field; nil when there is none. It changes nothing.
func (s Server) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if s.IdleTimeout < 0 {
		bad("idle_timeout: %v is negative (0 means for ever)", s.IdleTimeout)
	}
	if s.MaxRequests < 0 {
		bad("max_requests: %d is negative (0 means no limit)", s.MaxRequests)
	}
	if s.Unannounced && s.MaxRequests == 0 && !s.UntilClose {
		bad("unannounced: has no effect without max_requests or until_close; set one or remove it")
	}
	if err := s.Delay.Validate(); err != nil {
		bad("delay: %w", err)
	}
	if s.Body < 0 {
		bad("body: %d is negative", s.Body)
	}
	if s.Status != 0 && (s.Status < 200 || s.Status > 599) {
		bad("status: %d is not between 200 and 599", s.Status)
	}
	if Bodyless(s.Status) && (s.Body > 0 || s.Chunked) {
		bad("status: an answer with status %d has no body; remove body and chunked", s.Status)
	}
	errs = append(errs, s.validateManners()...)
	errs = append(errs, s.validateMessages()...)
	errs = append(errs, s.validateLimits()...)
	errs = append(errs, s.validateFault()...)
	return errors.Join(errs...)
}

func (s Server) validateFault() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !faultNames.Known(s.Fault) {
		bad("fault: %v is unknown", s.Fault)
	}
	if s.FaultOn < OnReused {
		bad("fault_on: %d is unknown", int(s.FaultOn))
	}
	if s.FaultOn != OnAll && s.Fault == FaultNone {
		bad("fault_on: has no effect without fault; set fault or remove it")
	}
	if s.FaultOn == OnReused && s.Fault.OnConnection() {
		bad("fault_on: reused never happens, because %v strikes before a connection's first request; use all, fresh or every N", s.Fault)
	}
	if (s.Fault == CloseDuringResponse || s.Fault == ResetDuringResponse) && s.Body < 2 {
		bad("body: %v sends part of the body, so body must be at least 2", s.Fault)
	}
	if (s.Fault == CloseOnIdle || s.Fault == ResetOnIdle) && s.SayClose {
		bad("fault: %v never happens with say_close, because no connection is ever idle", s.Fault)
	}
	if (s.Fault == TLSAlert || s.Fault == TLSNoCloseNotify) && !s.TLS {
		bad("fault: %v needs TLS; set tls: true", s.Fault)
	}
	return errs
}

// validateMessages looks at how answers are written and requests read.
func (s Server) validateMessages() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !versionNames.Known(s.Version) {
		bad("version: %v is unknown", s.Version)
	}
	if s.Version == HTTP10 && s.Chunked {
		bad("chunked: HTTP/1.0 has no chunks; remove it, or set until_close")
	}
	if s.UntilClose && (s.Chunked || Bodyless(s.Status)) {
		bad("until_close: is for a body without chunks; remove it, or chunked, or a status without body")
	}
	if s.UntilClose && s.Hint != "" {
		bad("hint: is never sent with until_close; remove one of them")
	}
	if s.SplitWrites && s.Body == 0 {
		bad("split_writes: has no effect without body; set body or remove it")
	}
	if !uploadNames.Known(s.Upload) {
		bad("upload: %v is unknown", s.Upload)
	}
	if s.Upload != ReadFirst && s.Fault.WhileReading() {
		bad("upload: %v never happens with fault: %v; remove one of them", s.Upload, s.Fault)
	}
	return errs
}

// validateLimits looks at what bounds the server and what reloads it.
func (s Server) validateLimits() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, n := range []struct {
		field string
		v     int
	}{{"max_connections", s.MaxConnections}, {"backlog", s.Backlog}, {"threads", s.Threads}} {
		if n.v < 0 || n.v > maxPlaces {
			bad("%s: %d is not between 0 and %d (0 means no limit of the server's)", n.field, n.v, maxPlaces)
		}
	}
	if err := s.AcceptPause.Validate(); err != nil {
		bad("accept_pause: %w", err)
	}
	if s.NotifyLead < 0 || s.NotifyLead > maxDelay {
		bad("notify_lead: %v is not between 0 and %v", s.NotifyLead, maxDelay)
	}
	if s.NotifyLead > 0 && !s.TLS {
		bad("notify_lead: needs TLS; set tls: true")
	}
	if s.ReloadEvery < 0 {
		bad("reload_every: %v is negative (0 means never)", s.ReloadEvery)
	}
	if !reloadNames.Known(s.Reload) {
		bad("reload: %v is unknown", s.Reload)
	}
	return errs
}

// Bodyless reports whether answers with this status never have a body.
func Bodyless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}
