package redact

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// Says states what a redacted capture still has, and what it has no more.
func Says() []string {
	return []string{
		"Still in it: the TCP packets, with their lengths, flags and the time between them.",
		"Addresses: numbers in the order in which they appear. Private, public, loopback and link-local ones stay apart, and so do IPv4 and IPv6.",
		"Ports: also replaced, except 80, 443 and 8080 of a server. Which packets belong to one connection can be seen.",
		"Sequence numbers and IP identifications: moved, so that their distances remain. Hop counts: 64, 128 and 255 remain, of others only the differences.",
		"Of HTTP/1: methods, versions, statuses, Content-Length, Transfer-Encoding, Connection, Keep-Alive, the sizes of chunks, and how long each line is.",
		"Of TLS: the types, versions and lengths of records.",
		"Not in it: dates, MAC addresses, names, targets, other fields, bodies, certificates, TCP options, other protocols than TCP, comments, and names of interfaces and programs.",
		"Who knows this traffic may recognise it by its times and lengths.",
	}
}

// digest returns two numbers that follow from a text and the key of the file.
func digest(key [32]byte, text string) (a, b uint32) {
	h := hmac.New(sha256.New, key[:])
	h.Write([]byte(text))
	sum := h.Sum(nil)
	return binary.BigEndian.Uint32(sum), binary.BigEndian.Uint32(sum[4:])
}
