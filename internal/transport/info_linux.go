package transport

import (
	"net"
	"syscall"
	"time"

	"github.com/kabench/kabench/results"
)

// tcpInfo asks the kernel about the connection on fd.
func tcpInfo(fd uintptr) (results.TCPInfo, bool) {
	i, known := rawTCPInfo(fd)
	if !known || i.State == 0 || int(i.State) > len(results.TCPStates) {
		return results.TCPInfo{}, false
	}
	us := func(n uint32) time.Duration { return time.Duration(n) * time.Microsecond }
	ms := func(n uint32) time.Duration { return time.Duration(n) * time.Millisecond }
	return results.TCPInfo{
		State: results.TCPStates[i.State-1], RTT: us(i.Rtt), RTTVar: us(i.Rttvar),
		Unacked: int(i.Unacked), Retransmits: int(i.Retransmits), TotalRetrans: int(i.Total_retrans),
		SinceSent: ms(i.Last_data_sent), SinceReceived: ms(i.Last_data_recv),
		BytesAcked: int64(i.Bytes_acked), BytesReceived: int64(i.Bytes_received),
	}, true
}

// Info asks the kernel about conn. It reports false when the kernel says nothing.
func Info(conn net.Conn) (info results.TCPInfo, known bool) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return info, false
	}
	raw, err := sc.SyscallConn()
	if err == nil {
		// An error means that conn was closed meanwhile: nothing is known then.
		_ = raw.Control(func(fd uintptr) { info, known = tcpInfo(fd) })
	}
	return info, known
}
