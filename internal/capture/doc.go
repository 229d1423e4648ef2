// Package capture turns packet captures into segments: it reads pcap and pcapng files,
// compressed or not, as a stream, and takes the TCP segments out of the packets of every
// link type in use.
package capture
