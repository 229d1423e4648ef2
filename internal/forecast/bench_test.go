package forecast

import (
	"testing"
	"time"
)

// One request over a pool of about twenty connections. 14 days at 400/s have 484 million.
func BenchmarkRequest(b *testing.B) {
	for name, sets := range map[string][]string{
		"lifo":        nil,
		"fifo":        {"pool.lease_order=fifo"},
		"timer":       {"pool.expiry=timer", "pool.idle_timeout=15s"},
		"exponential": {"target.lab.delay=exp 40ms"},
		"constant":    {"load.arrivals=constant"},
		"tomcat":      {"pool=reactor-netty", "target.lab=tomcat"},
	} {
		b.Run(name, func(b *testing.B) {
			f := factsFor(b, poisson, sets...)
			b.ReportAllocs()
			if _, err := f.play(span{seed: 1, counts: time.Duration(float64(b.N) / 400 * 1e9)}, nil); err != nil {
				b.Fatal(err)
			}
		})
	}
}
