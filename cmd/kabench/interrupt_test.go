//go:build unix

package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/interrupt"
	"github.com/kabench/kabench/results"
)

// neverEnding serves connections. It writes text to each of them, and then piece again and
// again, or nothing more if piece is "". reached counts the requests it received.
func neverEnding(t *testing.T, text, piece string) (url string, reached *atomic.Int64) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); ln.Close() })
	reached = new(atomic.Int64)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { conn.Close() })()
				conn.Read(make([]byte, 4096))
				reached.Add(1)
				io.WriteString(conn, text)
				for piece != "" {
					if _, err := io.WriteString(conn, piece); err != nil {
						return
					}
					time.Sleep(10 * time.Millisecond)
				}
				io.Copy(io.Discard, conn)
			}()
		}
	}()
	return "http://" + ln.Addr().String() + "/", reached
}

// Two interrupts end a run that has no timeout, whatever the server does, and the
// results are kept.
func TestTwoInterruptsEndARun(t *testing.T) {
	for name, server := range map[string]struct{ text, piece string }{
		"silent":             {},
		"switches protocols": {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", "x"},
		"endless body":       {"HTTP/1.1 200 OK\r\n\r\n", "x"},
		"endless interim":    {"", "HTTP/1.1 102 Processing\r\n"},
	} {
		for _, client := range []string{"policy", "stock"} {
			t.Run(name+" "+client, func(t *testing.T) {
				t.Parallel()
				url, reached := neverEnding(t, server.text, server.piece)
				dir := filepath.Join(t.TempDir(), "run")
				p := start(t, "run", "--target", url, "--rate", "20/s", "--duration", "1h", "--out", dir, "--json",
					"--set", "load.max_lag=0", "--set", "load.timeout=0", "--set", "load.max_in_flight=10", "--set", "client="+client)
				waitFor(t, "a request", func() bool { return reached.Load() > 1 })
				p.Process.Signal(os.Interrupt)
				waitFor(t, "a word on the first interrupt", func() bool { return strings.Contains(p.stderr.String(), "Ctrl-C again") })
				p.Process.Signal(os.Interrupt)
				defer time.AfterFunc(2*interrupt.LastResort, func() { p.Process.Kill() }).Stop()
				if code := p.exitCode(t); code != exit.Interrupted {
					t.Errorf("exit code %d, want %d\n%s", code, exit.Interrupted, p.stderr.String())
				}
				if text := p.stderr.String(); strings.Contains(text, "ended by force") {
					t.Errorf("it was ended by force:\n%s", text)
				}
				var run results.Run
				if err := json.Unmarshal([]byte(p.stdout.String()), &run); err != nil {
					t.Fatalf("%v in %s", err, p.stdout.String())
				}
				if !run.Interrupted || !run.Complete || !run.Counts.Balance() || run.Counts.Started == 0 {
					t.Errorf("interrupted %v, complete %v, %+v", run.Interrupted, run.Complete, run.Counts)
				}
			})
		}
	}
}

func TestTwoInterruptsEndWhateverIsStuck(t *testing.T) {
	if testing.Short() {
		t.Skipf("it takes %v", interrupt.LastResort)
	}
	t.Parallel()
	p := prepare(t)
	p.Args = []string{"kabench-stuck"}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill(); p.Wait() })
	waitFor(t, "the program", func() bool { return p.stdout.String() != "" })
	p.Process.Signal(os.Interrupt)
	p.Process.Signal(syscall.SIGTERM) // as a second interrupt, which could merge with the first
	defer time.AfterFunc(2*interrupt.LastResort, func() { p.Process.Kill() }).Stop()
	if code := p.exitCode(t); code != exit.Interrupted {
		t.Errorf("exit code %d, want %d", code, exit.Interrupted)
	}
}
