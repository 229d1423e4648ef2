package collectors

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/results"
)

// watched is what a machine tells that was busy as busy says, in ticks of 1000
// a second, for as many seconds.
func watched(t *testing.T, throttle map[int]time.Duration, busy ...uint64) (*machine, *results.Instrument) {
	t.Helper()
	m := &machine{}
	synctest.Test(t, func(t *testing.T) {
		second, now := 0, reading{throttled: -1, pressure: -1}
		if throttle != nil {
			now.throttled = 0
		}
		m.read = func() (reading, error) { now.at = time.Now(); return now, nil }
		m.begin(time.Now())
		for _, b := range busy {
			now.times.Busy += b
			now.times.Total += 1000
			now.times.Steal += 10
			now.times.Running = second
			now.throttled += throttle[second]
			for range 10 {
				time.Sleep(samplePeriod)
				m.look(false)
			}
			second++
		}
		m.look(true)
	})
	i := &results.Instrument{}
	m.fill(i)
	return m, i
}

func TestMachineKeepsWhatWasSaturated(t *testing.T) {
	m, i := watched(t, nil, 100, 960, 400, 1000)
	want := &results.Machine{Busy: 0.615, BusyPeak: 1, Steal: 0.01, RunQueue: 3, Seconds: 4, Saturated: 2}
	if diff := cmp.Diff(want, i.Machine); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for n, want := range []bool{false, true, false, true, false} {
		if m.saturated(n) != want {
			t.Errorf("second %d: %v", n, !want)
		}
	}
}

func TestThrottlingSaturates(t *testing.T) {
	m, i := watched(t, map[int]time.Duration{1: 200 * time.Millisecond, 2: time.Millisecond}, 100, 100, 100)
	if !m.saturated(1) || m.saturated(0) || m.saturated(2) {
		t.Errorf("saturated: %v", m.full)
	}
	if i.Machine.Throttled == nil || *i.Machine.Throttled != 0.201 || i.Machine.Pressure != nil {
		t.Errorf("%+v", i.Machine)
	}
}

func TestAMachineThatDoesNotTell(t *testing.T) {
	m := &machine{read: func() (reading, error) { return reading{}, host.ErrNeedsLinux }}
	m.begin(time.Now())
	m.look(true)
	i := &results.Instrument{}
	m.fill(i)
	if i.Machine != nil || m.saturated(0) {
		t.Errorf("%+v", i.Machine)
	}
	if _, err := readMachine(); err != nil && !errors.Is(err, host.ErrNeedsLinux) {
		t.Error(err)
	}
}
