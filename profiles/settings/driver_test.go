package settings

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
)

var client = Driver{Client: "OkHttp", Has: []results.DriverSetting{
	{Name: "keepAlive", Kind: KindDuration, Pool: "idle_timeout"},
	{Name: "maxPerHost", Kind: KindCount, Pool: "max_conns"},
	{Name: "keepAlives", Kind: KindBool, Pool: "max_idle"},
	{Name: "strategy", Kind: KindText, Pool: "lease_order", Words: map[string]string{"fifo": "FIFO"}},
	{Name: "liveness", Kind: KindText, Pool: "liveness", Values: []string{"events", "none"}},
	{Name: "retry", Kind: KindBool},
	{Name: "name", Kind: KindText},
}}

// A pool's value becomes the client's, or the reason why it cannot.
func TestOfPool(t *testing.T) {
	for _, c := range []struct {
		field string
		set   func(*pool.Policy)
		name  string
		want  any
		err   string
	}{
		{"idle_timeout", func(p *pool.Policy) { p.IdleTimeout = 4 * time.Second }, "keepAlive", 4 * time.Second, ""},
		{"idle_timeout", func(p *pool.Policy) {}, "keepAlive", nil, ""},
		{"max_conns", func(p *pool.Policy) { p.MaxConns = 8 }, "maxPerHost", int64(8), ""},
		{"max_conns", func(p *pool.Policy) { p.MaxConns = pool.NoCap }, "maxPerHost", nil, ""},
		{"max_idle", func(p *pool.Policy) { p.MaxIdle = 0 }, "keepAlives", false, ""},
		{"max_idle", func(p *pool.Policy) {}, "keepAlives", true, ""},
		{"lease_order", func(p *pool.Policy) { p.LeaseOrder = pool.FIFO }, "strategy", "FIFO", ""},
		{"lease_order", func(p *pool.Policy) {}, "strategy", nil, "OkHttp has no word for pool.lease_order: lifo in its setting strategy (fifo)"},
		{"liveness", func(p *pool.Policy) {}, "liveness", "events", ""},
		{"liveness", func(p *pool.Policy) { p.Liveness = pool.Probe }, "liveness", nil, "OkHttp has no word for pool.liveness: probe in its setting liveness (events, none)"},
		{"max_lifetime", func(p *pool.Policy) { p.MaxLifetime = time.Second }, "", nil, "OkHttp has no setting for max_lifetime; it has those for pool.idle_timeout, pool.lease_order, pool.liveness, pool.max_conns, pool.max_idle"},
	} {
		p := pool.Default()
		c.set(&p)
		s, got, err := client.OfPool(p, c.field)
		if c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("%s: %v, want %q", c.field, err, c.err)
			}
			continue
		}
		if err != nil || s.Name != c.name || got != c.want {
			t.Errorf("%s: %s %v (%T), %v; want %s %v", c.field, s.Name, got, got, err, c.name, c.want)
		}
	}
	_, _, err := client.OfPool(pool.Default(), "max_lifetime")
	if _, none := errors.AsType[*NoSettingError](err); !none {
		t.Errorf("%T", err)
	}
}

// What a user writes for a setting is read by its kind, or refused with what it takes.
func TestValueOfADriversSetting(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       any
		err        string
	}{
		{"keepAlive", "4s", 4 * time.Second, ""},
		{"keepAlive", "0s", time.Duration(0), ""},
		{"keepAlive", "none", nil, ""},
		{"keepAlive", "null", nil, ""},
		{"keepAlive", "4", nil, `"4": keepAlive takes a time with its unit, as 250ms or 4s, or none`},
		{"keepAlive", "-1s", nil, `"-1s": keepAlive takes a time with its unit`},
		{"maxPerHost", "16", int64(16), ""},
		{"maxPerHost", "1.5", nil, `"1.5": maxPerHost takes a whole number, or none`},
		{"retry", "False", false, ""},
		{"retry", "no", nil, `"no": retry takes true or false`},
		{"strategy", "fifo", "FIFO", ""},
		{"strategy", "FIFO", "FIFO", ""},
		{"strategy", "random", nil, `"random": strategy takes a word (fifo)`},
		{"liveness", "none", "none", ""},
		{"name", "anything at all", "anything at all", ""},
		{"keepAliv", "4s", nil, "OkHttp has no setting keepAliv; did you mean keepAlive? it has keepAlive, maxPerHost"},
	} {
		got, err := client.Value(c.name, c.text)
		if c.err != "" {
			if err == nil || !strings.HasPrefix(err.Error(), c.err) {
				t.Errorf("%s: %s: %v, want %q", c.name, c.text, err, c.err)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %s: %v (%T), %v; want %v", c.name, c.text, got, got, err, c.want)
		}
	}
	if _, err := (Driver{Client: "Bare"}).Value("x", "1"); err == nil || err.Error() != "Bare has no settings; remove it" {
		t.Error(err)
	}
}

// A remedy is spelled by the client's settings, and what the client lacks is named.
func TestSpelledByADriver(t *testing.T) {
	list, lacks, why := client.Spelled(pool.Default(), map[string]string{"pool.idle_timeout": "500ms", "pool.max_lifetime": "1s", "load.rate": "5/s"})
	if len(list) != 1 || list[0].Text != "keepAlive: 500ms" || list[0].Path != "pool.idle_timeout" || list[0].Client != "OkHttp" {
		t.Errorf("%+v", list)
	}
	if diff := cmp.Diff([]string{"pool.max_lifetime"}, lacks); diff != "" || len(why) != 1 {
		t.Error(diff, why)
	}
}
