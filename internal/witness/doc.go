// Package witness says what happened to each request that a client sent, from the packets
// on this machine's interfaces and not from the client.
//
// [Listen] takes packets (package packetring) in the network namespace of this process. A
// filter in the kernel lets through only what goes to or comes from the servers. A request
// is known by its X-Request-Id; from its packets follow the connection that carried it,
// how long that had been idle, how far the request and its response came, and what ended
// them. internal/evidence/segments follows the connections and compares a request with the
// end of its connection; this package says so in the words of package results.
//
// # What it can and cannot know
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
