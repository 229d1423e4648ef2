package wording

import (
	"strings"
	"testing"
)

// The time for a long text is bounded, whatever is in it: full of beginnings, of
// whole patterns, of errnos, of escapes inside escapes, of lines that go on.
func TestLongTexts(t *testing.T) {
	for i, piece := range []string{
		"java.net.ConnectException ", "EOF ", "connection reset by peer write(", "\n", "a", "[c457f217-2, L:/", "\\\\", "&amp;amp;", "\xff",
		"2026-11-28T02:03:04.123456789Z stderr P x\n", "503 UC,", "operation timed out ", "\\u005c", "连接被",
	} {
		size := MaxText
		if i >= 1 || testing.Short() { // one of full size: if its time were not linear, it would not end
			size /= 16
		}
		long := strings.Repeat(piece, size/len(piece)+1)
		found := Explain(long)
		Nearest(long, 3)
		if len(found) > 200 {
			t.Errorf("%q over and over has %d candidates", piece, len(found))
		}
	}
}
