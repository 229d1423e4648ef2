package script

import (
	"strings"
	"testing"
	"time"
)

func TestMannersValidate(t *testing.T) {
	bad := map[string]Server{
		"idle_late: ":                          {IdleLate: Delay{Form: 9}},
		"timer_vs_data: unknown(9) is unknown": {TimerVsData: 9},
		"timer_vs_data: fin needs":             {TimerVsData: TimerFIN},
		"timer_vs_data: rst never happens":     {TimerVsData: TimerRST, AfterFIN: 1},
		"after_fin: -1ns is not between":       {AfterFIN: -1},
		"after_fin: 2h0m0s is not between":     {AfterFIN: AfterFIN(2 * time.Hour)},
		"hint: is no header value":             {Hint: "timeout=5\r\nX: y"},
		"hint: is longer":                      {Hint: strings.Repeat("x", 201)},
		"hint_if_asked: has no effect":         {HintIfAsked: true},
		"hint: is never sent with say_close":   {Hint: "timeout=5", SayClose: true},
	}
	for want, cfg := range bad {
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: %v, want %s...", cfg, err, want)
		}
	}
}

func TestTimerVsDataText(t *testing.T) {
	for v := Either; int(v) < len(timerVsDataNames); v++ {
		text, _ := v.MarshalText()
		var back TimerVsData
		if err := back.UnmarshalText(text); err != nil || back != v {
			t.Errorf("%s: %v, %v", text, back, err)
		}
	}
	var v TimerVsData
	if err := v.UnmarshalText([]byte("win")); err == nil || !strings.Contains(err.Error(), "serve") {
		t.Errorf("win: %v", err)
	}
}

func FuzzAfterFIN(f *testing.F) {
	for _, text := range []string{"closed", "drain 2s", "drain", "drain 0s", "drain -1s", "drain 2h", "drain x", "2s", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var a, again AfterFIN
		if err := a.UnmarshalText([]byte(text)); err != nil {
			return
		}
		if err := (Server{AfterFIN: a}).Validate(); err != nil {
			t.Errorf("%q: read, not valid: %v", text, err)
		}
		if err := again.UnmarshalText([]byte(a.String())); err != nil || again != a {
			t.Errorf("%v is read as %v, %v", a, again, err)
		}
	})
}
