package record

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/results"
)

// If readPlain reads a line, readAny reads the same exchange from it.
func FuzzPlainAgrees(f *testing.F) {
	for _, e := range append(mixed(120), resent(1), resentInVain(2), looked(3), aborted(4), dropped(5)) {
		f.Add(appendLine(nil, e)[:])
	}
	for _, text := range []string{
		`{"seq":0,"due":0,"phase":"done"}`, `{"seq":01,"due":0,"phase":"done"}`, `{"seq":-0,"due":-0,"phase":"done"}`,
		`{"seq":1,"due":2,"stamps":[-0,null,null,null,null,null,-1],"phase":"done"}`,
		`{"seq":1,"due":2,"stamps":[1,2,3,4,5,6,7,8],"phase":"done"}`, `{"seq":1,"due":2,"phase":"gone"}`,
		`{"seq":1,"due":2,"conn":1,"born":-5,"phase":"done","cause":"","attempts":0}`,
		`{"seq":1,"due":2,"use":99999999999,"phase":"done","out":99999999999}`,
		`{"seq":999999999999999999,"due":999999999999999999,"phase":"done"}`,
		`{"seq":1,"due":2,"phase":"connect","cause":"other","error":"a \\ \" <b>"}`, `{"seq":1,"due":2,"phase":"connect","error":""}`,
		`{"seq":1,"due":2,"phase":"connect","error":"\u003c"}`, `{"seq":1,"due":2,"phase":"connect","error":"é"}`,
		`{"seq":1,"due":2,"phase":"done"} `, `{"seq":1,"due":2,"phase":"done","due":3}`, `{`, ``,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var quick, careful results.Exchange
		if n := len(text); n > 0 && text[n-1] == '\n' {
			text = text[:n-1]
		}
		if !readPlain(text, &quick) {
			return
		}
		if err := readAny(text, &careful); err != nil {
			t.Fatalf("%q: taken, and refused: %v", text, err)
		}
		if diff := cmp.Diff(careful, quick); diff != "" {
			t.Errorf("%q (-careful +quick):\n%s", text, diff)
		}
	})
}

// readPlain can read every line of such a run, so that reading a record is fast.
func TestPlainTakesWhatIsWritten(t *testing.T) {
	for _, e := range append(mixed(120), busy(1000)...) {
		text := appendLine(nil, e)
		var got results.Exchange
		if !readPlain(text[:len(text)-1], &got) {
			t.Fatalf("not taken: %s", text)
		}
	}
	large := done(math.MaxInt32)
	var got results.Exchange
	if text := appendLine(nil, large); !readPlain(text[:len(text)-1], &got) {
		t.Errorf("not taken: %s", text)
	}
}

func BenchmarkReadLine(b *testing.B) {
	var lines [][]byte
	for _, e := range busy(1000) {
		text := appendLine(nil, e)
		lines = append(lines, text[:len(text)-1])
	}
	var e results.Exchange
	for i := 0; b.Loop(); i++ {
		if err := readLine(lines[i%len(lines)], &e); err != nil {
			b.Fatal(err)
		}
	}
}
