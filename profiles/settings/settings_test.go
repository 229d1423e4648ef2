package settings

import (
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers/pool"
)

// way is one way to set a field.
func way(set string, values map[string]string) Spelling {
	return Spelling{In: "a file", Set: set, Values: values, Versions: "1", Source: "its manual"}
}

// A value is written in the unit that the client takes, and never becomes longer.
func TestSpell(t *testing.T) {
	const whole = "x={s}"
	for _, test := range []struct {
		field, value, set string
		values            map[string]string
		text, then, why   string
	}{
		{"idle_timeout", "4s", whole, nil, "x=4", "4s", ""},
		{"idle_timeout", "4900ms", whole, nil, "x=4", "4s", ""},
		{"idle_timeout", "999ms", whole, nil, "", "", "cannot say 999ms; the shortest time is 1s"},
		{"idle_timeout", "500ms", whole, nil, "", "", "the shortest time is 1s"},
		{"idle_timeout", "1500us", "x={ms}", nil, "x=1", "1ms", ""},
		{"idle_timeout", "500us", "x={decimal}", nil, "", "", "the shortest time is 1ms"},
		{"idle_timeout", "119s", "x={minutes}", nil, "x=1", "1m0s", ""},
		{"idle_timeout", "90m", "x={s}", nil, "x=5400", "1h30m0s", ""},
		{"idle_timeout", "0s", whole, nil, "", "", "cannot say off"},
		{"idle_timeout", "0s", whole, map[string]string{"0s": "-1"}, "x=-1", "0s", ""},
		{"idle_timeout", "4900ms", "x={decimal}", nil, "x=4.9", "4.9s", ""},
		{"idle_timeout", "4900ms", "x={unit}", nil, "x=4900ms", "4.9s", ""},
		{"idle_timeout", "2m", "x={unit}", nil, "x=120s", "2m0s", ""},
		{"idle_timeout", "4900ms", "x={proto}", nil, "x=4.9s", "4.9s", ""},
		{"idle_timeout", "4900ms", "{java}", nil, "Duration.ofMillis(4900)", "4.9s", ""},
		{"idle_timeout", "4s", "{java}", nil, "Duration.ofSeconds(4)", "4s", ""},
		{"idle_timeout", "4s", "TimeValue.{apache}", nil, "TimeValue.ofSeconds(4)", "4s", ""},
		{"idle_timeout", "4100ms", "TimeValue.{apache}", nil, "TimeValue.ofMilliseconds(4100)", "4.1s", ""},
		{"idle_timeout", "4s", "({timeunit})", nil, "(4, TimeUnit.SECONDS)", "4s", ""},
		{"idle_timeout", "4s", "x = {go}", nil, "x = 4 * time.Second", "4s", ""},
		{"idle_timeout", "4s", "{rust}", nil, "Duration::from_secs(4)", "4s", ""},
		{"idle_timeout", "4s", "{dotnet}", nil, "TimeSpan.FromSeconds(4)", "4s", ""},
		{"max_conns", "16", "x={n}", nil, "x=16", "16", ""},
		{"max_conns", "none", "x={n}", nil, "", "", "no word for none"},
		{"max_conns", "-1", "x={n}", map[string]string{"none": "0"}, "x=0", "none", ""},
		{"max_idle", "0", "x={n}", map[string]string{"0": ""}, "", "", "no word for 0"},
		{"lifetime_jitter", "10", "x={n}", nil, "x=10", "10", ""},
		{"lease_order", "lifo", "x={value}", map[string]string{"lifo": "LIFO"}, "x=LIFO", "lifo", ""},
		{"lease_order", "fifo", "x={value}", map[string]string{"lifo": "LIFO"}, "", "", "no word for fifo"},
		{"make_room", "true", "x={value}", map[string]string{"true": "yes", "false": "no"}, "x=yes", "true", ""},
		{"resend", "[]", "x={value}", map[string]string{"[]": "off", "other": "on"}, "x=off", "[]", ""},
		{"resend", "[{on: any, after: [eof], methods: all, max: 1, path: pool}]", "x={value}", map[string]string{"[]": "off", "other": "on"}, "x=on", "", ""},
		{"expiry", "[lease, timer]", "x={value}", map[string]string{"[lease, timer]": "both"}, "x=both", "", ""},
		// Another field's value stands beside the one that is set.
		{"idle_timeout", "4s", "Pool({max_idle_all.n}, {s})", nil, "Pool(5, 4)", "4s", ""},
		{"idle_timeout", "4s", "Pool({max_conns.n}, {s})", nil, "", "", "no word for none"},
	} {
		s := Spellings{test.field: {way(test.set, test.values)}}
		if err := s.Validate(); err != nil {
			t.Errorf("%s %s: %v", test.field, test.set, err)
			continue
		}
		policy := pool.Default()
		policy.MaxIdleAll = 5
		policy, paths := Change(policy, map[string]string{"pool." + test.field: test.value})
		if len(paths) != 1 {
			t.Errorf("%s=%s is not a value", test.field, test.value)
			continue
		}
		got := s.Spell(policy, paths[0])
		if len(got) != 1 || got[0].Text != test.text || !strings.Contains(got[0].Instead, test.why) || (test.why == "") != (got[0].Instead == "") {
			t.Errorf("%s=%s with %s: %+v", test.field, test.value, test.set, got)
			continue
		}
		if test.then != "" && got[0].Value != test.then {
			t.Errorf("%s=%s with %s: the value is then %s, want %s", test.field, test.value, test.set, got[0].Value, test.then)
		}
	}
}

// A way that cannot say the value is left out if another way can.
func TestSpellWithSeveralWays(t *testing.T) {
	none := Spelling{In: "a framework", Instead: "it has none", Versions: "1", Source: "its manual"}
	s := Spellings{"idle_timeout": {way("x={s}", nil), way("y={ms}", nil), none}}
	texts := func(d time.Duration) (list []string) {
		policy := pool.Default()
		policy.IdleTimeout = d
		for _, one := range s.Spell(policy, "pool.idle_timeout") {
			list = append(list, one.Text+"|"+one.Instead)
		}
		return list
	}
	if got := strings.Join(texts(2*time.Second), " "); got != "x=2| y=2000| |it has none" {
		t.Error(got)
	}
	if got := strings.Join(texts(700*time.Millisecond), " "); got != "y=700| |it has none" {
		t.Error(got)
	}
	if got := texts(time.Microsecond); len(got) != 3 || !strings.Contains(got[0], "the shortest time is 1s") || !strings.Contains(got[1], "the shortest time is 1ms") {
		t.Errorf("%q", got)
	}
	if got := s.Spell(pool.Default(), "pool.max_conns"); got != nil {
		t.Errorf("a field without a way: %v", got)
	}
	if got := s.Spell(pool.Default(), "load.rate"); got != nil {
		t.Errorf("no field of a pool: %v", got)
	}
}

func TestChange(t *testing.T) {
	p, paths := Change(pool.Default(), map[string]string{
		"pool.resend": "[]", "pool.idle_timeout": "4s", "load.rate": "5/s", "pool.max_conns": "many", "pool.max_idle": "null",
	})
	if got := strings.Join(paths, " "); got != "pool.max_idle pool.idle_timeout pool.resend" {
		t.Error(got)
	}
	if p.IdleTimeout != 4*time.Second || p.MaxConns != pool.NoCap || p.MaxIdle != pool.NoCap {
		t.Errorf("%+v", p)
	}
}

func TestComplaintsAboutSpellings(t *testing.T) {
	full := way("x={s}", nil)
	for _, test := range []struct {
		field string
		way   Spelling
		want  string
	}{
		{"idle_time", full, "idle_time: is no field of a pool; did you mean idle_timeout?"},
		{"zzz", full, "zzz: is no field of a pool; docs/profiles.md lists them under pool"},
		{"idle_timeout", way("x={sec}", nil), "idle_timeout.0.set: {sec} is not known; write one of {apache}, {decimal}, {dotnet}, {go}, {java}, {minutes}, {ms}, {proto}, {rust}, {s}, {timeunit}, {unit}, {value}"},
		{"max_conns", way("x={s}", nil), "max_conns.0.set: {s} does not fit max_conns; write one of {n}, {value}"},
		{"lease_order", way("x={n}", nil), "lease_order.0.set: {n} does not fit lease_order; write one of {value}"},
		{"idle_timeout", way("x=4", nil), "idle_timeout.0.set: holds no value; write a value in braces"},
		{"idle_timeout", way("x={max_idle_all.n}", nil), "idle_timeout.0.set: holds no value; write a value in braces"},
		{"idle_timeout", way("x={s} y={max_idle_al.n}", nil), "idle_timeout.0.set: {max_idle_al.n}: max_idle_al is no field of a pool; did you mean max_idle_all?"},
		{"lease_order", way("x={value}", nil), "lease_order.0.set: {value} needs values: the client's word for each value"},
		{"lease_order", way("x={value}", map[string]string{"lfo": "LIFO"}), "lease_order.0.values.lfo: "},
		{"idle_timeout", Spelling{Set: "x={s}"}, "idle_timeout.0.in: is missing\nidle_timeout.0.versions: is missing\nidle_timeout.0.source: is missing"},
		{"idle_timeout", Spelling{In: "a", Versions: "1", Source: "b"}, "idle_timeout.0.set: is missing; write what sets the field, or say with instead that nothing does"},
		{"idle_timeout", Spelling{In: "a", Versions: "1", Source: "b", Set: "x={s}", Instead: "c"}, "idle_timeout.0.instead: contradicts set; remove one"},
		{"idle_timeout", Spelling{In: "a", Versions: "1", Source: "b", Instead: "c", Values: map[string]string{"0s": "1"}}, "idle_timeout.0.values: has no effect without set; remove it"},
	} {
		err := Spellings{test.field: {test.way}}.Validate()
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %+v\n got %v\nwant %s", test.field, test.way, err, test.want)
		}
	}
	if err := (Spellings{"idle_timeout": {}}).Validate(); err == nil {
		t.Error("a field without a way is allowed")
	}
}
