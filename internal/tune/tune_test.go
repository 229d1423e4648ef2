package tune

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestParseAxis(t *testing.T) {
	for text, want := range map[string]string{
		"pool.idle_timeout=1s..60s":       "1s 1m0s",
		"pool.idle_timeout = 100ms..2s":   "100ms 2s",
		"pool.idle_timeout=0..5s":         "0s 5s",
		"pool.max_conns=8..64":            "8 64",
		"load.rate=10/s..400/s":           "10/s 400/s",
		"pool.lease_order=lifo,fifo":      "lifo fifo",
		"pool.idle_timeout=none, 5s,10s":  "none 5s 10s",
		"pool.idle_timeout":               "!write it as",
		"=1s..2s":                         "!write it as",
		"pool.idle_timeout=":              "!write it as",
		"pool.idle_timeout=2s..1s":        "!empty",
		"pool.idle_timeout=1s..1s":        "!empty",
		"pool.idle_timeout=1s..60":        "!different units",
		"pool.idle_timeout=1 day..2 days": "!not a whole number, a time",
		"pool.max_conns=-1..8":            "!not a whole number",
		"pool.max_conns=8":                "!one value is no axis",
		"pool.max_conns=8,8":              "!twice",
		"load.rate=1/s..+Inf/s":           "!not a whole number",
	} {
		a, err := ParseAxis(text)
		if says, refused := strings.CutPrefix(want, "!"); refused {
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v, want an error with %q", text, err, says)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := strings.Join(a.grid(2), " "); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func FuzzParseAxis(f *testing.F) {
	f.Add("pool.idle_timeout=1s..60s")
	f.Add("load.rate=1/s..9e9/s")
	f.Add("a=0..9223372036854775807")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseAxis(text)
		if err != nil {
			return
		}
		grid := a.grid(7)
		if len(grid) < 2 {
			t.Fatalf("%q has the grid %v", text, grid)
		}
		for _, value := range grid {
			a.between(grid[0], value)
			a.back(value, -0.1)
		}
	})
}

func axis(t *testing.T, text string) Axis {
	t.Helper()
	a, err := ParseAxis(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func seconds(t *testing.T, text string) float64 {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d.Seconds()
}

// Below 19.8 s nothing fails, and a shorter timeout costs more connections.
func TestFindsTheBoundary(t *testing.T) {
	trials := 0
	s := Search{Axes: []Axis{axis(t, "idle=1s..60s")}, Most: 60, Margin: 0.1, Try: func(_ context.Context, set map[string]string) (Outcome, error) {
		trials++
		idle := seconds(t, set["idle"])
		return Outcome{Met: idle <= 19.8, Miss: max(idle-19.8, 0), Cost: 1000 / idle}, nil
	}}
	f, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := seconds(t, f.Cheapest.Values[0]); got > 19.8 || got < 19.8*0.97 {
		t.Errorf("cheapest %v, want just below 19.8 s", got)
	}
	if got := seconds(t, f.Safe.Values[0]); math.Abs(got-18) > 0.5 || !f.Safe.Met {
		t.Errorf("safe %v, want about 18 s", got)
	}
	if !f.Whole || trials != len(f.Points) || trials > 60 {
		t.Errorf("whole %v, %d trials, %d points", f.Whole, trials, len(f.Points))
	}
}

// On two axes, the cheapest choice is in the corner where both constraints meet.
func TestFindsACorner(t *testing.T) {
	s := Search{Axes: []Axis{axis(t, "idle=1s..60s"), axis(t, "conns=8..64")}, Most: 200, Margin: 0.1, Try: func(_ context.Context, set map[string]string) (Outcome, error) {
		idle := seconds(t, set["idle"])
		conns, err := strconv.Atoi(set["conns"])
		miss := max(idle-19.8, 0) + max(float64(23-conns), 0)
		return Outcome{Met: miss == 0, Miss: miss, Cost: 1000/idle + float64(conns)}, err
	}}
	f, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := seconds(t, f.Cheapest.Values[0]); got > 19.8 || got < 19 || f.Cheapest.Values[1] != "23" {
		t.Errorf("cheapest %v", f.Cheapest.Values)
	}
	if f.Safe.Values[1] != "25" || !f.Safe.Met {
		t.Errorf("safe %v, want 25 connections", f.Safe.Values)
	}
	for i, p := range f.Front {
		if i > 0 && (p.Cost <= f.Front[i-1].Cost || p.Miss >= f.Front[i-1].Miss) {
			t.Errorf("the front is not one: %+v", f.Front)
		}
	}
	if f.Knee == nil {
		t.Error("a front of several points has no knee")
	}
}

func TestNothingMeetsTheGoal(t *testing.T) {
	s := Search{Axes: []Axis{axis(t, "conns=1..8")}, Most: 20, Try: func(_ context.Context, set map[string]string) (Outcome, error) {
		conns, _ := strconv.Atoi(set["conns"])
		return Outcome{Miss: float64(20 - conns), Cost: float64(conns)}, nil
	}}
	f, err := s.Run(t.Context())
	if err != nil || f.Cheapest != nil || f.Safe != nil || f.Nearest == nil || !slices.Equal(f.Nearest.Values, []string{"8"}) {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestEndsByMost(t *testing.T) {
	s := Search{Axes: []Axis{axis(t, "idle=1s..60s")}, Most: 8, Try: func(_ context.Context, set map[string]string) (Outcome, error) {
		idle := seconds(t, set["idle"])
		return Outcome{Met: idle <= 19.8, Miss: max(idle-19.8, 0), Cost: 1 / idle}, nil
	}}
	f, err := s.Run(t.Context())
	if err != nil || f.Whole || len(f.Points) > 9 { // the safe choice comes on top
		t.Errorf("whole %v, %d points, %v", f.Whole, len(f.Points), err)
	}
}

func TestErrorsEndTheSearch(t *testing.T) {
	broken := errors.New("broken")
	s := Search{Axes: []Axis{axis(t, "conns=1..8")}, Most: 20, Try: func(context.Context, map[string]string) (Outcome, error) { return Outcome{}, broken }}
	if _, err := s.Run(t.Context()); !errors.Is(err, broken) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A search that is given up returns what it has found.
func TestSearchGivenUp(t *testing.T) {
	axis, err := ParseAxis("pool.max_conns=1..100")
	if err != nil {
		t.Fatal(err)
	}
	for after := range 8 {
		ctx, cancel := context.WithCancel(context.Background())
		tried := 0
		s := Search{Axes: []Axis{axis}, Most: 16, Margin: 0.1, Try: func(ctx context.Context, set map[string]string) (Outcome, error) {
			if tried == after {
				cancel()
				return Outcome{}, ctx.Err()
			}
			tried++
			v := axis.number(set["pool.max_conns"])
			return Outcome{Met: v >= 30, Miss: max(30-v, 0), Cost: v}, nil
		}}
		found, err := s.Run(ctx)
		if !errors.Is(err, context.Canceled) || found == nil || len(found.Points) != after || found.Whole || (after > 0) != (found.Cheapest != nil || found.Nearest != nil) {
			t.Errorf("after %d: %+v, %v", after, found, err)
		}
		cancel()
	}
}
