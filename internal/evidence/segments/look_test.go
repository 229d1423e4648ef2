package segments

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

const ms = time.Millisecond

// withID is a request with an id.
const withID = "GET /1 HTTP/1.1\r\nHost: a\r\nX-Request-Id: 7\r\n\r\n"

func init() { words["ID"] = withID }

const opened = `
	0 c S
	10 s S.
	10.1 c .
`

// A look at a connection says what its end would, and changes nothing.
func TestLookChangesNothing(t *testing.T) {
	for name, text := range map[string]string{
		"answered": opened + "20 c P. ID\n30 s P. OK\n40 c .\n50 c P. GET\n60 s P. LONG\n65 s F.\n66 c F.\n67 s .",
		"stream":   opened + "20 c P. GET\n30 s P. STREAM\n35 s P. PART\n40 s F.\n41 c F.\n42 s .",
		"crossed":  opened + "20 c P. GET\n30 s P. OK\n5030 s F. blind\n5031 c P. GET blind\n5041 s R",
		"TLS":      opened + "20 c P. HELLO\n30 s P. HELLO\n31 s P. CCS\n32 s P. SEALED\n40 c P. CCS\n41 c P. SEALED\n50 c P. SEALED\n60 s P. SEALED\n70 c P. SEALED\n80 s P. ALERT\n81 s F.\n82 c R",
		"held":     opened + "20 c P. GET\n30 s P. LONG hold\n31 s P. PART\n50 c .\n60 s F.\n70 c F.",
	} {
		t.Run(name, func(t *testing.T) {
			var all [2][]evidence.Connection
			for i := range all {
				v := NewLives(func(c *evidence.Connection) { all[i] = append(all[i], *c) }, nil)
				for _, s := range story(t, text, [2]uint32{1, 1}) {
					v.Add(&s)
					if i == 1 {
						v.Look(clientEnd, serverEnd)
						v.Look(serverEnd, clientEnd)
					}
				}
				v.End()
			}
			if a, b := dump(all[0]), dump(all[1]); a != b || len(all[0]) != 1 {
				t.Errorf("without looks:\n%s\nwith:\n%s", a, b)
			}
		})
	}
}

// A look says how far a request has come before its connection is over.
func TestLook(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       Request
		met        evidence.Meeting
		how        evidence.Kind
	}{
		{"waiting", "20 c P. ID", Request{Nth: 1, Head: true, Whole: true, First: -1, Done: -1}, evidence.Waiting, evidence.Open},
		{"half a head", "20 c P. ID cut=30 len=30", Request{Nth: 1, First: -1, Done: -1}, evidence.Waiting, evidence.Open},
		{"half a body", "20 c P. POST\n21 c P. GET cut=3 len=3", Request{Nth: 1, Head: true, First: -1, Done: -1}, evidence.Waiting, evidence.Open},
		{"half a response", "20 c P. ID\n30 s P. LONG", Request{Nth: 1, Head: true, Whole: true, First: 30 * ms, Done: 30 * ms, Status: 200, HeadRead: true, Bounded: true}, evidence.Waiting, evidence.Open},
		{"a stream goes on", "20 c P. ID\n30 s P. STREAM", Request{Nth: 1, Head: true, Whole: true, First: 30 * ms, Done: 30 * ms, Status: 200, HeadRead: true}, evidence.Waiting, evidence.Open},
		{"a stream is over", "20 c P. ID\n30 s P. STREAM\n40 s F.", Request{Nth: 1, Head: true, Whole: true, First: 30 * ms, Done: 30 * ms, Status: 200, HeadRead: true, Answered: true, Exact: true}, 0, evidence.FIN},
		{"no HTTP", "20 c P. ID\n30 s P. ROW\n40 s F.", Request{Nth: 1, Head: true, Whole: true, First: 30 * ms, Done: 30 * ms, Answered: true, Malformed: true}, 0, evidence.FIN},
		{"closed before it", "20 c P. GET\n30 s P. OK\n31 c .\n5030 s F.\n5035 c .\n5040 c P. ID\n5041 s R", Request{Nth: 2, Head: true, Whole: true, First: -1, Done: -1, Since: 30 * ms}, evidence.Late, evidence.FIN},
		{"reset", "20 c P. ID\n30 s R.", Request{Nth: 1, Head: true, Whole: true, First: -1, Done: -1}, evidence.Arrived, evidence.RST},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := NewLives(func(*evidence.Connection) {}, nil)
			v.Watch = func(*evidence.Connection, Request) {}
			for _, s := range story(t, opened+c.text, [2]uint32{1, 1}) {
				v.Add(&s)
			}
			s, ok := v.Look(clientEnd, serverEnd)
			if !ok || len(s.Requests) != 1 {
				t.Fatalf("%v, %+v", ok, s)
			}
			got := s.Requests[0]
			if c.want.Since == 0 {
				c.want.Since = evidence.NotSeen
			}
			if c.want.Head && c.name != "half a body" {
				c.want.Trace = TraceOf("7")
			}
			c.want.Begun, c.want.Sent = got.Begun, got.Sent
			if got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			if s.Close.How != c.how || s.Handshake != 10100*time.Microsecond {
				t.Errorf("%+v", s)
			}
			if !got.Answered && (len(s.Unanswered) != 1 || s.Unanswered[0].Met != c.met) {
				t.Errorf("%+v, want %v", s.Unanswered, c.met)
			}
		})
	}
}

// Those who watch learn of a request when it begins, when its head is there, and when it
// is answered; and of the connection when it begins and ends.
func TestWatch(t *testing.T) {
	var steps []Request
	begun, ended := 0, 0
	v := NewLives(func(*evidence.Connection) {}, nil)
	v.Begun = func(*evidence.Connection) { begun++ }
	v.Watch = func(_ *evidence.Connection, r Request) { steps = append(steps, r) }
	v.Ended = func(*Sight) { ended++ }
	for _, s := range story(t, opened+"20 c P. ID\n30 s P. OK\n40 c P. GET\n50 s F.\n51 c F.", [2]uint32{1, 1}) {
		v.Add(&s)
	}
	if begun != 1 || ended != 0 || len(steps) != 5 {
		t.Fatalf("%d begun, %d ended, %+v", begun, ended, steps)
	}
	if a := steps[0]; a.Trace != 0 || a.Begun != 20*ms || a.Since != evidence.NotSeen {
		t.Errorf("at its beginning: %+v", a)
	}
	if a := steps[1]; a.Trace != TraceOf("7") || !a.Head || a.Answered {
		t.Errorf("with its head: %+v", a)
	}
	if a := steps[2]; !a.Answered || !a.Exact || !a.Whole || a.Status != 200 || a.First != 30*ms || a.Nth != 1 {
		t.Errorf("answered: %+v", a)
	}
	if a := steps[3]; a.Nth != 2 || a.Since != 30*ms {
		t.Errorf("the next one: %+v", a)
	}
	v.End()
	if ended != 1 {
		t.Errorf("%d ended", ended)
	}
}

func dump(all []evidence.Connection) string {
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}
