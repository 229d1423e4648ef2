package scrape

import (
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/telemetry"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// How late kabench starts requests with metrics, which are scraped four times a second, and
// without, in turn. The figures are medians of the 99th percentiles in microseconds, and
// their ratio.
func BenchmarkLag(b *testing.B) {
	p, err := profiles.Open("steady", []string{"load.rate=1000/s", "load.duration=5s", "load.warm_up=0s", "load.max_lag=0"})
	if err != nil {
		b.Fatal(err)
	}
	var with, without []float64
	for b.Loop() {
		without = append(without, lagOf(b, p, kabench.Options{}))
		book := telemetry.NewBook()
		s, err := Start(":0", book.Metrics)
		if err != nil {
			b.Fatal(err)
		}
		stop := make(chan struct{})
		var scraper sync.WaitGroup
		scraper.Go(func() {
			tick := time.NewTicker(250 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
				}
				if answer, err := http.Get(s.URL()); err == nil {
					_, _ = io.Copy(io.Discard, answer.Body)
					answer.Body.Close()
				}
			}
		})
		with = append(with, lagOf(b, p, kabench.Options{Standing: book.Stand, Failure: func(*results.Exchange) {}}))
		close(stop)
		scraper.Wait()
		s.Close()
	}
	slices.Sort(with)
	slices.Sort(without)
	a, c := with[len(with)/2], without[len(without)/2]
	b.ReportMetric(a, "µs-with")
	b.ReportMetric(c, "µs-without")
	b.ReportMetric(a/c, "ratio")
}

func lagOf(b *testing.B, p *profiles.Profile, opts kabench.Options) float64 {
	run, err := kabench.Run(b.Context(), p, opts)
	if err != nil {
		b.Fatal(err)
	}
	return run.Latency[results.LatencyLag].P99 * 1e6
}
