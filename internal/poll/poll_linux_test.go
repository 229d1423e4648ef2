package poll

import (
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newPoller(t testing.TB) *Poller {
	t.Helper()
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// pair is two ends of a connection; the first belongs to the poller.
func pair(t testing.TB) (mine, other int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

// until waits until an event satisfies want, which a time limit of the test bounds.
func until(t *testing.T, p *Poller, want func(Event) bool) Event {
	t.Helper()
	events := make([]Event, MaxEvents)
	for range 1000 {
		for _, e := range events[:p.Wait(events, 10*time.Millisecond)] {
			if want(e) {
				return e
			}
		}
	}
	t.Fatal("the event did not come")
	return Event{}
}

func TestEventsTellWhatHappened(t *testing.T) {
	p := newPoller(t)
	mine, other := pair(t)
	const token = 7 | 3<<32
	if err := p.Add(mine, token); err != nil {
		t.Fatal(err)
	}
	if e := until(t, p, func(e Event) bool { return e.Writable }); e.Token != token || e.Readable || e.Ended {
		t.Errorf("a fresh socket: %+v", e)
	}
	unix.Write(other, []byte("x"))
	if e := until(t, p, func(e Event) bool { return e.Readable }); e.Token != token || e.Ended {
		t.Errorf("after a byte: %+v", e)
	}
	// Told once: what is not read does not come again.
	if n := p.Wait(make([]Event, MaxEvents), 0); n != 0 {
		t.Errorf("%d events for a byte that was told of", n)
	}
	unix.Shutdown(other, unix.SHUT_WR)
	if e := until(t, p, func(e Event) bool { return e.Ended }); !e.Readable {
		t.Errorf("after the end: %+v", e)
	}
}

func TestWaitEnds(t *testing.T) {
	p := newPoller(t)
	events := make([]Event, MaxEvents)
	for _, d := range []time.Duration{time.Microsecond, 20 * time.Microsecond, 300 * time.Microsecond, 3 * time.Millisecond} {
		for range 50 {
			begin := time.Now()
			for time.Since(begin) < d { // as its users do: a wait may be short
				p.Wait(events, d-time.Since(begin))
			}
		}
	}
}

// Each Wake ends a Wait, whenever it comes: before it, in it, or while the one
// before is being taken. A lost one would hang.
func TestNoWakeIsLost(t *testing.T) {
	p := newPoller(t)
	const n = 2000
	var mu sync.Mutex
	left := 0
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for range n {
				mu.Lock()
				left++
				mu.Unlock()
				p.Wake()
			}
		})
	}
	events := make([]Event, MaxEvents)
	for taken := 0; taken < 2*n; {
		if got := p.Wait(events, Forever); got != 0 {
			t.Fatalf("%d events on no socket", got)
		}
		mu.Lock()
		taken += left
		left = 0
		mu.Unlock()
	}
	all.Wait()
}

func TestWakeAfterCloseDoesNothing(t *testing.T) {
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	p.Wake()
}

// What being exact costs is bounded: where every deadline is near, the thread
// sleeps without looking.
func TestCreditRunsOut(t *testing.T) {
	p := newPoller(t)
	p.credit, p.awake = 0, time.Now()
	events := make([]Event, MaxEvents)
	begin := time.Now()
	p.Wait(events, 10*time.Microsecond)
	if slept := time.Since(begin); slept < quantum {
		t.Errorf("without credit it slept %v", slept)
	}
	p.Wait(events, 20*time.Millisecond)
	if p.credit < time.Millisecond {
		t.Errorf("20 ms asleep earned %v", p.credit)
	}
}

func TestKernelsWithoutPwait2(t *testing.T) {
	p := newPoller(t)
	p.noPwait2 = true
	mine, other := pair(t)
	if err := p.Add(mine, 1); err != nil {
		t.Fatal(err)
	}
	until(t, p, func(e Event) bool { return e.Writable })
	unix.Write(other, []byte("x"))
	until(t, p, func(e Event) bool { return e.Readable })
	if n := p.Wait(make([]Event, MaxEvents), 2*time.Millisecond); n != 0 {
		t.Errorf("%d events for what was told of", n)
	}
}

func BenchmarkWait(b *testing.B) {
	p := newPoller(b)
	events := make([]Event, MaxEvents)
	var late time.Duration
	b.ReportAllocs()
	for b.Loop() {
		begin := time.Now()
		p.Wait(events, 2500*time.Microsecond)
		late += time.Since(begin) - 2500*time.Microsecond
	}
	b.ReportMetric(float64(late.Microseconds())/float64(b.N), "late-µs/op")
}

func TestLatenessIsNeverNegative(t *testing.T) {
	late, err := Lateness(20, time.Millisecond)
	if err != nil || len(late) != 20 {
		t.Fatal(late, err)
	}
	for _, d := range late {
		if d < 0 {
			t.Errorf("%v late", d)
		}
	}
}
