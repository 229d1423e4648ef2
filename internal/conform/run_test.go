package conform

import (
	"context"
	"fmt"
	"testing"

	"github.com/kabench/kabench/profiles"
)

// imitation is a client that is kabench's own, under a preset's policy.
type imitation struct{ Preset }

func (imitation) Again(context.Context) error { return nil }

func lanes(t *testing.T, n int, preset string) (all []Lane) {
	t.Helper()
	p, found := profiles.FindPool(preset)
	if !found {
		t.Fatalf("there is no preset %s", preset)
	}
	for range n {
		all = append(all, imitation{Preset{p.Pool}})
	}
	return all
}

func conformOf(t *testing.T, stories []Story, client, preset string) []Result {
	t.Helper()
	p, _ := profiles.FindPool(preset)
	return Run(t.Context(), Options{Stories: stories, Preset: p, Lanes: lanes(t, 4, client), Done: func(r Result) {
		if testing.Verbose() {
			fmt.Printf("%-28s %-10s %d plays %s\n", r.Story, r.Verdict, r.Plays, r.Why)
			for i := range r.Client.Requests {
				if i < 12 && r.About != AboutCaps {
					fmt.Printf("      %-44s %s\n", r.Client.Text(i, true), r.Preset.Text(i, true))
				}
			}
			for _, d := range r.Differences {
				fmt.Println("      ", d.What, ":", d.Client, "|", d.Preset)
			}
			if r.About == AboutCaps {
				fmt.Printf("      %+v\n", r.Client.Totals())
			}
		}
	}})
}

func TestTry(t *testing.T) {
	conformOf(t, Stories(), "go-default-transport", "go-default-transport")
}
