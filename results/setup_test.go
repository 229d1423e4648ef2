package results

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSetupOf(t *testing.T) {
	none := Setup{MaxConns: -1, PendingMax: -1}
	for profile, want := range map[string]Setup{
		``: none, `{`: none, `[]`: none, `{"load":7,"pool":"x","target":[]}`: none,
		`{"client":"policy","load":{"duration":"1m0s","warm_up":"5s","max_lag":"50ms","seed":7},
		  "pool":{"max_conns":10,"expiry":["lease","sweep"]},
		  "target":{"url":"http://h:80/a","headers":{"host":"other"},"tls":{"server_name":"sni","resume":true},"source_addresses":["10.0.0.1"],"lab":{"idle_timeout":"1s"}}}`: {
			Client: "policy", Duration: time.Minute, WarmUp: 5 * time.Second, MaxLag: 50 * time.Millisecond, Seed: 7,
			Method: "GET", URL: "http://h:80/a", Hosts: []string{"h", "sni", "10.0.0.1", "other"},
			TLSResume: true, PeerIdleTimeout: time.Second, MaxConns: 10, PendingMax: -1, Server: map[string]string{"idle_timeout": "1s"},
			Load: map[string]string{"duration": "1m0s", "warm_up": "5s", "max_lag": "50ms", "seed": "7"},
			Pool: map[string]string{"max_conns": "10", "expiry": "lease,sweep"},
		},
		`{"network":{"hosts":[]},"target":{"url":"http://h/","lab":{"delay":"20ms","idle_timeout":"5s"},"link":{"delay":"5ms"}}}`: {
			Method: "GET", URL: "http://h/", Hosts: []string{"h", ""}, PeerIdleTimeout: 5 * time.Second, MaxConns: -1, PendingMax: -1,
			Server: map[string]string{"delay": "20ms", "idle_timeout": "5s"}, Link: map[string]string{"delay": "5ms"}, Private: true,
		},
		// A section that cannot be read does not make the others unreadable.
		`{"client":"stock","load":{"seed":"x"},"target":{"url":"http://h/","file":"f.json","proxies":[{"idle_timeout":"2s"}],"lab":{}}}`: {
			Client: "stock", Hosts: []string{"h", ""}, PeerIdleTimeout: 2 * time.Second, MaxConns: -1, PendingMax: -1,
			File: "f.json", Proxies: 1, Server: map[string]string{},
			Load: map[string]string{"seed": "x"},
		},
	} {
		if diff := cmp.Diff(want, SetupOf(&Run{Profile: []byte(profile)})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", profile, diff)
		}
	}
}
