package script

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kabench/kabench/internal/enum"
)

// Fault is what a Server does wrong.
//
// To send a FIN, the server calls close(2). As with any server, the kernel sends a
// RST instead if bytes of the client are unread, and a RST for bytes that arrive
// later. To reset, the server calls close(2) with SO_LINGER 0. Over TLS, the server
// sends a close_notify before it calls close(2), except for resets and with
// TLSNoCloseNotify.
type Fault uint8

// The faults. Those before, in and during the response happen after Delay.
const (
	FaultNone           Fault = iota
	CloseBeforeResponse       // reads the whole request, then FIN
	ResetBeforeResponse       // reads the whole request, then RST
	CloseInHeaders            // sends half of the response's head, then FIN
	ResetInHeaders            // sends half of the response's head, then RST
	CloseDuringResponse       // sends the head and part of the body (a whole chunk if chunked), then FIN
	ResetDuringResponse       // sends the head and part of the body, then RST
	CloseWhileReading         // reads one byte of the request's body, then FIN; a RST if more of the body has arrived
	ResetWhileReading         // reads one byte of the request's body, then RST
	CloseOnIdle               // responds; after idle_timeout (20ms without one), FIN
	ResetOnIdle               // responds; after idle_timeout (20ms without one), RST
	Garbage                   // responds with a line that is not HTTP, then FIN
	EndlessHeaders            // sends a head that never ends
	EndlessBody               // sends a body that never ends, without a length or chunked
	Silent                    // reads what arrives and never responds
	CloseOnAccept             // FIN at once
	ResetOnAccept             // RST at once
	TLSAlert                  // ends the TLS handshake with a fatal alert
	TLSNoCloseNotify          // whenever it closes, it sends a FIN without close_notify
)

var faultNames = enum.Names[Fault]{
	"none", "close_before_response", "reset_before_response", "close_in_headers", "reset_in_headers",
	"close_during_response", "reset_during_response", "close_while_reading", "reset_while_reading",
	"close_on_idle", "reset_on_idle", "garbage", "endless_headers", "endless_body", "silent",
	"close_on_accept", "reset_on_accept", "tls_alert", "tls_no_close_notify",
}

// OnConnection reports whether f strikes a connection before its first request, and
// not an exchange.
func (f Fault) OnConnection() bool {
	return f == CloseOnAccept || f == ResetOnAccept || f == TLSAlert
}

// WhileReading reports whether f strikes while the request is being read.
func (f Fault) WhileReading() bool { return f == CloseWhileReading || f == ResetWhileReading }

// Resets reports whether f ends the connection with a RST; otherwise it is a FIN.
func (f Fault) Resets() bool {
	switch f {
	case ResetBeforeResponse, ResetInHeaders, ResetDuringResponse, ResetWhileReading, ResetOnIdle, ResetOnAccept:
		return true
	}
	return false
}

func (f Fault) String() string                   { return faultNames.Text(f) }
func (f Fault) MarshalText() ([]byte, error)     { return faultNames.Marshal(f) }
func (f *Fault) UnmarshalText(text []byte) error { return faultNames.Unmarshal(text, f) }

// FaultOn says which exchanges a fault strikes: OnAll, OnFresh, OnReused, or
// for n > 0 every n-th exchange of the server. For a fault that strikes connections
// it counts connections, and each of them is fresh.
type FaultOn int

const (
	OnAll    FaultOn = 0
	OnFresh  FaultOn = -1 // the first exchange of each connection
	OnReused FaultOn = -2 // the second and later ones
)

func (o FaultOn) String() string {
	switch {
	case o == OnAll:
		return "all"
	case o == OnFresh:
		return "fresh"
	case o == OnReused:
		return "reused"
	case o > 0:
		return "every " + strconv.Itoa(int(o))
	}
	return fmt.Sprintf("unknown(%d)", int(o))
}

// MarshalText writes "all", "fresh", "reused" or "every 3".
func (o FaultOn) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (o *FaultOn) UnmarshalText(text []byte) error {
	for _, named := range []FaultOn{OnAll, OnFresh, OnReused} {
		if string(text) == named.String() {
			*o = named
			return nil
		}
	}
	if words := strings.Fields(string(text)); len(words) == 2 && words[0] == "every" {
		if n, err := strconv.Atoi(words[1]); err == nil && n > 0 {
			*o = FaultOn(n)
			return nil
		}
	}
	return fmt.Errorf(`%q is none of all, fresh, reused, "every N" with N from 1`, text)
}

// Strikes reports whether the fault strikes an exchange. use is its number on its
// connection and nth its number on the server, both counted from 1.
func (o FaultOn) Strikes(use int, nth uint64) bool {
	switch {
	case o == OnFresh:
		return use == 1
	case o == OnReused:
		return use > 1
	case o > 0:
		return nth%uint64(o) == 0
	}
	return true
}
