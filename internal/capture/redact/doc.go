// Package redact writes what was captured again without what must not be shown: it
// builds new packets from segments, with other addresses, ports, numbers and dates, and
// with payloads that keep only their lengths and the framing of HTTP/1 and TLS.
package redact
