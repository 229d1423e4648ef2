// Package pool is the rules of an HTTP connection pool and nothing else: no
// clock, no goroutine, no socket. Events go in with the time at which they
// happened, decisions come out, and [Core.Next] says when the rules want to be
// asked again. The dialers package wraps it in sockets and locks.
package pool
