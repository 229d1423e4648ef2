package script

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// maxPlaces bounds the counts that limit a server: connections, backlog, threads.
const maxPlaces = 1 << 20

// Server is the script of a server: the `target.lab:` section of a profile. The
// zero value responds with status 200 at once, without a body, and keeps
// connections forever.
type Server struct {
	// IdleTimeout is how long after the last byte of a response the server waits
	// for the next request before it closes (its keep-alive timeout); 0: forever.
	// It does not apply to a connection that has not sent a request yet.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// IdleLate is a random time, drawn for each wait and added to IdleTimeout. It
	// stands for servers that check their timers only at each tick.
	IdleLate Delay `yaml:"idle_late,omitempty"`
	// TimerVsData says what happens to a request that has arrived but has not been
	// read when the idle timer fires.
	TimerVsData TimerVsData `yaml:"timer_vs_data,omitempty"`
	// AfterFIN says what happens to data that arrives after the server's FIN. It
	// does not apply to a FIN that Fault sends.
	AfterFIN AfterFIN `yaml:"after_fin,omitempty"`
	// Hint is the value of the Keep-Alive header of responses, such as "timeout=5".
	// With HintIfAsked the header is sent only if the request says
	// `Connection: keep-alive`. The header changes nothing: IdleTimeout decides.
	Hint        string `yaml:"hint,omitempty"`
	HintIfAsked bool   `yaml:"hint_if_asked,omitempty"`
	// MaxRequests closes a connection after that many requests; 0: no limit. The
	// last response says `Connection: close` unless Unannounced.
	MaxRequests int  `yaml:"max_requests,omitempty"`
	Unannounced bool `yaml:"unannounced,omitempty"`
	// Version is the HTTP version of the responses. With http/1.0 there are no
	// chunks, and the server keeps a connection only if the request says
	// `Connection: keep-alive`; the response then says so too. The server treats
	// requests of HTTP/1.0 the same way, whatever its own version is.
	Version Version `yaml:"version,omitempty"`
	// IgnoreKeepAlive makes the server ignore `Connection: keep-alive` of HTTP/1.0:
	// it closes after each response and does not announce it.
	IgnoreKeepAlive bool `yaml:"ignore_keep_alive,omitempty"`
	// Delay is the time from the end of the request to the first byte of the
	// response: a duration, or a distribution such as "uniform 10ms 30ms",
	// "exp 20ms" or "normal 20ms 5ms".
	Delay Delay `yaml:"delay"`
	// Body is the size of the response's body in bytes.
	Body int64 `yaml:"body,omitempty"`
	// Chunked sends the body with Transfer-Encoding: chunked.
	Chunked bool `yaml:"chunked,omitempty"`
	// UntilClose sends the body with neither a length nor chunks: the end of the
	// connection ends it. The response says `Connection: close` unless Unannounced.
	UntilClose bool `yaml:"until_close,omitempty"`
	// SplitWrites sends the head and the body of a response in two writes. Nagle
	// leaves TCP_NODELAY off. With both, the second write waits until the client has
	// acknowledged the first.
	SplitWrites bool `yaml:"split_writes,omitempty"`
	Nagle       bool `yaml:"nagle,omitempty"`
	// Upload says when the server reads a request's body. If part of the body is
	// unread when the server closes, the close is a RST, unless AfterFIN drains.
	Upload Upload `yaml:"upload,omitempty"`
	// Status is the status of the responses, 200 to 599; 0: 200.
	Status int `yaml:"status,omitempty"`
	// SayClose puts `Connection: close` on every response and closes after it.
	SayClose bool `yaml:"say_close,omitempty"`
	// Fault is what the server does wrong. FaultOn says in which exchanges.
	Fault   Fault   `yaml:"fault,omitempty"`
	FaultOn FaultOn `yaml:"fault_on,omitempty"`
	// TLS serves https with a certificate that is made at the start.
	TLS bool `yaml:"tls,omitempty"`
	// NotifyLead is the time between the close_notify and the FIN, unless the
	// client closes earlier. It applies to the closes that AfterFIN applies to.
	NotifyLead time.Duration `yaml:"notify_lead,omitempty"`
	// MaxConnections is how many connections may be open; 0: no limit. The server
	// accepts no further ones. They wait in the kernel's queue, which holds Backlog
	// connections (0: the system's default); when it is full, Linux drops their
	// SYNs. A connection counts until the server has closed it. AcceptPause is a
	// random time, drawn for each pause between two accepts.
	MaxConnections int   `yaml:"max_connections,omitempty"`
	Backlog        int   `yaml:"backlog,omitempty"`
	AcceptPause    Delay `yaml:"accept_pause,omitempty"`
	// Threads is how many requests are served at the same time, each from its first
	// byte to the last byte of the response; 0: no limit. Other requests wait in the
	// order in which they arrived.
	Threads int `yaml:"threads,omitempty"`
	// ReloadEvery is the time between two reloads of the server; 0: never. Reload
	// says what a reload does to the connections that are open.
	ReloadEvery time.Duration `yaml:"reload_every,omitempty"`
	Reload      Reload        `yaml:"reload,omitempty"`
	// ReloadOn names events of the run at which the server is reloaded. At StopOn it
	// stops: it accepts no more connections, and ends those that are open as a reload does.
	ReloadOn Moments `yaml:"reload_on,omitempty"`
	StopOn   Moments `yaml:"stop_on,omitempty"`
	// Stall is a time in which the server sends no response.
	Stall Stall `yaml:"stall,omitempty"`
	// RecordHeaders keeps the headers of the requests in the stories.
	RecordHeaders bool `yaml:"record_headers,omitempty"`
}

// Stall is the time between two events of a run in which a server sends no response. It reads
// requests meanwhile, as far as it has threads.
type Stall struct {
	// From is the event at which it begins, and Until the event at which it ends.
	From  string `yaml:"from,omitempty"`
	Until string `yaml:"until,omitempty"`
}

// Awaits returns the names of the events that s waits for, by the path of the field that names
// them.
func (s Server) Awaits() map[string]string {
	all := map[string]string{}
	for path, name := range map[string]string{"stall.from": s.Stall.From, "stall.until": s.Stall.Until} {
		if name != "" {
			all[path] = name
		}
	}
	for field, m := range map[string]Moments{"reload_on": s.ReloadOn, "stop_on": s.StopOn} {
		for host, name := range m {
			if name != "" { // complained about elsewhere
				all[m.Path(field, host)] = name
			}
		}
	}
	return all
}

// On returns s as the server on that host has it: of the events that are named by host it
// has its own.
func (s Server) On(host string) Server {
	s.ReloadOn, s.StopOn = s.ReloadOn.on(host), s.StopOn.on(host)
	return s
}

// Validate returns every complaint about s, joined, each beginning with the
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
		bad("status: a response with status %d has no body; remove body and chunked", s.Status)
	}
	errs = append(errs, s.validateClosing()...)
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

// validateMessages checks how responses are written and requests read.
func (s Server) validateMessages() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !versionNames.Known(s.Version) {
		bad("version: %v is unknown", s.Version)
	}
	if s.Version == HTTP10 && s.Chunked {
		bad("chunked: HTTP/1.0 has no chunks; remove chunked, or set until_close")
	}
	if s.UntilClose && (s.Chunked || Bodyless(s.Status)) {
		bad("until_close: is for a body without chunks; remove until_close, chunked, or a status without body")
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

// validateLimits checks what bounds the server and what reloads it.
func (s Server) validateLimits() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, n := range []struct {
		field string
		v     int
	}{{"max_connections", s.MaxConnections}, {"backlog", s.Backlog}, {"threads", s.Threads}} {
		if n.v < 0 || n.v > maxPlaces {
			bad("%s: %d is not between 0 and %d (0 means no limit)", n.field, n.v, maxPlaces)
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
	if (s.Stall.From == "") != (s.Stall.Until == "") {
		bad("stall: needs two events, from and until; set both or none")
	}
	if s.Stall.From != "" && s.Stall.From == s.Stall.Until {
		bad("stall: begins and ends with the same event; set two")
	}
	if s.ReloadEvery < 0 {
		bad("reload_every: %v is negative (0 means never)", s.ReloadEvery)
	}
	if !reloadNames.Known(s.Reload) {
		bad("reload: %v is unknown", s.Reload)
	}
	for field, m := range map[string]Moments{"reload_on": s.ReloadOn, "stop_on": s.StopOn} {
		for host, event := range m {
			if event == "" {
				bad("%s: name the event at which it happens", m.Path(field, host))
			}
		}
	}
	return errs
}

// Bodyless reports whether responses with this status never have a body.
func Bodyless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}
