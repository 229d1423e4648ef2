package page

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

const ms = time.Millisecond

// must is for what cannot fail unless the test is wrong.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var errEOF = errors.New(`read tcp 127.0.0.1:40211->127.0.0.1:80: "EOF"`)

// synthetic is a run of n exchanges at a rate per second, on connections that
// serve fifty exchanges each, twenty at a time. One in a hundred connections
// ends in a failure.
type synthetic struct {
	n    uint64
	rate uint64
}

// exchange makes e the exchange numbered seq.
func (s synthetic) exchange(e *results.Exchange, seq uint64) {
	due := time.Duration(seq * uint64(time.Second) / s.rate)
	e.Reset(seq, due)
	e.Start, e.Leased = due+40*time.Microsecond, due+50*time.Microsecond
	lane, turn := seq%20, seq/20
	e.Conn, e.Use = (turn/50)*20+lane+1, int(turn%50)+1
	if e.Use > 1 {
		e.Idle = time.Duration(20*uint64(time.Second)/s.rate) / 2
		e.Age = time.Duration(e.Use) * 20 * time.Second / time.Duration(s.rate)
	} else {
		e.Connected = e.Leased + 200*time.Microsecond
		e.Leased += 10 * time.Microsecond
	}
	e.WroteHeaders = due + 300*time.Microsecond
	e.Wrote = e.WroteHeaders
	service := 3*ms + time.Duration(hash(seq)%4000)*time.Microsecond
	if hash(seq)%1000 == 0 {
		service *= 20
	}
	e.Attempts, e.BytesOut = 1, 120
	if e.Use == 50 && hash(e.Conn)%100 == 0 {
		e.Done, e.Phase, e.Cause, e.Err = due+2*ms, results.PhaseBeforeResponse, results.CauseFIN, errEOF
		return
	}
	e.FirstByte = due + service
	e.GotHeaders, e.Done = e.FirstByte+20*time.Microsecond, e.FirstByte+40*time.Microsecond
	e.Phase, e.Status, e.BytesIn = results.PhaseDone, 200, 340
}

func (s synthetic) duration() time.Duration {
	return time.Duration(s.n * uint64(time.Second) / s.rate)
}

// doc is the run's document, as far as a page needs it.
func (s synthetic) doc() *results.Run {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	run := &results.Run{
		Version: "v0.0.0", Name: "synthetic", Question: "How long does a report take?", Complete: true, Valid: true,
		Start: start, End: start.Add(s.duration()),
		Profile: fmt.Appendf(nil, `{"load":{"rate":"%d/s","duration":"%v","warm_up":"0s"},"pool":{"max_conns":50,"pending_max":32},"target":{"lab":{"idle_timeout":"1s"}}}`, s.rate, s.duration()),
		Counts:  results.Counts{Due: s.n, Started: s.n, OK: s.n},
	}
	run.Sockets.PortsAvailable = 28232
	return run
}

// sample is what the gauges say at one moment.
func (s synthetic) sample(i int) results.Sample {
	k := results.Sample{T: float64(i) / 10, Leased: 10 + i%10, Idle: 10 - i%10, Pending: i % 3, InFlight: 12, Opened: uint64(i)}
	k.Sockets = &results.SocketSample{Client: map[string]int{"ESTABLISHED": 20, "TIME_WAIT": i % 600}, Server: map[string]int{"TIME_WAIT": i % 50}, PortsUsed: 20 + i%600}
	return k
}

// write writes the run to a new directory.
func (s synthetic) write(t testing.TB, dir string) {
	w, err := record.Create(dir)
	must(t, err)
	must(t, w.Begin(s.doc()))
	var e results.Exchange
	for seq := range s.n {
		s.exchange(&e, seq)
		w.Observe(&e)
		// The record gives up when the load is faster than the disk: wait for it.
		for (seq+1)%40_000 == 0 && w.Recording().Written <= seq {
			time.Sleep(ms)
		}
		if seq%s.rate == 0 {
			for i := range 10 {
				must(t, w.Sample(s.sample(int(seq/s.rate)*10+i)))
			}
		}
	}
	must(t, w.Close(s.doc()))
}

// TestWriteSynthetic leaves a run behind to measure 'kabench report' with:
//
//	KABENCH_SYNTHETIC=10000000 go test -run WriteSynthetic ./results/page
//
// writes one of that many exchanges to synthetic-10000000 in the directory for
// temporary files.
func TestWriteSynthetic(t *testing.T) {
	text := os.Getenv("KABENCH_SYNTHETIC")
	if text == "" {
		t.Skip("it leaves a run behind to measure with, if KABENCH_SYNTHETIC says of how many exchanges")
	}
	n, err := strconv.ParseUint(text, 10, 32)
	must(t, err)
	dir := filepath.Join(os.TempDir(), "synthetic-"+text)
	synthetic{n, 400}.write(t, dir)
	t.Log(dir)
}

func BenchmarkGather(b *testing.B) {
	const n = 100_000
	dir := filepath.Join(b.TempDir(), "run")
	synthetic{n, 400}.write(b, dir)
	b.ResetTimer()
	for b.Loop() {
		if _, err := Gather(dir); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/exchange")
}
