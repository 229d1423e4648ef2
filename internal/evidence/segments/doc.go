// Package segments follows TCP connections in the segments that were seen of them:
// Lives turns segments into the lives of connections, evidence.Connection. It is pure,
// works on a stream, and its memory is bounded.
package segments
