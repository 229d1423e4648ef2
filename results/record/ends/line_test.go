package ends

import (
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
)

// A line says all that is recorded of an end, to the µs.
func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	stamp := func() time.Duration {
		if r.IntN(4) == 0 {
			return results.Never
		}
		return time.Duration(r.Int64N(1e12)) * time.Microsecond
	}
	for range 1000 {
		e := results.ConnectionEnd{
			Conn: 1 + r.Uint64N(1e9), Opened: stamp(), Ended: stamp(), Uses: r.IntN(3), Idle: stamp(), ServerAt: results.Never,
			By: results.Ender(r.IntN(4)), How: results.EndedHow(r.IntN(4)), Reason: []string{"", "expired", "server_said_close"}[r.IntN(3)],
		}
		if e.Closed = e.Ended; r.IntN(2) == 0 {
			e.Closed = time.Hour
		}
		if r.IntN(2) == 0 {
			e.Server, e.ServerAt = "idle_timeout", stamp()
		}
		line := AppendLine(nil, &e)
		var back results.ConnectionEnd
		if err := ReadLine(line, &back); err != nil || back != e {
			t.Fatalf("%s: %v\n%+v, want\n%+v", line, err, back, e)
		}
	}
}

func TestRefusedLines(t *testing.T) {
	for line, want := range map[string]string{
		``:                                      "unexpected end",
		`{"conn":1`:                             "unexpected end",
		`{"opened":1}`:                          "conn: missing",
		`{"conn":-1}`:                           "uint64",
		`{"conn":1,"uses":-1}`:                  "uses: -1 is negative",
		`{"conn":1,"idle":-5}`:                  "idle: -5 is out of range",
		`{"conn":1,"ended":9e15}`:               "int64",
		`{"conn":1,"closed":99999999999999999}`: "closed: 99999999999999999 is out of range",
		`{"conn":1,"by":"nobody"}`:              `"nobody" is none of unknown, us, peer, reset`,
	} {
		var e results.ConnectionEnd
		if err := ReadLine([]byte(line), &e); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

// docs/results.md has the keys of a line, and lines as they are written.
func TestDocs(t *testing.T) {
	docs, err := os.ReadFile("../../../docs/results.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(docs), "\n## connections.ndjson.zst\n")
	section, _, _ = strings.Cut(section, "\n## ")
	if !found {
		t.Fatal("docs/results.md does not describe connections.ndjson.zst")
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[line]()) {
		if key := f.Tag.Get("json"); !strings.Contains(section, "\n| `"+key+"` |") {
			t.Errorf("docs/results.md does not describe the key %s", key)
		}
	}
	examples := 0
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "{") {
			continue
		}
		examples++
		var e results.ConnectionEnd
		if err := ReadLine([]byte(line), &e); err != nil || string(AppendLine(nil, &e)) != line {
			t.Errorf("%v: the example is\n%sand would be\n%s", err, line, AppendLine(nil, &e))
		}
	}
	if examples == 0 {
		t.Error("docs/results.md has no example of a line")
	}
}

func FuzzReadLine(f *testing.F) {
	f.Add([]byte(`{"conn":4,"opened":1,"ended":2,"closed":3,"uses":4,"idle":5,"by":"peer","how":"fin","reason":"broken","server":"idle_timeout","server_at":6}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var e, again results.ConnectionEnd
		if ReadLine(line, &e) != nil || strings.ContainsFunc(e.Reason+e.Server, func(r rune) bool { return r < '0' || r > 'z' || r == '\\' }) {
			return // words of kabench's own are written without escapes
		}
		if e.Server == "" {
			e.ServerAt = results.Never // it is written with its reason
		}
		if err := ReadLine(AppendLine(nil, &e), &again); err != nil || again != e {
			t.Errorf("%+v became %+v: %v", e, again, err)
		}
	})
}
