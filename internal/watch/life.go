package watch

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

const notSeen = evidence.NotSeen

// The ends of a connection, as indexes: ours is the end of the service.
const (
	ours   = 0
	theirs = 1
)

// tick is how far the kernel's times of the last data may be from the moment: they are
// counted in jiffies, of 10 ms at most.
const tick = 10 * time.Millisecond

// life is a connection as looks at its socket and the kernel's events show it.
type life struct {
	flow     Flow
	cookie   uint64
	accepted bool
	since    time.Duration // the first sign of it
	opened   time.Duration // NotSeen: it is older than the watch, or only looks saw it
	looked   time.Duration // the newest look that has it, or NotSeen
	state    string

	data      [2]time.Duration // when the end last sent data, or NotSeen
	bytes     [2]uint64        // that the end has sent, as far as they arrived
	carried   bool             // data was seen
	waiting   time.Duration    // when the request was sent that has no response yet, or NotSeen
	roundTrip time.Duration
	retries   int

	exchanges []evidence.Exchange
	requests  int           // at least: between two looks there may have been several
	longest   time.Duration // the longest idle time that it survived

	end    ending
	resets []evidence.Reset
	gone   *Gone
	over   time.Duration // when the socket ended, or NotSeen
	taken  bool          // its packets have completed it, and it was reported
}

// ending is how a connection was closed, as far as its socket shows.
type ending struct {
	basis evidence.Basis
	by    int // ours or theirs
	how   evidence.Kind
	at    time.Duration
	slack time.Duration // it may have been that much earlier
	why   string
}

func newLife(f Flow, accepted bool, at time.Duration) *life {
	return &life{flow: f, accepted: accepted, since: at, opened: notSeen, looked: notSeen, waiting: notSeen, data: [2]time.Duration{notSeen, notSeen}, over: notSeen}
}

// asks and tells are the indexes of the client and of the server.
func (l *life) asks() int {
	if l.accepted {
		return theirs
	}
	return ours
}
func (l *life) tells() int { return 1 - l.asks() }

func (l *life) side(end int) evidence.Side {
	if end == l.asks() {
		return evidence.ByClient
	}
	return evidence.ByServer
}

// closed reports whether it is known how the connection was closed.
func (l *life) closed() bool { return l.end.how != evidence.Open }

// leased reports whether a request is under way, as far as a look can say.
func (l *life) leased() bool { return l.state == "ESTABLISHED" && l.waiting != notSeen }

// alert is the most bytes that a close_notify takes; it is no response.
const alert = 64

// closing reports whether the peer's FIN has come in a state.
func closing(state string) bool {
	return state == "CLOSE_WAIT" || state == "LAST_ACK" || state == "CLOSING"
}

// update takes what the kernel says about the data of the socket at a moment. over says
// that the peer has closed or the socket is gone, so that a FIN and a close_notify may be
// among the bytes received.
func (l *life) update(s *Socket, at time.Duration, over bool) {
	l.retries = max(l.retries, s.Retransmits)
	bytes := [2]uint64{acked(s), s.Bytes[1]}
	if over && bytes[theirs] == l.bytes[theirs]+1 {
		bytes[theirs]-- // the FIN counts as a byte
	}
	if (over || s.State == "FIN_WAIT2") && bytes[ours] == l.bytes[ours]+1 {
		bytes[ours]--
	}
	if bytes == [2]uint64{} && s.Unacked == 0 && s.Unsent == 0 {
		return // the times are those of the handshake
	}
	now := [2]time.Duration{moment(at, s.Sent), moment(at, s.Received)}
	asks, tells := l.asks(), l.tells()
	asked := l.sent(asks, bytes, now) || asks == ours && !l.carried && s.Unacked > 0
	told := l.sent(tells, bytes, now)
	if over && told && !asked && l.carried && tells == theirs && l.waiting == notSeen && bytes[theirs] <= l.bytes[theirs]+alert {
		told = false
	}
	l.carried, l.bytes = true, bytes
	before := l.data[tells]
	if asked {
		l.data[asks] = now[asks]
	}
	if told {
		l.data[tells] = now[tells]
	}
	first := now[asks] <= now[tells] // the newest request came before the newest response
	switch {
	case told && asked && first:
		l.survived(now[asks], before)
		l.keep(evidence.Exchange{Sent: now[asks], First: now[tells], Done: now[tells]})
		l.waiting = notSeen
	case told && asked:
		l.keep(evidence.Exchange{Sent: l.waiting, First: now[tells], Done: now[tells]})
		l.waiting = now[asks]
	case asked:
		l.waiting = now[asks]
	case told && l.waiting != notSeen:
		l.survived(l.waiting, before)
		l.keep(evidence.Exchange{Sent: l.waiting, First: now[tells], Done: now[tells]})
		l.waiting = notSeen
	case told && len(l.exchanges) > 0:
		l.exchanges[len(l.exchanges)-1].Done = now[tells] // the response goes on
	case told:
		l.keep(evidence.Exchange{Sent: notSeen, First: now[tells], Done: now[tells]})
	}
}

// sent reports whether an end has sent data since the last update.
func (l *life) sent(end int, bytes [2]uint64, now [2]time.Duration) bool {
	if now[end] == notSeen || bytes[end] == 0 && end == theirs {
		return false
	}
	return bytes[end] > l.bytes[end] || l.carried && now[end] > l.data[end]+tick
}

// survived notes an idle time after which a request was served.
func (l *life) survived(asked, told time.Duration) {
	if told != notSeen {
		l.longest = max(l.longest, asked-told)
	}
}

// keptNewest is how many of the newest exchanges of a connection are kept.
const keptNewest = 16

func (l *life) keep(e evidence.Exchange) {
	l.requests++
	if len(l.exchanges) == evidence.KeptFirst+2*keptNewest {
		n := copy(l.exchanges[evidence.KeptFirst:], l.exchanges[len(l.exchanges)-keptNewest:])
		l.exchanges = l.exchanges[:evidence.KeptFirst+n]
	}
	l.exchanges = append(l.exchanges, e)
}

// moment is the time of an event that is so long ago at a time, or NotSeen.
func moment(at, ago time.Duration) time.Duration {
	if ago < 0 {
		return notSeen
	}
	return max(at-ago, -365*24*time.Hour)
}

// acked is how many bytes of data the peer has acknowledged: the kernel counts the SYN of
// the end that opened the connection too.
func acked(s *Socket) uint64 {
	if !s.Accepted && s.Bytes[0] > 0 {
		return s.Bytes[0] - 1
	}
	return s.Bytes[0]
}

// close notes how the connection was closed, if that is not known yet.
func (l *life) close(e ending) {
	if !l.closed() {
		l.end = e
	}
}

// connection returns the life as evidence, at the end of the observation.
func (l *life) connection(until time.Duration) evidence.Connection {
	c := evidence.Connection{
		Client: l.flow.Local, Server: l.flow.Remote, Opened: l.opened, Ready: l.opened, RoundTrip: l.roundTrip, Half: notSeen,
		Exchanges: l.exchanges, Requests: l.requests, LongestIdle: l.longest, Resets: l.resets, Resent: l.retries,
		Close: evidence.Close{At: notSeen, FIN: notSeen, Why: "neither its socket nor an event showed a close"},
		Until: until, Since: l.since, Slack: tick, Near: l.side(ours),
	}
	if l.accepted {
		c.Client, c.Server = c.Server, c.Client
	}
	if l.opened != notSeen {
		c.SYNs = 1
	}
	if first := l.exchanges; len(first) > 0 {
		c.Since = min(c.Since, max(first[0].Done, 0))
	}
	if l.closed() {
		c.Close = evidence.Close{Basis: l.end.basis, By: l.side(l.end.by), How: l.end.how, At: l.end.at, FIN: notSeen, Why: l.end.why}
		c.Slack = tick + l.end.slack
		if l.end.how == evidence.FIN && l.over != notSeen {
			c.TimeWait = c.Close.By
		}
		if u, ok := l.unanswered(&c); ok {
			c.Unanswered = append(c.Unanswered, u)
		}
	}
	return c
}

// unanswered is the request that the end of the connection met.
func (l *life) unanswered(c *evidence.Connection) (u evidence.Unanswered, ok bool) {
	asked := l.waiting
	if asked == notSeen {
		return u, false
	}
	u = evidence.Unanswered{
		Basis: evidence.Inferred, Nth: l.requests + 1, Begun: asked, Sent: asked, Whole: true, First: notSeen, Idle: notSeen,
		Reused: l.requests > 0 || l.data[l.tells()] != notSeen, Apart: c.Close.At - asked, Retries: l.retries,
	}
	if told := l.data[l.tells()]; told != notSeen {
		u.Idle = asked - told
	}
	lost, known := l.lost()
	switch {
	case l.end.how == evidence.Silent:
		u.Met, u.Why = evidence.Lost, l.end.why
	case c.Close.By == evidence.ByClient:
		u.Met, u.Why = evidence.Abandoned, "the client closed while no response had come"
	case l.end.at < asked-2*tick-l.end.slack:
		u.Met, u.Why = evidence.Late, fmt.Sprintf("the request was sent %v after the close had come", (asked-l.end.at).Round(time.Millisecond))
	case known && !lost && !l.accepted:
		u.Met, u.Why = evidence.Arrived, "the server acknowledged the request, and sent no response"
	case known && lost && !l.accepted:
		u.Met, u.Why = evidence.Crossed, "the server acknowledged no byte of the request: its socket was closed already"
	case l.accepted:
		u.Met, u.Why = evidence.Arrived, "the server had received the request, and closed without a response"
	default:
		u.Met, u.Why = evidence.Crossed, "the connection ended without a response; how the request met the close, the socket does not show"
	}
	return u, true
}

// lost reports whether bytes that the service sent were never acknowledged.
func (l *life) lost() (lost, known bool) {
	if l.gone == nil || l.gone.Written == 0 {
		return false, false
	}
	return acked(&l.gone.Socket) < l.gone.Written, true
}
