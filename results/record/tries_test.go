package record

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/results"
)

// TestKilledRunKeepsWhatWasSentAgain: exchanges that were sent again are always
// recorded, even if only some successes are, and each counts once.
func TestKilledRunKeepsWhatWasSentAgain(t *testing.T) {
	list := []*results.Exchange{done(0), resentInVain(1)}
	list[1].Tries[0].Conn = 99
	for seq := range uint64(18) {
		list = append(list, resent(seq+2))
	}
	for _, oneIn := range []uint64{1, 1000} {
		dir, _ := cutOff(t, oneIn, list)
		d, err := Open(dir)
		must(t, err)
		run, err := d.Run()
		must(t, err)
		if diff := cmp.Diff(filled(tallied(list), 0).Resends, run.Resends); diff != "" {
			t.Errorf("one success in %d (-want +got):\n%s", oneIn, diff)
		}
		if run.Connections.Opened != 99 {
			t.Errorf("connections = %+v, want those of the tries too", run.Connections)
		}
	}
}

// TestManyTriesFitALine: if a request has more tries than a line holds, the line keeps
// maxTries of them, and the number of all attempts.
func TestManyTriesFitALine(t *testing.T) {
	e := stale(3)
	e.Due = 100 * 24 * time.Hour
	for range maxTries + 7 {
		e.Phase, e.Cause, e.Leased, e.Done = results.PhaseResponseHeaders, results.CausePortExhausted, 2*e.Due, 2*e.Due
		e.Conn, e.Use, e.Idle = 1<<63, 1<<40, e.Due
		e.Again()
		e.Twice = true
	}
	e.Attempts = maxTries + 8
	text := appendLine(nil, e)
	if len(text) > maxLine {
		t.Errorf("the line has %d bytes, and %d are read", len(text), maxLine)
	}
	var got results.Exchange
	must(t, readLine(text, &got))
	if len(got.Tries) != maxTries || got.Attempts != e.Attempts || !got.Twice {
		t.Errorf("%d tries, %d attempts, twice %v", len(got.Tries), got.Attempts, got.Twice)
	}
	if diff := cmp.Diff(e.Tries[0], got.Tries[0]); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
}

func TestBadTries(t *testing.T) {
	for text, say := range map[string]string{
		`[{"cause":"fin"}]`:                                                     "try 1: no phase",
		`[{"phase":"tls"},{"phase":"x"}]`:                                       `phase "x" is none of`,
		`[{"phase":"tls","use":-1}]`:                                            "try 1: use: -1 is negative",
		`[{"phase":"tls","idle":-1}]`:                                           "try 1: idle: -1 is out of range",
		`[{"phase":"tls"},{"phase":"tls","done":9223372036854775807}]`:          "try 2: done: 9223372036854775807 is out of range",
		"[" + strings.Repeat(`{"phase":"tls"},`, maxTries) + `{"phase":"tls"}]`: "are more than 1000",
	} {
		var e results.Exchange
		err := readLine([]byte(`{"phase":"done","tries":`+text+`}`), &e)
		if err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%.60s: %v, want %q", text, err, say)
		}
	}
}
