// Package witness says what happened to each request that a client sent, from the packets
// on this machine's interfaces and not from the client.
//
// [Listen] opens a packet socket (AF_PACKET) in the network namespace of this process. A
// filter in the kernel lets through only what goes to or comes from the servers. A request
// is known by its X-Request-Id; from its packets follow the connection that carried it,
// how long that had been idle, how far the request and its response came, and what ended
// them. internal/evidence/segments follows the connections and compares a request with the
// end of its connection; this package says so in the words of package results.
//
// # Why a ring of frames
//
// The socket has a ring in memory (PACKET_RX_RING, TPACKET_V2). Package unix is all that it
// needs. The two other ways do not fit:
//
//   - TPACKET_V3 hands over whole blocks, a millisecond or more after a packet has come. A
//     request's packets must be there at the moment at which the client says that it is
//     over. In the second version each frame is there as soon as it is filled, and the
//     kernel fills it before TCP handles the packet.
//   - recvmmsg takes packets from the socket's queue, whose bytes net.core.rmem_max bounds
//     where the process is not root outside of its namespace: 200 KiB are about 200 packets,
//     10 ms at 20,000 packets/s.
//
// Reading the ring needs no system call, so a question costs about a microsecond when
// nothing is new. A frame holds 2 KiB; a longer packet comes through the queue as well, as
// far as there is room, and is read from there.
//
// # What it can and cannot know
//
// Packets are stamped by the kernel, on the wall clock; the stamps are converted to the
// monotonic clock, and the wall clock's steps are taken out. On the loopback a packet is
// seen when it is sent; that it is received as well follows within microseconds, and is
// left out.
//
// A request counts as written when its last byte was on the wire. What a client has
// written into its socket's buffer, and the kernel has not sent, is not written here.
//
// A write on a connection that a RST has closed leaves no packet. If the RST came just before,
// such a request is found by that; otherwise nothing is seen of it, and only the client's words
// say that it was on a connection.
//
// When the ring was full, packets are lost: [Witness.Lost] counts them, and statements
// about the connections that were open then are at most inferred.
//
// Over TLS a request's id cannot be read. If kabench's own server ends the TLS connection,
// its story says which request came on which connection: [Witness.Hear]. A request that
// never arrived is found by elimination: it is the one that no story explains. If there are
// several, the one that fits the time of the exchange best is taken, if they ended alike. An
// attempt that did not arrive is not found if the client sent the request again and that
// did arrive: it may as well be another exchange's.
package witness
