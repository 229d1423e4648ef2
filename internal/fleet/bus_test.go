package fleet

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/fleet/broker"
)

// A broker that goes away while an agent subscribes does not end the agent: it subscribes when
// the broker is back.
func TestSubscriptionWhileTheBrokerGoes(t *testing.T) {
	url := meet(t)
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer front.Close()
	var cut atomic.Bool
	go func() {
		for {
			in, err := front.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", strings.TrimPrefix(url, "nats://"))
			if err != nil {
				in.Close()
				continue
			}
			go func() { defer in.Close(); _, _ = io.Copy(in, out) }()
			go func() {
				defer out.Close()
				part := make([]byte, 4096)
				for {
					n, err := in.Read(part)
					if bytes.Contains(part[:n], []byte("kabench.test")) && cut.CompareAndSwap(false, true) || err != nil {
						in.Close()
						return
					}
					if _, err := out.Write(part[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
	nc, err := broker.Dial(t.Context(), "nats://"+front.Addr().String(), nil, "agent")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := (natsBus{nc}).serve("kabench.test", func([]byte) []byte { return []byte("here") }); err != nil {
		t.Fatalf("it gives up: %v", err)
	}
	if !cut.Load() {
		t.Fatal("the connection was not cut")
	}
	asks, err := broker.Dial(t.Context(), url, nil, "controller")
	if err != nil {
		t.Fatal(err)
	}
	defer asks.Close()
	for until := time.Now().Add(30 * time.Second); ; {
		if m, err := asks.Request("kabench.test", nil, time.Second); err == nil && string(m.Data) == "here" {
			return
		}
		if time.Now().After(until) {
			t.Fatal("it does not serve after the broker is back")
		}
		time.Sleep(50 * time.Millisecond)
	}
}
