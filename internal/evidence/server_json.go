package evidence

import (
	"encoding/json"
	"time"
)

// The JSON form of a Server has times in seconds, as run.json has them.

func (t Timer) MarshalJSON() ([]byte, error) {
	type form struct {
		Closes     int     `json:"closes"`
		Median     float64 `json:"median,omitempty"`
		Min        float64 `json:"min,omitempty"`
		Max        float64 `json:"max,omitempty"`
		Low        float64 `json:"low,omitempty"`
		High       float64 `json:"high,omitempty"`
		Confidence float64 `json:"confidence,omitempty"`
		Spread     bool    `json:"spread,omitempty"`
		Slack      float64 `json:"slack,omitempty"`
		LongerThan float64 `json:"longer_than,omitempty"`
		StillOpen  int     `json:"still_open,omitempty"`
		By         Sides   `json:"by,omitzero"`
		How        Kinds   `json:"how,omitzero"`
		Status408  int     `json:"status_408,omitempty"`
		Basis      Basis   `json:"basis"`
		Why        string  `json:"why,omitempty"`
	}
	return json.Marshal(form{
		t.Closes, t.Median.Seconds(), t.Min.Seconds(), t.Max.Seconds(), t.Low.Seconds(), t.High.Seconds(), t.Confidence, t.Spread(),
		t.Slack.Seconds(), t.LongerThan.Seconds(), t.StillOpen, t.By, t.How, t.Status408, t.Basis, t.Why,
	})
}

func (b Burst) MarshalJSON() ([]byte, error) {
	type form struct {
		At      float64 `json:"at"` // since the start of the observation
		Until   float64 `json:"until"`
		Closes  int     `json:"closes"`
		IdleMin float64 `json:"idle_min"`
		IdleMax float64 `json:"idle_max"`
		How     Kinds   `json:"how"`
	}
	return json.Marshal(form{b.At.Seconds(), b.Until.Seconds(), b.Closes, b.IdleMin.Seconds(), b.IdleMax.Seconds(), b.How})
}

func (l Late) MarshalJSON() ([]byte, error) {
	type form struct {
		From      float64  `json:"from"`
		To        *float64 `json:"to,omitempty"` // absent: without an end
		Answered  int      `json:"answered"`
		FIN       int      `json:"fin"`
		RST       int      `json:"rst"`
		Status408 int      `json:"status_408"`
		Nothing   int      `json:"nothing"`
	}
	return json.Marshal(form{l.From.Seconds(), upTo(l.To), l.Answered, l.FIN, l.RST, l.Status408, l.Nothing})
}

func upTo(d time.Duration) *float64 {
	if d == farthest {
		return nil
	}
	s := d.Seconds()
	return &s
}

func (f Forgets) MarshalJSON() ([]byte, error) {
	type form struct {
		How   Kind    `json:"how"`
		Count int     `json:"count"`
		After float64 `json:"answered_after"`
		Until float64 `json:"lost_after"`
	}
	return json.Marshal(form{f.How, f.Count, f.After.Seconds(), f.Until.Seconds()})
}

func (h Hints) MarshalJSON() ([]byte, error) {
	type form struct {
		Asked   HintCount `json:"asked"`
		Unasked HintCount `json:"unasked"`
		Timeout float64   `json:"timeout,omitempty"`
		Max     int       `json:"max,omitempty"`
		Verdict Verdict   `json:"verdict"`
		Off     float64   `json:"off,omitempty"`
	}
	return json.Marshal(form{h.Asked, h.Unasked, h.Timeout.Seconds(), h.Max, h.Verdict, h.Off.Seconds()})
}
