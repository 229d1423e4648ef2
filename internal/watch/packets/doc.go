// Package packets takes the headers of the packets of a service's connections, as segments
// without payload, for internal/evidence/segments.
//
// The kernel cuts the payload off before it hands a packet over (package packetring). Its
// length is known, and its bytes never come into this process.
//
// # What it can and cannot know
//
// Requests and responses are not read: a change of direction is taken for one. On the
// loopback, and where a proxy runs beside the service, connections of others with the same
// ends are seen too.
//
// Packets that the ring had no room for are counted.
package packets
