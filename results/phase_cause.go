package results

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/kabench/kabench/internal/enum"
)

// Cause names why an exchange ended in its phase. The zero value, CauseNone,
// belongs to PhaseDone and to nothing else.
type Cause uint8

// The causes. Each says what kabench saw, not who made the mistake.
const (
	CauseNone          Cause = iota // the exchange is done
	CauseTimeout                    // a deadline passed, or the kernel gave up (ETIMEDOUT)
	CauseFIN                        // the peer closed its half in order (read returned EOF)
	CauseRST                        // the peer reset the connection (ECONNRESET)
	CausePipe                       // we wrote to a connection known to be closed (EPIPE)
	CauseCloseNotify                // TLS: the peer's close_notify alert was read, but no FIN; a FIN may have arrived too
	CauseAlert                      // TLS: the peer sent a fatal alert
	CauseCertificate                // TLS: the peer's certificate was not accepted
	CauseNXDomain                   // the name does not exist
	CauseDNS                        // the name could not be looked up for another reason
	CauseRefused                    // ECONNREFUSED
	CauseUnreachable                // EHOSTUNREACH, ENETUNREACH
	CausePortExhausted              // EADDRNOTAVAIL, or EADDRINUSE from bind
	CauseFDExhausted                // EMFILE, ENFILE
	CauseQueueFull                  // the pool's pending queue is at pending_max
	CauseClosed                     // the pool was closed while we waited
	CauseTruncated                  // FIN before Content-Length bytes had arrived
	CauseMalformed                  // the response is not HTTP/1.1, or not TLS, or exceeds the limits we set
	CauseDropped                    // due, but the limit of requests in flight was reached (phase schedule)
	CauseAgentLost                  // due, but the agent that was to send it was lost; whether it was sent is not known (phase schedule)
	CauseAborted                    // the run was aborted; the exchange counts as unfinished
	CauseOther                      // none of these; the exchange's error text says more

	NumCauses = int(CauseOther) + 1
)

var causeNames = enum.Names[Cause]{
	"", "timeout", "fin", "rst", "pipe", "close_notify", "alert", "certificate", "nxdomain", "dns",
	"refused", "unreachable", "port_exhausted", "fd_exhausted", "queue_full", "closed", "truncated",
	"malformed", "dropped", "agent_lost", "aborted", "other",
}

func (c Cause) String() string { return causeNames.Text(c) }

// MarshalText writes the cause's name, as in run.json; CauseNone is "".
func (c Cause) MarshalText() ([]byte, error) { return causeNames.Marshal(c) }

// UnmarshalText reads a cause's name; an unknown one is an error.
func (c *Cause) UnmarshalText(text []byte) error {
	if err := causeNames.Unmarshal(text, c); err != nil {
		return fmt.Errorf("cause %w", err)
	}
	return nil
}

// maxErrorText bounds the text of an error kept with an exchange or an
// outcome, in bytes. What a server sends can end up in it.
const maxErrorText = 200

// ErrorText is the text of err as the record holds it: at most maxErrorText bytes,
// valid UTF-8, cut between characters.
func ErrorText(err error) string {
	text := err.Error()
	if len(text) > maxErrorText {
		cut := maxErrorText
		for cut > maxErrorText-utf8.UTFMax && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut]
	}
	text = strings.ToValidUTF8(text, "?") // "?" is no longer than what it replaces
	return text
}

// Phase names the part of an exchange in which it ended. The zero value is
// PhaseSchedule: a request that was never started ended in the schedule.
type Phase uint8

// The phases in the order in which a request passes through them.
const (
	PhaseSchedule        Phase = iota // due, not started
	PhaseAcquire                      // asking the pool for a connection
	PhaseResolve                      // looking up the host name; new connections only
	PhaseConnect                      // TCP handshake; new connections only
	PhaseTLS                          // TLS handshake; new connections only
	PhaseWriteHeaders                 // sending the request's head
	PhaseWriteBody                    // sending the request's body
	PhaseBeforeResponse               // request sent, no byte of the response seen
	PhaseResponseHeaders              // first byte seen, head of the response not complete
	PhaseDuringResponse               // head complete, body not complete
	PhaseDone                         // the complete response arrived

	NumPhases = int(PhaseDone) + 1
)

var phaseNames = enum.Names[Phase]{
	"schedule", "acquire", "resolve", "connect", "tls", "write_headers", "write_body",
	"before_response", "response_headers", "during_response", "done",
}

func (p Phase) String() string { return phaseNames.Text(p) }

// MarshalText writes the phase's name, as in run.json.
func (p Phase) MarshalText() ([]byte, error) { return phaseNames.Marshal(p) }

// UnmarshalText reads a phase's name; an unknown one is an error.
func (p *Phase) UnmarshalText(text []byte) error {
	if err := phaseNames.Unmarshal(text, p); err != nil {
		return fmt.Errorf("phase %w", err)
	}
	return nil
}
