// Package probe measures, from outside, how a server treats its connections: it opens a
// few dozen, uses and keeps them by a plan, and notes how and when each of them ends.
//
// [MakePlan] says beforehand what is opened and sent, and how much. [Run] does it and
// returns what was seen of each connection. What follows from that is for package
// evidence.
package probe
