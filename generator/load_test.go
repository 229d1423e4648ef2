package generator

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

func TestRateText(t *testing.T) {
	for _, tc := range []struct {
		text string
		want Rate
		back string
	}{
		{"400/s", 400, "400/s"},
		{"400", 400, "400/s"},
		{"24000/m", 400, "400/s"},
		{"90/m", 1.5, "90/m"},
		{"1/h", 1.0 / 3600, "1/h"},
		{"0.5/s", 0.5, "30/m"},
		{"1e3/s", 1000, "1000/s"},
		{"0.1234567/s", 0.1234567, "0.1234567/s"},
	} {
		var got Rate
		if err := got.UnmarshalText([]byte(tc.text)); err != nil || got != tc.want {
			t.Errorf("%q: got %v, %v; want %v", tc.text, float64(got), err, float64(tc.want))
		}
		if got.String() != tc.back {
			t.Errorf("%q: written back as %q, want %q", tc.text, got, tc.back)
		}
		var again Rate
		if err := again.UnmarshalText([]byte(got.String())); err != nil || again != got {
			t.Errorf("%q: read back as %v, %v", got, float64(again), err)
		}
	}
}

func TestRateRefused(t *testing.T) {
	for _, text := range []string{"", "0", "0/s", "-1/s", "NaN", "Inf/s", "400/d", "400/", "fast", "400 /s", "1e400/s", "1e-323/h", "/s"} {
		r := Rate(7)
		err := r.UnmarshalText([]byte(text))
		if err == nil || !strings.Contains(err.Error(), "400/s") {
			t.Errorf("%q: error is %v, want one that shows the form", text, err)
		}
		if r != 7 {
			t.Errorf("%q: changed the rate to %v", text, r)
		}
	}
}

func TestProcessText(t *testing.T) {
	for p := Constant; p <= Sine; p++ {
		text, _ := p.MarshalText()
		var got Process
		if err := got.UnmarshalText(text); err != nil || got != p {
			t.Errorf("%v: read back as %v, %v", p, got, err)
		}
	}
	var p Process
	if err := p.UnmarshalText([]byte("poison")); err == nil || !strings.Contains(err.Error(), "constant, poisson, ramp, burst, uniform, sine") {
		t.Errorf("unknown process: error is %v", err)
	}
}

func TestArrivalsYAML(t *testing.T) {
	burst := Arrivals{Process: Burst, On: 250 * time.Millisecond, Off: time.Second, Within: Poisson}
	for _, tc := range []struct {
		text string
		want Arrivals
		back string
	}{
		{"poisson", Arrivals{Process: Poisson}, "poisson\n"},
		{"{process: poisson}", Arrivals{Process: Poisson}, "poisson\n"},
		{"{process: burst, on: 250ms, off: 1s, within: poisson}", burst, "process: burst\n\"on\": 250ms\n\"off\": 1s\nwithin: poisson\n"},
		{"{process: ramp, to: 60/m}", Arrivals{Process: Ramp, To: 1}, "process: ramp\nto: 1/s\n"},
		{"{process: sine, amplitude: 200/s, period: 10s}", Arrivals{Process: Sine, Amplitude: 200, Period: 10 * time.Second},
			"process: sine\namplitude: 200/s\nperiod: 10s\n"},
	} {
		got := Arrivals{Process: Uniform, GapMin: 1, GapMax: 2} // replaced whole
		if err := yaml.Unmarshal([]byte(tc.text), &got); err != nil {
			t.Errorf("%s: %v", tc.text, err)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tc.text, diff)
		}
		if back, err := yaml.Marshal(got); err != nil || string(back) != tc.back {
			t.Errorf("%s: written back as %q, %v; want %q", tc.text, back, err, tc.back)
		}
	}
	var a Arrivals
	if err := yaml.Unmarshal([]byte("poison"), &a); err == nil {
		t.Error("an unknown process was accepted")
	}
}

func validLoad() Load {
	l := Default()
	l.Rate = 400
	return l
}

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Load)
		want   []string // beginnings of the complaints, in order
	}{
		{"as it is", func(*Load) {}, nil},
		{"no rate", func(l *Load) { l.Rate = 0 }, []string{"rate: none is given"}},
		{"negative rate", func(l *Load) { l.Rate = -1 }, []string{"rate: -1 is not above 0"}},
		{"no number", func(l *Load) { l.Rate = Rate(math.NaN()) }, []string{"rate: NaN"}},
		{"rate beyond the clock", func(l *Load) { l.Rate = 2e9 }, []string{"rate: 2e+09"}},
		{"endless", func(l *Load) { l.Duration = 0 }, []string{"duration: the run would never end"}},
		{"count alone", func(l *Load) { l.Duration, l.Count = 0, 5 }, nil},
		{"negative times", func(l *Load) { l.Duration, l.WarmUp, l.Timeout, l.MaxLag = -1, -1, -1, -1 },
			[]string{"duration: ", "warm_up: ", "timeout: ", "max_lag: "}},
		{"too long together", func(l *Load) { l.Duration, l.WarmUp = math.MaxInt64, 1 }, []string{"duration: with warm_up"}},
		{"nothing may fly", func(l *Load) { l.MaxInFlight, l.Buffer = 0, -1 }, []string{"max_in_flight: 0", "buffer: -1"}},
		{"burst", func(l *Load) {
			l.Arrivals = Arrivals{Process: Burst, On: time.Second, Off: time.Second, OffMax: 2 * time.Second}
		}, nil},
		{"bare burst", func(l *Load) { l.Arrivals.Process = Burst }, []string{"arrivals.on: ", "arrivals.off: "}},
		{"empty burst", func(l *Load) { l.Arrivals = Arrivals{Process: Burst, On: time.Millisecond, Off: time.Second} },
			[]string{"arrivals.on: a burst of 1ms at 400/s holds less than one request"}},
		{"silence upside down", func(l *Load) { l.Arrivals = Arrivals{Process: Burst, On: time.Second, Off: time.Second, OffMax: 1} },
			[]string{"arrivals.off_max: "}},
		{"burst in a burst", func(l *Load) { l.Arrivals = Arrivals{Process: Burst, On: time.Second, Off: time.Second, Within: Burst} },
			[]string{"arrivals.within: "}},
		{"ramp to nowhere", func(l *Load) { l.Arrivals.Process = Ramp }, []string{"arrivals.to: "}},
		{"ramp by count", func(l *Load) { l.Arrivals, l.Duration, l.Count = Arrivals{Process: Ramp, To: 1}, 0, 9 }, []string{"arrivals.process: a ramp needs a duration"}},
		{"uniform", func(l *Load) { l.Rate, l.Arrivals = 0, Arrivals{Process: Uniform, GapMin: 1, GapMax: 1} }, nil},
		{"uniform with a rate", func(l *Load) { l.Arrivals = Arrivals{Process: Uniform, GapMin: 1, GapMax: 1} }, []string{"rate: has no effect"}},
		{"bare uniform", func(l *Load) { l.Rate, l.Arrivals = 0, Arrivals{Process: Uniform, GapMax: -1} },
			[]string{"arrivals.gap_min: ", "arrivals.gap_max: "}},
		{"someone else's parameters", func(l *Load) {
			l.Arrivals = Arrivals{Process: Poisson, On: 1, Off: 1, OffMax: 1, Within: Poisson, To: 1, GapMin: 1, GapMax: 1, Amplitude: 1, Period: 1}
		}, []string{"arrivals.on: has no effect, because process is poisson", "arrivals.off: ", "arrivals.off_max: ", "arrivals.within: ",
			"arrivals.to: ", "arrivals.gap_min: ", "arrivals.gap_max: ", "arrivals.amplitude: ", "arrivals.period: "}},
		{"sine", func(l *Load) { l.Arrivals = Arrivals{Process: Sine, Amplitude: 360, Period: 250 * ms} }, nil},
		{"bare sine", func(l *Load) { l.Arrivals.Process = Sine }, []string{"arrivals.amplitude: ", "arrivals.period: "}},
		{"sine beyond what the pacer can tell", func(l *Load) { l.Arrivals = Arrivals{Process: Sine, Amplitude: 361, Period: 249 * ms} },
			[]string{"arrivals.amplitude: 361/s is above nine tenths of load.rate (400/s)", "arrivals.period: 249ms at 400/s holds fewer than 100"}},
		{"no process", func(l *Load) { l.Arrivals.Process = 99 }, []string{"arrivals.process: unknown(99)"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := validLoad()
			tc.change(&l)
			before := l
			err := l.Validate()
			var got []string
			if err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if len(got) != len(tc.want) {
				t.Fatalf("complaints:\n%s\nwant %d beginning %q", strings.Join(got, "\n"), len(tc.want), tc.want)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], tc.want[i]) {
					t.Errorf("complaint %q, want it to begin with %q", got[i], tc.want[i])
				}
			}
			if l != before && l.Rate == l.Rate { // NaN differs from itself
				t.Error("Validate changed the load")
			}
			if _, err := l.Schedule(); (err == nil) != (tc.want == nil) {
				t.Errorf("Schedule's error is %v", err)
			}
		})
	}
}
