// Package aim sets the traffic of an incident so that it hits a server that is not
// kabench's own, and computes beforehand how often it will. It uses what was measured of
// the server, and plays the schedule through the rules of the pool on virtual time. It
// opens no socket and reads no clock.
package aim
