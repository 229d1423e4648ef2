package software

import (
	"testing"
	"time"
)

// What a capture shows of a connection, and what of it is a close by an idle timer.
func TestIdleClose(t *testing.T) {
	const request, response = "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"
	type event struct {
		at     time.Duration
		server bool
		flags  byte
		data   string
	}
	exchange := []event{{at: 1 * time.Second, data: request}, {at: 2 * time.Second, server: true, data: response}}
	record := func(kind, high, low byte, size int) string {
		return string([]byte{kind, 3, 3, high, low}) + string(make([]byte, size))
	}
	for name, test := range map[string]struct {
		then []event
		kind string // "": no idle timer
		idle time.Duration
	}{
		"a FIN":                        {[]event{{at: 5 * time.Second, server: true, flags: fin | ack}}, "fin", 3 * time.Second},
		"an RST":                       {[]event{{at: 5 * time.Second, server: true, flags: rst | ack}}, "rst", 3 * time.Second},
		"a FIN, then an RST":           {[]event{{at: 5 * time.Second, server: true, flags: fin | ack}, {at: 6 * time.Second, server: true, flags: rst}}, "fin", 3 * time.Second},
		"TLS 1.3":                      {[]event{{at: 5 * time.Second, server: true, data: record(23, 0, 19, 19)}, {at: 35 * time.Second, server: true, flags: fin | ack}}, "close_notify", 3 * time.Second},
		"TLS 1.2":                      {[]event{{at: 5 * time.Second, server: true, data: record(21, 0, 26, 26), flags: fin | ack}}, "close_notify", 3 * time.Second},
		"a short record is no alert":   {[]event{{at: 3 * time.Second, data: request}, {at: 4 * time.Second, server: true, data: record(23, 0, 30, 30)}, {at: 5 * time.Second, server: true, flags: fin | ack}}, "fin", time.Second},
		"a request after the close":    {[]event{{at: 5 * time.Second, server: true, flags: fin | ack}, {at: 5001 * time.Millisecond, data: request}, {at: 5002 * time.Millisecond, server: true, flags: rst}}, "fin", 3 * time.Second},
		"a second request":             {[]event{{at: 3 * time.Second, data: request}, {at: 4 * time.Second, server: true, data: response}, {at: 5 * time.Second, server: true, flags: fin | ack}}, "fin", time.Second},
		"a request before the close":   {[]event{{at: 4 * time.Second, data: request}, {at: 5 * time.Second, server: true, flags: fin | ack}}, "", 0},
		"the client closes first":      {[]event{{at: 4 * time.Second, flags: fin | ack}, {at: 5 * time.Second, server: true, flags: fin | ack}}, "", 0},
		"still open":                   {nil, "", 0},
		"the response says it closes":  {[]event{{at: 3 * time.Second, data: request}, {at: 4 * time.Second, server: true, data: "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"}, {at: 4 * time.Second, server: true, flags: fin | ack}}, "", 0},
		"segments without data do not": {[]event{{at: 4 * time.Second, flags: ack}, {at: 4 * time.Second, server: true, flags: ack}, {at: 5 * time.Second, server: true, flags: fin | ack}}, "fin", 3 * time.Second},
	} {
		c := &wireConn{}
		for _, e := range append(exchange[:2:2], test.then...) {
			s := segment{flags: e.flags, data: []byte(e.data)}
			if e.server {
				c.fromServer(e.at, s)
			} else {
				c.fromClient(e.at, s)
			}
		}
		idle, kind, ok := c.idleClose()
		if kind != test.kind || idle != test.idle || ok != (test.kind != "") {
			t.Errorf("%s: %v, %q, %v", name, idle, kind, ok)
		}
	}
	secure := &wireConn{}
	secure.fromClient(0, segment{data: []byte{handshake, 3, 1, 2, 0}})
	secure.fromServer(time.Second, segment{data: []byte(record(23, 1, 0, 256))})
	secure.fromServer(time.Second+time.Millisecond, segment{data: []byte(record(23, 0, 19, 19)), flags: fin | ack})
	if idle, kind, ok := secure.idleClose(); ok {
		t.Errorf("a close directly after a response that cannot be read: %v, %s", idle, kind)
	}
	never := &wireConn{}
	never.fromServer(5*time.Second, segment{flags: fin | ack})
	if _, _, ok := never.idleClose(); ok {
		t.Error("a connection without a response was not idle")
	}
}
