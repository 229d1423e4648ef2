package catalogue

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/script"
)

// Where an incident asks what the arrivals alone decide, its file says how many
// requests that are: those whose gap from the request before on the same
// connection lies where a timer of the server's loses them, the link's round
// trip and the server's delay taken into account.
func TestIncidentsArrivals(t *testing.T) {
	for _, test := range []struct {
		name  string
		timer time.Duration
		want  int
		spans time.Duration // from the first to the last of them, to 10 ms
	}{
		{"three-mitigations", time.Second, 113, 430 * time.Millisecond},
		{"three-mitigations", 1500 * time.Millisecond, 34, 220 * time.Millisecond},
		{"direct-idle-order", time.Second, 27, 310 * time.Millisecond},
		{"keep-alive-hint", time.Second, 27, 310 * time.Millisecond},
		{"data-after-close", time.Second, 27, 310 * time.Millisecond},
		{"idle-race-tls", 2 * time.Second, 26, 550 * time.Millisecond},
	} {
		p := incident(t, test.name)
		schedule, err := p.Load.Schedule()
		if err != nil {
			t.Fatal(err)
		}
		const delay = 10 * time.Millisecond
		server := time.Second
		if test.timer >= 2*time.Second {
			server = test.timer
		}
		if p.Target.Lab.Delay.A != delay || p.Target.Lab.IdleTimeout != server {
			t.Errorf("%s: not the server that the arrivals were counted for", test.name)
		}
		var due, lost []time.Duration
		link := p.Target.Link
		if link == nil {
			link = &script.Link{Delay: p.Network.Links[0].Delay}
		}
		for at := range schedule {
			due = append(due, at)
			if before := len(due) - 1 - p.Pool.Shards; before >= 0 {
				gap := at - due[before]
				if gap > test.timer+delay && gap < test.timer+delay+2*link.Delay {
					lost = append(lost, at)
				}
			}
		}
		if len(lost) != test.want {
			t.Errorf("%s, timer %v: %d requests are lost, want %d", test.name, test.timer, len(lost), test.want)
			continue
		}
		if spans := lost[len(lost)-1] - lost[0]; (spans - test.spans).Abs() > 10*time.Millisecond {
			t.Errorf("%s, timer %v: within %v, want %v", test.name, test.timer, spans, test.spans)
		}
	}
}

// An incident that names a client's preset has the preset's pool, except for the
// figures that its source gives.
func TestIncidentsPresets(t *testing.T) {
	named := 0
	for _, e := range profiles.Incidents() {
		p := incident(t, e.Name)
		if p.Preset == "" {
			continue
		}
		named++
		want, err := profiles.LoadPool(p.Preset)
		if err != nil {
			t.Fatal(err)
		}
		// The source's own figures.
		want.MaxConns, want.PendingMax, want.PendingTimeout = p.Pool.MaxConns, p.Pool.PendingMax, p.Pool.PendingTimeout
		if diff := cmp.Diff(want, p.Pool); diff != "" {
			t.Errorf("%s (-%s +its pool)\n%s", e.Name, p.Preset, diff)
		}
	}
	if named == 0 {
		t.Error("none names one")
	}
	builder, err := profiles.LoadPool("reactor-netty-builder")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(builder, incident(t, "pending-queue-full").Pool); diff != "" {
		t.Errorf("pending-queue-full is not the untouched builder's (-want +got)\n%s", diff)
	}
}
