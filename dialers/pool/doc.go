// Package pool is the rules of an HTTP connection pool, and nothing else: no
// clock, no goroutine, no socket. A [Policy] states the rules; [Core] applies
// them.
//
// Every method of Core is an event: a request asks for a connection
// ([Core.Acquire]), a dial is done ([Core.Dialed]), a response is complete
// ([Core.Release]), the peer has closed a connection ([Core.Died]), time has
// passed ([Core.Tick]). It takes the time at which the event happened and returns
// [Decision] values for the caller to carry out: lease this connection, dial,
// refuse this request, close that connection for this [Reason]. [Core.Next] says
// when Tick is due.
//
// The caller supplies sockets and time. Package dialers does so with real ones; a
// simulation may count nanoseconds in a loop and needs no connection at all.
//
// serve.go begins with the cases by which a request is served.
package pool
