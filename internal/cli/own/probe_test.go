package own

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/probe"
)

func TestProbeLine(t *testing.T) {
	for _, test := range []struct {
		now  probe.Progress
		want string
	}{
		{
			probe.Progress{Elapsed: 2 * time.Second, Left: 898 * time.Second, Connections: 31, Open: 30, Requests: 25, Most: 60},
			"2 s · 31 connections, 30 open · 25 of 60 requests · no idle connection closed yet · at most 14m58s left",
		},
		{
			probe.Progress{Elapsed: time.Second, Left: 4 * time.Second, Connections: 1, Open: 1, Requests: 1, Most: 60, Known: probe.Known{Idle: []time.Duration{5 * time.Second}}},
			"1 s · 1 connection, 1 open · 1 of 60 requests · one close after 5.00 s · about 4s left",
		},
		{
			probe.Progress{Elapsed: 7 * time.Second, Left: time.Minute, Connections: 40, Open: 3, Requests: 60, Most: 60, Known: probe.Known{Idle: []time.Duration{time.Second, 2 * time.Second}}},
			"7 s · 40 connections, 3 open · 60 of 60 requests · 2 closes after 1.00 s to 2.00 s · about 1m left",
		},
	} {
		if got := probeLine(test.now); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

func TestRound(t *testing.T) {
	for d, want := range map[time.Duration]string{
		15 * time.Minute: "15m", time.Hour: "1h", 90 * time.Second: "1m30s", 10 * time.Second: "10s", 100 * time.Minute: "1h40m", 0: "0s",
	} {
		if got := round(d); got != want {
			t.Errorf("%v is printed as %s, want %s", d, got, want)
		}
	}
}

// A file that cannot be written is refused before the captures are read.
func TestAutopsyChecksItsFilesFirst(t *testing.T) {
	o := &autopsyOptions{facts: filepath.Join(t.TempDir(), "none", "server.yaml")}
	if err := o.outputs("kabench autopsy"); err == nil || !strings.Contains(err.Error(), "name a file in a directory that exists") {
		t.Errorf("%v", err)
	}
}
