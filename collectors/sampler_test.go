package collectors

import (
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/results"
)

// sampled runs a Sampler over sources that never change, for d of a bubble's
// time, and returns the samples and the run it filled.
func sampled(t *testing.T, d time.Duration, s *sockets) ([]results.Sample, *results.Run) {
	t.Helper()
	var samples []results.Sample
	sampler := newSampler(still(func(sample results.Sample) error {
		samples = append(samples, sample)
		return nil
	}), s)
	sampler.Start(time.Now())
	time.Sleep(d)
	if err := sampler.Stop(); err != nil {
		t.Error(err)
	}
	run := new(results.Run)
	sampler.Fill(run)
	return samples, run
}

// still are sources at rest, except for 3 exchanges in flight and 1 in the buffer.
func still(sink func(results.Sample) error) Sources {
	return Sources{
		Pool:   func() Gauges { return Gauges{Leased: 3, Idle: 4, Dialing: 1, Pending: 2, Opened: 9} },
		Load:   func() (int, int) { return 3, 1 },
		Totals: func() Totals { return Totals{Due: 100, Started: 90, OK: 70, Failed: 15} },
		Sink:   sink,
	}
}

// counting looks at sockets with count, which need not be cheap.
func counting(count func() (host.SocketCount, error)) *sockets { return &sockets{count: count} }

func none() (host.SocketCount, error) { return host.SocketCount{}, nil }

func TestSamplerSamplesTenTimesASecondAndAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		samples, _ := sampled(t, 2050*time.Millisecond, counting(none))
		if len(samples) != 21 {
			t.Fatalf("%d samples in 2.05 s, want 20 and the last", len(samples))
		}
		var withSockets []float64
		for i, s := range samples {
			want := min(float64(i+1)/10, 2.05)
			if math.Abs(s.T-want) > 1e-9 {
				t.Errorf("sample %d is of %v s, want %v", i, s.T, want)
			}
			if s.Sockets != nil {
				withSockets = append(withSockets, math.Round(s.T*100)/100)
			}
		}
		if diff := cmp.Diff([]float64{0.1, 0.6, 1.1, 1.6, 2.05}, withSockets); diff != "" {
			t.Errorf("sockets looked at: -want +got\n%s", diff)
		}
		got := samples[20]
		if got.Goroutines < 1 || runtime.GOOS == "linux" && got.OpenFiles < 1 {
			t.Errorf("%d goroutines and %d open files", got.Goroutines, got.OpenFiles)
		}
		got.T, got.CPU, got.Goroutines, got.OpenFiles = 0, 0, 0, 0
		if diff := cmp.Diff(results.Sample{
			InFlight: 3, Buffered: 1, Leased: 3, Idle: 4, Dialing: 1, Pending: 2, Opened: 9,
			Due: 104, Started: 93, OK: 70, Failed: 15, // what is in flight or waits is due too
			Sockets: &results.SocketSample{Client: map[string]int{}},
		}, got); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
}

func TestSamplerLooksAtSocketsMoreRarelyWhenThatIsSlow(t *testing.T) {
	for took, wait := range map[time.Duration]time.Duration{
		time.Millisecond:       socketPeriod, // 400 ms would do
		2 * time.Millisecond:   800 * time.Millisecond,
		10 * time.Millisecond:  time.Second, // a quarter of a percent of a core would be 4 s
		100 * time.Millisecond: 10 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			var looks []time.Time
			samples, _ := sampled(t, time.Minute, counting(func() (host.SocketCount, error) {
				looks = append(looks, time.Now())
				time.Sleep(took)
				return host.SocketCount{}, nil
			}))
			looks = looks[1 : len(looks)-1] // not the one before the run, nor the one at its end
			for i := 1; i < len(looks); i++ {
				every := looks[i].Sub(looks[i-1])
				if every < wait-samplePeriod/10 {
					t.Errorf("looks of %v are %v apart", took, every)
				}
			}
			if least := int(time.Minute/(wait+took+samplePeriod)) - 1; len(looks) < least {
				t.Errorf("%d looks of %v in a minute, want at least %d", len(looks), took, least)
			}
			// Only the samples that fall into a look are missed.
			if len(samples) < 600-len(looks)*(int(took/samplePeriod)+1) {
				t.Errorf("%d samples with %d looks of %v", len(samples), len(looks), took)
			}
		})
	}
}

// An exchange that is over but not observed yet is neither in flight nor in the
// totals; the running totals do not go down for it.
func TestSamplerTotalsNeverGoDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		observed := []Totals{{Due: 10, Started: 8}, {Due: 10, Started: 8}, {Due: 14, Started: 12}}
		inFlight, buffered := []int{3, 1, 0}, []int{1, 0, 0}
		var got [][2]uint64
		n := 0
		src := still(func(s results.Sample) error {
			got = append(got, [2]uint64{s.Due, s.Started})
			n++
			return nil
		})
		src.Totals = func() Totals { return observed[n] }
		src.Load = func() (int, int) { return inFlight[n], buffered[n] }
		s := newSampler(src, counting(none))
		s.Start(time.Now())
		time.Sleep(250 * time.Millisecond)
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([][2]uint64{{14, 11}, {14, 11}, {14, 12}}, got); diff != "" {
			t.Errorf("due and started: -want +got\n%s", diff)
		}
	})
}

func TestSamplerKeepsThePeaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counts := []host.SocketCount{
			{Client: host.ByState{host.Established: 1}},
			{Client: host.ByState{host.Established: 7, host.CloseWait: 3}, PortsUsed: 10, ServerSide: true},
			{Client: host.ByState{host.TimeWait: 5}, Server: host.ByState{host.TimeWait: 8}, PortsUsed: 5, ServerSide: true},
		}
		next := 0
		_, run := sampled(t, 5*time.Second, counting(func() (host.SocketCount, error) {
			c := counts[min(next, len(counts)-1)]
			next++
			return c, nil
		}))
		run.Sockets.PortsAvailable = 0 // of this machine
		if diff := cmp.Diff(results.Sockets{
			Available: true, TimeWaitPeak: 5, TimeWaitServer: 8, ServerSide: true,
			EstablishedPeak: 7, CloseWaitPeak: 3, PortsUsedPeak: 10,
		}, run.Sockets); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		if len(run.Warnings) != 0 {
			t.Errorf("warnings %q", run.Warnings)
		}
	})
}

func TestSamplerWarnsOfSocketsFromBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, run := sampled(t, time.Second, counting(func() (host.SocketCount, error) {
			return host.SocketCount{Client: host.ByState{host.TimeWait: 412}}, nil
		}))
		if len(run.Warnings) != 1 || !strings.Contains(run.Warnings[0], "412 sockets") {
			t.Errorf("warnings %q", run.Warnings)
		}
	})
}

func TestSamplerSurvivesAFailingLook(t *testing.T) {
	for failing := range 3 { // the look before the run, the first in it, a later one
		synctest.Test(t, func(t *testing.T) {
			looks := 0
			samples, run := sampled(t, 3*time.Second, counting(func() (host.SocketCount, error) {
				looks++
				if looks > failing {
					return host.SocketCount{}, errors.New("sock_diag: refused")
				}
				return host.SocketCount{Client: host.ByState{host.Established: 2}}, nil
			}))
			if run.Sockets.Available || run.Sockets.Why != "sock_diag: refused" {
				t.Errorf("available %v, why %q", run.Sockets.Available, run.Sockets.Why)
			}
			if looks != failing+1 {
				t.Errorf("%d looks, want none after the failure of number %d", looks, failing+1)
			}
			if len(samples) < 30 {
				t.Errorf("%d samples in 3 s", len(samples))
			}
			if want := min(failing, 1) * 2; run.Sockets.EstablishedPeak != want {
				t.Errorf("peak %d of what was seen, want %d", run.Sockets.EstablishedPeak, want)
			}
		})
	}
}

func TestSamplerReportsTheFirstErrorOfItsSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("disk full")
		calls := 0
		s := newSampler(still(func(results.Sample) error {
			if calls++; calls == 3 {
				return full
			}
			return nil
		}), counting(none))
		s.Start(time.Now())
		time.Sleep(2 * time.Second)
		for range 2 {
			if err := s.Stop(); err != full {
				t.Errorf("error %v, want %v", err, full)
			}
		}
		if calls != 3 {
			t.Errorf("%d samples, want none after the error", calls)
		}
	})
}

func TestSamplerGivesBackWhatItOpened(t *testing.T) {
	for _, start := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			closed := 0
			s := newSampler(still(func(results.Sample) error { return nil }),
				&sockets{count: none, close: func() error { closed++; return nil }})
			if start {
				s.Start(time.Now())
			}
			if err := errors.Join(s.Stop(), s.Stop()); err != nil {
				t.Error(err)
			}
			if closed != 1 {
				t.Errorf("started %v: closed %d times", start, closed)
			}
		})
	}
}

func TestSamplerWithNothingToWatchSaysSo(t *testing.T) {
	s := NewSampler(still(func(results.Sample) error { return nil }))
	s.Start(time.Now())
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	var run results.Run
	if s.Fill(&run); run.Sockets.Available || run.Sockets.Why == "" {
		t.Errorf("%+v", run.Sockets)
	}
}

func TestInstrument(t *testing.T) {
	s := newSampler(still(func(results.Sample) error { return nil }), counting(none))
	s.Start(time.Now())
	const collections = 3
	for range collections {
		runtime.GC()
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	run := results.Run{Counts: results.Counts{Started: 70, WarmUp: 20}}
	s.Fill(&run)
	i := run.Instrument
	if i.GCPauses < collections || i.GCPauseMax <= 0 || i.GCPauseMax > 60 {
		t.Errorf("%d collections, the longest pause %v s, after %d forced", i.GCPauses, i.GCPauseMax, collections)
	}
	if i.PeakGoroutines < 2 {
		t.Errorf("%d goroutines, the sampler and the test are two", i.PeakGoroutines)
	}
	if runtime.GOOS != "linux" {
		return
	}
	if i.PeakOpenFiles < 3 || i.PeakRSS == 0 || i.CPUSeconds <= 0 || i.CPUPerExchange != i.CPUSeconds/90 {
		t.Errorf("%+v", i)
	}
}

func TestHostFacts(t *testing.T) {
	h := HostFacts()
	if h.OS != runtime.GOOS || h.CPUs < 1 || h.GoVersion == "" || h.Arch == "" {
		t.Errorf("%+v", h)
	}
	if runtime.GOOS == "linux" && (h.Kernel == "" || h.OpenFiles == 0 || len(h.Sysctls) == 0) {
		t.Errorf("%+v", h)
	}
}

// After Until, samples have no sockets: other processes may have begun to close theirs.
func TestSamplerCountsSocketsUntil(t *testing.T) {
	looks := 0
	src := Sources{
		Pool: func() Gauges { return Gauges{} }, Load: func() (int, int) { return 0, 0 }, Totals: func() Totals { return Totals{} },
		Sink: func(results.Sample) error { return nil }, Until: time.Nanosecond,
	}
	s := newSampler(src, &sockets{count: func() (host.SocketCount, error) { looks++; return host.SocketCount{}, nil }})
	s.epoch = time.Now()
	s.sample(true, false)
	if looks != 1 { // that of newSampler
		t.Errorf("%d looks, want 1", looks)
	}
	s.epoch = time.Now().Add(time.Minute)
	s.sample(true, false)
	if looks != 2 {
		t.Errorf("%d looks, want 2", looks)
	}
}
