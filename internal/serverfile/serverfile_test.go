package serverfile

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/schema"
	"github.com/kabench/kabench/profiles/script"
)

var from = Source{URL: "http://10.0.0.7:8080/", From: "probe", At: time.Date(2026, 11, 28, 23, 0, 0, 0, time.UTC)}

func timer(closes int, low, median, high time.Duration) evidence.Timer {
	return evidence.Timer{Closes: closes, Min: low, Low: low, Median: median, High: high, Max: high, Confidence: 0.95, Slack: 150 * time.Microsecond, Basis: evidence.Seen}
}

const ms = time.Millisecond

// The file of a server, by what was measured.
func TestPreset(t *testing.T) {
	five := timer(20, 4998*ms, 5000*ms, 5003*ms)
	for name, test := range map[string]struct {
		server evidence.Server
		lab    script.Server
		facts  profiles.ServerFacts
	}{
		"a timer": {
			evidence.Server{Keeping: evidence.KeepsUntilIdle, Idle: five, Close: evidence.FIN},
			script.Server{IdleTimeout: 5 * time.Second}, profiles.ServerFacts{IdleTimeout: 5 * time.Second, IdleEarly: 3 * ms},
		},
		"a spread timer": {
			evidence.Server{Keeping: evidence.KeepsUntilIdle, Idle: timer(20, 1003*ms, 1900*ms, 2900*ms), Close: evidence.FIN},
			script.Server{IdleTimeout: time.Second, IdleLate: script.Delay{Form: script.Uniform, B: 1900 * ms}}, profiles.ServerFacts{IdleTimeout: time.Second},
		},
		"reset": {
			evidence.Server{Keeping: evidence.KeepsUntilIdle, Idle: five, Close: evidence.RST},
			script.Server{IdleTimeout: 5 * time.Second, Fault: script.ResetOnIdle}, profiles.ServerFacts{IdleTimeout: 5 * time.Second, IdleEarly: 3 * ms},
		},
		"TLS without close_notify": {
			evidence.Server{TLS: true, Keeping: evidence.KeepsUntilIdle, Idle: five, Close: evidence.FIN},
			script.Server{IdleTimeout: 5 * time.Second, TLS: true, Fault: script.TLSNoCloseNotify}, profiles.ServerFacts{IdleTimeout: 5 * time.Second, IdleEarly: 3 * ms},
		},
		"TLS with a gap": {
			evidence.Server{TLS: true, Keeping: evidence.KeepsUntilIdle, Idle: five, Close: evidence.Notify, Notify: timer(20, 29*time.Second, 30*time.Second, 31*time.Second)},
			script.Server{IdleTimeout: 5 * time.Second, TLS: true, NotifyLead: 30 * time.Second}, profiles.ServerFacts{IdleTimeout: 5 * time.Second, IdleEarly: 3 * ms},
		},
		"hints to those who ask": {
			evidence.Server{
				Keeping: evidence.KeepsUntilIdle, Idle: five, Close: evidence.FIN,
				Hints: evidence.Hints{Asked: evidence.HintCount{Responses: 20, KeepAlive: 20}, Unasked: evidence.HintCount{Responses: 20}, Timeout: 15 * time.Second, Max: 100},
			},
			script.Server{IdleTimeout: 5 * time.Second, Hint: "timeout=15, max=100", HintIfAsked: true}, profiles.ServerFacts{IdleTimeout: 5 * time.Second, IdleEarly: 3 * ms, Hint: 15 * time.Second},
		},
		"a limit": {
			evidence.Server{Keeping: evidence.KeepsUntilIdle, Idle: five, Close: evidence.FIN, Limit: evidence.Limit{Basis: evidence.Seen, Requests: 100}},
			script.Server{IdleTimeout: 5 * time.Second, MaxRequests: 100, Unannounced: true}, profiles.ServerFacts{IdleTimeout: 5 * time.Second, IdleEarly: 3 * ms, MaxRequests: 100, Unannounced: true},
		},
		"closes each": {
			evidence.Server{Keeping: evidence.ClosesEach, Limit: evidence.Limit{Basis: evidence.Seen, Requests: 1, Announced: true}},
			script.Server{SayClose: true}, profiles.ServerFacts{MaxRequests: 1},
		},
		"closes at once": {
			evidence.Server{Keeping: evidence.ClosesAtOnce, AtOnce: evidence.Kinds{RST: 3}},
			script.Server{Fault: script.ResetBeforeResponse}, profiles.ServerFacts{},
		},
		"longer": {
			evidence.Server{Keeping: evidence.KeepsLonger, Idle: evidence.Timer{LongerThan: 15 * time.Minute}},
			script.Server{}, profiles.ServerFacts{},
		},
		"forgotten": {
			evidence.Server{Keeping: evidence.KeepsLonger, Forgets: &evidence.Forgets{How: evidence.Silent, Count: 3, After: 31 * time.Second, Until: 61 * time.Second}},
			script.Server{}, profiles.ServerFacts{IdleTimeout: 31 * time.Second, Silent: true},
		},
		"slow": {
			evidence.Server{Keeping: evidence.KeepsUntilIdle, Idle: five, Close: evidence.FIN, Response: timer(20, 30*ms, 40*ms, 90*ms), RoundTrip: timer(20, 9*ms, 10*ms, 11*ms)},
			script.Server{IdleTimeout: 5 * time.Second, Delay: script.Delay{A: 30 * ms}}, profiles.ServerFacts{IdleTimeout: 5 * time.Second, IdleEarly: 3 * ms, Delay: 30 * ms},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Preset(test.server, from)
			if diff := cmp.Diff(test.lab, got.Lab); diff != "" {
				t.Errorf("lab (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.facts, got.Facts); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
}

// readBack writes the file of a server and reads it as lint, the lab and reproduce do.
func readBack(t *testing.T, s evidence.Server) profiles.ServerPreset {
	t.Helper()
	text, err := Text(s, from)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), schema.Line("server")) {
		t.Errorf("it does not name its schema:\n%s", text)
	}
	file := filepath.Join(t.TempDir(), "server.yaml")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := profiles.ReadServer(file)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return p
}

func TestTheFileIsReadBack(t *testing.T) {
	s := evidence.Server{
		Address: "10.0.0.7:8080", Keeping: evidence.KeepsUntilIdle, Close: evidence.FIN, Idle: timer(24, 4998*ms, 5000123*time.Microsecond, 5003*ms),
		RoundTrip: timer(40, 90*time.Microsecond, 104*time.Microsecond, 2*ms), Response: timer(50, 200*time.Microsecond, 300*time.Microsecond, 9*ms),
		Hints: evidence.Hints{Asked: evidence.HintCount{Responses: 20, KeepAlive: 20}, Unasked: evidence.HintCount{Responses: 20, KeepAlive: 20}, Timeout: 15 * time.Second, Verdict: evidence.HintWrong},
	}
	for i := range 24 {
		s.Idle.Times = append(s.Idle.Times, 4998*ms+time.Duration(i)*217*time.Microsecond)
	}
	read := readBack(t, s)
	if diff := cmp.Diff(Preset(s, from), read); diff != "" || len(read.Measured.Idle) != 24 {
		t.Errorf("%d times (-written +read):\n%s", len(read.Measured.Idle), diff)
	}
}

// Whatever was measured, the file can be read.
func TestEveryServerHasAFile(t *testing.T) {
	for seed := range uint64(300) {
		s := anyServer(rand.New(rand.NewPCG(seed, 1)))
		if diff := cmp.Diff(Preset(s, from), readBack(t, s)); diff != "" {
			t.Errorf("seed %d, %+v (-written +read):\n%s", seed, s, diff)
		}
	}
}

func anyServer(r *rand.Rand) evidence.Server {
	some := func(n int) bool { return r.IntN(n) == 0 }
	anyTimer := func() evidence.Timer {
		if some(3) {
			return evidence.Timer{LongerThan: time.Duration(r.Int64N(int64(time.Hour)))}
		}
		least := time.Duration(r.ExpFloat64() * float64([]time.Duration{time.Microsecond, ms, time.Second, 3 * time.Hour}[r.IntN(4)]))
		spread := time.Duration(r.ExpFloat64() * float64(least))
		return timer(1+r.IntN(30), least, least+spread/2, least+spread)
	}
	s := evidence.Server{
		Address: "127.0.0.1:1", TLS: some(2), Keeping: evidence.Keeping(r.IntN(5)), Close: evidence.Kind(r.IntN(5)),
		Idle: anyTimer(), Lifetime: anyTimer(), Notify: anyTimer(), RoundTrip: anyTimer(), Response: anyTimer(),
		AtOnce: evidence.Kinds{FIN: r.IntN(3), RST: r.IntN(3)},
		Limit:  evidence.Limit{Requests: r.IntN(4) * r.IntN(200), Announced: some(2), KeepsOpen: some(4)},
		Hints: evidence.Hints{
			Asked:   evidence.HintCount{Responses: 20, KeepAlive: r.IntN(2) * 20, Closing: r.IntN(2) * 20},
			Unasked: evidence.HintCount{Responses: 20, KeepAlive: r.IntN(2) * 20, Closing: r.IntN(2) * 20},
			Timeout: time.Duration(r.IntN(3)) * time.Second, Max: r.IntN(2) * 100,
		},
	}
	if some(4) {
		s.Forgets = &evidence.Forgets{How: []evidence.Kind{evidence.Silent, evidence.RST}[r.IntN(2)], Count: 3, After: time.Duration(r.IntN(2)) * time.Minute, Until: 2 * time.Minute}
	}
	return s
}

func TestRoundTimes(t *testing.T) {
	const us = time.Microsecond
	for _, test := range []struct{ min, max, idle, early time.Duration }{
		{4998500 * us, 5003 * ms, 5 * time.Second, 2 * ms},
		{5000200 * us, 5003 * ms, 5 * time.Second, 0},
		{59990 * ms, 60010 * ms, 59989 * ms, 0}, // too far
		{59996 * ms, 60010 * ms, time.Minute, 5 * ms},
		{75*time.Second + 2*ms, 76 * time.Second, 75 * time.Second, 0},
		{2075300 * us, 3800 * ms, 2075 * ms, 0},
		{2520 * ms, 2521 * ms, 2519 * ms, 0},
		{4997 * ms, 4998 * ms, 4996 * ms, 0}, // all closes come earlier
		{401 * ms, 403 * ms, 400 * ms, 0},
		{8 * ms, 9 * ms, 7 * ms, 0},
		{100 * us, 200 * us, 100 * us, 0},
	} {
		got := timer(20, test.min, test.min, test.max)
		if idle, early := idleOf(got); idle != test.idle || early != test.early {
			t.Errorf("closes after %v to %v: %v less %v, want %v less %v", test.min, test.max, idle, early, test.idle, test.early)
		}
	}
}
