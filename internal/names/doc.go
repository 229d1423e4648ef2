// Package names has both ends of the question for a name in a private network: the DNS
// server that [network.DNS] describes, and the resolver of a client that asks it instead of
// the machine's. The queries are real ones, over UDP or TCP, made and read by package
// github.com/miekg/dns and by package net. They lie on the network's links like all packets.
package names
