package generator

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// logOf builds the times of a log.
func logOf(t *testing.T, of TimesOf, stamps ...int64) *Times {
	t.Helper()
	var b TimesBuilder
	for _, at := range stamps {
		b.Add(at)
	}
	if of.Speed == 0 {
		of.Speed = 1
	}
	got, err := b.Build(of)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// until collects the due times before a moment.
func until(s Schedule, end time.Duration) (list []time.Duration) {
	for due := range s {
		if due >= end {
			break
		}
		list = append(list, due)
	}
	return list
}

// bursty makes n stamps of a resolution: the rate changes with the time of day, and half of
// the requests come in bursts.
func bursty(n int, grain time.Duration, mean time.Duration) []int64 {
	rng := rand.New(rand.NewPCG(3, 4))
	list := make([]int64, n)
	at := 0.0
	for i := range list {
		gap := rng.ExpFloat64() * float64(mean) * (1.2 + math.Sin(at/float64(day)*2*math.Pi))
		if i%20 > 10 {
			gap /= 100
		}
		at += gap
		list[i] = int64(at) / int64(grain) * int64(grain)
	}
	return list
}

// The due times are those of the log, whole or from a moment on, at any speed.
func TestTraceReplaysTheTimesOfTheLog(t *testing.T) {
	stamps := bursty(5000, time.Millisecond, 10*time.Millisecond)
	for _, speed := range []float64{1, 4, 0.25} {
		times := logOf(t, TimesOf{Grain: time.Millisecond, Speed: speed}, stamps...)
		var want []time.Duration
		for _, at := range stamps {
			want = append(want, time.Duration(float64(at-stamps[0])/speed))
		}
		if got := slices.Collect(times.Replay(1, 0)); !slices.Equal(got, want) {
			t.Errorf("speed %v: %d due times, want %d", speed, len(got), len(want))
		}
		for _, from := range []time.Duration{1, 3 * time.Second, want[1024], want[1024] + 1, want[4999], want[4999] + 1} {
			i, _ := slices.BinarySearch(want, from)
			var rest []time.Duration
			for _, due := range want[i:] {
				rest = append(rest, due-from)
			}
			if got := slices.Collect(times.Replay(1, from)); !slices.Equal(got, rest) {
				t.Errorf("speed %v from %v: %d due times, want %d", speed, from, len(got), len(rest))
			}
			if got := times.Before(from); got != i {
				t.Errorf("speed %v: %d before %v, want %d", speed, got, from, i)
			}
		}
		l := Load{Trace: Trace{File: "log", Speed: speed}, Times: times, WarmUp: time.Second, Duration: 2 * time.Second, MaxInFlight: 1}
		s, err := l.Schedule()
		if err != nil {
			t.Fatal(err)
		}
		got := slices.Collect(s)
		if sent := until(slices.Values(want), 3*time.Second); !slices.Equal(got, sent) {
			t.Errorf("speed %v: the load has %d due times, want %d", speed, len(got), len(sent))
		}
		if rate := l.MeanRate(); rate != float64(len(got))/3 {
			t.Errorf("speed %v: the mean rate is %v, want %v", speed, rate, float64(len(got))/3)
		}
	}
	if n := len(logOf(t, TimesOf{Grain: 1}, stamps...).deltas); n > 5*len(stamps) {
		t.Errorf("%d bytes for %d requests", n, len(stamps))
	}
}

// Requests with stamps of whole seconds are due within their second, uniformly, and in the
// same places wherever reading begins.
func TestCoarseStampsAreSpread(t *testing.T) {
	var stamps []int64
	for s := range int64(2000) {
		for range s % 20 {
			stamps = append(stamps, s*int64(time.Second))
		}
	}
	times := logOf(t, TimesOf{Grain: time.Second}, stamps...)
	got := slices.Collect(times.Replay(7, 0))
	if !slices.IsSorted(got) || len(got) != len(stamps) {
		t.Fatalf("%d due times, in order: %v", len(got), slices.IsSorted(got))
	}
	var quarters [4]int
	for i, due := range got {
		if within := due - time.Duration(stamps[i]-stamps[0]); within < 0 || within >= time.Second {
			t.Fatalf("request %d is due %v after its second began", i, within)
		} else {
			quarters[within/(time.Second/4)]++
		}
	}
	for q, n := range quarters {
		if share := float64(n) / float64(len(got)); math.Abs(share-0.25) > 0.015 {
			t.Errorf("quarter %d of the second has %.3f of the requests", q, share)
		}
	}
	if again := slices.Collect(times.Replay(7, 0)); !slices.Equal(again, got) {
		t.Error("the same seed spreads differently")
	}
	if other := slices.Collect(times.Replay(8, 0)); slices.Equal(other, got) {
		t.Error("another seed spreads in the same way")
	}
	from := 1500*time.Second + 300*time.Millisecond
	i, _ := slices.BinarySearch(got, from)
	part := slices.Collect(times.Replay(7, from))
	if len(part) != len(got)-i || part[0] != got[i]-from || part[len(part)-1] != got[len(got)-1]-from {
		t.Errorf("from %v: %d due times, want %d", from, len(part), len(got)-i)
	}
}

// What is made for longer than the log lasts has the log's mean and its dispersion on every
// scale, and is the same wherever reading begins.
func TestResampledTimesDisperseAsTheLog(t *testing.T) {
	stamps := bursty(200_000, time.Millisecond, 2*time.Second)
	times := logOf(t, TimesOf{Grain: time.Millisecond, Begin: time.Unix(0, 0), Dated: true}, stamps...)
	whole, _ := times.blocks()
	want := Describe(times.Replay(1, 0), time.Duration(whole))
	length := 40 * day
	got := Describe(times.Resample(5, 0), length)
	for _, d := range []struct {
		of        string
		got, want float64
	}{
		{"rate", got.Rate, want.Rate}, {"dispersion at 10 ms", *got.Dispersion10ms, *want.Dispersion10ms},
		{"dispersion at 1 s", *got.Dispersion1s, *want.Dispersion1s}, {"dispersion at 60 s", *got.Dispersion60s, *want.Dispersion60s},
	} {
		if off := math.Abs(d.got/d.want - 1); off > 0.02 {
			t.Errorf("%s: %.4g, and the log's is %.4g", d.of, d.got, d.want)
		}
	}
	if *want.Dispersion60s < 1.5 {
		t.Errorf("the log has a dispersion of %v only, so this shows nothing", *want.Dispersion60s)
	}
	// The rate follows the time of day.
	var log, made [24]float64
	for _, due := range until(times.Replay(1, 0), time.Duration(whole)) {
		log[due/time.Hour%24]++
	}
	for _, due := range until(times.Resample(6, 0), length/2) {
		made[due/time.Hour%24]++
	}
	for h := range log {
		a, b := log[h]/time.Duration(whole).Seconds(), made[h]/(length/2).Seconds()
		if math.Abs(a-b) > 0.1*a {
			t.Errorf("hour %d: %.4g/s, and the log's is %.4g/s", h, b, a)
		}
	}
	all := until(times.Resample(5, 0), 3*day)
	for _, from := range []time.Duration{90 * time.Minute, day + 7*time.Second} {
		i, _ := slices.BinarySearch(all, from)
		part := until(times.Resample(5, from), 3*day-from)
		if len(part) != len(all)-i || part[0] != all[i]-from {
			t.Errorf("from %v: %d due times, want %d", from, len(part), len(all)-i)
		}
	}
	if !slices.IsSorted(all) {
		t.Error("the due times are not in order")
	}
}

func TestDescribe(t *testing.T) {
	// Two requests at once each 100 ms: half of the windows of 20 have them.
	var stamps []int64
	for i := range int64(1000) {
		stamps = append(stamps, i*int64(100*time.Millisecond), i*int64(100*time.Millisecond))
	}
	times := logOf(t, TimesOf{Grain: time.Millisecond, Begin: time.Date(2026, 11, 28, 23, 59, 0, 0, time.FixedZone("", 3600)), Dated: true}, stamps...)
	d := Describe(times.Replay(1, 0), 100*time.Second)
	if d.Requests != 2000 || d.Rate != 20 || math.Abs(*d.Dispersion10ms-1.8) > 1e-9 || *d.Dispersion1s != 0 || d.Dispersion60s != nil {
		t.Errorf("got %+v, %v, %v", d, *d.Dispersion10ms, *d.Dispersion1s)
	}
	if d.BurstMean != 2 || d.BurstLongest != 2 || d.BurstSeconds != 0 {
		t.Errorf("bursts: %+v", d)
	}
	hours := times.Hours()
	if len(hours) != 2 || hours[0].Hour != 0 || hours[1].Hour != 23 || math.Abs(hours[1].Rate-20) > 0.1 || math.Abs(hours[0].Rate-20) > 0.1 {
		t.Errorf("hours: %v", hours)
	}
}

func TestTraceValidate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Load)
		want   []string
	}{
		{"a file", func(l *Load) {}, nil},
		{"until its end", func(l *Load) { l.Duration = 0 }, nil},
		{"all", func(l *Load) {
			l.Trace = Trace{File: "a", Format: "$msec", Zone: "Europe/Berlin", From: "2026-11-28 14:00", To: "2026-11-28T15:00:00Z", Host: "h", Path: "/", Speed: 2}
		}, nil},
		{"a rate", func(l *Load) { l.Rate, l.Arrivals.Process = 5, Poisson }, []string{"rate: has no effect", "arrivals: has no effect"}},
		{"no file", func(l *Load) { l.Trace, l.Rate = Trace{Speed: 2}, 5 }, []string{"trace.file: none is given"}},
		{"stdin", func(l *Load) { l.Trace.File = "-" }, []string{"trace.file: a log is read more than once"}},
		{"wrong", func(l *Load) {
			l.Trace = Trace{File: "a", Format: "apache", Time: "a", Zone: "Mars", From: "noon", To: "-1s", Speed: math.Inf(1)}
		}, []string{"trace.speed: +Inf", "trace.format: \"apache\" is none of common, ", "trace.time: has no effect", "trace.zone: \"Mars\"", "trace.from: \"noon\" is not a moment", "trace.to: -1s is negative"}},
		{"upside down", func(l *Load) { l.Trace.From, l.Trace.To = "2h", "90m" }, []string{"trace.to: 90m is not after from (2h)"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := Default()
			l.Trace.File = "access.log"
			tc.change(&l)
			var got []string
			if err := l.Validate(); err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if !slices.EqualFunc(got, tc.want, strings.HasPrefix) {
				t.Errorf("complaints %q, want %q", got, tc.want)
			}
			if _, err := l.Schedule(); err == nil {
				t.Error("a log that has not been read has a schedule")
			}
		})
	}
}
