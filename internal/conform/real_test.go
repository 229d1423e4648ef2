package conform_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers/external/drivers"
	"github.com/kabench/kabench/internal/conform"
	"github.com/kabench/kabench/profiles"
)

// Real clients do in the short set of stories what their presets do.
func TestRealClients(t *testing.T) {
	if testing.Short() {
		t.Skip("it plays stories with real clients, for about a minute")
	}
	var stories []conform.Story
	for _, s := range conform.Stories() {
		if s.Short {
			stories = append(stories, s)
		}
	}
	for _, name := range []string{"go", "reactor-netty", "okhttp", "undici", "requests", "nginx"} {
		t.Run(name, func(t *testing.T) {
			entry, err := drivers.Find(name)
			if err != nil {
				t.Fatal(err)
			}
			command, built := entry.Built()
			if !built && os.Getenv("CI") != "true" {
				t.Skipf("the driver is not built: 'kabench driver build %s' builds it", name)
			}
			if !built {
				t.Fatalf("the driver is not built: .ci/run builds it")
			}
			for _, tool := range entry.Tools {
				if _, err := exec.LookPath(tool); err != nil && os.Getenv("CI") != "true" {
					t.Skip(err)
				}
			}
			command.Name = name
			c := conform.Client{Command: command, Settings: entry.Settings, Stories: stories, Lanes: 4}
			for _, name := range entry.Preset[:1] {
				preset, _ := profiles.FindPool(name)
				c.Presets = append(c.Presets, preset)
			}
			began := time.Now()
			for _, report := range conform.Hold(t.Context(), c) {
				if report.Error != "" {
					t.Fatal(report.Error)
				}
				for _, r := range report.Results {
					switch r.Verdict {
					case conform.Agrees, conform.Known:
					case conform.Disturbed:
						t.Logf("%s: %s", r.Story, r.Why)
					default:
						t.Errorf("%s %s: %s %+v", r.Story, r.Verdict, r.Why, r.Differences)
					}
				}
				count := conform.Count(report)
				t.Logf("%s beside %s: %+v in %v", report.Name(), report.Preset, count, time.Since(began).Round(time.Second))
				if 2*count.Unknown > len(stories) {
					t.Error("the machine was too busy for most stories")
				}
			}
		})
	}
}
