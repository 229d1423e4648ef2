package lab

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Config is the script of a Server: the `target.lab:` section of a profile.
// The zero value answers 200 at once, with no body, and keeps connections for
// ever.
type Config struct {
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
	// Delay is the time from request read to first byte of the answer: a
	// duration, or a distribution: "uniform 10ms 30ms", "exp 20ms", "normal 20ms 5ms".
	Delay Delay `yaml:"delay"`
	// Body is the size of the answer's body in bytes.
	Body int64 `yaml:"body,omitempty"`
	// Chunked sends the body with Transfer-Encoding: chunked.
	Chunked bool `yaml:"chunked,omitempty"`
	// Status of the answers, 200 to 599; 0: 200.
	Status int `yaml:"status,omitempty"`
	// SayClose puts `Connection: close` on every answer and closes after it.
	SayClose bool `yaml:"say_close,omitempty"`
	// Fault is what the server does wrong, and FaultOn to which exchanges.
	Fault   Fault   `yaml:"fault,omitempty"`
	FaultOn FaultOn `yaml:"fault_on,omitempty"`
	// TLS serves https with a certificate made at start.
	TLS bool `yaml:"tls,omitempty"`
}

// Validate returns every complaint about c, joined, each beginning with the
// name of the field; nil when there is none. It changes nothing.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.IdleTimeout < 0 {
		bad("idle_timeout: %v is negative (0 means for ever)", c.IdleTimeout)
	}
	if c.MaxRequests < 0 {
		bad("max_requests: %d is negative (0 means no limit)", c.MaxRequests)
	}
	if c.Unannounced && c.MaxRequests == 0 {
		bad("unannounced: has no effect without max_requests; set max_requests or remove it")
	}
	if err := c.Delay.Validate(); err != nil {
		bad("delay: %w", err)
	}
	if c.Body < 0 {
		bad("body: %d is negative", c.Body)
	}
	if c.Status != 0 && (c.Status < 200 || c.Status > 599) {
		bad("status: %d is not between 200 and 599", c.Status)
	}
	if bodyless(c.Status) && (c.Body > 0 || c.Chunked) {
		bad("status: an answer with status %d has no body; remove body and chunked", c.Status)
	}
	errs = append(errs, c.validateManners()...)
	errs = append(errs, c.validateFault()...)
	return errors.Join(errs...)
}

func (c Config) validateFault() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if int(c.Fault) >= len(faultNames) {
		bad("fault: %v is unknown", c.Fault)
	}
	if c.FaultOn < OnReused {
		bad("fault_on: %d is unknown", int(c.FaultOn))
	}
	if c.FaultOn != OnAll && c.Fault == FaultNone {
		bad("fault_on: has no effect without fault; set fault or remove it")
	}
	if c.FaultOn == OnReused && c.Fault.onConnection() {
		bad("fault_on: reused never happens, because %v strikes before a connection's first request; use all, fresh or every N", c.Fault)
	}
	if (c.Fault == CloseDuringResponse || c.Fault == ResetDuringResponse) && c.Body < 2 {
		bad("body: %v sends part of the body, so body must be at least 2", c.Fault)
	}
	if (c.Fault == CloseOnIdle || c.Fault == ResetOnIdle) && c.SayClose {
		bad("fault: %v never happens with say_close, because no connection is ever idle", c.Fault)
	}
	if (c.Fault == TLSAlert || c.Fault == TLSNoCloseNotify) && !c.TLS {
		bad("fault: %v needs TLS; set tls: true", c.Fault)
	}
	return errs
}

func (c Config) status() int {
	if c.Status == 0 {
		return http.StatusOK
	}
	return c.Status
}

// bodyless reports whether answers with this status never have a body.
func bodyless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}

// LinkConfig is a Link: the `target.link:` section of a profile.
type LinkConfig struct {
	// Delay is how long every byte, FIN and RST travels, one way: half of a
	// round trip.
	Delay time.Duration `yaml:"delay"`
}

// Validate says what is wrong with c; nil when nothing is.
func (c LinkConfig) Validate() error {
	if c.Delay < 0 || c.Delay > maxDelay {
		return fmt.Errorf("delay: %v is not between 0 and %v", c.Delay, maxDelay)
	}
	return nil
}
