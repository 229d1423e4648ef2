// Package external performs exchanges through a driver: a real HTTP client in a process of
// its own, which speaks frames over stdin and stdout.
//
// kabench decides when a request is due, and measures how late it and the driver were. The
// driver makes the call and says how it ended. What happened on the connections is not
// taken from the driver: a [Witness] says it, as far as somebody could look. The driver's
// words, read by package wording, decide only what no wire can show, such as a request
// that got no connection.
//
// docs/drivers.md describes the protocol.
package external
