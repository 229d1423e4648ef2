package profiles

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const basedRest = "\nload: {rate: 1/s}\ntarget: {url: 'http://h/'}\n"

// A pool can be a preset's, unchanged or with fields set otherwise. The label goes
// with it, and the changed fields are known.
func TestPoolBeginsWithAPreset(t *testing.T) {
	preset, _ := FindPool("reactor-netty")
	changed := preset.Pool
	changed.IdleTimeout = 15 * time.Second
	override := []Override{{"pool.idle_timeout", "0s", "15s"}}
	file := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(file, []byte("pool: {preset: reactor-netty, idle_timeout: 15s}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		sets []string
		over bool
	}{
		{"pool: reactor-netty", nil, false},
		{"pool: 'reactor-netty'", nil, false},
		{"pool: {preset: reactor-netty}", nil, false},
		{"preset: reactor-netty\npool: {preset: reactor-netty}", nil, false},
		{"", []string{"pool=reactor-netty"}, false},
		{"", []string{"pool.preset=reactor-netty"}, false},
		{"pool: okhttp", []string{"pool={preset: reactor-netty}"}, false},
		{"pool: {preset: reactor-netty, idle_timeout: 15s}", nil, true},
		{"pool:\n  idle_timeout: 15s\n  preset: reactor-netty", nil, true},
		{"pool: reactor-netty", []string{"pool.idle_timeout=15s"}, true},
		{"pool: reactor-netty", []string{"pool={idle_timeout: 15s}"}, true},
		{"", []string{"pool={preset: reactor-netty, idle_timeout: 15s}"}, true},
		{"", []string{"pool=" + file}, true},
	} {
		p, err := Load("t", []byte(c.text+basedRest), c.sets)
		if err != nil {
			t.Errorf("%q, %q: %v", c.text, c.sets, err)
			continue
		}
		want, over := preset.Pool, []Override(nil)
		if c.over {
			want, over = changed, override
		}
		if diff := cmp.Diff(want, p.Pool); diff != "" || p.Preset != "reactor-netty" || !cmp.Equal(Overrides(p), over) {
			t.Errorf("%q, %q: preset %q, overrides %v\n%s", c.text, c.sets, p.Preset, Overrides(p), diff)
		}
		written, err := Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Load("written", written, nil)
		if err != nil || !cmp.Equal(back, p) {
			t.Errorf("%q, %q: written and read: %v\n%s", c.text, c.sets, err, cmp.Diff(p, back))
		}
	}
	p, err := Load("t", []byte("pool: reactor-netty"+basedRest), []string{"pool=null"})
	if err != nil || p.Preset != "" || !cmp.Equal(p.Pool, Default().Pool) {
		t.Errorf("pool=null leaves %q, %v", p.Preset, err)
	}
}

// A label is not enough, wherever it stands, and the complaint has the fix.
func TestLabelsMustFit(t *testing.T) {
	whole, _ := FindPool("okhttp")
	fits, _ := Marshal(&Profile{Pool: whole.Pool})
	_, pool, _ := strings.Cut(string(fits), "\npool:\n")
	pool, _, _ = strings.Cut(pool, "\ntarget:")
	if p, err := Load("t", []byte("preset: okhttp\npool:\n"+pool+basedRest), nil); err != nil || p.Preset != "okhttp" {
		t.Errorf("a label that fits: %v", err)
	}
	for _, c := range []struct {
		text, set string
		says      []string
	}{
		{"preset: reactor-netty", "", []string{"t:1:1: preset: ", "but the pool differs from it in", "pool.max_conns", "pool: reactor-netty"}},
		{"name: x\npreset: reactor-netty\npool: {idle_timeout: 15s}", "", []string{"t:2:1: preset: ", "pool: {preset: reactor-netty, "}},
		{"preset: okhttp\npool: reactor-netty", "", []string{"the pool is reactor-netty and not okhttp; remove this line"}},
		{"", "preset=reactor-netty", []string{"--set preset=reactor-netty: ", "--set pool=reactor-netty"}},
		{"preset: nosuch", "", []string{"there is no preset \"nosuch\""}},
		{"pool: reactor-nety", "", []string{"t:1:7: pool: ", "did you mean reactor-netty?"}},
		{"pool: {preset: reactor-nety, idle_timeout: 15s}", "", []string{"did you mean reactor-netty?"}},
		{"pool: {preset: [a]}", "", []string{"pool.preset"}},
		{"pool: {preset: reactor-netty, idle: 15s}", "", []string{"pool.idle: unknown key"}},
		{"pool: {preset: reactor-netty, idle_timeout: 15}", "", []string{"has no unit"}},
		{"target: {lab: tomcatt}\nserver: {preset: nosuch}", "", []string{"did you mean tomcat?", "server nosuch: no such name"}},
	} {
		rest := basedRest
		if strings.Contains(c.text, "target:") {
			rest = "\nload: {rate: 1/s}\n"
		}
		var sets []string
		if c.set != "" {
			sets = []string{c.set}
		}
		_, err := Load("t", []byte(c.text+rest), sets)
		for _, part := range c.says {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%q, %q: %v\nhas no %q", c.text, c.set, err, part)
			}
		}
	}
}

// A profile without a pool is no pool.
func TestPoolOfAProfileWithoutOne(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bare.yaml")
	for text, want := range map[string]string{basedRest: "has no pool of its own", "preset: okhttp" + basedRest: "but the pool differs from it in"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadPool(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if err := os.WriteFile(file, []byte("pool: okhttp"+basedRest), 0o600); err != nil {
		t.Fatal(err)
	}
	okhttp, _ := FindPool("okhttp")
	if policy, err := LoadPool(file); err != nil || !cmp.Equal(policy, okhttp.Pool) {
		t.Errorf("%v, %+v", err, policy)
	}
}

// A server can be named like a pool: as a lab, and as facts about a server.
func TestServersByName(t *testing.T) {
	tomcat, _ := FindServer("tomcat")
	script := tomcat.Lab
	script.IdleTimeout = time.Second
	p, err := Load("t", []byte("load: {rate: 1/s}\ntarget: {lab: {preset: tomcat, idle_timeout: 1s}}"), nil)
	if err != nil || !reflect.DeepEqual(*p.Target.Lab, script) {
		t.Errorf("%v, %+v", err, p)
	}
	if p, err = Load("t", []byte("load: {rate: 1/s}\ntarget: {lab: tomcat}"), nil); err != nil || !reflect.DeepEqual(*p.Target.Lab, tomcat.Lab) {
		t.Errorf("%v, %+v", err, p)
	}
	facts := tomcat.Facts
	facts.Take(tomcat.Lab)
	facts.Delay = time.Second
	p, err = Load("t", []byte("server: {preset: tomcat, delay: 1s}\nvia: aws-nlb"+basedRest), nil)
	if err != nil || p.Server != facts || !p.Via.Silent {
		t.Errorf("%v, %+v", err, p)
	}
	if p, err = LoadToCheck([]string{"server=tomcat", "server.delay=1s"}); err != nil || p.Server != facts {
		t.Errorf("%v, %+v", err, p)
	}
}
