// Package closes says who closed a connection first, how and why, from the order of the
// kernel's events about its socket. It is pure.
//
// A socket that leaves ESTABLISHED for FIN_WAIT1 belongs to the end that sent the first FIN;
// one that goes into CLOSE_WAIT has taken the other end's. A RST shows itself by an event of
// its own: one that was taken comes before the socket is closed, one that was sent comes
// before it or, if the service closed with data unread, just after it. What neither explains is
// a connection that the kernel gave up.
//
// The first event may be of a connection that is older than the watch: the state that it
// leaves says what had happened before.
//
// A close by FIN is dated by the moment at which the service's end knew of it: it sent its
// FIN, or took the peer's. If data still waited to be sent, the FIN left later.
package closes
