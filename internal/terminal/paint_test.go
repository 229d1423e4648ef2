package terminal

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/kabench/kabench/internal/layout"
)

const report = `idle-race
INVALID  kabench fell behind
                      incident  remedy
requests started      1003      1003
  failed              136       0

Failures: 3 of 100, 3.00 % (95 % interval 0.62 % to 8.52 %)
Expectations
  met         failures      expected == 0   seen 0
  NOT MET     response.p99  expected < 1ms  seen 20.2 ms
  NOT JUDGED  pool.idle     expected 0      unknown
REPRODUCED
`

var sgr = regexp.MustCompile("\x1b\\[[0-9;]*m")

func TestPaint(t *testing.T) {
	painted := paint(report)
	for _, want := range []string{
		bad + "INVALID" + plain + "  kabench", "  failed              " + bad + "136" + plain + "       0\n", bad + "Failures: 3 of 100, 3.00 %" + plain + " (95",
		"  " + good + "met" + plain + "         f", "  " + bad + "NOT MET" + plain + "     r", "  " + doubt + "NOT JUDGED" + plain + "  p", "\n" + good + "REPRODUCED" + plain + "\n",
	} {
		if !strings.Contains(painted, want) {
			t.Errorf("%q is missing in\n%q", want, painted)
		}
	}
	if got := sgr.ReplaceAllString(painted, ""); got != report {
		t.Errorf("without its colours the text is\n%s", got)
	}
	for _, calm := range []string{"No failures were expected", "INVALIDATE", "it failed 3 times", "a met  b", "ok 5, failed 0, dropped 2", "NOT REPRODUCEDX"} {
		if got := paint(calm); got != calm {
			t.Errorf("%q", got)
		}
	}
	if got := paint("ok 5, failed 12, dropped 2"); got != "ok 5, "+bad+"failed 12"+plain+", dropped 2" {
		t.Errorf("%q", got)
	}
}

// The text of an Output has as many columns with colours as without, and in a pipe it has none
// unless they are asked for.
func TestColoursDoNotMoveColumns(t *testing.T) {
	var b, with, without bytes.Buffer
	rows := layout.Table(&b)
	rows.Write([]byte("  NOT MET  \tresponse.p99\texpected < 1ms and a text that is longer than the line is wide\n  met      \tb\tc\n"))
	rows.Flush()
	t.Setenv("COLUMNS", "60")
	for to, colour := range map[*bytes.Buffer]bool{&with: true, &without: false} {
		if err := layout.Print(Output{to, colour}, b.String(), 0); err != nil {
			t.Fatal(err)
		}
	}
	if got := sgr.ReplaceAllString(with.String(), ""); got != without.String() || with.Len() == without.Len() {
		t.Errorf("%q\n%q", with.String(), without.String())
	}
	for when, want := range map[When]bool{Auto: false, "": false, Never: false, Always: true} {
		if got, err := when.Colours(&b); got != want || err != nil {
			t.Errorf("%s: %v, %v", when, got, err)
		}
	}
	if _, err := When("red").Colours(os.Stdout); err == nil || !strings.Contains(err.Error(), "--color red: want auto, always or never") {
		t.Error(err)
	}
}

func TestProgressIsPaintedAfterItIsCut(t *testing.T) {
	g, s := onGlass(20, 10)
	s.SetColour(true)
	s.Draw([]string{"ok 5, failed 12, dropped 2 and more"})
	if got := g.String(); got != "ok 5, failed 12, d…" {
		t.Errorf("%q", got)
	}
}
