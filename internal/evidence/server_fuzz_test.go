package evidence

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// anyConnection is a connection as no observer should make it, with times in any order.
func anyConnection(r *rand.Rand) Connection {
	at := func() time.Duration {
		if r.IntN(4) == 0 {
			return NotSeen
		}
		return time.Duration(r.Int64N(int64(3 * time.Second)))
	}
	c := Connection{
		Opened: at(), Ready: at(), Half: NotSeen, Until: at(), RoundTrip: at(), Slack: time.Duration(r.Int64N(int64(ms))), Requests: r.IntN(4) * 30, Unasked: r.IntN(2) * 408,
		Close: Close{By: Side(r.IntN(4)), How: Kind(r.IntN(5)), At: at(), FIN: at()},
	}
	if r.IntN(8) == 0 {
		c.Half = at()
	}
	for range r.IntN(4) {
		c.Exchanges = append(c.Exchanges, Exchange{
			Sent: at(), First: at(), Done: at(), Status: []int{0, 200, 404, 408}[r.IntN(4)], Asked: r.IntN(2) == 0, Closing: r.IntN(4) == 0,
			Hint: []string{"", "timeout=1", "timeout=-1, max=x", "max=99999999999", `timeout="3"`}[r.IntN(5)], Backend: []string{"", "a", "b"}[r.IntN(3)],
		})
	}
	if r.IntN(4) == 0 {
		c.Unanswered = append(c.Unanswered, Unanswered{Sent: at(), First: at(), Whole: r.IntN(2) == 0, Met: Meeting(r.IntN(7))})
	}
	return c
}

func FuzzInfer(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 3))
		var list []Connection
		for range r.IntN(40) {
			list = append(list, anyConnection(r))
		}
		s := Infer(list)
		timers := append([]Timer{s.Idle, s.Fresh, s.Half, s.UsedHalf, s.Lifetime, s.RoundTrip, s.Response, s.Notify}, s.Others...)
		for _, timer := range timers {
			if timer.Known() && (timer.Low > timer.Median || timer.Median > timer.High || timer.Min > timer.Max || timer.Low < 0 ||
				timer.Confidence < -1e-9 || timer.Confidence > 1) {
				t.Errorf("a timer is %+v", timer)
			}
		}
		if _, err := json.Marshal(s); err != nil {
			t.Error(err)
		}
		for _, one := range s.Statements() {
			if one.Text == "" || strings.Contains(one.Text, "%!") || strings.Contains(one.Text, "NaN") || strings.Contains(one.Text, "-1") {
				t.Errorf("the statement %q", one.Text)
			}
		}
	})
}
