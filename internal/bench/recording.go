package main

import (
	"bytes"
	"time"
)

// recording has the counts and stamps of a recording server since the last reset.
type recording struct {
	origin   time.Time // of the stamps; Go's monotonic clock, which on Linux is CLOCK_MONOTONIC
	stamps   []int64   // arrival of each request in nanoseconds since origin; requests beyond its capacity are only counted
	requests int64     // all of them
	first    int64     // arrival of the first one, and of the last; 0 without any
	last     int64

	accepted int64 // connections
	used     int64 // connections that carried a request
	refused  int64 // connections closed immediately because no file descriptor was free
	broken   int64 // connections closed because they sent no valid request
	open     int64 // connections now
	peak     int64 // most connections open at once

	closeEach bool  // every response ends its connection
	epoch     int64 // number of resets; distinguishes what a connection did before the last reset
}

func newRecording() *recording {
	return &recording{origin: time.Now(), stamps: make([]int64, 0, 1)}
}

// reset clears the recording and makes room for capacity stamps. Connections stay open,
// and count as accepted in the new recording.
func (r *recording) reset(capacity int, closeEach bool) {
	stamps := r.stamps[:0]
	if cap(stamps) < capacity {
		stamps = make([]int64, capacity)
		for i := range stamps {
			stamps[i] = 1 // so that the pages are allocated now, not while requests arrive
		}
		stamps = stamps[:0]
	}
	*r = recording{
		origin: r.origin, stamps: stamps[:0:capacity], closeEach: closeEach, epoch: r.epoch + 1,
		open: r.open, peak: r.open, accepted: r.open,
	}
}

func (r *recording) now() int64 { return int64(time.Since(r.origin)) }

// arrived counts requests that were read at the same moment.
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

// stream is one connection as the recording knows it.
type stream struct {
	held []byte // the beginning of a head whose end has not come
	used int64  // the epoch in which it last carried a request
}

// maxHead is the most a request's head may hold, in bytes. Beyond it a connection
// is closed.
const maxHead = 16 << 10

// What a server answers with.
var (
	answer      = []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	answerClose = []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
)

// took accounts for data read from a connection and returns how many answers it
// is owed, and whether the last of them ends it; what follows a request that
// ends its connection is not looked at. ok is false when this cannot become a
// request.
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
// connection: one that says "Connection: close", or any when each does. rest is
// what follows the last one counted. Requests have no bodies here: the load
// generators send GET.
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
		case len(text) == 0 && first: // an empty line before a request is none (RFC 9112 section 2.2)
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
	if line[0]|0x20 != 'c' { // spares most lines the rest
		return false
	}
	name, value, _ := bytes.Cut(line, []byte{':'})
	return bytes.EqualFold(name, []byte("connection")) && bytes.EqualFold(bytes.TrimSpace(value), []byte("close"))
}
