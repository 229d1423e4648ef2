package script

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

func TestParseDelay(t *testing.T) {
	const ms = time.Millisecond
	good := map[string]Delay{
		"0":                     {},
		"20ms":                  {A: 20 * ms},
		" 1m30s ":               {A: 90 * time.Second},
		"uniform 10ms 30ms":     {Uniform, 10 * ms, 30 * ms},
		"uniform  10ms   10ms ": {Uniform, 10 * ms, 10 * ms},
		"exp 20ms":              {Exponential, 20 * ms, 0},
		"normal 20ms 5ms":       {Normal, 20 * ms, 5 * ms},
		"normal 20ms 0s":        {Normal, 20 * ms, 0},
	}
	for text, want := range good {
		if got, err := ParseDelay(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	bad := map[string]string{
		"":                   "empty",
		"20":                 `"20" is neither`,
		"gauss 20ms":         `want "DURATION"`,
		"gauss":              `"gauss" is neither`,
		"-20ms":              "not between 0 and 1h0m0s",
		"2h":                 "not between 0 and 1h0m0s",
		"20ms 30ms":          `want "DURATION"`,
		"uniform":            `want "uniform LEAST MOST"`,
		"uniform 10ms":       `want "uniform LEAST MOST"`,
		"uniform 30ms 10ms":  `"uniform LEAST MOST": 30ms is above 10ms`,
		"uniform 10ms x":     `"x" is not a duration`,
		"exp":                `want "exp MEAN"`,
		"exp 20ms 5ms":       `want "exp MEAN"`,
		"exp -20ms":          `"exp MEAN": -20ms is not`,
		"normal 20ms":        `want "normal MEAN DEVIATION"`,
		"normal 20ms -5ms":   `"normal MEAN DEVIATION": -5ms is not`,
		"normal 20ms 5ms 1s": `want "normal MEAN DEVIATION"`,
	}
	for text, want := range bad {
		if _, err := ParseDelay(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want ...%s...", text, err, want)
		}
	}
}

func TestDelayValidate(t *testing.T) {
	for _, d := range []Delay{{Form: 9}, {Constant, 1, 1}, {Exponential, 1, 1}} {
		if d.Validate() == nil {
			t.Errorf("%+v is valid", d)
		}
		_ = d.String() // says something, and does not panic
	}
}

func TestDelayDraw(t *testing.T) {
	cases := map[string]struct{ least, most, mean time.Duration }{
		"20ms":              {20 * time.Millisecond, 20 * time.Millisecond, 20 * time.Millisecond},
		"uniform 10ms 30ms": {10 * time.Millisecond, 30 * time.Millisecond, 20 * time.Millisecond},
		"exp 20ms":          {0, maxDelay, 20 * time.Millisecond},
		"normal 20ms 5ms":   {0, maxDelay, 20 * time.Millisecond},
	}
	for text, want := range cases {
		d, err := ParseDelay(text)
		if err != nil {
			t.Fatal(err)
		}
		const n = 20_000
		r, sum := rand.New(rand.NewPCG(1, 1)), time.Duration(0)
		for range n {
			v := d.Draw(r)
			if v < want.least || v > want.most {
				t.Fatalf("%s: drew %v", text, v)
			}
			sum += v
		}
		if mean := sum / n; (mean - want.mean).Abs() > want.mean/50 {
			t.Errorf("%s: mean %v", text, mean)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		if v := (Delay{Normal, 0, time.Hour}).Draw(r); v < 0 || v > maxDelay {
			t.Fatalf("drew %v", v)
		}
	}
}

func FuzzParseDelay(f *testing.F) {
	for _, text := range []string{"20ms", "uniform 10ms 30ms", "exp 20ms", "normal 20ms 5ms", "", "exp", "9999999h", "uniform -1ns 1h", "1e9s"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDelay(text)
		if err != nil {
			return
		}
		if err := d.Validate(); err != nil {
			t.Errorf("parsed, not valid: %v", err)
		}
		if again, err := ParseDelay(d.String()); err != nil || again != d {
			t.Errorf("%+v written as %q is read as %+v, %v", d, d, again, err)
		}
		if v := d.Draw(rand.New(rand.NewPCG(1, 1))); v < 0 || v > maxDelay {
			t.Errorf("drew %v", v)
		}
	})
}

func TestFaultText(t *testing.T) {
	for f := FaultNone; int(f) < len(faultNames); f++ {
		text, _ := f.MarshalText()
		var back Fault
		if err := back.UnmarshalText(text); err != nil || back != f {
			t.Errorf("%s: %v, %v", text, back, err)
		}
	}
	var f Fault
	if err := f.UnmarshalText([]byte("explode")); err == nil || !strings.Contains(err.Error(), "endless_body") {
		t.Errorf("explode: %v", err)
	}
}

func FuzzFaultOn(f *testing.F) {
	for _, text := range []string{"all", "fresh", "reused", "every 3", "every 0", "every -1", "every", "3", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var on, again FaultOn
		if err := on.UnmarshalText([]byte(text)); err != nil {
			return
		}
		if err := again.UnmarshalText([]byte(on.String())); err != nil || again != on {
			t.Errorf("%d written as %q is read as %d, %v", on, on, again, err)
		}
		on.Strikes(1, 1)
	})
}

func TestConfigYAML(t *testing.T) {
	const text = `
idle_timeout: 1s
max_requests: 100
delay: uniform 10ms 30ms
body: 1024
fault: reset_during_response
fault_on: every 3
tls: true
`
	want := Server{
		IdleTimeout: time.Second, MaxRequests: 100, Delay: Delay{Uniform, 10 * time.Millisecond, 30 * time.Millisecond},
		Body: 1024, Fault: ResetDuringResponse, FaultOn: 3, TLS: true,
	}
	var read Server
	if err := yaml.UnmarshalWithOptions([]byte(text), &read, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, read); diff != "" {
		t.Error(diff)
	}
	written, err := yaml.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if string(written) != strings.TrimPrefix(text, "\n") {
		t.Errorf("written as:\n%s", written)
	}
	zero, err := yaml.Marshal(Server{})
	if want := "idle_timeout: 0s\ndelay: 0s\n"; err != nil || string(zero) != want {
		t.Errorf("the zero value: %q, %v", zero, err)
	}
}

func TestConfigValidate(t *testing.T) {
	if err := (Server{}).Validate(); err != nil {
		t.Error(err)
	}
	cases := map[string]Server{
		"idle_timeout: -1s is negative":         {IdleTimeout: -time.Second},
		"max_requests: -1 is negative":          {MaxRequests: -1},
		"unannounced: has no effect":            {Unannounced: true},
		`delay: "uniform LEAST MOST"`:           {Delay: Delay{Uniform, 2, 1}},
		"body: -1 is negative":                  {Body: -1},
		"status: 100 is not between":            {Status: 100},
		"status: 600 is not between":            {Status: 600},
		"status: a response with status 204":    {Status: 204, Chunked: true},
		"fault: unknown(200)":                   {Fault: 200},
		"fault_on: -3 is unknown":               {Fault: Silent, FaultOn: -3},
		"fault_on: has no effect without fault": {FaultOn: OnFresh},
		"fault_on: reused never happens":        {Fault: CloseOnAccept, FaultOn: OnReused},
		"body: close_during_response sends":     {Fault: CloseDuringResponse, Body: 1},
		"fault: close_on_idle never happens":    {Fault: CloseOnIdle, SayClose: true},
		"fault: tls_alert needs TLS":            {Fault: TLSAlert},
	}
	for want, cfg := range cases {
		err := cfg.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v, want %s...", cfg, err, want)
		}
	}
	both := Server{IdleTimeout: -1, Body: -1}.Validate()
	if both == nil || !strings.Contains(both.Error(), "idle_timeout") || !strings.Contains(both.Error(), "body") {
		t.Errorf("two complaints: %v", both)
	}
}

// A server has the events of its own host, or else those for all.
func TestEventsOfAHost(t *testing.T) {
	s := Server{ReloadOn: Moments{"": "all", "a": "first"}, StopOn: Moments{"a": "gone"}}
	for host, want := range map[string][2]string{"a": {"first", "gone"}, "b": {"all", ""}, "": {"all", ""}} {
		got := s.On(host)
		if got.ReloadOn.Of("") != want[0] || got.StopOn.Of("") != want[1] || len(got.Awaits()) != len(got.ReloadOn)+len(got.StopOn) {
			t.Errorf("%q: reloaded on %v, stopped on %v, want %q", host, got.ReloadOn, got.StopOn, want)
		}
	}
	if len(s.ReloadOn) != 2 || len(s.StopOn) != 1 {
		t.Errorf("the script of all has changed: %v, %v", s.ReloadOn, s.StopOn)
	}
}
