package faults

import (
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/kabench/kabench/internal/fleet/broker"
	"github.com/kabench/kabench/internal/fleet/parcel"
	"github.com/kabench/kabench/results/record"
)

// manyAgents is how many connections the broker has while it is measured.
const manyAgents = 1_000

// measure measures the figures of docs/fleet.md on this machine. The broker, all its
// connections and the controller are in one process, which shares its cores among them.
func measure(t *testing.T) map[string]float64 {
	of := map[string]float64{}
	t.Run("a run", func(t *testing.T) { of[beatBytes], of[otherBytes], of[recordBytes] = overhear(t) })
	better := func(name string, value float64) { of[name] = max(of[name], value) }
	for range 3 { // other programs can only make it slower
		t.Run("broker", func(t *testing.T) {
			beats, asks := crowd(t, int(of[beatBytes]))
			better(carriedBeats, beats)
			better(answeredAsks, asks)
		})
		t.Run("parcels", func(t *testing.T) {
			better(carriedBytes, parcelled(t, 4, 4, 32<<20)/1e6)
			better(carriedParcel, parcelled(t, 80, 4, 100_000)/100_000)
		})
		t.Run("join", func(t *testing.T) { better(joinedRate, joinRate(t)) })
	}
	if t.Failed() {
		t.FailNow()
	}
	for name, value := range of {
		of[name] = math.Round(value) // as the table has it
		t.Logf("%s: %.0f", name, value)
	}
	return of
}

// overhear runs a fleet and listens to its control messages: the mean sizes in bytes of a
// beat and of all others, with the names that they are sent under and their headers; and how
// many bytes of its record each exchange has.
func overhear(t *testing.T) (beat, other, exchange float64) {
	s := newSite(t, 0, agentsInLane, load{rate: agentsInLane * assumedRate, duration: 10 * time.Second, seed: 15})
	s.startBroker()
	var nc *nats.Conn
	// A socket belongs to the host in which it was made.
	err := s.hub().Do(func() (err error) {
		nc, err = broker.Dial(context.Background(), s.url(), must(broker.Read(s.cred("controller"))), "listener")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	var mu sync.Mutex
	var beats, others, beatBytes, otherBytes float64
	asked := map[string]bool{} // where responses to questions and hellos go; parcels go to other inboxes
	_, err = nc.Subscribe(">", func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		switch size := float64(m.Size()); {
		case m.Subject == "kabench.beat":
			beats, beatBytes = beats+1, beatBytes+size
		case m.Subject == "kabench.clock" || m.Subject == "kabench.hello":
			asked[m.Reply] = true
			others, otherBytes = others+1, otherBytes+size
		case asked[m.Subject]:
			others, otherBytes = others+1, otherBytes+size
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.n {
		s.startAgent(i)
	}
	if code := s.begin(true).wait(t, 2*time.Minute); code != 0 {
		t.Logf("the controller's exit code is %d", code) // a busy machine is late
	}
	mu.Lock()
	defer mu.Unlock()
	if beats < 10 || others < 10 {
		t.Fatalf("%v beats and %v other messages were heard", beats, others)
	}
	info, err := os.Stat(filepath.Join(s.out, recordName))
	if err != nil {
		t.Fatal(err)
	}
	return beatBytes / beats, otherBytes / others, float64(info.Size()) / float64(s.document().Counts.Due)
}

// crowd has 1,000 connections send beats of that size to one subscriber, and then ask one
// that responds. It returns how many of each were carried in a second.
func crowd(t *testing.T, bytes int) (beats, asks float64) {
	b := localBroker(t, t.TempDir())
	controller := dial(t, b, "controller")
	agents := make([]*nats.Conn, manyAgents)
	var dialing sync.WaitGroup
	queue := make(chan int)
	for range 20 {
		dialing.Go(func() {
			for i := range queue {
				agents[i] = dial(t, b, fmt.Sprint(i))
			}
		})
	}
	began := time.Now()
	for i := range agents {
		queue <- i
	}
	close(queue)
	dialing.Wait()
	t.Logf("%d connections in %v", manyAgents, time.Since(began).Round(time.Millisecond))

	const rounds = 20
	var got atomic.Int64
	all := make(chan struct{})
	sub, err := controller.Subscribe("kabench.beat", func(*nats.Msg) {
		if got.Add(1) == manyAgents*rounds {
			close(all)
		}
	})
	if err == nil {
		err = sub.SetPendingLimits(-1, -1)
	}
	if err == nil {
		_, err = controller.Subscribe("kabench.clock", func(m *nats.Msg) { _ = m.Respond([]byte(`{"controller":"x","now":1}`)) })
	}
	if err == nil {
		err = controller.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	payload := make([]byte, bytes)
	began = time.Now()
	together(agents, func(nc *nats.Conn) {
		for range rounds {
			if err := nc.Publish("kabench.beat", payload); err != nil {
				t.Error(err)
			}
		}
		if err := nc.Flush(); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-all:
	case <-time.After(2 * time.Minute):
		t.Fatalf("%d of %d beats arrived", got.Load(), manyAgents*rounds)
	}
	beats = manyAgents * rounds / time.Since(began).Seconds()
	began = time.Now()
	together(agents, func(nc *nats.Conn) {
		for range rounds {
			if _, err := nc.Request("kabench.clock", []byte("{}"), time.Minute); err != nil {
				t.Error(err)
			}
		}
	})
	return beats, manyAgents * rounds / time.Since(began).Seconds()
}

// together calls f for all connections at once.
func together(all []*nats.Conn, f func(*nats.Conn)) {
	var running sync.WaitGroup
	for _, nc := range all {
		running.Go(func() { f(nc) })
	}
	running.Wait()
}

// parcelled carries n parcels of that size, some at a time, and returns the bytes in a
// second.
func parcelled(t *testing.T, n, atOnce, bytes int) float64 {
	dir := t.TempDir()
	for i := range n {
		from := agentOf(dir, i)
		data := make([]byte, bytes)
		_, _ = rand.Read(data) // it never fails
		if err := os.MkdirAll(from, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(from, recordName), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b := localBroker(t, filepath.Join(dir, "broker"))
	controller := dial(t, b, "controller")
	if err := parcel.Open(t.Context(), controller, "run"); err != nil {
		t.Fatal(err)
	}
	queue := make(chan int, n)
	for i := range n {
		queue <- i
	}
	close(queue)
	began := time.Now()
	var moving sync.WaitGroup
	for range atOnce {
		nc := dial(t, b, "agent")
		moving.Go(func() {
			for i := range queue {
				key := parcel.Key{Run: "run", Agent: i}
				got := make(chan error, 1)
				go func() {
					_, err := parcel.Receive(t.Context(), controller, key, filepath.Join(dir, "out", fmt.Sprint(i)), parcel.Options{})
					got <- err
				}()
				_, err := parcel.Send(t.Context(), nc, key, agentOf(dir, i), parcel.Options{})
				if err == nil {
					err = <-got
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	moving.Wait()
	return float64(n*bytes) / time.Since(began).Seconds()
}

// joinRate is how many exchanges of four records are joined in a second.
func joinRate(t *testing.T) float64 {
	const agents, rate, seconds = 4, 10_000, 6
	dir := t.TempDir()
	var writing sync.WaitGroup
	parts := make([]record.Part, agents)
	for i := range agents {
		parts[i].Dir, parts[i].Agent.Index, parts[i].Agent.Name = agentOf(dir, i), i, fmt.Sprint(i)
		writing.Go(func() { writeShare(t, parts[i].Dir, time.Now(), i, agents, rate, seconds) })
	}
	writing.Wait()
	began := time.Now()
	joined, err := record.Join(filepath.Join(dir, "out"), parts, schedule(agents*rate, agents*rate*seconds), 0, seconds*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := joined.Close(joined.Run); err != nil {
		t.Fatal(err)
	}
	return agents * rate * seconds / time.Since(began).Seconds()
}

// schedule is n due times, rate a second.
func schedule(rate, n int) func(func(time.Duration) bool) {
	return func(yield func(time.Duration) bool) {
		for seq := range uint64(n) {
			if !yield(dueOf(seq, rate)) {
				return
			}
		}
	}
}
