package probe

import (
	"testing"
	"time"

	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles/script"
)

func TestSmoke(t *testing.T) {
	s, err := lab.Start(script.Server{IdleTimeout: 800 * time.Millisecond, Hint: "timeout=5"}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	target, err := Resolve(t.Context(), Request{URL: s.URL()})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), target, Options{Limit: 10 * time.Second, Progress: func(p Progress) { _ = p }})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("took %v conns %d reqs %d stopped %v late %v", r.Took, r.Connections, r.Requests, r.Stopped, r.Late)
	for _, site := range r.Sites {
		t.Log(site.Address, site.Err, site.Notes, site.Ended)
		for _, c := range site.Connections {
			t.Logf("open %v ready %v rt %v half %v ex %v close %v until %v slack %v", c.Opened, c.Ready, c.RoundTrip, c.Half, c.Exchanges, c.Close, c.Until, c.Slack)
			if n := len(c.Exchanges); n > 0 {
				t.Log("   idle", c.Close.At-c.Exchanges[n-1].Done, "first", c.Close.At-c.Exchanges[0].Done)
			}
		}
	}
}
