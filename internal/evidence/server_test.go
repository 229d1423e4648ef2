package evidence

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// idleAfter adds n connections with one exchange each, which the server closes idle
// times after it: 5.000, 5.001, ... They were opened at different times before.
func (w *world) idleAfter(n int, idle, step time.Duration, change func(i int, c *Connection)) {
	for i := range n {
		c := w.open()
		c.exchange(c.Ready + time.Duration(i%5)*100*ms)
		c.closeAt(ByServer, FIN, c.done()+idle+time.Duration(i)*step)
		if change != nil {
			change(i, &c)
		}
		w.list = append(w.list, c)
	}
}

// last is the last exchange of c.
func (c *Connection) last() *Exchange { return &c.Exchanges[len(c.Exchanges)-1] }

// unanswered adds a request without a response.
func (c *Connection) unanswered(at time.Duration) {
	c.Exchanges = append(c.Exchanges, Exchange{Sent: at, First: NotSeen, Done: NotSeen})
}

// ended adds n connections that end with their nth response.
func (w *world) ended(n, nth int, change func(c *Connection)) {
	for range n {
		c := w.open()
		for i := range nth {
			c.exchange(c.Ready + time.Duration(i)*200*ms)
		}
		c.closeAt(ByServer, FIN, c.done()+ms/5)
		if change != nil {
			change(&c)
		}
		w.list = append(w.list, c)
	}
}

func announce(c *Connection) { c.last().Closing = true }

func TestOneLateObservationDoesNotWidenTheInterval(t *testing.T) {
	w := newWorld(1)
	w.idleAfter(20, 5*time.Second, ms/10, nil)
	before := Infer(w.list).Idle
	w.list[7].Close.At += 700 * ms // and its Slack does not say so
	after := Infer(w.list).Idle
	if after.High-after.Low > before.High-before.Low+ms || after.Spread() {
		t.Errorf("%v to %v became %v to %v", before.Low, before.High, after.Low, after.High)
	}
	if after.Max < 5*time.Second+700*ms {
		t.Errorf("the largest time, %v, lacks the late one", after.Max)
	}
}

func TestLatenessOfAllObservationsIsInTheInterval(t *testing.T) {
	w := newWorld(1)
	w.idleAfter(20, 5*time.Second, 0, func(_ int, c *Connection) {
		c.Slack = 4 * ms
		c.Close.At += 4 * ms
	})
	if idle := Infer(w.list).Idle; idle.Low > 5*time.Second || idle.High < 5*time.Second || idle.Spread() {
		t.Errorf("5 s are not within %v to %v, or this is called spread", idle.Low, idle.High)
	}
}

func TestFewClosesGiveLessConfidence(t *testing.T) {
	for n, want := range map[int]float64{1: 0, 2: 0.5, 3: 0.75, 5: 0.9375, 6: 0.96875} {
		w := newWorld(1)
		w.idleAfter(n, 5*time.Second, ms, nil)
		if got := Infer(w.list).Idle.Confidence; got < want-1e-6 || got > want+1e-6 {
			t.Errorf("the confidence from %d closes is %v, not %v", n, got, want)
		}
	}
}

func TestTimerCannotBeToldFromALifetimeWithoutReuse(t *testing.T) {
	w := newWorld(1)
	w.idleAfter(20, 5*time.Second, ms, nil)
	if idle := Infer(w.list).Idle; idle.Basis != Seen {
		t.Errorf("the timer is %s: %s", idle.Basis, idle.Why)
	}
	for i := range w.list {
		c := &w.list[i]
		c.Opened, c.Ready = c.Exchanges[0].Sent-ms, c.Exchanges[0].Sent
	}
	if idle := Infer(w.list).Idle; idle.Basis != Inferred || !strings.Contains(idle.Why, "lifetime") {
		t.Errorf("the timer is %s: %s", idle.Basis, idle.Why)
	}
}

func TestLateRequestsAreSortedByTheirDistanceToTheTimer(t *testing.T) {
	w := newWorld(1)
	w.idleAfter(20, 5*time.Second, 0, nil)
	timer := func() time.Duration { return 5 * time.Second }
	for _, at := range []time.Duration{time.Second, 4995 * ms, 4998 * ms, 5000 * ms, 5002 * ms, 5500 * ms} {
		c := w.open()
		c.exchange(c.Ready)
		w.race(&c, timer, at)
		w.list = append(w.list, c)
	}
	want := []Reuse{
		{From: -5 * time.Second, To: -100 * ms, Answered: 1},
		{From: -10 * ms, To: -3 * ms, Answered: 1},
		{From: -3 * ms, To: -ms, Answered: 1},
		{From: 0, To: ms, FIN: 1},
		{From: ms, To: 3 * ms, FIN: 1},
		{From: 100 * ms, To: farthest, FIN: 1},
	}
	got := Infer(w.list).Late
	if len(got) != len(want) {
		t.Fatalf("%d ranges: %+v", len(got), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("range %d is %+v, not %+v", i, got[i], want[i])
		}
	}
}

func TestJSONHasSeconds(t *testing.T) {
	w := newWorld(1)
	w.idleAfter(20, 5*time.Second, 0, func(_ int, c *Connection) { c.last().Hint = "timeout=15" })
	text, err := json.Marshal(Infer(w.list))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"keeping":"until_idle"`, `"median":5,`, `"how":{"fin":20}`, `"verdict":"wrong","off":-10`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
}

func TestRequestsThatSegmentsShowedWithoutAResponse(t *testing.T) {
	w := newWorld(1)
	w.idleAfter(20, 5*time.Second, 0, nil)
	for _, met := range []Meeting{Crossed, Arrived, Late} {
		c := w.open()
		c.exchange(c.Ready)
		sent := c.done() + 4999*ms
		if met == Late {
			sent += 2 * ms
		}
		c.Unanswered = []Unanswered{{Basis: Seen, Met: met, Sent: sent, First: NotSeen, Whole: true}}
		c.closeAt(ByServer, FIN, c.done()+5*time.Second)
		w.list = append(w.list, c)
	}
	s := Infer(w.list)
	if s.Idle.Closes != 22 { // the server's close does not follow from a request that crossed it, or came later
		t.Errorf("%d closes", s.Idle.Closes)
	}
	met := 0
	for _, r := range s.Late {
		met += r.FIN
	}
	if met != 3 || s.Requests != 26 || s.Responses != 20+3 {
		t.Errorf("%d requests met a FIN; %d requests, %d responses", met, s.Requests, s.Responses)
	}
}

func TestEarlierExchangesCount(t *testing.T) {
	w := newWorld(1)
	for range 4 {
		c := w.open()
		for range KeptFirst + 4 {
			c.exchange(c.Ready + time.Duration(len(c.Exchanges))*200*ms)
		}
		for i := range c.Exchanges[KeptFirst:] { // the exchanges between lasted 50 s
			e := &c.Exchanges[KeptFirst+i]
			e.Sent, e.First, e.Done = e.Sent+50*time.Second, e.First+50*time.Second, e.Done+50*time.Second
		}
		c.Requests, c.LongestIdle = 1000, 700*ms
		c.last().Closing = true
		c.closeAt(ByServer, FIN, c.done())
		w.list = append(w.list, c)
	}
	s := Infer(w.list)
	if s.Limit.Requests != 1000 || s.Idle.LongerThan != 700*ms || s.Requests != 4000 {
		t.Errorf("a limit of %d, longer than %v, %d requests", s.Limit.Requests, s.Idle.LongerThan, s.Requests)
	}
}

func TestLateRequestsOfAServerThatSpreadsItsCloses(t *testing.T) {
	w := newWorld(1)
	w.idleAfter(21, time.Second, 100*ms, nil)
	for _, at := range []time.Duration{500 * ms, 1500 * ms, 2500 * ms, 3500 * ms} {
		c := w.open()
		c.exchange(c.Ready)
		w.race(&c, func() time.Duration { return 2 * time.Second }, at)
		w.list = append(w.list, c)
	}
	for i, r := range Infer(w.list).Late {
		if r.Answered+r.FIN != 1 || (r.FIN == 1) != (i > 1) || i > 3 {
			t.Errorf("range %d is %+v", i, r)
		}
	}
}
