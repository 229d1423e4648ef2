package results

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// TCPInfo is what the kernel says of a connection at one moment (tcp(7),
// TCP_INFO; Linux only). Unacked, Retransmits and the times are of what is
// outstanding; the sums are of the connection's whole life.
type TCPInfo struct {
	State         string        // one of TCPStates
	RTT           time.Duration // smoothed round trip, in µs; 0: none measured yet
	RTTVar        time.Duration // its mean deviation
	Unacked       int           // segments sent and not acknowledged
	Retransmits   int           // timeouts in a row of the oldest of these
	TotalRetrans  int           // segments sent again so far
	SinceSent     time.Duration // since data was last sent; in ms, and exact to a tick of the kernel's (1 to 10 ms)
	SinceReceived time.Duration // since data was last received; as SinceSent. Before the first: since the connection was made
	BytesAcked    int64         // of ours that the peer has acknowledged; on a client's connection 1 more, its SYN
	BytesReceived int64         // data of the peer's; its FIN counts as 1
}

// TCPStates are the states of a TCPInfo, by the kernel's numbers
// (net/tcp_states.h) less 1.
var TCPStates = [...]string{
	"ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK",
	"LISTEN", "CLOSING", "NEW_SYN_RECV",
}

// Established reports whether neither side had ended the connection, as far as
// the kernel on our side knew.
func (i *TCPInfo) Established() bool { return i.State == TCPStates[0] }

// appendTCP appends what is known of e's connection, of which there is
// something, as a JSON object.
func appendTCP(b []byte, e *Exchange) []byte {
	open := byte('{')
	for _, at := range [...]struct {
		key  string
		info *TCPInfo
	}{{`"lease":`, e.AtLease}, {`"failure":`, e.AtFailure}} {
		if at.info != nil {
			b = append(append(b, open), at.key...)
			b = at.info.append(b)
			open = ','
		}
	}
	return append(b, '}')
}

func (i *TCPInfo) append(b []byte) []byte {
	b = append(b, `{"state":"`...)
	b = append(b, i.State...)
	b = append(b, '"')
	b = appendNonZero(b, `,"rtt":`, micros(i.RTT))
	b = appendNonZero(b, `,"rttvar":`, micros(i.RTTVar))
	b = appendNonZero(b, `,"unacked":`, int64(i.Unacked))
	b = appendNonZero(b, `,"retransmits":`, int64(i.Retransmits))
	b = appendNonZero(b, `,"total_retrans":`, int64(i.TotalRetrans))
	b = appendInt(b, `,"since_sent":`, micros(i.SinceSent))
	b = appendInt(b, `,"since_received":`, micros(i.SinceReceived))
	b = appendInt(b, `,"acked":`, i.BytesAcked)
	b = strconv.AppendInt(append(b, `,"received":`...), i.BytesReceived, 10)
	return append(b, '}')
}

// tcp is what a line has of a connection.
type tcp struct {
	Lease   *tcpInfo `json:"lease"`
	Failure *tcpInfo `json:"failure"`
}

// tcpInfo is a TCPInfo as read back, times in µs.
type tcpInfo struct {
	State         string `json:"state"`
	RTT           int64  `json:"rtt"`
	RTTVar        int64  `json:"rttvar"`
	Unacked       int64  `json:"unacked"`
	Retransmits   int64  `json:"retransmits"`
	TotalRetrans  int64  `json:"total_retrans"`
	SinceSent     int64  `json:"since_sent"`
	SinceReceived int64  `json:"since_received"`
	Acked         int64  `json:"acked"`
	Received      int64  `json:"received"`
}

// read is the TCPInfo in i, nil for nil.
func (i *tcpInfo) read() (*TCPInfo, error) {
	if i == nil {
		return nil, nil
	}
	if !slices.Contains(TCPStates[:], i.State) {
		return nil, fmt.Errorf("state: %.40q is none of TCP's", i.State)
	}
	for _, n := range [...]int64{i.RTT, i.RTTVar, i.SinceSent, i.SinceReceived} {
		if n < 0 || n > maxMicros {
			return nil, fmt.Errorf("%d is out of the range of times", n)
		}
	}
	for _, n := range [...]int64{i.Unacked, i.Retransmits, i.TotalRetrans} {
		if n < 0 || n > maxSegments {
			return nil, fmt.Errorf("%d is out of the range of segments", n)
		}
	}
	if i.Acked < 0 || i.Received < 0 {
		return nil, errors.New("a number of bytes is negative")
	}
	us := func(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
	return &TCPInfo{
		State: i.State, RTT: us(i.RTT), RTTVar: us(i.RTTVar),
		Unacked: int(i.Unacked), Retransmits: int(i.Retransmits), TotalRetrans: int(i.TotalRetrans),
		SinceSent: us(i.SinceSent), SinceReceived: us(i.SinceReceived), BytesAcked: i.Acked, BytesReceived: i.Received,
	}, nil
}

// maxSegments is the most the kernel counts: it has 32 bits for it.
const maxSegments = 1<<31 - 1
