package conform

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles"
)

// imitation is a client that is kabench's own, under a preset's policy.
type imitation struct{ Preset }

func (imitation) Again(context.Context) error { return nil }

func preset(t *testing.T, name string) profiles.Preset {
	t.Helper()
	p, found := profiles.FindPool(name)
	if !found {
		t.Fatalf("there is no preset %s", name)
	}
	return p
}

// imitations are lanes of a client that does what the preset says.
func imitations(p profiles.Preset, n int) (all []Lane) {
	for range n {
		all = append(all, imitation{Preset{p.Pool}})
	}
	return all
}

func pick(t *testing.T, patterns string) []Story {
	t.Helper()
	stories, err := Pick(Stories(), patterns)
	if err != nil {
		t.Fatal(err)
	}
	return stories
}

func short(t *testing.T) []Story {
	t.Helper()
	return slices.DeleteFunc(Stories(), func(s Story) bool { return !s.Short })
}

// verdicts are the stories' verdicts by name. A story that the machine disturbed has none.
func verdicts(t *testing.T, results []Result) map[string]Verdict {
	t.Helper()
	all := map[string]Verdict{}
	for _, r := range results {
		switch r.Verdict {
		case Disturbed:
			t.Logf("%s: %s", r.Story, r.Why)
		case Failed, NotPlayed:
			t.Errorf("%s: %s: %s", r.Story, r.Verdict, r.Why)
		default:
			all[r.Story] = r.Verdict
		}
	}
	return all
}

// A client that is what its preset says agrees in all that is asked.
func TestClientsThatAreTheirPresetsAgree(t *testing.T) {
	for _, name := range []string{"reactor-netty", "go-default-transport", "apache-hc4", "httpx"} {
		t.Run(name, func(t *testing.T) {
			p := preset(t, name)
			results := Run(t.Context(), Options{Stories: short(t), Preset: p, Lanes: imitations(p, 6)})
			for story, v := range verdicts(t, results) {
				if v != Agrees {
					i := slices.IndexFunc(results, func(r Result) bool { return r.Story == story })
					t.Errorf("%s %s: %+v", story, v, results[i].Differences)
				}
			}
		})
	}
}

// A client that differs from a preset is found out by the stories that are about the
// difference, and by no others.
func TestOtherPresetsDiffer(t *testing.T) {
	base := preset(t, "default").Pool
	base.MaxConns = 20
	for name, test := range map[string]struct {
		change  func(*pool.Policy)
		stories string
		differ  []string
	}{
		"order":    {func(p *pool.Policy) { p.LeaseOrder = pool.FIFO }, "order-five,race-fin-get,cap-30", []string{"order-five"}},
		"cap":      {func(p *pool.Policy) { p.MaxConns = 19 }, "order-five,race-fin-get,cap-30", []string{"cap-30"}},
		"queue":    {func(p *pool.Policy) { p.PendingMax = 3 }, "cap-30,ten-times-ten", []string{"cap-30"}},
		"idle":     {func(p *pool.Policy) { p.IdleTimeout, p.Expiry = ms(1000), pool.ExpireByTimer }, "idle-alive-300ms,idle-alive-3s,hint-60s", []string{"hint-60s", "idle-alive-3s"}},
		"hint":     {func(p *pool.Policy) { p.ServerHint = pool.HintMin }, "idle-alive-3s,hint-1s", []string{"hint-1s"}},
		"liveness": {func(p *pool.Policy) { p.Liveness = pool.None }, "idle-fin-300ms-get,idle-alive-300ms,race-rst-get", []string{"idle-fin-300ms-get"}},
		"resend": {func(p *pool.Policy) {
			p.Resend = []pool.ResendRule{{On: pool.OnReused, After: pool.AfterEOF, Methods: "safe"}}
		}, "race-fin-get,race-rst-get,race-fin-post,fresh-fin-get", []string{"race-fin-get"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mine, theirs := profiles.Preset{Name: "mine", Pool: base}, profiles.Preset{Name: "theirs", Pool: base}
			test.change(&theirs.Pool)
			results := Run(t.Context(), Options{Stories: pick(t, test.stories), Preset: mine, Lanes: imitations(theirs, 2)})
			for story, v := range verdicts(t, results) {
				if wanted := slices.Contains(test.differ, story); (v == Differs) != wanted {
					i := slices.IndexFunc(results, func(r Result) bool { return r.Story == story })
					t.Errorf("%s %s: %+v", story, v, results[i].Differences)
				}
			}
			// What the preset itself says is no difference.
			mine.Cannot = profiles.Limits{{What: "all of it", Stories: []string{"*"}}}
			for _, r := range Run(t.Context(), Options{Stories: pick(t, test.differ[0]), Preset: mine, Lanes: imitations(theirs, 1)}) {
				if r.Verdict != Disturbed && (r.Verdict != Known || r.Known != "all of it" || r.Client == nil || len(r.Differences) == 0) {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

// late is a client whose driver is late at first.
type late struct {
	imitation
	plays, disturbed int
}

type lateEngine struct {
	Engine
	lag time.Duration
}

func (e lateEngine) Lag() time.Duration { return e.lag }

func (l *late) Prepare(ctx context.Context, origin string, requests []*dialers.Request) (Engine, func() error, error) {
	engine, end, err := l.imitation.Prepare(ctx, origin, requests)
	lag := time.Duration(0)
	if l.plays++; l.plays <= l.disturbed {
		lag = time.Second
	}
	return lateEngine{engine, lag}, end, err
}

// A play that the machine disturbed is played again, and not judged.
func TestDisturbedStoriesArePlayedAgain(t *testing.T) {
	p := preset(t, "default")
	for disturbed, want := range map[int]Verdict{2: Agrees, 100: Disturbed} {
		lane := &late{imitation: imitation{Preset{p.Pool}}, disturbed: disturbed}
		r := Run(t.Context(), Options{Stories: pick(t, "fresh-fin-get"), Preset: p, Lanes: []Lane{lane}})[0]
		if r.Verdict != want || r.Plays < min(disturbed, mostDisturbed)+1 || (r.Why != "") != (want == Disturbed) {
			t.Errorf("%d disturbed: %s after %d plays: %s", disturbed, r.Verdict, r.Plays, r.Why)
		}
	}
}

// broken is a client that cannot be prepared at first.
type broken struct {
	imitation
	times, again int
}

func (b *broken) Again(context.Context) error { b.again++; return nil }

func (b *broken) Prepare(ctx context.Context, origin string, requests []*dialers.Request) (Engine, func() error, error) {
	if b.times--; b.times >= 0 {
		return nil, nil, errors.New("it has died")
	}
	return b.imitation.Prepare(ctx, origin, requests)
}

func TestClientsThatDieAreStartedAgain(t *testing.T) {
	p := preset(t, "default")
	for times, want := range map[int]Verdict{1: Agrees, 2: Failed} {
		lane := &broken{imitation: imitation{Preset{p.Pool}}, times: times}
		list := Run(t.Context(), Options{Stories: pick(t, "fresh-fin-get,fresh-rst-get"), Preset: p, Lanes: []Lane{lane}})
		if r := list[0]; r.Verdict != want || want == Failed && r.Why != "it has died" || lane.again == 0 {
			t.Errorf("%d deaths: %+v", times, r)
		}
		if list[1].Verdict != Agrees {
			t.Errorf("the next story: %+v", list[1])
		}
	}
}

// What was played before somebody stopped is kept.
func TestStopped(t *testing.T) {
	p := preset(t, "default")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	began := time.Now()
	list := Run(ctx, Options{
		Stories: pick(t, "fresh-fin-get,idle-alive-33s"), Preset: p, Lanes: imitations(p, 2),
		Done: func(Result) { stop() },
	})
	if list[0].Verdict != NotPlayed || list[1].Verdict != Agrees || time.Since(began) > 25*time.Second {
		t.Errorf("%v, %v after %v", list[0].Verdict, list[1].Verdict, time.Since(began))
	}
}

// A real client in a process of its own is compared with the presets that fit its version.
func TestHold(t *testing.T) {
	defaults, tuned, other := preset(t, "go-default-transport"), preset(t, "go-default-transport"), preset(t, "okhttp")
	defaults.Run = []string{"1.2.2"}
	tuned.Name, tuned.Run, tuned.Pool.MaxIdle = "tuned", nil, 12
	began := 0
	reports := Hold(t.Context(), Client{
		Command: own(t), Presets: []profiles.Preset{other, tuned, defaults}, Lanes: 2,
		Stories: pick(t, "race-fin-*et,fresh-fin-get,ten-times-ten,cut-length-fin"), Begins: func(string) { began++ },
	})
	if len(reports) != 2 || began != 2 || reports[0].Preset != "tuned" || reports[1].Preset != "go-default-transport" {
		t.Fatalf("%+v", reports)
	}
	for _, r := range reports {
		for story, v := range verdicts(t, r.Results) {
			if v != Agrees {
				i := slices.IndexFunc(r.Results, func(r Result) bool { return r.Story == story })
				t.Errorf("%s: %s: %+v", r.Preset, story, r.Results[i].Differences)
			}
		}
		if r.Client != "net/http in a test" || r.Version != "1.2.3" || r.Error != "" || r.Seconds <= 0 {
			t.Errorf("%+v", r)
		}
	}
	if len(reports[1].Settings) != 0 || reports[0].Settings["MaxIdleConnsPerHost"] != 12 {
		t.Errorf("settings %v and %v", reports[0].Settings, reports[1].Settings)
	}
	// A preset that the client cannot be set to is an error when it is asked for.
	reports = Hold(t.Context(), Client{Command: own(t), Presets: []profiles.Preset{defaults, other}, Only: "okhttp", Lanes: 1, Stories: pick(t, "fresh-fin-get")})
	if len(reports) != 1 || reports[0].Error == "" {
		t.Errorf("%+v", reports)
	}
	command := own(t)
	command.Env = nil // then it is a test, and no driver
	command.Argv = append(command.Argv, "-test.run=^$")
	if reports = Hold(t.Context(), Client{Command: command, Presets: []profiles.Preset{defaults}, Lanes: 1}); len(reports) != 1 || reports[0].Error == "" {
		t.Errorf("%+v", reports)
	}
}
