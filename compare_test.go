package kabench

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// short are two arms whose runs take a fraction of a second: connections are kept,
// or each request has its own.
func short(t *testing.T, sets ...string) []ComparedArm {
	t.Helper()
	sets = append([]string{"load.duration=300ms", "load.arrivals=poisson"}, sets...)
	arm := func(name, value string) ComparedArm {
		return ComparedArm{Name: name, Change: map[string]string{"pool.max_idle": value}, Profile: load(t, "quick", append(slices.Clone(sets), "pool.max_idle="+value)...)}
	}
	return []ComparedArm{arm("kept", "-1"), arm("max_idle=0", "0")}
}

func TestCompareInBlocks(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out")
	var told []string
	opts := CompareOptions{
		Options: Options{Out: out, Version: "v1"}, Name: "two", Question: "which?", Repeats: 4, Seed: 42,
		Before: func(_, _, _ int, arm string) { told = append(told, arm) },
	}
	c, err := Compare(t.Context(), short(t), opts)
	if err != nil {
		t.Fatal(err)
	}
	if c.Seed != 42 || c.Repeats != 4 || c.Interrupted || len(c.Runs) != 8 || c.End.Before(c.Start) {
		t.Errorf("%+v", c)
	}
	var order []string
	seeds := map[int][]float64{}
	for i, r := range c.Runs {
		order = append(order, r.Arm)
		if r.Block != i/2+1 || r.Excluded != "" || r.CoolDown == nil || r.CoolDown.Why == "" {
			t.Errorf("run %d: %+v", i, r)
		}
		d, err := record.Open(filepath.Join(out, r.Dir))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := d.Run()
		if err != nil {
			t.Fatal(err)
		}
		var p struct{ Load struct{ Seed float64 } }
		if err := json.Unmarshal(doc.Profile, &p); err != nil {
			t.Fatal(err)
		}
		seeds[r.Block] = append(seeds[r.Block], p.Load.Seed)
	}
	if !slices.Equal(order, told) {
		t.Errorf("told of %v, made %v", told, order)
	}
	for block := range 4 {
		if order[2*block] == order[2*block+1] {
			t.Errorf("block %d has an arm twice: %v", block, order)
		}
		if s := seeds[block+1]; s[0] != s[1] || block > 0 && s[0] == seeds[block][0] {
			t.Errorf("the arrivals' seeds: %v", seeds)
		}
	}
	// What differs by design is found, and the same seed makes the same order.
	p := c.Pairs[0]
	i := slices.IndexFunc(p.Tests, func(t results.Test) bool { return t.Measure == results.MeasureOpened })
	if opened := p.Tests[i]; !opened.Differs || opened.Difference < 500 {
		t.Errorf("connections opened: %+v", opened)
	}
	opts.Out, told = "", nil
	again, err := Compare(t.Context(), short(t), opts)
	if err != nil || !slices.Equal(order, told) {
		t.Errorf("again: %v instead of %v (%v)", told, order, err)
	}
	if again.Runs[0].Dir != "" {
		t.Errorf("nothing was to be kept, and %s was", again.Runs[0].Dir)
	}
}

// A comparison that is stopped keeps what was run.
func TestCompareInterrupted(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out")
	stop := make(chan struct{})
	halt := sync.OnceFunc(func() { close(stop) })
	c, err := Compare(t.Context(), short(t), CompareOptions{
		Options: Options{Out: out, Stop: stop}, Repeats: 5,
		Before: func(step, _, _ int, _ string) {
			if step == 4 {
				halt()
			}
		},
	})
	if err != nil || !c.Interrupted || len(c.Runs) != 3 || len(c.Pairs) != 1 || c.Verdict == "" {
		t.Fatalf("%v: %+v", err, c)
	}
	if inside := record.RunsIn(out); len(inside) != 3 {
		t.Errorf("kept: %v", inside)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Compare(stopped, short(t), CompareOptions{Repeats: 1}); !errors.Is(err, ErrInterrupted) {
		t.Errorf("stopped before it began: %v", err)
	}
}

// What cannot be run is refused before any traffic, and nothing is left behind.
func TestCompareRefused(t *testing.T) {
	gone, err := lab.Start(script.Server{}, "")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dangling := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Join(full, "nowhere", "at all"), dangling); err != nil {
		t.Skip(err)
	}
	arms := short(t)
	for name, test := range map[string]struct {
		arms []ComparedArm
		out  string
		n    int
		say  string
	}{
		"one arm":    {arms[:1], "", 1, "only one arm"},
		"no repeats": {arms, "", 0, "not at least 1"},
		"full":       {arms, full, 1, "x"},
		"unwritable": {arms, dangling, 2, "cannot be written"},
		"no target":  {[]ComparedArm{arms[0], {Name: "b", Profile: load(t, "quick", "target.lab=null", "target.url="+gone.URL())}}, filepath.Join(t.TempDir(), "new"), 1, "b: target"},
		"stock":      {[]ComparedArm{arms[0], {Name: "b", Profile: load(t, "quick", "client=stock")}}, "", 1, "a pool of its own"},
	} {
		before := 0
		_, err := Compare(t.Context(), test.arms, CompareOptions{
			Options: Options{Out: test.out}, Repeats: test.n, Before: func(int, int, int, string) { before++ },
		})
		var input *InputError
		if !errors.As(err, &input) || !strings.Contains(err.Error(), test.say) || before > 0 {
			t.Errorf("%s: %v, after %d runs", name, err, before)
		}
		if _, err := os.Stat(test.out); test.out != full && err == nil {
			t.Errorf("%s: %s was made", name, test.out)
		}
	}
}

// A target that goes away in between spoils its runs, not the comparison.
func TestCompareTargetGone(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok")) }))
	defer server.Close()
	sets := []string{"target.lab=null", "target.url=" + server.URL}
	c, err := Compare(t.Context(), short(t, sets...), CompareOptions{
		Repeats: 2,
		Before: func(step, _, _ int, _ string) {
			if step == 3 {
				server.Close()
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range c.Runs {
		if gone := strings.Contains(r.Excluded, "could not be made"); gone != (i >= 2) {
			t.Errorf("run %d: %q", i, r.Excluded)
		}
	}
	if len(c.Runs) != 4 || c.Arms[0].Runs != 1 || c.Arms[0].Excluded != 1 {
		t.Errorf("%+v", c.Arms)
	}
}

func TestCoolDown(t *testing.T) {
	p := load(t, "quick", "target.lab=null", "target.url=http://127.0.0.1:1/")
	looks := 0
	falling := func() (int, error) { looks++; return max(3-looks, 0), nil }
	if got := coolDown(t.Context(), p, coolDownOptions{limit: time.Hour, every: time.Millisecond, look: falling}); got.TimeWait != 0 || got.Limited || looks != 3 {
		t.Errorf("drained: %+v after %d looks", got, looks)
	}
	staying := func() (int, error) { return 5, nil }
	if got := coolDown(t.Context(), p, coolDownOptions{limit: 20 * time.Millisecond, every: time.Millisecond, look: staying}); got.TimeWait != 5 || !got.Limited || got.Seconds < 0.02 {
		t.Errorf("at the limit: %+v", got)
	}
	if got := coolDown(t.Context(), p, coolDownOptions{look: staying}); got.TimeWait != 5 || !got.Limited {
		t.Errorf("no wait: %+v", got)
	}
	stop := make(chan struct{})
	close(stop)
	if got := coolDown(t.Context(), p, coolDownOptions{limit: time.Hour, stop: stop, look: staying}); !got.Limited {
		t.Errorf("stopped: %+v", got)
	}
	blind := func() (int, error) { return 0, errors.New("no sockets here") }
	if got := coolDown(t.Context(), p, coolDownOptions{limit: time.Hour, first: true, look: blind}); got.Limited || !strings.Contains(got.Why, "no sockets here") {
		t.Errorf("blind, first: %+v", got)
	}
	if got := coolDown(t.Context(), p, coolDownOptions{limit: 5 * time.Millisecond, every: time.Millisecond, look: blind}); !got.Limited {
		t.Errorf("blind: %+v", got)
	}
}

// The sockets that a client of the same target has left in TIME_WAIT are seen.
func TestCoolDownSeesTimeWait(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	defer server.Close()
	p := load(t, "quick", "target.lab=null", "target.url="+server.URL)
	got := coolDown(t.Context(), p, coolDownOptions{})
	if got.Why != "" {
		if os.Getenv("CI") != "" {
			t.Fatal(got.Why)
		}
		t.Skip(got.Why)
	}
	if got.TimeWait != 0 || got.Limited {
		t.Errorf("of a new server: %+v", got)
	}
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.(*net.TCPConn).CloseWrite() // we close first, and wait for the server's FIN
	conn.Read(make([]byte, 1))
	conn.Close()
	if got := coolDown(t.Context(), p, coolDownOptions{}); got.TimeWait != 1 || !got.Limited {
		t.Errorf("after a connection that we closed: %+v", got)
	}
}

// An incident's private network is new for each run: there is nothing to wait for.
func TestCompareInNetworks(t *testing.T) {
	needSandbox(t)
	t.Parallel()
	p := load(t, "port-exhaustion")
	p.Remedies = nil
	if got := coolDown(t.Context(), p, coolDownOptions{limit: time.Hour}); got.Seconds != 0 || got.Limited || got.Why == "" {
		t.Errorf("%+v", got)
	}
}

func TestFileName(t *testing.T) {
	for name, want := range map[string]string{
		"idle_timeout=3s lease_order=lifo": "idle_timeout=3s-lease_order=lifo", "../é $(x)": "..-é---x-", strings.Repeat("a", 100): strings.Repeat("a", longestName),
	} {
		if got := fileName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
