// Package forecast runs a profile on virtual time: weeks of traffic in seconds.
//
// It is a simulation of discrete events over the rules that real runs use, package
// dialers/pool. The load, the server and the way between them are played: the
// profile's schedule, the server's script (package profiles/script), and a link with a
// constant delay. Nothing here opens a socket or reads a clock, and the same seed gives
// the same result.
//
// world.go has the loop over events, exchange.go the path of one request, server.go
// what the server does with it. Long forecasts are made of spans that are independent of
// one another; see spans.go.
package forecast
