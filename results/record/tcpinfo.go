package record

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/kabench/kabench/results"
)

// AppendTCP appends AtLease and AtFailure of e as a JSON object. At least one of them
// must be set.
func AppendTCP(b []byte, e *results.Exchange) []byte {
	open := byte('{')
	for _, at := range [...]struct {
		key  string
		info *results.TCPInfo
	}{{`"lease":`, e.AtLease}, {`"failure":`, e.AtFailure}} {
		if at.info != nil {
			b = append(append(b, open), at.key...)
			b = appendTCPInfo(at.info, b)
			open = ','
		}
	}
	return append(b, '}')
}

func appendTCPInfo(i *results.TCPInfo, b []byte) []byte {
	b = append(b, `{"state":"`...)
	b = append(b, i.State...)
	b = append(b, '"')
	b = appendNonZero(b, `,"rtt":`, results.Micros(i.RTT))
	b = appendNonZero(b, `,"rttvar":`, results.Micros(i.RTTVar))
	b = appendNonZero(b, `,"unacked":`, int64(i.Unacked))
	b = appendNonZero(b, `,"retransmits":`, int64(i.Retransmits))
	b = appendNonZero(b, `,"total_retrans":`, int64(i.TotalRetrans))
	b = appendInt(b, `,"since_sent":`, results.Micros(i.SinceSent))
	b = appendInt(b, `,"since_received":`, results.Micros(i.SinceReceived))
	b = appendInt(b, `,"acked":`, i.BytesAcked)
	b = strconv.AppendInt(append(b, `,"received":`...), i.BytesReceived, 10)
	return append(b, '}')
}

// tcp is the field tcp of a line.
type tcp struct {
	Lease   *tcpInfo `json:"lease"`
	Failure *tcpInfo `json:"failure"`
}

// tcpInfo is a TCPInfo as encoding/json reads it, with times in µs.
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

// read returns i as a results.TCPInfo; nil if i is nil.
func (i *tcpInfo) read() (*results.TCPInfo, error) {
	if i == nil {
		return nil, nil
	}
	if !slices.Contains(results.TCPStates[:], i.State) {
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
	return &results.TCPInfo{
		State: i.State, RTT: us(i.RTT), RTTVar: us(i.RTTVar),
		Unacked: int(i.Unacked), Retransmits: int(i.Retransmits), TotalRetrans: int(i.TotalRetrans),
		SinceSent: us(i.SinceSent), SinceReceived: us(i.SinceReceived), BytesAcked: i.Acked, BytesReceived: i.Received,
	}, nil
}

// maxSegments is the highest number of segments that is accepted: the kernel counts
// with 32 bits.
const maxSegments = 1<<31 - 1
