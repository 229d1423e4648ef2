package profiles

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles/settings"
)

// samples are values of each field, as in a profile.
func samples(field string) []string {
	switch field {
	case "idle_timeout":
		return []string{"4s", "4900ms", "500ms", "0s"}
	case "pending_timeout", "sweep_every", "max_lifetime", "probe_after", "hint_margin", "hint_cap", "connect_timeout", "response_timeout":
		return []string{"4s", "4900ms", "0s"}
	case "lease_order":
		return []string{"lifo", "fifo"}
	case "server_hint":
		return []string{"min"}
	case "resend":
		return []string{"[]", "[{on: any, after: [eof], methods: idempotent, max: 1, path: pool}]"}
	case "expiry":
		return []string{"[lease, sweep]"}
	case "max_idle", "max_idle_all", "pending_max":
		return []string{"16", "0", "none"}
	}
	return []string{"16", "none"}
}

// testdata/settings.txt has what each preset says for sample values. KABENCH_SETTINGS=write
// writes it again.
func TestSpelledTable(t *testing.T) {
	var b strings.Builder
	for _, p := range Pools() { // one with SettingsOf says what the other says
		for _, field := range p.Settings.Fields() {
			for _, value := range samples(field) {
				spelled := p.Spelled("pool."+field, value)
				if len(spelled) == 0 {
					t.Errorf("%s: %s=%s is spelled in no way", p.Name, field, value)
				}
				for _, s := range spelled {
					if (s.Text == "") == (s.Instead == "") || s.In == "" || s.Versions == "" || s.Source == "" || s.Client != p.Name {
						t.Errorf("%s: %s=%s: %+v", p.Name, field, value, s)
					}
					if strings.Contains(s.Text, "%!") || regexp.MustCompile(`\{[a-z_.]+\}`).MatchString(s.Text) {
						t.Errorf("%s: %s=%s: a placeholder is left: %s", p.Name, field, value, s.Text)
					}
					said := s.Text
					if said == "" {
						said = "(" + s.Instead + ")"
					}
					if written := !strings.HasPrefix(s.Instead, "this setting"); s.Text == "" && written && value != samples(field)[0] {
						continue // the words are the preset's, and the same for each value
					}
					fmt.Fprintf(&b, "%s %s=%s [%s] %s\n", p.Name, field, value, s.In, said)
				}
			}
		}
	}
	const file = "testdata/settings.txt"
	if os.Getenv("KABENCH_SETTINGS") == "write" {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("the settings differ from %s (-file +presets); if they are right: KABENCH_SETTINGS=write go test -run TestSpelledTable ./profiles\n%s", file, diff)
	}
}

// A client is never told a longer time than was asked for, and never 0.
func TestSpelledIsNeverLonger(t *testing.T) {
	for _, p := range Pools() {
		for _, field := range p.Ways().Fields() {
			if samples(field)[0] != "4s" {
				continue
			}
			for _, asked := range []time.Duration{time.Microsecond, 999 * time.Microsecond, 500 * time.Millisecond, 1999 * time.Millisecond, 4900 * time.Millisecond, 61 * time.Second, 25*time.Hour + 1} {
				for _, s := range p.Spelled("pool."+field, asked) {
					if s.Text == "" {
						continue
					}
					then, err := time.ParseDuration(s.Value)
					if err != nil || then > asked || then <= 0 || asked-then >= time.Second {
						t.Errorf("%s: %s=%v becomes %s: %s", p.Name, field, asked, s.Value, s.Text)
					}
				}
			}
		}
	}
	for _, test := range []struct{ preset, asked, text, why string }{
		{"jdk-httpclient", "4900ms", "-Djdk.httpclient.keepalive.timeout=4", ""},
		{"jdk-httpclient", "500ms", "", "this setting counts in steps of 1s and cannot say 500ms; the shortest time is 1s"},
		{"libcurl", "500ms", "", "this setting counts in steps of 1s"},
		{"node-agent", "500ms", "new http.Agent({ keepAlive: true, timeout: 500 })", ""},
	} {
		p, _ := FindPool(test.preset)
		if got := p.Spelled("pool.idle_timeout", test.asked)[0]; got.Text != test.text || !strings.HasPrefix(got.Instead, test.why) {
			t.Errorf("%s, %s: %+v", test.preset, test.asked, got)
		}
	}
}

// Each client says how its idle timeout is set, or what its users do instead; no way
// contradicts another, the preset's values or what the preset says it cannot.
func TestSettingsFitTheirPresets(t *testing.T) {
	for _, p := range Pools() {
		all := p.Ways()
		if p.Client == "" {
			if len(all) > 0 {
				t.Errorf("%s is no client, and has settings", p.Name)
			}
			continue
		}
		for _, must := range []string{"idle_timeout", "connect_timeout", "resend"} {
			if len(all[must]) == 0 && !(p.Name == "agentkeepalive" && must == "connect_timeout") {
				t.Errorf("%s says nothing about %s", p.Name, must)
			}
		}
		for field, list := range all {
			for i, one := range list {
				for _, cannot := range p.Cannot.Texts() {
					if one.Set != "" && strings.Contains(cannot, "no "+strings.ReplaceAll(field, "_", " ")) {
						t.Errorf("%s: %s is set by %s, and the preset says: %s", p.Name, field, one.Set, cannot)
					}
				}
				for _, other := range list[i+1:] {
					if one.In == other.In && one.Versions == other.Versions && (one.Set == "") != (other.Set == "") {
						t.Errorf("%s: %s can be set in %s, and cannot", p.Name, field, one.In)
					}
					if one.Set != "" && one.Set == other.Set && one.In == other.In {
						t.Errorf("%s: %s: %s is there twice", p.Name, field, one.Set)
					}
				}
			}
			// What the client does by itself can be said too, unless it is off.
			if slices.Contains([]string{"lease_order", "resend"}, field) && list[0].Set != "" {
				own := p.Pool.LeaseOrder.String()
				if field == "resend" {
					own = "[]"
				}
				if got := p.Spelled("pool."+field, own); got[0].Text == "" {
					t.Errorf("%s: %s=%s: %s", p.Name, field, own, got[0].Instead)
				}
			}
		}
	}
}

func TestSpelledTakesValuesOfGo(t *testing.T) {
	p, _ := FindPool("reactor-netty")
	for _, test := range []struct {
		path  string
		value any
		want  string
	}{
		{"pool.idle_timeout", 4 * time.Second, `ConnectionProvider.builder("pool").maxIdleTime(Duration.ofSeconds(4))`},
		{"idle_timeout", "4s", `ConnectionProvider.builder("pool").maxIdleTime(Duration.ofSeconds(4))`},
		{"pool.max_conns", 64, `ConnectionProvider.builder("pool").maxConnections(64)`},
		{"pool.pending_max", pool.NoCap, `ConnectionProvider.builder("pool").pendingAcquireMaxCount(-1)`},
		{"pool.lease_order", pool.LIFO, `ConnectionProvider.builder("pool").lifo()`},
		{"pool.idle_timeout", "soon", ""},
		{"pool.idle_timeout", nil, ""},
		{"pool.make_room", true, ""},
		{"load.rate", "4/s", ""},
	} {
		got := p.Spelled(test.path, test.value)
		if test.want == "" && got != nil || test.want != "" && (len(got) == 0 || got[0].Text != test.want) {
			t.Errorf("%s=%v: %+v", test.path, test.value, got)
		}
	}
	if def, _ := FindPool("default"); def.Spelled("pool.idle_timeout", "4s") != nil {
		t.Error("kabench's own pool has no client")
	}
}

// Without a client, the usual way of each of the usual clients is listed; with one, its
// ways with the values of the profile's pool.
func TestProfileSpelled(t *testing.T) {
	change := map[string]string{"pool.idle_timeout": "4s", "load.rate": "1/s"}
	load := func(pool string) *Profile {
		t.Helper()
		p, err := Load("p.yaml", []byte("load: {rate: 5/s}\ntarget: {lab: {}}\n"+pool), nil)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	var told []string
	for _, s := range load("").Spelled(change) {
		told = append(told, s.Client)
	}
	if diff := cmp.Diff(UsualClients(), told); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, test := range []struct{ pool, client, text string }{
		{"pool: go-tuned\n", "go-tuned", "transport.IdleConnTimeout = 4 * time.Second"},
		{"client: stock\n", "go-default-transport", "transport.IdleConnTimeout = 4 * time.Second"},
		{"pool: {preset: okhttp, max_idle_all: 7}\n", "okhttp", "new OkHttpClient.Builder().connectionPool(new ConnectionPool(7, 4, TimeUnit.SECONDS))"},
	} {
		got := load(test.pool).Spelled(change)
		if len(got) != 1 || got[0].Client != test.client || got[0].Text != test.text {
			t.Errorf("%s: %+v", test.pool, got)
		}
	}
	if got := load("").Spelled(map[string]string{"load.rate": "1/s"}); got != nil {
		t.Errorf("no field of the pool changes: %+v", got)
	}
}

func TestComplaintsAboutSettings(t *testing.T) {
	head := "name: mine\nwhat: mine\nversions: '1'\n"
	for _, test := range []struct{ settings, want string }{
		{"settings:\n  idle_tmeout:\n    - {in: a, set: 'x={s}', versions: '1', source: b}\n", "p.yaml:5:3: settings.idle_tmeout: is no field of a pool; did you mean idle_timeout?"},
		{"settings:\n  idle_timeout:\n    - {in: a, set: 'x={seconds}', versions: '1', source: b}\n", "p.yaml:6:15: settings.idle_timeout.0.set: {seconds} is not known; write one of {apache},"},
		{"settings:\n  idle_timeout:\n    - {in: a, sets: 'x={s}', versions: '1', source: b}\n", "p.yaml:6:15: settings.idle_timeout.0.sets: "},
		{"settings:\n  max_conns:\n    - {in: a, set: 'x={ms}', versions: '1', source: b}\n", "p.yaml:6:15: settings.max_conns.0.set: {ms} does not fit max_conns"},
		{"settings: 4\n", "p.yaml:4:11: settings: is a single value; a mapping of keys to values belongs here"},
		{"settings_of: default\n", "p.yaml:4:1: settings_of: there is no preset default with settings"},
		{"settings_of: nobody\n", "settings_of: there is no preset nobody with settings"},
		{"settings_of: undici\nsettings:\n  idle_timeout:\n    - {in: a, set: 'x={s}', versions: '1', source: b}\n", "settings_of: contradicts settings; remove one"},
	} {
		_, err := parsePreset("p.yaml", []byte(head+test.settings+"pool: {}\n"))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s\n got %v\nwant %s", test.settings, err, test.want)
		}
	}
	p, err := parsePreset("p.yaml", []byte(head+"settings:\n  idle_timeout:\n    - {in: a, set: 'x={s}', versions: '1', source: b}\npool: {}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Spelled("pool.idle_timeout", "4s"); len(got) != 1 || got[0].Text != "x=4" {
		t.Errorf("%+v", got)
	}
}

// docs/presets.md has each field of a spelling and each form, in its words.
func TestDocsNameEveryForm(t *testing.T) {
	page, err := os.ReadFile("../docs/presets.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, form := range settings.Forms {
		if row := fmt.Sprintf("| `{%s}` | %s |", name, form.What); !strings.Contains(string(page), row) {
			t.Errorf("docs/presets.md lacks %s", row)
		}
	}
	if n := strings.Count(string(page), "| `{"); n != len(settings.Forms) {
		t.Errorf("docs/presets.md has %d forms, there are %d", n, len(settings.Forms))
	}
	for _, field := range strictyaml.KeysOf(reflect.TypeFor[settings.Spelling]()) {
		if !regexp.MustCompile("(?m)^\\| .*`" + field + "`.* \\|").Match(page) {
			t.Errorf("docs/presets.md does not name %s", field)
		}
	}
	example := regexp.MustCompile("(?s)```yaml\n(settings:.*?)```").FindSubmatch(page)
	if example == nil {
		t.Fatal("no example")
	}
	p, err := parsePreset("docs/presets.md", []byte("name: x\nwhat: x\nversions: x\npool: {}\n"+string(example[1])))
	if err != nil {
		t.Fatal(err)
	}
	if theirs, _ := FindPool("reactor-netty"); !strings.HasPrefix(theirs.Settings["idle_timeout"][1].Set, p.Settings["idle_timeout"][1].Set) {
		t.Error("the example is not reactor-netty's")
	}
}
