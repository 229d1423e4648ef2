package kabench

import (
	"runtime"
	"testing"

	"github.com/kabench/kabench/results"
)

// A run's document has what the verdict goes by. Whether the machine was
// saturated meanwhile is not this test's to say.
func TestARunSaysHowItKeptToItsSchedule(t *testing.T) {
	t.Parallel()
	run, err := Run(t.Context(), load(t, "quick", "load.duration=2s", "load.rate=100/s", "load.warm_up=0", "load.max_in_flight=2", "load.arrivals=poisson",
		"load.seed=5", "target.lab.delay=300ms"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	i := run.Instrument
	if s := i.Schedule; s.Seconds != 2 || s.Held != 0 || s.HeldRate != 0 || s.Overload != results.OverloadTarget && s.Overload != results.OverloadMachine {
		t.Errorf("%d dropped: %+v", run.Counts.Dropped, s)
	}
	if a := i.Arrivals; a.Law != "poisson" || a.Verdict == results.ArrivalsNotTested || a.Count != run.Counts.Due-1 || a.Distance == nil {
		t.Errorf("%+v of %d due", a, run.Counts.Due)
	}
	if runtime.GOOS == "linux" && (i.Machine == nil || i.Machine.Seconds == 0 || i.Machine.Busy <= 0 || i.Machine.RunQueue == 0) {
		t.Errorf("%+v", i.Machine)
	}
	if !run.Valid { // with max_lag 0 nothing of it is judged
		t.Errorf("invalid: %q", run.Invalid)
	}
}
