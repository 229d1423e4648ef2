package results

import (
	"fmt"

	"github.com/kabench/kabench/internal/enum"
)

// Cause names why an exchange ended in its phase. The zero value, CauseNone,
// belongs to PhaseDone and to nothing else.
type Cause uint8

// The causes. Each says what was seen, not who is to blame.
const (
	CauseNone          Cause = iota // the exchange is done
	CauseTimeout                    // a deadline passed, or the kernel gave up (ETIMEDOUT)
	CauseFIN                        // the peer closed its half in order (read returned EOF)
	CauseRST                        // the peer reset the connection (ECONNRESET)
	CausePipe                       // we wrote to a connection known to be closed (EPIPE)
	CauseCloseNotify                // TLS: the peer's close_notify alert was read, and no FIN; that may have come too
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
	CauseTruncated                  // FIN before Content-Length bytes had come
	CauseMalformed                  // what came is not HTTP/1.1, or not TLS, or exceeds the limits we set
	CauseDropped                    // due, and no slot in flight was free (phase schedule)
	CauseAborted                    // we were told to stop; the exchange counts as unfinished
	CauseOther                      // none of these; the exchange's error text says more

	NumCauses = int(CauseOther) + 1
)

var causeNames = enum.Names[Cause]{
	"", "timeout", "fin", "rst", "pipe", "close_notify", "alert", "certificate", "nxdomain", "dns",
	"refused", "unreachable", "port_exhausted", "fd_exhausted", "queue_full", "closed", "truncated",
	"malformed", "dropped", "aborted", "other",
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
