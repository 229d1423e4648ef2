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

// played are stories of each kind that take a moment only. 'kabench conform' plays all of
// them, for docs/conformance.md.
const played = "idle-fin-300ms-*,idle-rst-300ms-get,race-fin-get,race-fin-post,race-fin-six-get,race-rst-get,fresh-fin-get,then-fin-get,cut-headers-*-reused,cut-length-fin-reused,http10,order-five,cap-30"

// Real clients do in these stories what their presets do.
func TestRealClients(t *testing.T) {
	if testing.Short() {
		t.Skip("it plays stories with real clients, for half a minute")
	}
	t.Parallel()
	stories, err := conform.Pick(conform.Stories(), played)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go", "reactor-netty", "okhttp", "undici", "requests", "nginx"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
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
			c := conform.Client{Command: command, Settings: entry.Settings, Stories: stories, Lanes: 2}
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
				t.Logf("%s beside %s: %v (in %v)", report.Name(), report.Preset, count, time.Since(began).Round(time.Second))
				if 2*count.Unknown > len(stories) {
					t.Error("the machine was too busy for most stories")
				}
			}
		})
	}
}
