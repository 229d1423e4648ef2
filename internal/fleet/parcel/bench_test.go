package parcel

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
)

// BenchmarkCollect sends and receives the parcels of four agents at once, as after a run:
// 10,000 requests/s for 60 s give about 10 MB each.
func BenchmarkCollect(b *testing.B) {
	const agents, size = 4, 10_000_000
	f := newFixture(b)
	from := make([]string, agents)
	for i := range from {
		from[i] = b.TempDir()
		write(b, from[i], "exchanges.ndjson.zst", random(size))
	}
	b.SetBytes(agents * size)
	for n := 0; b.Loop(); n++ {
		run := fmt.Sprintf("bench-%d", n)
		if err := Open(f.ctx, f.nc, run); err != nil {
			b.Fatal(err)
		}
		to := b.TempDir()
		var all sync.WaitGroup
		for i := range agents {
			key := Key{Run: run, Agent: i}
			all.Go(func() {
				if _, err := Send(f.ctx, dial(b, f.b.URL()), key, from[i], Options{}); err != nil {
					b.Error(err)
				}
			})
			all.Go(func() {
				if _, err := Receive(f.ctx, f.nc, key, filepath.Join(to, fmt.Sprint(i)), Options{}); err != nil {
					b.Error(err)
				}
			})
		}
		all.Wait()
		if err := Remove(f.ctx, f.nc, run); err != nil {
			b.Fatal(err)
		}
	}
}
