package results

import (
	"fmt"

	"github.com/kabench/kabench/internal/enum"
)

// Phase names the part of an exchange in which it ended. The zero value is
// PhaseSchedule: a request that was never started ended where it was due.
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
	PhaseDone                         // the response arrived whole

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
