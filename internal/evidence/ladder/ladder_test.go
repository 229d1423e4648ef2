package ladder

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
)

var client, server = netip.MustParseAddrPort("10.77.0.1:40000"), netip.MustParseAddrPort("10.77.0.2:80")

// story makes packets of a connection: "C" or "S" says who sent it, "L" that
// the link did in the server's name.
type told struct {
	who     string
	sent    int // ms
	arrived int // ms; 0: never
	flags   segments.Flags
	payload string
}

func story(packets ...told) []Packet {
	var all []Packet
	for i, s := range packets {
		p := Packet{
			Segment: segments.Segment{
				Number: int64(i + 1), At: time.Duration(s.sent) * time.Millisecond,
				Src: client, Dst: server, Flags: s.flags, Len: len(s.payload), Payload: []byte(s.payload),
			},
			Arrived: time.Duration(s.arrived) * time.Millisecond, From: "client",
		}
		if s.who != "C" {
			p.From, p.Src, p.Dst = "server", server, client
		}
		if s.who == "L" {
			p.From, p.By, p.ByLink = "", "vip", true
		}
		if s.arrived == 0 {
			p.Fate = "lost"
		}
		all = append(all, p)
	}
	return all
}

const (
	alert12 = "\x15\x03\x03\x00\x02\x01\x00"
	alert13 = "\x17\x03\x03\x00\x13..................."
	data    = "\x17\x03\x03\x00\x05....."
)

func TestClosedBy(t *testing.T) {
	ms := time.Millisecond
	for _, c := range []struct {
		name string
		in   []Packet
		want Closed
	}{
		{"open", story(told{"C", 1, 2, segments.FlagSYN, ""}, told{"S", 2, 3, segments.FlagSYN | segments.FlagACK, ""}), Closed{}},
		{"server first, though the client's request crosses it", story(
			told{"S", 10, 15, segments.FlagFIN | segments.FlagACK, ""}, told{"C", 12, 17, segments.FlagPSH | segments.FlagACK, "GET"}, told{"S", 17, 22, segments.FlagRST, ""}, told{"C", 18, 23, segments.FlagFIN | segments.FlagACK, ""},
		), Closed{By: evidence.ByServer, How: evidence.FIN, At: 10 * ms, Arrived: 15 * ms}},
		{"the order of sending counts, not that of the list", story(
			told{"C", 12, 17, segments.FlagFIN | segments.FlagACK, ""}, told{"S", 10, 15, segments.FlagFIN | segments.FlagACK, ""},
		), Closed{By: evidence.ByServer, How: evidence.FIN, At: 10 * ms, Arrived: 15 * ms}},
		{"client", story(told{"C", 5, 6, segments.FlagFIN | segments.FlagACK, ""}), Closed{By: evidence.ByClient, How: evidence.FIN, At: 5 * ms, Arrived: 6 * ms}},
		{"rst of the server", story(told{"C", 5, 6, segments.FlagPSH | segments.FlagACK, "GET"}, told{"S", 6, 7, segments.FlagRST, ""}),
			Closed{By: evidence.ByServer, How: evidence.RST, At: 6 * ms, Arrived: 7 * ms}},
		{"rst of the link", story(told{"C", 5, 0, segments.FlagPSH | segments.FlagACK, "GET"}, told{"L", 5, 7, segments.FlagRST, ""}),
			Closed{By: evidence.ByMiddle, How: evidence.RST, At: 5 * ms, Arrived: 7 * ms}},
		{"a FIN that is lost was sent anyway", story(told{"S", 5, 0, segments.FlagFIN | segments.FlagACK, ""}, told{"C", 9, 10, segments.FlagFIN | segments.FlagACK, ""}),
			Closed{By: evidence.ByServer, How: evidence.FIN, At: 5 * ms}},
		{"alert, then FIN", story(told{"S", 5, 6, segments.FlagPSH | segments.FlagACK, alert12}, told{"S", 7, 8, segments.FlagFIN | segments.FlagACK, ""}),
			Closed{By: evidence.ByServer, How: evidence.Notify, At: 5 * ms, Arrived: 6 * ms}},
		{"alert with the FIN, behind data, encrypted", story(told{"S", 5, 6, segments.FlagFIN | segments.FlagPSH | segments.FlagACK, data + alert13}),
			Closed{By: evidence.ByServer, How: evidence.Notify, At: 5 * ms, Arrived: 6 * ms, Guessed: true}},
		{"alert of the one, FIN of the other", story(told{"S", 5, 6, segments.FlagPSH | segments.FlagACK, alert12}, told{"C", 7, 8, segments.FlagFIN | segments.FlagACK, ""}),
			Closed{By: evidence.ByClient, How: evidence.FIN, At: 7 * ms, Arrived: 8 * ms}},
		{"data, then FIN", story(told{"S", 5, 6, segments.FlagPSH | segments.FlagACK, alert12 + data}, told{"S", 7, 8, segments.FlagFIN | segments.FlagACK, ""}),
			Closed{By: evidence.ByServer, How: evidence.FIN, At: 7 * ms, Arrived: 8 * ms}},
		{"no TLS", story(told{"S", 5, 6, segments.FlagFIN | segments.FlagPSH | segments.FlagACK, "HTTP/1.1 200"}),
			Closed{By: evidence.ByServer, How: evidence.FIN, At: 5 * ms, Arrived: 6 * ms}},
		{"a cut record is no alert", story(told{"S", 5, 6, segments.FlagFIN | segments.FlagPSH | segments.FlagACK, alert13[:10]}),
			Closed{By: evidence.ByServer, How: evidence.FIN, At: 5 * ms, Arrived: 6 * ms}},
	} {
		if diff := cmp.Diff(c.want, ClosedBy(c.in, client)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestLadderShowsTheFINOnItsWay(t *testing.T) {
	packets := story(
		told{"C", 0, 5, segments.FlagSYN, ""}, told{"S", 5, 10, segments.FlagSYN | segments.FlagACK, ""},
		told{"S", 5000, 5005, segments.FlagFIN | segments.FlagACK, ""}, told{"C", 5002, 5007, segments.FlagPSH | segments.FlagACK, "GET / HTTP/1.1\r\n\r\n"}, told{"S", 5007, 5012, segments.FlagRST, ""},
	)
	packets[0].Seq = 4_000_000_000
	packets[1].Seq, packets[1].Ack = 77, 4_000_000_001
	packets[2].Seq, packets[2].Ack = 78, 4_000_000_001
	packets[3].Seq, packets[3].Ack = 4_000_000_001, 78
	packets[4].Seq = 78
	rows := Of(packets, client, []Note{{5001 * time.Millisecond, "leased, idle 5.001 s"}})
	var got strings.Builder
	for _, r := range rows {
		got.WriteString(line(r) + "\n")
	}
	want := `  0.000000 s  client → server  S        0 B
  0.010000 s  client ← server  S.       0 B  sent 0.005000 s
  5.001000 s  · leased, idle 5.001 s
  5.002000 s  client → server  P.      18 B
  5.005000 s  client ← server  F.       0 B  sent 5.000000 s
  5.012000 s  client ← server  R        0 B  sent 5.007000 s
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if r := rows[3]; r.Seq != 1 || r.Ack != 1 {
		t.Errorf("the request has numbers %d, %d; want 1, 1", r.Seq, r.Ack)
	}
}

func TestLadderNamesWhatTheLinkDid(t *testing.T) {
	rows := Of(story(told{"C", 1, 0, segments.FlagPSH | segments.FlagACK, "GET"}, told{"L", 1, 3, segments.FlagRST, ""}), client, nil)
	if got := line(rows[0]); !strings.HasSuffix(got, "lost") {
		t.Errorf("%q does not say that it was lost", got)
	}
	if got := line(rows[1]); !strings.Contains(got, "client ← link") || !strings.HasSuffix(got, "(vip)") {
		t.Errorf("%q does not say that the link sent it", got)
	}
}

// A connection behind a balancer has more than one other end.
func TestLadderNamesTheHosts(t *testing.T) {
	packets := story(told{"C", 1, 2, segments.FlagPSH | segments.FlagACK, "x"}, told{"S", 2, 3, segments.FlagPSH | segments.FlagACK, "y"}, told{"C", 4, 5, segments.FlagPSH | segments.FlagACK, "z"}, told{"S", 5, 6, segments.FlagRST, ""},
		told{"C", 7, 0, segments.FlagACK, ""}, told{"L", 8, 9, segments.FlagRST, ""})
	packets[0].To, packets[1].From, packets[2].To, packets[3].From = "a", "a", "b", "b"
	var got []string
	for _, row := range Of(packets, client, nil) {
		got = append(got, row.Host)
	}
	if want := []string{"a", "a", "b", "b", "", ""}; !cmp.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// line is the row as a line.
func line(r Row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%10.6f s  ", r.At.Seconds())
	if r.Note != "" {
		return b.String() + "· " + r.Note
	}
	from, arrow, to := "client", "→", "server"
	if r.Host != "" {
		to = r.Host
	}
	if !r.FromClient {
		arrow = "←"
	}
	if r.ByLink {
		if r.FromClient {
			from = "link"
		} else {
			to = "link"
		}
	}
	fmt.Fprintf(&b, "%-6s %s %-6s  %-3s %6d B", from, arrow, to, r.Flags, r.Len)
	if r.At != r.Sent {
		fmt.Fprintf(&b, "  sent %.6f s", r.Sent.Seconds())
	}
	if r.Fate != "" {
		fmt.Fprintf(&b, "  %s", r.Fate)
		if r.By != "" {
			fmt.Fprintf(&b, " (%s)", r.By)
		}
	} else if r.By != "" {
		fmt.Fprintf(&b, "  (%s)", r.By)
	}
	return b.String()
}
