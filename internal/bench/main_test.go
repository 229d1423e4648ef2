package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sendCommand makes the test binary a kind of load generator: it sends a given number of
// requests, one after the other over one connection, and says how many failed. With
// -1 it sends until it is ended.
const sendCommand = "send-requests"

// TestMain lets the test binary be the other processes that tests start.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 2 && os.Args[1] == serveCommand:
		os.Exit(serveMain())
	case len(os.Args) == 4 && os.Args[1] == sendCommand:
		os.Exit(sendMain(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

func sendMain(url, count string) int {
	n, err := strconv.Atoi(count)
	if err != nil {
		return 2
	}
	failed := 0
	for i := 0; i != n; i++ {
		res, err := http.Get(url)
		if err != nil {
			failed++
			continue
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	fmt.Printf("failed: %d\n", failed)
	return 0
}

// sender is the test binary as a tool.
func sender(count int) tool {
	return tool{
		name:   "sender",
		call:   func(j job) (call, error) { return call{args: []string{sendCommand, j.url, strconv.Itoa(count)}}, nil },
		errors: sumOf(`failed: (\d+)`, 1),
	}
}

// testBench is a bench with a recording server and the sender.
func testBench(t *testing.T) *bench {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	rec, err := startRecorder(exe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rec.close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	b := &bench{rec: rec, addrs: map[manner]string{}, programs: map[string]string{"sender": exe}, dir: t.TempDir(), log: io.Discard, loopback: 77}
	for as := range manners {
		if _, err := b.address(manner(as)); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func TestMeasure(t *testing.T) {
	b := testBench(t)
	s, stamps, err := b.measure(context.Background(), sender(50), job{url: "http://" + b.addrs[overHTTP] + "/", rate: 1000, seconds: 1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if s.Nothing != "" || s.Ended != "" || s.Requests != 50 || len(stamps) != 50 || s.Connections != 1 || s.Errors == nil || *s.Errors != 0 {
		t.Errorf("%+v with %d stamps; want 50 requests on one connection without errors", s, len(stamps))
	}
	if s.CPU <= 0 || s.Lag == nil || s.Lag.P99 < s.Lag.P50 || s.Achieved > 50 {
		t.Errorf("CPU %v µs, lag %+v, %v/s; want CPU time, a lag, and at most the 50/s of one second", s.CPU, s.Lag, s.Achieved)
	}
	if left, err := os.ReadDir(b.dir); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}

func TestMeasureEndsAtTheQuota(t *testing.T) {
	b := testBench(t)
	s, stamps, err := b.measure(context.Background(), sender(-1), job{url: "http://" + b.addrs[overHTTP] + "/", rate: 1000, seconds: 60, fresh: true}, 20)
	if err != nil {
		t.Fatal(err)
	}
	if s.Requests < 20 || len(stamps) != 20 || s.Achieved <= 0 || s.Lag != nil || !strings.Contains(s.Ended, errEnough.Error()) {
		t.Errorf("%+v with %d stamps; want it ended after 20 requests", s, len(stamps))
	}
	if s.Errors != nil {
		t.Errorf("%d errors of a tool that said nothing", *s.Errors)
	}
}

func TestMeasureStopsWhenToldTo(t *testing.T) {
	b := testBench(t)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // once it sends
		for {
			if n, _, err := b.rec.count(); err != nil || n > 0 {
				cancel()
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if _, _, err := b.measure(ctx, sender(-1), job{url: "http://" + b.addrs[overHTTP] + "/", rate: 1000, seconds: 60}, 0); err != context.Canceled {
		t.Errorf("%v, want that it was cancelled", err)
	}
}

func TestMeasureNothing(t *testing.T) {
	b := testBench(t)
	s, _, err := b.measure(context.Background(), sender(0), job{url: "http://" + b.addrs[overHTTP] + "/", rate: 10, seconds: 1}, 0)
	if err != nil || !strings.Contains(s.Nothing, "no request arrived") {
		t.Errorf("%q, %v; want that no request arrived", s.Nothing, err)
	}
}

func TestFreshAddressesDiffer(t *testing.T) {
	if !manyLoopbacks {
		t.Skip("this system has one loopback address")
	}
	b := testBench(t)
	one, err := b.freshAddress(overHTTP)
	if err != nil {
		t.Fatal(err)
	}
	two, err := b.freshAddress(overHTTP)
	if err != nil {
		t.Fatal(err)
	}
	if one == two || !strings.HasPrefix(one, "127.77.") {
		t.Errorf("%s and %s: want two addresses of 127.77.0.0/16", one, two)
	}
	conn, r := dial(t, two)
	send(t, conn, get)
	receive(t, r)
}

func TestParse(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string // in the complaint; empty: none
	}{
		{nil, ""},
		{[]string{"--quick", "--tools", "kabench,wrk2", "--scenarios", "fast", "--no-install"}, ""},
		{[]string{"--repeats", "0"}, "--repeats 0: want 1 to 100"},
		{[]string{"--tools", "kabench,ab"}, `--tools: there is no "ab"`},
		{[]string{"--scenarios", "slow"}, `--scenarios: there is no "slow"`},
		{[]string{"--wait-quiet", "-1s"}, "--wait-quiet -1s"},
		{[]string{"steady"}, `unexpected argument "steady"`},
		{[]string{"--repeat", "3"}, "flag provided but not defined"},
	} {
		var stderr bytes.Buffer
		_, err := parse(test.args, &stderr)
		if (err == nil) != (test.want == "") || !strings.Contains(stderr.String(), test.want) {
			t.Errorf("%q: %v, printed %q; want %q", test.args, err, stderr.String(), test.want)
		}
		if test.want != "" && run(test.args, io.Discard, io.Discard) != exitInput {
			t.Errorf("%q: exit code other than %d", test.args, exitInput)
		}
	}
	if _, err := parse([]string{"--help"}, io.Discard); err != flag.ErrHelp {
		t.Errorf("--help: %v", err)
	}
	if o, _ := parse([]string{"--no-install", "--quick", "--repeats", "7"}, io.Discard); o.install || o.repeats != 1 || o.seed == 0 {
		t.Errorf("%+v: want nothing installed, one repeat and a seed", o)
	}
}
