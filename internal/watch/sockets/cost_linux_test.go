package sockets

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// crowdOf is the number of connections that the helper opens to itself; then it serves nothing.
const crowdOf = "KABENCH_TEST_CROWD"

// crowd is a process that has both ends of many connections, until its input ends.
func crowd(connections string) {
	n, err := strconv.Atoi(connections)
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	kept := make([]net.Conn, 0, 2*n)
	for range n {
		c, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			panic(err)
		}
		s, err := l.Accept()
		if err != nil {
			panic(err)
		}
		kept = append(kept, c, s)
	}
	fmt.Println(l.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	for _, c := range kept {
		_ = c.(*net.TCPConn).SetLinger(0) // leaves no TIME_WAIT behind
		c.Close()
	}
	os.Exit(0)
}

// startCrowd starts processes that have this many sockets together.
func startCrowd(t testing.TB, processes, sockets int) []int {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for range processes {
		c := exec.Command(exe)
		c.Env = append(os.Environ(), crowdOf+"="+strconv.Itoa(sockets/2/processes))
		c.Stderr = os.Stderr
		in, err := c.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			in.Close()
			if err := c.Wait(); err != nil {
				t.Error(err)
			}
		})
		if _, err := fmt.Fscanln(out, new(string)); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, c.Process.Pid)
	}
	return pids
}

// TestManySockets: a look at 50,000 sockets has them all.
func TestManySockets(t *testing.T) {
	if testing.Short() {
		t.Skip("opens 25,000 connections")
	}
	w := newTestWatcher(t, Config{PIDs: startCrowd(t, 5, 50_000)})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 3 {
		l, err := w.Look()
		if err != nil {
			t.Fatal(err)
		}
		accepted := 0
		for _, s := range l.Sockets {
			if s.Accepted {
				accepted++
			}
		}
		if accepted != 25_000 || len(l.Sockets) != 50_000 || l.Ports != 5000 || len(l.Toward) != 5 {
			t.Errorf("look %d: %d of %d accepted, %d ports, %d targets", i, accepted, len(l.Sockets), l.Ports, len(l.Toward))
		}
		t.Logf("look %d took %v of a processor; the next one comes after %v", i, l.Took, Pause(l.Took, time.Second))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	t.Logf("%.1f MB of memory", float64(after.HeapAlloc-min(after.HeapAlloc, before.HeapAlloc))/1e6)
	runtime.KeepAlive(w)
}

// BenchmarkLook shows what a look costs at 2,000 sockets of a process.
func BenchmarkLook(b *testing.B) {
	w := newTestWatcher(b, Config{PIDs: startCrowd(b, 1, 2000)})
	b.ReportAllocs()
	took, n := time.Duration(0), 0
	for b.Loop() {
		l, err := w.Look()
		if err != nil {
			b.Fatal(err)
		}
		took, n = took+l.Took, n+1
	}
	b.ReportMetric(float64(took.Nanoseconds())/float64(n), "cpu-ns/op")
}
