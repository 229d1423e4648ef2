package autopsy

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// What is gathered agrees with the verdict: each request once, with its idle time.
func TestGathered(t *testing.T) {
	w := idleRace()
	files := []string{w.capture(t, true, 0, 0), w.capture(t, false, time.Second, 0)}
	g := NewGatherer(serverEnd)
	v := examined(t, Options{Files: files, Segment: g.Take})
	seen := g.End(v, v.Servers[0].Address)
	failed := 0
	for i, r := range seen.Requests {
		if i > 0 && r.Sent < seen.Requests[i-1].Sent {
			t.Errorf("request %d is not in the order of time", i)
		}
		if r.Failed {
			failed++
			if r.Met.String() != "crossed" || r.Nth != 3 || r.Idle < 4900*time.Millisecond || r.Idle > 5*time.Second {
				t.Errorf("a failed request is %+v", r)
			}
		}
		if r.Nth == 2 && (r.Idle < 600*time.Millisecond || r.Idle > 700*time.Millisecond) {
			t.Errorf("the second request of a connection is %+v", r)
		}
	}
	if len(seen.Requests) != v.Requests || failed != len(v.Failures) || len(seen.Connections) != v.Connections || seen.Left != 0 {
		t.Errorf("%d requests, %d failed, on %d connections; the verdict has %d, %d, %d", len(seen.Requests), failed, len(seen.Connections), v.Requests, len(v.Failures), v.Connections)
	}
	for _, c := range seen.Connections {
		if (len(c.Last) > 0) != (len(c.Unanswered) > 0) {
			t.Errorf("connection %d with %d failed requests has %d segments", c.Number, len(c.Unanswered), len(c.Last))
		}
		if n := len(c.Last); n > 0 && (c.Last[n-1].At < c.Close.At || n > lastSegments) {
			t.Errorf("the last segments of connection %d: %+v", c.Number, c.Last)
		}
	}
	var b bytes.Buffer
	if err := WriteRequests(&b, seen.Requests); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 45 || lines[1] != "sent,client,connection,nth,idle,took,status,met" || lines[2] != "0.000000,1,1,1,0.000000,0.011000,200," || strings.Count(b.String(), ",,,crossed\n") != 3 {
		t.Errorf("the file has %d lines: %q ... %q", len(lines), lines[2], lines[len(lines)-1])
	}
}
