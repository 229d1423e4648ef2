package lint

import (
	"strings"
	"testing"

	"github.com/kabench/kabench/profiles"
)

// A finding says what to write in the client whose pool it is.
func TestFindingsInTheWordsOfTheClient(t *testing.T) {
	for _, test := range []struct {
		pool, want string
	}{
		{"reactor-netty", `ConnectionProvider.builder("pool").maxIdleTime(Duration.ofMillis(67500))`},
		{"undici", ""}, // it is below the server's already
		{"urllib3", "urllib3 has no idle timeout"},
		{"jdk-httpclient-17", "-Djdk.httpclient.keepalive.timeout=67"},
		{"default", ""},
	} {
		p, err := profiles.LoadToCheck([]string{"pool=" + test.pool, "server=nginx"})
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, f := range Check(p, Options{}).Findings {
			if f.Rule != RuleIdleOrder {
				continue
			}
			for _, s := range f.Settings {
				said = append(said, s.Text+s.Instead)
			}
		}
		if test.want == "" && len(said) > 0 || test.want != "" && (len(said) == 0 || !strings.HasPrefix(said[0], test.want)) {
			t.Errorf("%s: %q", test.pool, said)
		}
	}
}

func TestAssignment(t *testing.T) {
	for text, want := range map[string][2]string{
		"pool.idle_timeout=4s":                                            {"pool.idle_timeout", "4s"},
		"pool.idle_timeout=1m7.5s, or less":                               {"pool.idle_timeout", "1m7.5s"},
		"pool.pending_max=5; or more connections":                         {"pool.pending_max", "5"},
		"pool.max_conns=9 so that it does not wait":                       {"pool.max_conns", "9"},
		"pool.resend=[{on: any, after: [eof, rst], max: 1}]; or a header": {"pool.resend", "[{on: any, after: [eof, rst], max: 1}]"},
		"more threads": {"more threads", ""},
		"":             {"", ""},
	} {
		if path, value := assignment(text); path != want[0] || value != want[1] {
			t.Errorf("%q: %q, %q", text, path, value)
		}
	}
}
