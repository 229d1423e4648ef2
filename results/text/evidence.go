package text

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/kabench/kabench/results"
)

// renderEvidence writes the packets of a failed exchange as a ladder diagram.
func renderEvidence(b *bytes.Buffer, e results.Evidence) {
	closed := "not closed"
	if e.By != "" {
		closed = fmt.Sprintf("closed first by the %s, by %s", e.By, strings.ToUpper(e.How))
	}
	fmt.Fprintf(b, "Exchange %d, use %d of connection %d, %v / %v (%s to %s, %s):\n", e.Seq, e.Use, e.Conn, e.Phase, e.Cause, e.Client, e.Server, closed)
	if e.Earlier > 0 {
		fmt.Fprintf(b, "  ... %s before\n", results.FormatCount(uint64(e.Earlier), "packet"))
	}
	for _, line := range e.Lines() {
		fmt.Fprintln(b, line)
	}
}
