package kabench

import (
	"errors"
	"strings"
	"testing"

	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/profiles"
)

// A run from several addresses counts the ports of each, for either client.
func TestRunFromSeveralSources(t *testing.T) {
	ports, err := host.Ports()
	if err != nil {
		t.Fatal(err)
	}
	for _, client := range []string{profiles.ClientPolicy, profiles.ClientStock} {
		t.Run(client, func(t *testing.T) {
			p := load(t, "", "client="+client, "load.rate=200/s", "load.duration=500ms", "target.lab.say_close=true",
				"target.source_addresses=[127.0.0.2, 127.0.0.3, 127.0.0.4]")
			run, err := Run(t.Context(), p, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if run.Counts.OK != run.Counts.Due || run.Counts.Due == 0 {
				t.Errorf("%+v: %+v", run.Counts, run.Outcomes)
			}
			if want := 3 * ports.Available(); run.Sockets.PortsAvailable != want {
				t.Errorf("%d ports, want %d", run.Sockets.PortsAvailable, want)
			}
			if lab := run.Lab; lab.Connections != run.Counts.Due {
				t.Errorf("%d connections for %d requests", lab.Connections, run.Counts.Due)
			}
		})
	}
}

func TestSourcesThatCannotBeUsedAreRefused(t *testing.T) {
	p := load(t, "", "load.rate=200/s", "target.lab={}", "target.source_addresses=[127.0.0.2, 192.0.2.1]")
	_, err := Run(t.Context(), p, Options{})
	var input *InputError
	if !errors.As(err, &input) || !strings.HasPrefix(err.Error(), "target.source_addresses: 192.0.2.1 is not an address of this machine; add it (") {
		t.Errorf("%v", err)
	}
}
