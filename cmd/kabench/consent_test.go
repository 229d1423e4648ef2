//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/profiles/script"
)

// A server that is neither here nor in a private network is loaded only with --i-may: every
// command asks before it sends, and says how much it would send.
func TestEveryCommandAsks(t *testing.T) {
	t.Parallel()
	plain := labServer(t, script.Server{})
	dir := t.TempDir()
	file := func(name, text string) string {
		at := filepath.Join(dir, name)
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return at
	}
	own := file("own.yaml", "name: own\ntarget: {url: 'http://192.0.2.1:9/'}\nload: {rate: 100/s, duration: 2s, warm_up: 0s}\nexpect: {failures: 0}\nremedies: [{name: none idle, set: {pool.max_idle: 0}, expect: {failures: 0}}]\n")
	targets := file("targets.txt", "GET "+plain.URL()+"\n\nGET http://198.51.100.7:9/\n\nGET http://192.0.2.1:9/\n")
	for _, test := range []struct {
		args []string
		want []string
	}{
		{[]string{"run", "--target", "http://192.0.2.1:9/", "--rate", "100/s", "--duration", "2s", "--warm-up", "0s"}, []string{"192.0.2.1 is not on this machine", "about 200 requests in 1 run, which send for 2.00 s", "--i-may"}},
		{[]string{"run", own}, []string{"about 200 requests in 1 run"}},
		{[]string{"run", "--targets", targets, "--rate", "10/s", "--duration", "1s"}, []string{"198.51.100.7 is not on this machine"}},
		{[]string{"compare", own, "--axis", "pool.max_idle=1,2", "--repeats", "3"}, []string{"about 1200 requests in 6 runs, which send for 12.0 s"}},
		{[]string{"reproduce", own}, []string{"about 400 requests in 2 runs, which send for 4.00 s"}},
		{[]string{"reproduce", "--all", "--set", "target.lab=null", "--set", "target.url=http://192.0.2.1:9/"}, []string{"--i-may"}},
	} {
		code, stdout, stderr := command(append(test.args, "--out", filepath.Join(dir, "kept"))...)
		if code != exit.Input || stdout != "" {
			t.Errorf("%q: exit code %d, %s", test.args, code, stdout)
		}
		for _, want := range append(test.want, "Nothing was sent") {
			if !strings.Contains(stderr, want) {
				t.Errorf("%q does not say %q: %s", test.args, want, stderr)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "kept")); err == nil {
			t.Errorf("%q has made a directory", test.args)
		}
	}
	if n := plain.Seen().Requests; n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	if code, _, stderr := command("run", "--target", plain.URL(), "--rate", "50/s", "--duration", "200ms", "--warm-up", "0s", "--out", "none"); code != exit.Done {
		t.Errorf("a server of this machine: exit code %d, %s", code, stderr)
	}
}
