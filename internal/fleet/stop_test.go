package fleet

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kabench/kabench/internal/fleet/broker"
)

// An agent whose broker never comes ends when it must, by a first signal and by a second.
func TestStopBeforeTheBrokerIsThere(t *testing.T) {
	for _, name := range []string{"stop", "end"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stop := make(chan struct{})
				ctx, end := context.WithCancel(context.Background())
				defer end()
				tries := 0
				a := &Agent{Name: "a", Version: "v1", Dir: t.TempDir(), Stop: stop, dial: func(context.Context) (bus, carrier, error) {
					tries++
					return nil, nil, &broker.Error{Kind: broker.Unreachable, Text: "nobody listens"}
				}}
				done := make(chan error, 1)
				go func() { done <- a.Run(ctx) }()
				time.Sleep(3500 * time.Millisecond)
				if name == "stop" {
					close(stop)
				} else {
					end()
				}
				synctest.Wait()
				select {
				case err := <-done:
					if err != nil {
						t.Errorf("it ends with %v", err)
					}
				default:
					t.Error("it goes on waiting")
					end()
					<-done
				}
				if tries != 4 {
					t.Errorf("%d tries in 3.5 s", tries)
				}
			})
		})
	}
}

// An agent that was killed ended when it was last heard of, also if its record comes much later.
func TestKilledAgentEndedWhenItWasLastHeardOf(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := &sending{}
	over, cancel := context.WithCancel(context.Background())
	cancel() // nothing is fetched here
	s.over, s.start = over, start
	seat := &seat{heard: start.Add(4 * time.Second)}
	seat.lose("silent", start.Add(14*time.Second), start)
	s.takes(seat, holding{Torn: true, Why: "killed"}, start.Add(10*time.Minute))
	if seat.Lost == nil || seat.Lost.At != 4 || seat.Lost.Why != "killed" {
		t.Errorf("lost: %+v", seat.Lost)
	}
}
