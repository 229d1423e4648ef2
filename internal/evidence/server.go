package evidence

import "time"

// Timer is a time after which a server closes connections, as it follows from several
// closes.
type Timer struct {
	Closes           int           // how many closes it follows from
	Median, Min, Max time.Duration // of the times seen
	Low, High        time.Duration // 95 % interval of the median
	LongerThan       time.Duration // without a close: nothing was closed within this time; 0: not observed
}

// Server is how one server treats its connections, as it follows from many of them.
type Server struct {
	Address     string // host:port, or the address if a name has several
	Connections int
	Requests    int
	RoundTrip   Timer // of TCP handshakes
	Response    Timer // from the request's last byte to the response's first
	Idle        Timer // idle connections that have carried an exchange
	Fresh       Timer // connections on which nothing was sent
	Half        Timer // after half a request head on a fresh connection
	UsedHalf    Timer // after half a request head on a used connection
	Lifetime    Timer // since a connection was opened, however it was used
	Close       Kind  // of idle connections: what most of them got
	Notify      Timer // from close_notify to FIN
}
