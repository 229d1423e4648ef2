// Package evidence says what happened on connections, from what was seen of them
// (Connection), and how a server treats its connections, from many of them (Server).
// It is pure: it reads no clock and no socket, so a probe, a capture, a log and a
// watched process are judged alike.
package evidence
