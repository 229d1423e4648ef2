package autopsy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// Worst returns the server with the most failures; with a proxy, what is behind it does
// not count.
func (v *Verdict) Worst() evidence.Server {
	if len(v.Servers) == 0 {
		return evidence.Server{}
	}
	return v.Servers[0].Facts
}

// EarliestClose returns the shortest idle time after which the server with the most
// failures closed a connection, and the round trip to it; ok is false if no request met a
// close, or the server's timer is not known. A client that closes sooner prevents the
// failures.
func (v *Verdict) EarliestClose() (idle, roundTrip time.Duration, ok bool) {
	if len(v.Servers) == 0 || v.Met[evidence.Crossed.String()]+v.Met[evidence.Arrived.String()]+v.Met[evidence.Late.String()] == 0 {
		return 0, 0, false
	}
	facts := v.Servers[0].Facts
	if !facts.Idle.Known() || facts.Idle.Min < 100*time.Millisecond {
		return 0, 0, false
	}
	return facts.Idle.Min, facts.RoundTrip.Median, true
}

// Sentence says how the request met the end of its connection.
func (f *Failure) Sentence() string {
	far := ""
	if f.Sent != evidence.NotSeen {
		far = seconds(f.Apart.Abs().Seconds())
	}
	text := ""
	if f.logged {
		return f.loggedSentence(far)
	}
	switch f.Met {
	case evidence.Crossed:
		text = "crossed the close"
		if far != "" {
			text += ", " + far + " apart"
		}
	case evidence.Arrived:
		text = "had arrived"
		if f.First != evidence.NotSeen {
			text = "its response was cut off"
		} else if far != "" {
			text += " " + far + " before the close"
		}
	case evidence.Late:
		text = "written " + far + " after the close"
	case evidence.Forgotten:
		text = "answered by RST"
	case evidence.Abandoned:
		text = "the client gave up after " + far
	case evidence.Lost:
		text = "no ACK"
	}
	if f.Basis != evidence.Seen {
		text += " (" + f.Basis.String() + ")"
	}
	return text
}

// clockShown is the difference of clocks, in seconds, that is worth a word.
const clockShown = 0.001

// Sentence says where and with which clock a place is; the first place's clock is the
// one that counts.
func (p *Place) Sentence() string {
	text := strings.Join(p.Files, ", ")
	if p.Interface != "" {
		text += " " + p.Interface
	}
	text += ": " + plural(p.Segments, "segment")
	switch p.Near {
	case evidence.ByClient:
		text += ", at the client"
	case evidence.ByServer:
		text += ", at the server"
	}
	if p.Shakes > 0 && max(p.Clock, -p.Clock) >= clockShown {
		ahead := "ahead of"
		if p.Clock < 0 {
			ahead = "behind"
		}
		text += fmt.Sprintf("; its clock is %s %s the first one's (from %s)", seconds(max(p.Clock, -p.Clock)), ahead, plural(p.Shakes, "handshake"))
	}
	return text
}

// Sentence says what the connections show about the client's pool; "" if nothing is
// known.
func (c *Client) Sentence() string {
	var parts []string
	switch c.LeaseOrder {
	case "lifo":
		parts = append(parts, fmt.Sprintf("it takes the idle connection that was used last (a guess: so did %.0f %% of %s)", 100*c.Agree, plural(c.Choices, "request")))
	case "fifo":
		parts = append(parts, fmt.Sprintf("it takes the connection that has been idle longest (a guess: so did %.0f %% of %s)", 100*c.Agree, plural(c.Choices, "request")))
	}
	if t := c.IdleTimeout; t != nil {
		parts = append(parts, fmt.Sprintf("it closes idle connections itself after %s (half of %s between %s and %s)", seconds(t.Median), plural(t.Count, "close"), seconds(t.Low), seconds(t.High)))
	}
	switch {
	case c.Failed < 3:
	case c.Resent*2 >= c.Failed && c.ByChance*3 < float64(c.Resent):
		parts = append(parts, fmt.Sprintf("it sends failed requests again (the same request soon came on another connection after %s of %s)", number(c.Resent), number(c.Failed)))
	case c.Resent == 0:
		parts = append(parts, "it does not send failed requests again at once")
	}
	return strings.Join(parts, "; ")
}

// Counts says what happened to connects, and who sent RSTs and keeps TIME_WAIT.
func (v *Verdict) Counts() (says []string) {
	n := v.Connects
	if n.Retried > 0 {
		says = append(says, fmt.Sprintf("connects: the SYN of %s was sent again; the slowest took %s", plural(n.Retried, "connection"), seconds(n.Slowest)))
	}
	if n.Unanswered > 0 {
		says = append(says, fmt.Sprintf("connects: %s got no answer to its SYN", plural(n.Unanswered, "connection")))
	}
	if n.Refused > 0 {
		says = append(says, fmt.Sprintf("connects: %s refused", plural(n.Refused, "connection")))
	}
	if text := counted(v.Resets, map[string]string{"client": "the client's", "server": "the server's", "middle": "made in between", "nobody": "of unknown origin"}); text != "" {
		says = append(says, "RSTs: "+text)
	}
	if text := counted(v.TimeWait, map[string]string{"client": "at the client", "server": "at the server", "both": "at both ends"}); text != "" {
		says = append(says, "TIME_WAIT: "+text)
	}
	return says
}

// counted lists counts with their names, the largest first.
func counted(counts map[string]int, names map[string]string) string {
	var keys []string
	for key, n := range counts {
		if n > 0 {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	for i, key := range keys {
		keys[i] = number(counts[key]) + " " + names[key]
	}
	return strings.Join(keys, ", ")
}
