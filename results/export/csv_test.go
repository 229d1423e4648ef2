package export

import (
	"testing"
)

func TestCellsAreNoFormulas(t *testing.T) {
	for text, want := range map[string]string{"=1+1": "'=1+1", "@SUM(A1)": "'@SUM(A1)", "-cmd": "'-cmd", "-1": "-1", "+2.5": "+2.5", "15s": "15s", "": "", "a=b": "a=b", "\t=1": `\t=1`, "a\x1b[2J\x00\r\n\"b\"": `a\x1b[2J\x00\r\n"b"`, "\u202ecod.exe": `\u202ecod.exe`, "ŝin, ok": "ŝin, ok"} {
		if got := cellText(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
