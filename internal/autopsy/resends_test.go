package autopsy

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A client that sends failed requests again differs from one that does not, and from
// one whose requests come so often that nobody can say.
func TestResends(t *testing.T) {
	for name, c := range map[string]struct {
		again bool
		every time.Duration // between other requests with the same line
		want  string
	}{
		"again":           {true, time.Second, "it sends failed requests again (the same request soon came on another connection after 6 of 6)"},
		"not again":       {false, time.Second, "it does not send failed requests again at once"},
		"nobody can tell": {false, 10 * time.Millisecond, ""},
	} {
		w := &world{}
		for n := range 6 {
			at := time.Duration(n) * 2 * time.Second
			k := w.open(at)
			k.exchange(at+trip, "/x")
			k.races(5*time.Second, 2*time.Millisecond, "/x")
			if c.again {
				retry := k.lastServed + 5*time.Second + 2*trip
				w.open(retry).exchange(retry+trip, "/x")
			}
		}
		for at := 3 * time.Second; at < 20*time.Second; at += c.every {
			w.open(at+777*time.Microsecond).exchange(at+trip+777*time.Microsecond, "/x")
		}
		v := examined(t, Options{Files: []string{w.capture(t, true, 0, 0)}})
		if len(v.Clients) != 1 || v.Met["crossed"] != 6 {
			t.Fatalf("%s: %d clients, %v", name, len(v.Clients), v.Met)
		}
		text := v.Clients[0].Sentence()
		if c.want == "" && strings.Contains(text, "again") || !strings.Contains(text, c.want) {
			t.Errorf("%s: %s\n%+v", name, text, fmt.Sprintf("%+v", v.Clients[0]))
		}
	}
}
