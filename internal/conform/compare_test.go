package conform

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/profiles"
)

// seenOf makes a play of requests, each as "ok" or "no" and the uses on which it arrived:
// "ok 1 2" arrived on a fresh and on a reused connection.
func seenOf(requests ...string) Seen {
	var s Seen
	for _, text := range requests {
		words := strings.Fields(text)
		r := Request{Method: "GET", OK: words[0] == "ok", Status: 200, Took: time.Second}
		for i, use := range words[1:] {
			a := Arrival{Conn: i + 1, Whole: !strings.HasSuffix(use, "-")}
			fmt.Sscanf(use, "%d", &a.Use)
			r.Arrivals = append(r.Arrivals, a)
		}
		s.Requests = append(s.Requests, r)
	}
	return s
}

func TestCompareRequests(t *testing.T) {
	for _, test := range []struct {
		client, preset Seen
		looks          Looks
		want           string // what differs
	}{
		{seenOf("ok 1", "ok 2 1"), seenOf("ok 1", "ok 2 1"), Looks{}, ""},
		{seenOf("ok 1", "ok 2"), seenOf("ok 1", "ok 7"), Looks{}, ""}, // which use it was does not matter
		{seenOf("ok 1", "ok 2"), seenOf("ok 1", "no 2"), Looks{}, "request 2: GET 200, reused | GET failed, reused"},
		{seenOf("ok 1"), seenOf("ok 1 1"), Looks{}, "request 1: GET 200, fresh | GET 200, fresh + fresh"},
		{seenOf("ok 1"), seenOf("ok 2"), Looks{}, "request 1: GET 200, fresh | GET 200, reused"},
		{seenOf("no"), seenOf("no 1-"), Looks{}, "request 1: GET failed, never arrived | GET failed, fresh in part"},
		{seenOf("ok 1"), seenOf("ok 1", "ok 1"), Looks{}, "request 2: not sent | GET 200, fresh"},
		{seenOf("ok 2"), seenOf("ok 1 2"), Looks{Which: true}, "request 1: GET 200, connection 1 | GET 200, connection 1 + connection 2"},
		{seenOf("ok 2"), seenOf("ok 1"), Looks{Which: true}, ""},
	} {
		if got := told(Compare(Story{Looks: test.looks}, test.client, test.preset, 0)); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

func told(list []Difference) string {
	var all []string
	for _, d := range list {
		all = append(all, fmt.Sprintf("%s: %s | %s", d.What, d.Client, d.Preset))
	}
	return strings.Join(all, "; ")
}

func TestTotals(t *testing.T) {
	s := seenOf("ok 1", "ok 1 1", "no 1", "no")
	for i, at := range []time.Duration{1, 3, 4, 5} { // arrivals from at to at+2
		n := 0
		for r := range s.Requests {
			for a := range s.Requests[r].Arrivals {
				if n == i {
					s.Requests[r].Arrivals[a].At, s.Requests[r].Arrivals[a].Responded = at, at+2
				}
				n++
			}
		}
	}
	s.Conns = []Conn{{Opened: 1, Closed: 3}, {Opened: 3}, {Opened: 4, Closed: 9}}
	want := Totals{Opened: 3, AtOnce: 2, Requests: 2, Arrivals: 4, OK: 2, Failed: 1, Refused: 1}
	if got := s.Totals(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	other := s
	other.Conns = s.Conns[:2]
	if got := told(Compare(Story{Looks: Looks{Totals: true}}, s, other, 0)); got != "connections opened: 3 | 2; connections at once: 2 | 1" {
		t.Error(got)
	}
}

// A connection that the client opened in place of one that it closed is not one more at a
// time, although the server saw its beginning first.
func TestTotalsOfReplacedConnections(t *testing.T) {
	for _, test := range []struct {
		by   Closer
		late time.Duration
		want int
	}{
		{ByClient, 20 * time.Millisecond, 1},
		{ByClient, time.Second, 2},
		{ByServer, 20 * time.Millisecond, 2},
	} {
		s := Seen{Conns: []Conn{{Opened: 1, Closed: time.Second + test.late, By: test.by}, {Opened: time.Second}}}
		if got := s.Totals().AtOnce; got != test.want {
			t.Errorf("by %s, seen %v later: %d at a time, want %d", test.by, test.late, got, test.want)
		}
	}
}

// Times count where the story is about them, and only beyond the tolerance.
func TestCompareTimes(t *testing.T) {
	closed := func(by Closer, after time.Duration) Seen {
		return Seen{Conns: []Conn{{Opened: time.Second, Last: 2 * time.Second, Closed: 2*time.Second + after, By: by}}}
	}
	for _, test := range []struct {
		client, preset Seen
		sweep          time.Duration
		want           string
	}{
		{closed(ByClient, time.Second), closed(ByClient, 1400*time.Millisecond), 0, ""},
		{closed(ByClient, time.Second), closed(ByClient, 2*time.Second), 0, "connection 1: closed by the client after 1.00s | closed by the client after 2.00s"},
		{closed(ByClient, time.Second), closed(ByClient, 2*time.Second), time.Second, ""},
		{closed(ByNobody, 0), closed(ByClient, time.Second), time.Second, "connection 1: not closed by the client | closed by the client after 1.00s"},
		{closed(ByServer, time.Second), closed(ByNobody, 0), 0, ""},
	} {
		if got := told(Compare(Story{Looks: Looks{Closes: ms(500)}}, test.client, test.preset, test.sweep)); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
	early, late := seenOf("no", "no 1"), seenOf("no", "no 1")
	late.Requests[1].Took = 3 * time.Second
	if got := told(Compare(Story{Looks: Looks{Ends: ms(500)}}, early, late, 0)); got != "the last failure: after 1.00s | after 3.00s" {
		t.Error(got)
	}
	if got := told(Compare(Story{}, early, late, 0)); got != "" {
		t.Error(got)
	}
}

// The stories are sound: each has a name that --story and cannot can give, says what it
// asks, and bears some lateness.
func TestStories(t *testing.T) {
	seen := map[string]bool{}
	short := 0
	for _, s := range Stories() {
		if seen[s.Name] || strings.Trim(s.Name, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
			t.Errorf("the name %q", s.Name)
		}
		seen[s.Name] = true
		if !strings.HasSuffix(s.Asks, "?") || len(s.Rounds) == 0 || s.Slack <= 0 {
			t.Errorf("%+v", s)
		}
		if s.Short {
			short++
			if s.waits() > 5*time.Second {
				t.Errorf("%s is short, and lasts %v", s.Name, s.waits())
			}
		}
	}
	if short < 30 {
		t.Errorf("the short set has %d stories", short)
	}
	for _, about := range Abouts() {
		if !strings.Contains(fmt.Sprint(Stories()), string(about)) {
			t.Errorf("no story is about %s", about)
		}
	}
}

func TestPick(t *testing.T) {
	for patterns, n := range map[string]int{"": len(Stories()), "race-fin-get": 1, "race-fin-get, hint-*": 9, "idle-alive-*": 6} {
		if got, err := Pick(Stories(), patterns); err != nil || len(got) != n {
			t.Errorf("%q picks %d stories, %v", patterns, len(got), err)
		}
	}
	for patterns, want := range map[string]string{"race-fin-gat": "did you mean race-fin-get?", "[": "is not a pattern", "hint-*,nothing-*": "nothing-*"} {
		if _, err := Pick(Stories(), patterns); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", patterns, err)
		}
	}
}

// What a preset says it cannot express names stories that there are.
func TestPresetsNameStories(t *testing.T) {
	for _, p := range profiles.Pools() {
		for _, limit := range p.Cannot {
			for _, pattern := range limit.Stories {
				if _, err := Pick(Stories(), pattern); err != nil {
					t.Errorf("preset %s: %v", p.Name, err)
				}
			}
		}
	}
}

// The preset of a client's own version is the one that was run for it.
func TestDefaults(t *testing.T) {
	list := []profiles.Preset{{Name: "new", Run: []string{"25.0.2"}}, {Name: "old", Run: []string{"17.0.17", "17.0.15"}}, {Name: "read"}}
	for version, want := range map[string]string{"17.0.15": "old", "17.0.1": "old", "25.0.9": "new", "8.1": "new", "": "new"} {
		if got := Defaults(list, version); got.Name != want {
			t.Errorf("%s: %s", version, got.Name)
		}
	}
}
