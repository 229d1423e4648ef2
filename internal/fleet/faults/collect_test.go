package faults

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/kabench/kabench/internal/fleet/broker"
	"github.com/kabench/kabench/internal/fleet/parcel"
	"github.com/kabench/kabench/internal/sandbox"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// collectFull makes TestCollect as large as the promise: 4 × 10,000/s for 60 s in less than
// collectWithin.
//
//	go test ./internal/fleet/faults -run TestCollect -count=1 -v -args -collect
var collectFull = flag.Bool("collect", false, "TestCollect collects 2.4 million exchanges, and within ten seconds")

const collectWithin = 10 * time.Second

// The runs of four agents are collected: sent as parcels over an embedded broker, received,
// joined and written. Only the full size has a limit of time.
func TestCollect(t *testing.T) {
	const agents = 4
	rate, seconds := 500, 3
	if *collectFull {
		rate, seconds = 10_000, 60
	}
	dir := t.TempDir()
	start := time.Now().UTC().Truncate(time.Second)
	var writing sync.WaitGroup
	for i := range agents {
		writing.Go(func() { writeShare(t, agentOf(dir, i), start, i, agents, rate, seconds) })
	}
	writing.Wait()
	if t.Failed() {
		return
	}
	b := localBroker(t, filepath.Join(dir, "broker"))
	out := filepath.Join(dir, "out")
	began := time.Now()
	parts := carry(t, b, dir, out, agents)
	carried := time.Since(began)
	joined, err := record.Join(out, parts, schedule(agents*rate, agents*rate*seconds), 0, time.Duration(seconds)*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	joined.Tally.Fill(joined.Run, time.Duration(seconds)*time.Second)
	if err := joined.Close(joined.Run); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	bytes := size(t, out, recordName)
	n := agents * rate * seconds
	t.Logf("%d exchanges of %d agents, %.1f MB of records, %.1f bytes for each exchange: collected in %.2f s (carried %.2f s, joined %.2f s)",
		n, agents, float64(bytes)/1e6, float64(bytes)/float64(n), took.Seconds(), carried.Seconds(), (took - carried).Seconds())
	all := map[uint64]bool{}
	d, err := record.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range d.Exchanges() {
		if err != nil {
			t.Fatal(err)
		}
		if all[e.Seq] || e.Seq >= uint64(n) || e.Due != dueOf(e.Seq, agents*rate) {
			t.Fatalf("exchange %d, due %v: twice, or another's", e.Seq, e.Due)
		}
		all[e.Seq] = true
	}
	if len(all) != n || joined.Run.Counts.Due != uint64(n) || !joined.Run.Counts.Balance() {
		t.Errorf("%d exchanges and %+v, want %d", len(all), joined.Run.Counts, n)
	}
	if *collectFull && took > collectWithin {
		t.Errorf("it took %v, and the promise is %v", took, collectWithin)
	}
}

func agentOf(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("agent-%d", i)) }

// dueOf is when an exchange is due, rate a second.
func dueOf(seq uint64, rate int) time.Duration {
	return time.Duration(seq) * time.Second / time.Duration(rate)
}

// writeShare writes the directory of one agent's run as the run itself does, in the time that
// the run takes: a piece of the record for each second.
func writeShare(t *testing.T, dir string, start time.Time, index, of, rate, seconds int) {
	w, err := record.Create(dir)
	if err != nil {
		t.Error(err)
		return
	}
	run := &results.Run{Schema: results.Schema, Name: "collect", Start: start, End: start.Add(time.Duration(seconds) * time.Second), Complete: true, Valid: true}
	if err := w.Begin(run); err != nil {
		t.Error(err)
		return
	}
	if err := w.WriteProfile([]byte("name: collect\n")); err != nil {
		t.Error(err)
	}
	random := rand.New(rand.NewPCG(uint64(index), 1))
	tally := &results.Tally{}
	began := time.Now()
	response, lag := results.NewHistogram(), results.NewHistogram()
	for n := range rate * seconds {
		if n%100 == 0 {
			time.Sleep(time.Until(began.Add(dueOf(uint64(n), rate))))
		}
		e := answered(uint64(n*of+index), of*rate, index, of, random)
		w.Observe(e)
		tally.Add(e)
		_ = response.RecordValue(e.ResponseTime().Microseconds()) // it is below a minute
		_ = lag.RecordValue(e.Lag().Microseconds())
		if second := (n + 1) / rate; (n+1)%rate == 0 {
			from, to := time.Duration(second-1)*time.Second, time.Duration(second)*time.Second
			_ = w.Sample(results.Sample{T: to.Seconds()}) // Close returns the error
			_ = w.WriteInterval(results.LatencyResponse, from, to, response)
			_ = w.WriteInterval(results.LatencyService, from, to, response)
			_ = w.WriteInterval(results.LatencyLag, from, to, lag)
			response.Reset()
			lag.Reset()
		}
	}
	tally.Fill(run, time.Duration(seconds)*time.Second)
	if err := w.WriteTally(record.Sums{Tally: tally}); err != nil {
		t.Error(err)
	}
	if err := w.Close(run); err != nil {
		t.Error(err)
	}
	if r := run.Recording; r.Written != uint64(rate*seconds) {
		t.Errorf("recorded %+v, want %d", r, rate*seconds)
	}
}

// answered is an exchange that got its response, with times as they vary in a real run.
func answered(seq uint64, rate, index, of int, random *rand.Rand) *results.Exchange {
	e := &results.Exchange{}
	due := dueOf(seq, rate)
	e.Reset(seq, due)
	at := due
	after := func(least, spread time.Duration) time.Duration {
		at += least + time.Duration(random.ExpFloat64()*float64(spread))
		return at
	}
	e.Start = after(2*time.Microsecond, 30*time.Microsecond)
	e.Leased = after(time.Microsecond, time.Microsecond)
	e.WroteHeaders = after(5*time.Microsecond, 3*time.Microsecond)
	e.Wrote = e.WroteHeaders
	e.FirstByte = after(80*time.Microsecond, 300*time.Microsecond)
	e.GotHeaders = after(2*time.Microsecond, 2*time.Microsecond)
	e.Done = e.GotHeaders
	conn := uint64(random.IntN(40))
	e.Conn, e.Use = conn*uint64(of)+uint64(index)+1, 2+int(seq)/(40*of)
	e.Idle, e.Age = time.Duration(random.ExpFloat64()*float64(4*time.Millisecond)), due
	e.Attempts, e.Phase, e.Status, e.BytesOut, e.BytesIn = 1, results.PhaseDone, 200, 120, 340
	return e
}

// localBroker starts a broker on the loopback.
func localBroker(t testing.TB, dir string) *broker.Broker {
	t.Helper()
	if sandbox.Inside() {
		wires(t) // brings the loopback up
	}
	b, err := broker.Start(broker.Config{Listen: "127.0.0.1:0", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func dial(t testing.TB, b *broker.Broker, name string) *nats.Conn {
	t.Helper()
	nc, err := broker.Dial(t.Context(), b.URL(), nil, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// carry brings the agents' directories to out/agents, all at once, as a fleet does.
func carry(t *testing.T, b *broker.Broker, dir, out string, agents int) []record.Part {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	controller := dial(t, b, "controller")
	if err := parcel.Open(ctx, controller, "run"); err != nil {
		t.Fatal(err)
	}
	parts := make([]record.Part, agents)
	var both sync.WaitGroup
	for i := range agents {
		nc := dial(t, b, "agent")
		key := parcel.Key{Run: "run", Agent: i}
		parts[i] = record.Part{Agent: results.Agent{Index: i, Name: fmt.Sprint(i)}, Dir: agentOf(filepath.Join(out, "agents"), i)}
		var sent, got string
		var moving sync.WaitGroup
		moving.Go(func() {
			var err error
			if sent, err = parcel.Send(ctx, nc, key, agentOf(dir, i), parcel.Options{}); err != nil {
				t.Errorf("agent %d: %v", i, err)
			}
		})
		moving.Go(func() {
			var err error
			if got, err = parcel.Receive(ctx, controller, key, parts[i].Dir, parcel.Options{}); err != nil {
				t.Errorf("from agent %d: %v", i, err)
			}
		})
		both.Go(func() {
			moving.Wait()
			if sent != got || got == "" {
				t.Errorf("agent %d sent %s, and %s arrived", i, sent, got)
			}
		})
	}
	both.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return parts
}

// size is how many bytes the files called name have, below dir; "": all files.
func size(t testing.TB, dir, name string) (bytes int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name != "" && filepath.Base(path) != name || filepath.Dir(path) != dir && name != "" {
			return err
		}
		info, err := d.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}
