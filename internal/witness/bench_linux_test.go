package witness

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/sandbox/sandboxtest"
	"github.com/kabench/kabench/profiles/script"
)

// BenchmarkRequests is the processor time of a request at 5,000/s on the loopback, of
// client and server together, without a witness and with one that is asked about each.
func BenchmarkRequests(b *testing.B) {
	for name, watch := range map[string]bool{"alone": false, "watched": true} {
		b.Run(name, func(b *testing.B) {
			s := serveForBench(b)
			var w *Witness
			if watch {
				var err error
				if w, err = Listen([]netip.AddrPort{s.at}); err != nil {
					b.Fatal(err)
				}
				defer w.Close()
			}
			c := client(b, s.url, pool.Default())
			before := processorTime(b)
			b.ResetTimer()
			o := &watched{w: w, epoch: time.Now(), silent: true}
			drive(b, c, o, steady(5000, uint64(b.N)))
			b.StopTimer()
			b.ReportMetric(float64(processorTime(b)-before)/float64(time.Microsecond)/float64(b.N), "cpu-µs/request")
			if w != nil {
				b.ReportMetric(float64(w.Seen())/float64(b.N), "packets/request")
				b.ReportMetric(float64(w.Lost()), "lost")
				b.ReportMetric(float64(o.took)/float64(time.Microsecond)/float64(b.N), "µs/question")
			}
		})
	}
}

func serveForBench(b *testing.B) served {
	sandboxtest.Need(b)
	if err := up(); err != nil {
		b.Fatal(err)
	}
	return startLab(b, script.Server{Body: 100}, 0)
}

func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
