// Package target makes a profile's target stand: it serves what the profile has kabench
// serve (its own server, proxies, a link, a whole private network), prepares the
// requests, and opens a connection to each server once, to see whether it accepts.
// Nothing of a run's traffic begins here.
package target
