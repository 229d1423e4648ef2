package evidence

import (
	"encoding/json"
	"time"

	"github.com/kabench/kabench/internal/enum"
)

// Timer is a time after which a server closes connections, as it follows from several
// closes.
type Timer struct {
	Closes           int             // how many closes it follows from
	Median, Min, Max time.Duration   // of the times seen
	Low, High        time.Duration   // interval of the median
	Confidence       float64         // of that interval: 0.95 or more, and less with fewer than 6 closes
	Slack            time.Duration   // how much of the interval's width stands for late observations
	Times            []time.Duration // the times seen, in order; of more than 40, as many that stand for them
	LongerThan       time.Duration   // the longest time after which a connection was still open; 0: not observed
	StillOpen        int             // connections that were still open after more than Max
	By               Sides           // who closed
	How              Kinds           // how
	Status408        int             // closes that came after a response with status 408
	Basis            Basis           // Inferred if something else explains the closes as well
	Why              string          // the reason for Basis, for people
}

// Known reports whether the timer ran out at least once.
func (t Timer) Known() bool { return t.Closes > 0 }

// Spread reports whether the server itself spreads its closes: the times differ by
// more than this machine's lateness explains.
func (t Timer) Spread() bool { return t.Closes > 1 && t.High-t.Low-t.Slack > spreadFrom }

// spreadFrom is the width of an interval above which the server itself spreads its closes.
const spreadFrom = 10 * time.Millisecond

// Sides counts closes by the side that closed first.
type Sides struct {
	Client  int `json:"client,omitempty"`
	Server  int `json:"server,omitempty"`
	Middle  int `json:"middle,omitempty"`
	Unknown int `json:"unknown,omitempty"`
}

// Kinds counts closes by their kind.
type Kinds struct {
	FIN    int `json:"fin,omitempty"`
	RST    int `json:"rst,omitempty"`
	Notify int `json:"close_notify,omitempty"`
	Silent int `json:"silent,omitempty"`
}

// Keeping says in one word how a server treats connections after a response.
type Keeping uint8

const (
	KeepingUnknown Keeping = iota
	KeepsUntilIdle         // it closes connections after an idle timeout
	KeepsLonger            // nothing was closed within the time of the observation
	ClosesEach             // it closes after each response
	ClosesAtOnce           // it closes without a response
)

var keepingNames = enum.Names[Keeping]{"unknown", "until_idle", "longer", "closes_each", "closes_at_once"}

func (k Keeping) String() string                   { return keepingNames.Text(k) }
func (k Keeping) MarshalText() ([]byte, error)     { return keepingNames.Marshal(k) }
func (k *Keeping) UnmarshalText(text []byte) error { return keepingNames.Unmarshal(text, k) }

// Limit is the number of requests after which a server closes a connection.
type Limit struct {
	Basis     Basis  `json:"basis"`
	Requests  int    `json:"requests,omitempty"`   // the response after which it closes; 0: none was seen
	Seen      int    `json:"seen,omitempty"`       // connections that show it
	Announced bool   `json:"announced,omitempty"`  // that response says Connection: close
	KeepsOpen bool   `json:"keeps_open,omitempty"` // it says so, and does not close then
	MoreThan  int    `json:"more_than,omitempty"`  // without a limit: the most responses on one connection
	Why       string `json:"why,omitempty"`
}

// Burst is a moment in which a server closed many connections, however long they had
// been idle: a reload, a deploy, or a process that ended.
type Burst struct {
	At, Until        time.Duration // of its first and its last close
	Closes           int
	IdleMin, IdleMax time.Duration
	How              Kinds
}

// Reuse counts what requests met that were sent when a connection had been idle for a
// time between From and To, since its last response. If the idle timeout is known,
// From and To count from Timer.Median, so they are negative before it.
type Reuse struct {
	From, To                               time.Duration
	Answered, FIN, RST, Status408, Nothing int // Nothing: neither a response nor a close
}

// Forgets is what a machine in the path does that forgets idle connections without
// closing them: the next request meets silence or a reset.
type Forgets struct {
	How   Kind          // Silent or RST
	Count int           // requests that met it
	After time.Duration // the longest idle time after which a request was still answered; 0: none was
	Until time.Duration // the shortest idle time after which one was not
}

// Hints is what the responses say about keeping connections.
type Hints struct {
	Asked, Unasked HintCount
	Timeout        time.Duration // Keep-Alive: timeout=; 0: no such hint
	Max            int           // the highest max=; 0: no such hint
	Verdict        Verdict
	Off            time.Duration // the idle timeout's median minus Timeout
}

// HintCount counts responses with hints, to requests with or without Connection:
// keep-alive.
type HintCount struct {
	Responses int `json:"responses"`
	KeepAlive int `json:"keep_alive"` // with a Keep-Alive header
	Closing   int `json:"closing"`    // with Connection: close
}

// Verdict says whether a hint is true.
type Verdict uint8

const (
	NoHint        Verdict = iota
	HintUnchecked         // there is a hint, and no timer that it can be compared with
	HintTrue
	HintLate  // the server closes somewhat later than its hint says, which harms nobody
	HintWrong // the server closes earlier, or much later
)

var verdictNames = enum.Names[Verdict]{"none", "unchecked", "true", "late", "wrong"}

func (v Verdict) String() string                   { return verdictNames.Text(v) }
func (v Verdict) MarshalText() ([]byte, error)     { return verdictNames.Marshal(v) }
func (v *Verdict) UnmarshalText(text []byte) error { return verdictNames.Unmarshal(text, v) }

// Backend is one of several servers behind one address, told apart by its responses.
type Backend struct {
	Name        string `json:"name"`
	Connections int    `json:"connections"`
	Idle        Timer  `json:"idle"`
}

// Server is how one server treats its connections, as it follows from many of them.
type Server struct {
	Address     string      `json:"address"` // host:port, or the address if a name has several
	TLS         bool        `json:"tls"`
	Connections int         `json:"connections"`
	Requests    int         `json:"requests"`
	Responses   int         `json:"responses"`
	Statuses    map[int]int `json:"statuses,omitempty"` // responses by status

	RoundTrip Timer `json:"round_trip"` // of TCP handshakes
	Response  Timer `json:"response"`   // from the request's last byte to the response's first

	Keeping       Keeping  `json:"keeping"`
	Idle          Timer    `json:"idle"`                 // idle connections that have carried an exchange
	Others        []Timer  `json:"other_idle,omitempty"` // further, longer idle timers, if the times form groups
	Fresh         Timer    `json:"fresh"`                // connections on which nothing was sent
	Half          Timer    `json:"half"`                 // after half a request head on a fresh connection
	UsedHalf      Timer    `json:"used_half"`            // after half a request head on a used connection
	Lifetime      Timer    `json:"lifetime"`             // since a connection was opened, however it was used
	Limit         Limit    `json:"limit"`
	AfterResponse int      `json:"after_response,omitempty"` // closes directly after a response that no limit explains
	Bursts        []Burst  `json:"bursts,omitempty"`
	Forgets       *Forgets `json:"forgets,omitempty"`

	Close      Kind  `json:"close"`                        // of idle connections: how most of them were closed; Open: none was
	Notify     Timer `json:"notify_to_fin"`                // from close_notify to FIN
	BareNotify int   `json:"notify_without_fin,omitempty"` // close_notifies without a FIN while they were observed

	Late      []Reuse   `json:"late,omitempty"`
	Hints     Hints     `json:"hints"`
	Backends  []Backend `json:"backends,omitempty"`  // if the responses name several
	Unsettled bool      `json:"unsettled,omitempty"` // several backends respond on one connection, so the closes are not theirs

	AtOnce     Kinds `json:"at_once,omitzero"`     // how connections ended whose first request got no response
	Unanswered int   `json:"unanswered,omitempty"` // first requests without a response, AtOnce included
}

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

func (l Reuse) MarshalJSON() ([]byte, error) {
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
