package target

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/kabench/kabench/results"
)

// A failure's line among the packets says what was seen, and the outcome beside
// it, which may be what a client makes of that.
func TestNoteOfAFailure(t *testing.T) {
	for _, c := range []struct {
		cause results.Cause
		err   error
		want  string
	}{
		{results.CauseFIN, fmt.Errorf("the connection ended; seen: %w", os.NewSyscallError("read", syscall.ECONNRESET)), "got ECONNRESET: failed, before_response/fin"},
		{results.CauseFIN, io.EOF, "read EOF: failed, before_response/fin"},
		{results.CauseTruncated, io.EOF, "read EOF: failed, before_response/truncated"},
		{results.CauseTimeout, os.ErrDeadlineExceeded, "waited no longer: failed, before_response/timeout"},
	} {
		e := &results.Exchange{}
		e.Reset(1, 0)
		e.Leased, e.Done, e.Phase, e.Cause, e.Err = 1, 2, results.PhaseBeforeResponse, c.cause, c.err
		list := notes(e, 0, false)
		if got := list[len(list)-1].Text; !strings.Contains(got, c.want) {
			t.Errorf("%v of %v: %q, want %q", c.cause, c.err, got, c.want)
		}
	}
}
