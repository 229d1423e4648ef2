// Package conform plays stories with a real client and with its preset, against a server
// of its own, and says where the two differ.
//
// A [Story] is data: requests on a schedule, and a [Script] that says what the server
// does with each request and with each idle connection. [Play] plays a story once, with
// whatever performs the requests. [Compare] compares two plays. It looks at
// what arrived at the server and at how each request ended, and at times only where the
// story is about them. [Run] plays all stories of one client, and plays a story again if
// the machine disturbed it.
package conform
