package main

import (
	"context"
	"testing"
)

// The sockets are in TIME_WAIT before the tool starts, and the sample says how many.
func TestMeasureBesideTimeWait(t *testing.T) {
	if waitingSockets() < 0 {
		t.Skip("this system does not say how many sockets are in TIME_WAIT")
	}
	b := testBench(t)
	before := waitingSockets()
	s, _, err := b.measure(context.Background(), sender(5), job{url: "http://" + b.addrs[overHTTP] + "/", rate: 1000, seconds: 1, waiting: 500}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if s.Requests != 5 || s.Waiting < 450 {
		t.Errorf("%d requests beside %d sockets in TIME_WAIT, %d before; want 5, and nearly 500 more", s.Requests, s.Waiting, before)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.fill(ended, 10); err == nil {
		t.Error("it went on after its end")
	}
}
