package trace

import (
	"bytes"
	"net/netip"
)

// common reads the common and combined formats of nginx and Apache: the time in the first
// square brackets, then the request in quotation marks, then anything. A line may begin with
// the virtual host, as Apache's vhost_combined does.
func common(c *clock, wanted bool) *format {
	f := &format{name: "common", hosts: true, wants: `ADDRESS - USER [28/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 ...`}
	f.read = func(b []byte, e *entry) outcome {
		open := bytes.IndexByte(b, '[')
		if open < 0 {
			return wrong
		}
		rest := b[open+1:]
		end := bytes.IndexByte(rest, ']')
		if end < 0 {
			return wrong
		}
		var ok bool
		if e.stamp, ok = c.read(rest[:end]); !ok {
			return f.further(c, b, open, e)
		}
		if wanted {
			in, _, _ := quoted(rest[end+1:])
			e.request(in)
			if first, after := field(b[:open]); e.host == nil && !address(first) {
				if second, _ := field(after); address(second) {
					e.host = first
				}
			}
		}
		return taken
	}
	return f
}

// further looks for the time in the next square brackets: an address of IPv6 or the name of a
// user may stand in some.
func (f *format) further(c *clock, b []byte, open int, e *entry) outcome {
	for rest := b[open+1:]; ; {
		next := bytes.IndexByte(rest, '[')
		if next < 0 {
			return wrong
		}
		rest = rest[next+1:]
		end := bytes.IndexByte(rest, ']')
		if end < 0 {
			return wrong
		}
		if s, ok := c.read(rest[:end]); ok {
			e.stamp = s
			in, _, _ := quoted(rest[end+1:])
			e.request(in)
			return taken
		}
	}
}

func address(b []byte) bool {
	_, err := netip.ParseAddr(string(bytes.Trim(b, "[]")))
	return err == nil
}

// haproxy reads HAProxy's HTTP log (option httplog), with or without what syslog puts before
// it: CLIENT:PORT [ACCEPT DATE] FRONTEND BACKEND/SERVER TR/Tw/Tc/Tr/Ta .... The accept date has
// milliseconds and no zone. Other lines of HAProxy are about no request.
func haproxy(c *clock, wanted bool) *format {
	f := &format{name: "haproxy", wants: `ADDRESS:PORT [28/Nov/2026:10:00:00.123] FRONTEND BACKEND/SERVER 0/0/1/5/6 200 ...`}
	f.read = func(b []byte, e *entry) outcome {
		for rest := b; ; {
			open := bytes.IndexByte(rest, '[')
			if open < 0 {
				return skipped
			}
			rest = rest[open+1:]
			if len(rest) < 21 || rest[2] != '/' { // haproxy[PID]:
				continue
			}
			end := bytes.IndexByte(rest, ']')
			if end < 0 {
				return wrong
			}
			var ok bool
			if e.stamp, ok = c.read(rest[:end]); !ok {
				return wrong
			}
			if wanted {
				if i := bytes.IndexByte(rest, '"'); i >= 0 {
					line, _, _ := bytes.Cut(rest[i+1:], []byte(`"`))
					e.request(line)
				}
			}
			return taken
		}
	}
	return f
}

// envoy reads Envoy's default access log: [START_TIME] "METHOD PATH PROTOCOL" STATUS FLAGS
// BYTES BYTES DURATION UPSTREAM_TIME "FORWARDED" "AGENT" "ID" "AUTHORITY" "UPSTREAM".
func envoy(c *clock, wanted bool) *format {
	f := &format{name: "envoy", hosts: true, wants: `[2026-11-28T10:00:00.123Z] "GET / HTTP/1.1" 200 - 0 5 1 1 "-" "agent" "id" "authority" "upstream"`}
	f.read = func(b []byte, e *entry) outcome {
		end := bytes.IndexByte(b, ']')
		if end < 0 || b[0] != '[' {
			return wrong
		}
		var ok bool
		if e.stamp, ok = c.read(b[1:end]); !ok {
			return wrong
		}
		if wanted {
			rest := b[end+1:]
			for i := range 5 {
				in, after, found := quoted(rest)
				if !found {
					break
				}
				if rest = after; i == 0 {
					e.request(in)
				} else if i == 4 {
					e.host = in
				}
			}
		}
		return taken
	}
	return f
}

// The fields of a line of an AWS application load balancer, from 0.
const (
	albTime    = 1
	albRequest = 12
	albCreated = 21 // when the load balancer received the request; older logs have not got it
)

// alb reads the access log of AWS application load balancers.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
func alb(c *clock, wanted bool) *format {
	f := &format{name: "alb", hosts: true, wants: `http 2026-11-28T10:00:00.123456Z app/NAME/ID CLIENT:PORT TARGET:PORT 0.000 0.001 0.000 200 ...`}
	f.read = func(b []byte, e *entry) outcome {
		ok := false
		for i, rest := 0, b; i <= albCreated && len(rest) > 0; i++ {
			var in []byte
			switch in, rest = field(rest); i {
			case albTime:
				if e.stamp, ok = c.read(in); !ok {
					return wrong
				}
			case albRequest:
				if wanted {
					e.request(in)
				}
			case albCreated:
				if s, good := c.read(in); good {
					e.stamp = s
				}
			}
		}
		if !ok {
			return wrong
		}
		return taken
	}
	return f
}
