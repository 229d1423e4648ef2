package witness

import (
	"testing"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/internal/sandbox/sandboxtest"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// Where no packets can be seen, the server's story is what is left.
func TestAlone(t *testing.T) {
	sandboxtest.Need(t)
	if err := up(); err != nil {
		t.Fatal(err)
	}
	s, err := lab.Start(script.Server{Fault: script.CloseBeforeResponse, FaultOn: 3}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Follow()
	w := Alone{s}
	c := client(t, s.URL(), pool.Default())
	epoch := time.Now()
	for seq := range uint64(4) {
		e := &results.Exchange{}
		e.Reset(seq, 0)
		e.Start = 0
		c.Do(t.Context(), e)
		sight := w.Saw(seq, epoch)
		if !sight.Seen || len(sight.Attempts) != 1 {
			t.Fatalf("request %d: %+v", seq, sight)
		}
		a := sight.Attempts[0]
		if a.Phase != e.Phase && !(e.OK() && a.Cause == results.CauseNone) || a.Cause != e.Cause || a.Use != e.Use || a.Conn != e.Conn || a.Basis != evidence.Inferred {
			t.Errorf("request %d: the client has %v/%v on use %d of connection %d, told %+v", seq, e.Phase, e.Cause, e.Use, e.Conn, a)
		}
	}
	if s := w.Saw(9, epoch); s.Seen {
		t.Errorf("a request that the server has not read: %+v", s)
	}
}
