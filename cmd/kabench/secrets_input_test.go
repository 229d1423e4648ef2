package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kabench/kabench/internal/exit"
)

// TestInputErrorsQuoteNoSecret gives kabench wrong input that contains a secret. The error
// names the place and does not show the secret.
func TestInputErrorsQuoteNoSecret(t *testing.T) {
	const head = "name: p\nload: {rate: 10/s}\n"
	const inURL, inHeader = "http://zyxwvuts:" + token + "%zz@127.0.0.1:1/", "Bearer " + token
	for _, c := range []struct {
		name  string
		files map[string]string
		args  string // ␠ is a blank within one
		want  string
	}{
		{"a URL's user", nil, "run --target " + inURL + " --rate 10/s", "--target http://"},
		{"with a slash in the password", nil, "run --target http://zyxwvuts:" + token + "/" + cookie + "@h/ --rate 10/s", "--target http://"},
		{"with a blank in the password", nil, "run --target http://zyxwvuts:" + token + "␠" + cookie + "@h/ --rate 10/s", "--target http://"},
		{"with a quote in the password", nil, "run --target http://zyxwvuts:" + token + "\"" + cookie + "@h/ --rate 10/s", "--target http://"},
		{"with another scheme", nil, "run --target ftp://zyxwvuts:" + token + "@h/ --rate 10/s", "must begin with http://"},
		{"with no scheme", nil, "run --target zyxwvuts:" + token + "@h/ --rate 10/s", "--target"},
		{"with a bad port", nil, "run --target http://zyxwvuts:" + token + "@h:99999/ --rate 10/s", "99999"},
		{"in a parameter", nil, "run --target http://h:x/?token=" + token + " --rate 10/s", "--target"},
		{"in the fragment", nil, "run --target http://h:x/#" + token + " --rate 10/s", "--target"},
		{"of nobody who listens", nil, "run --target http://zyxwvuts:" + token + "@127.0.0.1:1/?key=" + token + " --rate 10/s", "cannot be reached"},
		{"for a profile", nil, "run " + inURL, "is a URL, not a profile"},
		{"for a file of targets", nil, "run --targets " + inURL + " --rate 10/s", "no such file"},
		{"of diagnose", nil, "diagnose x --out none --target " + inURL, "--target http://"},
		{"of diagnose, nobody who listens", nil, "diagnose EOF --out none --target http://zyxwvuts:" + token + "@127.0.0.1:1/?key=" + token, "127.0.0.1:1"},
		{"a header of diagnose", nil, "diagnose x --out none --set target.headers.Authorization=Bearer␠" + token + "\n", "target.headers.Authorization"},
		{"a header", nil, "run quick --set target.headers.Authorization=Bearer␠" + token + "\n", "target.headers.Authorization"},
		{"a header's short name", nil, "run quick --set headers.Authorization=Bearer␠" + token, "unknown"},
		{"all headers", nil, "run quick --set target.headers={Authorization:␠" + token, "target.headers"},
		{"the target", nil, "run quick --set target={url:␠" + inURL + "}", "target"},
		{"no path", nil, "run quick --set Authorization:␠Bearer␠" + token, "path=value"},
		{"with =", nil, "run quick --set=target.headers.Cookie=sid=" + cookie + "\x01", "target.headers.Cookie"},
		{"a flag there is not", nil, "run quick --authorization=" + token, "has no flag"},
		{"a header as a flag", nil, "run quick -H Authorization:␠Bearer␠" + token, "has no flag"},
		{"an argument too many", nil, "run quick Authorization:␠Bearer␠" + token, "unexpected argument"},
		{"a command", nil, inURL, "there is no command"},
		{"an axis", nil, "compare quick --axis target.headers.Authorization=" + token + "\x01," + cookie, "target.headers.Authorization"},
		{"an axis without values", nil, "compare quick --axis Authorization:" + token, "--axis"},
		{"a set of compare", nil, "compare quick --pool okhttp --pool reactor-netty --set target.url=" + inURL, "target.url"},
		{"lint", nil, "lint quick --set target.headers.Authorization=" + token + "\x01", "target.headers.Authorization"},
		{"lint of a pool", nil, "lint --pool okhttp --set target.url=" + inURL, "target.url"},
		{"lab", map[string]string{"p.yaml": head + "target:\n  url: http://zyxwvuts:" + token + "@h/?token=" + token + "\n"}, "lab p.yaml", "no server of its own"},

		{"a profile's URL", map[string]string{"p.yaml": head + "target: {url: '" + inURL + "'}\n"}, "run p.yaml", "p.yaml:3"},
		{"a profile's header", map[string]string{"p.yaml": head + "target:\n  url: http://h/\n  headers:\n    Authorization: \"" + inHeader + "\\n\"\n"}, "run p.yaml", "p.yaml:6"},
		{"without a colon", map[string]string{"p.yaml": head + "target:\n  url: http://h/\n  headers:\n    Authorization " + inHeader + "\n"}, "run p.yaml", "p.yaml:"},
		{"a list", map[string]string{"p.yaml": head + "target: {url: http://h/, headers: {Cookie: [" + cookie + ", " + token + "]}}\n"}, "run p.yaml", "p.yaml:3"},
		{"headers as a text", map[string]string{"p.yaml": head + "target:\n  headers: 'Authorization: " + inHeader + "'\n"}, "run p.yaml", "target.headers"},
		{"headers elsewhere", map[string]string{"p.yaml": head + "Authorization: " + inHeader + "\n"}, "run p.yaml", "Authorization"},
		{"in a duration", map[string]string{"p.yaml": head + "target: {url: http://h/, headers: {X-Api-Key: " + token + "}, tcp: {keep_alive: " + token + "}}\n"}, "run p.yaml", "keep_alive"},
		{"a tag", map[string]string{"p.yaml": head + "target:\n  headers:\n    Authorization: !" + token + " x\n"}, "run p.yaml", "Authorization"},
		{"not YAML", map[string]string{"p.yaml": head + "target:\n  headers:\n    Authorization: \"" + inHeader + "\n"}, "run p.yaml", "not YAML"},
		{"over lines", map[string]string{"p.yaml": head + "target:\n  headers:\n    Authorization: >-\n      Bearer\n      " + token + "\n     x\n  metod: " + token + "\n"}, "run p.yaml", "p.yaml"},
		{"a remedy's", map[string]string{"p.yaml": head + "target: {url: http://h/}\nremedies:\n- {name: r, set: {target.url: '" + inURL + "'}}\n"}, "run p.yaml", "remedies.0"},
		{"a profile for a lint", map[string]string{"p.yaml": head + "target: {url: '" + inURL + "'}\n"}, "lint p.yaml", "p.yaml:3"},
		{"a profile for a lab", map[string]string{"p.yaml": head + "target: {url: '" + inURL + "'}\n"}, "lab p.yaml", "p.yaml:3"},
		{"a profile for a pool", map[string]string{"p.yaml": head + "pool: {idle: 3s}\ntarget: {headers: {Authorization: [" + token + "]}}\n"}, "run quick --pool ./p.yaml", "p.yaml"},
		{"a profile for a server", map[string]string{"p.yaml": head + "target: {url: '" + inURL + "'}\n"}, "lint quick --server ./p.yaml", "p.yaml"},
		{"a matrix's set", map[string]string{"m.yaml": "profile: quick\nset: {target.headers.Authorization: \"" + token + "\\x01\"}\naxes: {pool.max_idle: [1, 2]}\n"}, "compare ./m.yaml", "target.headers.Authorization"},
		{"a matrix's axis", map[string]string{"m.yaml": "profile: quick\naxes: {target.headers.Cookie: [\"" + token + "\\x01\", " + cookie + "]}\n"}, "compare ./m.yaml", "m.yaml:2"},
		{"a matrix's key", map[string]string{"m.yaml": "profile: quick\nAuthorization: " + token + "\n"}, "compare ./m.yaml", "Authorization"},
		{"not a matrix", map[string]string{"m.yaml": "profile: quick\naxes:\n  target.headers.Authorization: " + token + "\n"}, "compare ./m.yaml", "axes"},

		{"a target's URL", map[string]string{"t": "GET " + inURL + "\n"}, "run --targets t --rate 10/s", "target 1"},
		{"a target's bad port", map[string]string{"t": "GET http://zyxwvuts:" + token + "@h:99999/?sig=" + cookie + "\n"}, "run --targets t --rate 10/s", "99999"},
		{"a target's line", map[string]string{"t": "http://zyxwvuts:" + token + "@h/\n"}, "run --targets t --rate 10/s", "target 1"},
		{"a target's blank", map[string]string{"t": "GET http://zyxwvuts:" + token + " " + cookie + "@h/\n"}, "run --targets t --rate 10/s", "target 1"},
		{"a target's method", map[string]string{"t": "Authorization: " + inHeader + "\n"}, "run --targets t --rate 10/s", "target 1"},
		{"a target's token alone", map[string]string{"t": inHeader + "\n"}, "run --targets t --rate 10/s", "target 1"},
		{"a target's header", map[string]string{"t": "GET http://h/\nAuthorization: " + inHeader + "\x01\n"}, "run --targets t --rate 10/s", "Authorization"},
		{"a target's header without a colon", map[string]string{"t": "GET http://h/\nAuthorization " + inHeader + "\n"}, "run --targets t --rate 10/s", "target 1"},
		{"a target's folded header", map[string]string{"t": "GET http://h/\nCookie:\n  " + cookie + "\n"}, "run --targets t --rate 10/s", "target 1"},
		{"a JSON target's URL", map[string]string{"t": `{"method":"GET","url":"` + inURL + `"}`}, "run --targets t --format json --rate 10/s", "target 1"},
		{"a JSON target's header", map[string]string{"t": `{"method":"GET","url":"http://h/","header":{"Authorization":["` + inHeader + `\u0001"]}}`}, "run --targets t --format json --rate 10/s", "Authorization"},
		{"a JSON target's header as a text", map[string]string{"t": `{"method":"GET","url":"http://h/","header":{"Authorization":"` + inHeader + `"}}`}, "run --targets t --format json --rate 10/s", "target"},
		{"not JSON", map[string]string{"t": `{"method":"GET","url":"http://h/","header":{"X-Api-Key":["` + token + `", "` + cookie}, "run --targets t --format json --rate 10/s", "target"},
		{"JSON for the other format", map[string]string{"t": `{"method":"GET","url":"http://h/","header":{"Authorization":["` + inHeader + `"]}}`}, "run --targets t --rate 10/s", "target"},
		{"the other format for JSON", map[string]string{"t": "GET http://zyxwvuts:" + token + "@h/\nAuthorization: " + inHeader + "\n"}, "run --targets t --format json --rate 10/s", "target"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for name, text := range c.files {
				write(t, filepath.Join(".", name), text)
			}
			args := strings.Split(c.args, " ")
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], "␠", " ")
			}
			var out, chatter bytes.Buffer
			if code := run(args, &out, &chatter); code != exit.Input {
				t.Errorf("%q: code %d, want %d", args, code, exit.Input)
			}
			for _, leak := range leaks(out.String() + chatter.String()) {
				t.Errorf("%q: %q", args, leak)
			}
			if !strings.Contains(chatter.String(), c.want) {
				t.Errorf("%q: %q does not say %q", args, &chatter, c.want)
			}
		})
	}
}

// What would be measured first is said without the secrets of the target.
func TestDryRunShowsNoSecret(t *testing.T) {
	t.Chdir(t.TempDir())
	out, chatter := says(t, exit.Done, "reproduce", "idle-race", "--dry-run", "--target", "http://zyxwvuts:"+token+"@127.0.0.1:1/?key="+token)
	if list := leaks(out + chatter); len(list) > 0 || !strings.Contains(out, "kabench would measure http://") {
		t.Errorf("%q: %s%s", list, out, chatter)
	}
}
