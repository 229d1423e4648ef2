package applog

import (
	"strings"

	"github.com/kabench/kabench/internal/evidence"
)

// causeOf says what the text of an error says about the end of a connection.
func causeOf(text string) (by evidence.Side, how evidence.Kind, basis evidence.Basis, why string) {
	lower := strings.ToLower(text[:min(len(text), 1000)])
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(lower, w) {
				return true
			}
		}
		return false
	}
	switch {
	case has("reset", "econnreset", "broken pipe", "epipe"):
		return evidence.Nobody, evidence.RST, evidence.Seen, "the log says that the connection was reset"
	case has("end of stream", "eofexception", "other side closed", "socket hang up", "prematurely closed", "failed to respond", "end of input", "unexpected end", "closed by peer"):
		return evidence.ByServer, evidence.FIN, evidence.Seen, "the client read the end of the stream"
	case has("timeout", "timed out", "etimedout"):
		return evidence.ByClient, evidence.FIN, evidence.Seen, "the client's timeout ran out"
	case has("cancel", "abort"):
		return evidence.ByClient, evidence.FIN, evidence.Seen, "the client cancelled the request"
	}
	return evidence.Nobody, evidence.FIN, evidence.Unknown, "the log gives an error that does not say who closed"
}
