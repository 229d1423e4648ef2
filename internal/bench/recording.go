package main

import (
	"bytes"
	"time"
)

// recording is what a recording server has seen since the last reset.
type recording struct {
	origin   time.Time // time 0 of the stamps, by Go's monotonic clock (CLOCK_MONOTONIC on Linux)
	stamps   []int64   // arrival of each request in nanoseconds since origin, up to its capacity
	requests int64     // number of all requests
	first    int64     // arrivals of the first and the last request; 0 without requests
	last     int64

	accepted int64 // connections
	used     int64 // connections that carried a request
	refused  int64 // connections closed at once, because no file descriptor was left
	broken   int64 // connections closed, because they sent something that is no request, or failed to agree on TLS
	shaken   int64 // connections over TLS whose handshake succeeded
	resumed  int64 // those of them that took up an earlier session
	open     int64 // connections open now
	peak     int64 // most connections open at once

	closeEach bool  // every response ends its connection
	epoch     int64 // number of resets; a stream from an earlier epoch has not carried a request since
}

func newRecording() *recording {
	return &recording{origin: time.Now(), stamps: make([]int64, 0, 1)}
}

// reset starts a new recording with room for capacity stamps. Connections stay open, and
// count as accepted in the new recording.
func (r *recording) reset(capacity int, closeEach bool) {
	stamps := r.stamps[:0]
	if cap(stamps) < capacity {
		stamps = make([]int64, capacity)
		for i := range stamps {
			stamps[i] = 1 // touch the memory now and not while requests arrive
		}
		stamps = stamps[:0]
	}
	*r = recording{
		origin: r.origin, stamps: stamps[:0:capacity], closeEach: closeEach, epoch: r.epoch + 1,
		open: r.open, peak: r.open, accepted: r.open,
	}
}

func (r *recording) now() int64 { return int64(time.Since(r.origin)) }

// arrived counts requests that were read at the same time.
func (r *recording) arrived(now int64, requests int) {
	if r.requests == 0 {
		r.first = now
	}
	r.requests += int64(requests)
	r.last = now
	for range min(requests, cap(r.stamps)-len(r.stamps)) {
		r.stamps = append(r.stamps, now)
	}
}

func (r *recording) opened() {
	r.accepted++
	r.open++
	r.peak = max(r.peak, r.open)
}

func (r *recording) closed() { r.open-- }

// stream is what the recording keeps of a connection.
type stream struct {
	held []byte // the beginning of a head that has not arrived completely
	used int64  // the epoch in which it last carried a request
}

// maxHead is how many bytes a request's head may have. If it has more, the connection is
// closed.
const maxHead = 16 << 10

// The responses of a server.
var (
	answer      = []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	answerClose = []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
)

// took counts the requests in data read from a connection. It returns how many responses
// the connection must get, and whether the last of them ends it. Data after a request
// that ends the connection is ignored. ok is false if the data cannot be a request.
func (r *recording) took(c *stream, data []byte, now int64) (answers int, last, ok bool) {
	if len(c.held) > 0 {
		c.held = append(c.held, data...)
		data = c.held
	}
	answers, last, rest := heads(data, r.closeEach)
	if answers > 0 {
		r.arrived(now, answers)
		if c.used != r.epoch {
			c.used = r.epoch
			r.used++
		}
	}
	if len(rest) > maxHead {
		r.broken++
		return answers, last, false
	}
	c.held = append(c.held[:0], rest...)
	return answers, last, true
}

// heads counts the complete request heads in data, up to the first that ends its
// connection: one that says "Connection: close", or any one if closeEach is set. rest is
// the data after the last head. Requests have no bodies, because the load generators
// send GET.
func heads(data []byte, each bool) (n int, last bool, rest []byte) {
	last = each
	for line, rest := data, data; ; {
		end := bytes.IndexByte(line, '\n')
		if end < 0 {
			return n, false, rest
		}
		text := bytes.TrimSuffix(line[:end], []byte{'\r'})
		first := len(line) == len(rest)
		line = line[end+1:]
		switch {
		case len(text) == 0 && first: // an empty line before a request is ignored (RFC 9112 section 2.2)
			rest = line
		case len(text) == 0:
			n++
			rest = line
			if last {
				return n, true, rest
			}
		case saysClose(text):
			last = true
		}
	}
}

// saysClose reports whether a header line is "Connection: close", in any case
// (RFC 9112 section 9.6).
func saysClose(line []byte) bool {
	if line[0]|0x20 != 'c' { // most lines end here
		return false
	}
	name, value, _ := bytes.Cut(line, []byte{':'})
	return bytes.EqualFold(name, []byte("connection")) && bytes.EqualFold(bytes.TrimSpace(value), []byte("close"))
}
