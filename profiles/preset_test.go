package profiles

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/dialers/pool"
)

// A preset is whole: its file is named after it, it loads, and it says what
// versions it holds for and where each of its values is from.
func TestPresetsAreWhole(t *testing.T) {
	shelved := shelf(pools.folder)
	if len(shelved) != len(Pools()) {
		t.Fatalf("%d files, %d presets", len(shelved), len(Pools()))
	}
	seen := map[string]bool{}
	for _, e := range shelved {
		p, err := parsePreset(e.Name, []byte(e.Text))
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if p.Name != e.Name || p.What == "" || p.Versions == "" || p.SettingsOf == "" && p.Text() != e.Text {
			t.Errorf("%s: name %q, what %q, versions %q", e.Name, p.Name, p.What, p.Versions)
		}
		if p.Client == "" && p.Name != "default" {
			t.Errorf("%s: no client", p.Name)
		}
		if len(p.Cannot) == 0 && p.Name != "default" {
			t.Errorf("%s: it says nothing of what the model cannot express", p.Name)
		}
		for _, name := range append([]string{p.Name}, p.Also...) {
			if seen[name] {
				t.Errorf("%s: the name %s is taken", p.Name, name)
			}
			seen[name] = true
			if found, ok := FindPool(name); !ok || found.Name != p.Name {
				t.Errorf("%s is found as %q", name, found.Name)
			}
			if policy, err := LoadPool(name); err != nil || !cmp.Equal(policy, p.Pool) {
				t.Errorf("%s: loaded as %+v, %v", name, policy, err)
			}
		}
		if again, err := parsePreset(e.Name, []byte(p.Text())); err != nil || len(again.Settings) == 0 && p.Client != "" || !cmp.Equal(again.Pool, p.Pool) {
			t.Errorf("%s: its text with all settings: %v", e.Name, err)
		}
		referenced(t, p.Name, p.References, pathsSet(t, e.Text, "pool"))
	}
}

// pathsSet are the fields that a document sets in one of its sections.
func pathsSet(t *testing.T, text, section string) []string {
	t.Helper()
	d := newDecoder(Default())
	var set []string
	for key, value := range d.Pairs("", d.Document([]byte(text))) {
		if key.Value != section {
			continue
		}
		for field := range d.Pairs(section, value) {
			set = append(set, field.Value)
		}
	}
	return set
}

func referenced(t *testing.T, name string, references map[string]string, set []string) {
	t.Helper()
	for _, field := range set {
		if references[field] == "" {
			t.Errorf("%s: no reference for %s", name, field)
		}
	}
	for field, source := range references {
		if !slices.Contains(set, field) {
			t.Errorf("%s: a reference for %s, which it does not set", name, field)
		}
		if strings.TrimSpace(source) != source {
			t.Errorf("%s: reference for %s: %q", name, field, source)
		}
	}
}

func TestFindPool(t *testing.T) {
	if p, found := FindPool("apache-hc5-classic"); !found || p.Name != "apache-hc5" {
		t.Errorf("apache-hc5-classic: %v, %q", found, p.Name)
	}
	if _, found := FindPool("reactor"); found {
		t.Error("reactor was found")
	}
	// What is loaded is the caller's own.
	mine, err := LoadPool("libcurl")
	if err != nil {
		t.Fatal(err)
	}
	mine.Resend[0].Max = 99
	if again, _ := LoadPool("libcurl"); again.Resend[0].Max != 5 {
		t.Errorf("changed by a caller: %+v", again.Resend)
	}
}

// The values that make each client what it is. What is left out is the model's
// default; a cap on connections that is left out is none.
func TestPresetValues(t *testing.T) {
	const (
		lifo, fifo, first = pool.LIFO, pool.FIFO, pool.FirstFit
		s                 = time.Second
		lease             = pool.ExpireAtLease
		release           = pool.ExpireAtRelease
		timer             = pool.ExpireByTimer
		sweep             = pool.ExpireBySweep
		sent              = pool.AfterEOF | pool.AfterRST
		all               = pool.AfterUnsent | sent
	)
	type row struct {
		perKey, overall, idle, idleAll, queue int
		wait                                  time.Duration
		lateBind                              bool
		order                                 pool.Order
		idleTimeout                           time.Duration
		expiry                                pool.Expiry
		hint                                  pool.Hint
		liveness                              pool.Liveness
		probeAfter                            time.Duration
		reap                                  pool.Reap
		counts                                pool.CapCounts
		resend                                []pool.ResendRule
	}
	rule := func(on pool.On, after pool.After, methods pool.Methods, max int, path pool.Path) pool.ResendRule {
		return pool.ResendRule{On: on, After: after, Methods: methods, Max: max, Path: path}
	}
	goRules := []pool.ResendRule{
		rule(pool.OnReused, pool.AfterUnsent, "all", 0, pool.PathPool), rule(pool.OnReused, sent, "safe+key", 0, pool.PathPool),
	}
	okRules := []pool.ResendRule{rule(pool.OnReused, all|pool.AfterPartial, "all", 0, pool.PathPool)}
	ok5Rules := []pool.ResendRule{okRules[0]}
	ok5Rules[0].ThenFresh = 1
	ahcRules := []pool.ResendRule{rule(pool.OnAny, pool.AfterEOF|pool.AfterStatus|pool.AfterBody, "all", 5, pool.PathPool)}
	ahcRules[0].CutBy = pool.CutByFIN
	hc5Rules := []pool.ResendRule{rule(pool.OnAny, all|pool.AfterStatus, "idempotent", 1, pool.PathPool), rule(pool.OnAny, pool.AfterHeaders, "idempotent", 1, pool.PathPool)}
	hc5Rules[1].CutBy = pool.CutByRST
	hc5AsyncRules := []pool.ResendRule{rule(pool.OnAny, pool.AfterRST|pool.AfterPartial|pool.AfterBody, "idempotent", 1, pool.PathPool)}
	hc5AsyncRules[0].CutBy = pool.CutByRST
	curlRules := []pool.ResendRule{rule(pool.OnReused, all|pool.AfterStatus, "all", 5, pool.PathPool)}
	rubyRules := []pool.ResendRule{
		rule(pool.OnAny, all|pool.AfterStatus|pool.AfterBody, "idempotent", 1, pool.PathFresh),
		rule(pool.OnAny, pool.AfterHeaders, "idempotent", 1, pool.PathFresh),
	}
	rubyRules[1].CutBy = pool.CutByRST
	reactor := func(cap, queue int) row {
		return row{perKey: cap, idle: -1, idleAll: -1, queue: queue, wait: 45 * s, order: fifo, expiry: lease | release, reap: pool.ReapAtLease}
	}
	spring := reactor(500, 1000)
	spring.wait, spring.idleTimeout, spring.expiry = 60*s, 20*s, lease|release|sweep
	for name, want := range map[string]row{
		"default":               {idle: -1, idleAll: -1, queue: -1, expiry: lease},
		"reactor-netty":         reactor(500, 1000),
		"reactor-netty-create":  reactor(16, 500),
		"reactor-netty-builder": reactor(16, 32),
		"spring-webclient":      spring,
		"go-default-transport":  {idle: 2, idleAll: 100, queue: -1, lateBind: true, idleTimeout: 90 * s, expiry: timer | lease, resend: goRules},
		"go-tuned":              {perKey: 100, idle: 100, idleAll: 100, queue: -1, lateBind: true, idleTimeout: 90 * s, expiry: timer | lease, resend: goRules},
		"apache-hc4": {perKey: 2, overall: 20, idle: -1, idleAll: -1, queue: -1, expiry: lease, hint: pool.HintReplace, liveness: pool.Probe, probeAfter: 2 * s,
			resend: []pool.ResendRule{rule(pool.OnAny, all, "GET HEAD OPTIONS TRACE DELETE", 3, pool.PathPool),
				{On: pool.OnAny, After: pool.AfterPartial, CutBy: pool.CutByRST, Methods: "GET HEAD OPTIONS TRACE DELETE", Max: 3, Path: pool.PathPool}, rule(pool.OnAny, pool.AfterUnsent, "all", 3, pool.PathPool)}},
		"apache-hc5": {perKey: 5, overall: 25, idle: -1, idleAll: -1, queue: -1, wait: 180 * s, idleTimeout: 180 * s, expiry: lease, hint: pool.HintReplace,
			liveness: pool.Probe, probeAfter: 2 * s, resend: hc5Rules},
		"apache-hc5-async": {perKey: 5, overall: 25, idle: -1, idleAll: -1, queue: -1, wait: 180 * s, idleTimeout: 180 * s, expiry: lease, hint: pool.HintReplace,
			resend: hc5AsyncRules},
		"okhttp": {perKey: 5, overall: 64, idle: -1, idleAll: 5, queue: -1, order: first, idleTimeout: 300 * s, expiry: timer, liveness: pool.Probe, probeAfter: 10 * s,
			counts: pool.CountLeased, resend: okRules},
		"okhttp-sync": {idle: -1, idleAll: 5, queue: -1, order: first, idleTimeout: 300 * s, expiry: timer, liveness: pool.Probe, probeAfter: 10 * s, resend: okRules},
		"jdk-httpclient-17": {idle: -1, idleAll: -1, queue: -1, order: fifo, idleTimeout: 1200 * s, expiry: timer,
			resend: []pool.ResendRule{rule(pool.OnAny, sent, "GET HEAD", 1, pool.PathPool)}},
		"jdk-httpclient": {idle: -1, idleAll: -1, queue: -1, order: fifo, idleTimeout: 30 * s, expiry: timer,
			resend: []pool.ResendRule{rule(pool.OnAny, sent, "GET HEAD", 1, pool.PathPool)}},
		"jdk-httpclient-26": {idle: -1, idleAll: -1, queue: -1, order: fifo, idleTimeout: 30 * s, expiry: timer,
			resend: []pool.ResendRule{rule(pool.OnAny, sent, "GET HEAD", 4, pool.PathPool)}},
		"okhttp-5": {perKey: 5, overall: 64, idle: -1, idleAll: 5, queue: -1, order: first, idleTimeout: 300 * s, expiry: timer, liveness: pool.Probe, probeAfter: 10 * s,
			counts: pool.CountLeased, resend: ok5Rules},
		"okhttp-5-sync":    {idle: -1, idleAll: 5, queue: -1, order: first, idleTimeout: 300 * s, expiry: timer, liveness: pool.Probe, probeAfter: 10 * s, resend: ok5Rules},
		"jetty-httpclient": {perKey: 64, idle: -1, idleAll: -1, queue: 1024, lateBind: true, order: first, idleTimeout: 30 * s, expiry: timer},
		"vertx":            {perKey: 5, idle: -1, idleAll: -1, queue: -1, order: pool.LastFit, idleTimeout: 60 * s, expiry: sweep, hint: pool.HintReplace},
		"got": {idle: 256, idleAll: -1, queue: -1, idleTimeout: 5 * s, expiry: timer, hint: pool.HintMin,
			resend: []pool.ResendRule{rule(pool.OnAny, all|pool.AfterPartial|pool.AfterBody, "idempotent", 2, pool.PathPool)}},
		"ureq":                {idle: -1, idleAll: 3, queue: -1, order: fifo, idleTimeout: 15 * s, expiry: lease, liveness: pool.Probe},
		"micronaut":           {perKey: 1000, idle: -1, idleAll: -1, queue: -1, lateBind: true, order: fifo, expiry: lease},
		"quarkus-rest-client": {perKey: 50, idle: -1, idleAll: -1, queue: -1, order: pool.LastFit, idleTimeout: 60 * s, expiry: sweep, hint: pool.HintReplace},
		"ktor-cio":            {perKey: 100, overall: 1000, idleAll: -1, queue: -1, wait: 5 * s, expiry: lease},
		"niquests":            {perKey: 10, idle: -1, idleAll: -1, queue: -1, order: fifo, expiry: lease, liveness: pool.Probe},
		"async-http-client":   {idle: -1, idleAll: -1, queue: -1, idleTimeout: 60 * s, expiry: sweep, resend: ahcRules},
		"libcurl-multi":       {idle: -1, idleAll: -1, queue: -1, order: first, idleTimeout: 118 * s, expiry: lease | sweep, liveness: pool.Probe, probeAfter: s, resend: curlRules},
		"httpurlconnection": {idle: 5, idleAll: -1, queue: -1, idleTimeout: 5 * s, expiry: lease | sweep, hint: pool.HintReplace, liveness: pool.None,
			resend: []pool.ResendRule{rule(pool.OnAny, all, "all", 1, pool.PathFresh), {On: pool.OnAny, After: pool.AfterPartial, CutBy: pool.CutByRST, Methods: "all", Max: 1, Path: pool.PathFresh}}},
		"node-agent":       {idle: 256, idleAll: -1, queue: -1, expiry: lease, hint: pool.HintDrop},
		"node-globalagent": {idle: 256, idleAll: -1, queue: -1, idleTimeout: 5 * s, expiry: timer, hint: pool.HintMin},
		"agentkeepalive":   {idle: 256, idleAll: -1, queue: -1, idleTimeout: 4 * s, expiry: timer, hint: pool.HintDrop},
		"undici":           {idle: -1, idleAll: -1, queue: -1, order: first, idleTimeout: 4 * s, expiry: timer, hint: pool.HintReplace},
		"urllib3": {idle: 1, idleAll: -1, queue: -1, expiry: lease, liveness: pool.Probe,
			resend: []pool.ResendRule{rule(pool.OnAny, all|pool.AfterStatus|pool.AfterBody, "idempotent", 3, pool.PathPool),
				{On: pool.OnAny, After: pool.AfterHeaders, CutBy: pool.CutByRST, Methods: "idempotent", Max: 3, Path: pool.PathPool}}},
		"requests": {idle: 10, idleAll: -1, queue: -1, expiry: lease, liveness: pool.Probe},
		"httpx":    {overall: 100, idle: -1, idleAll: 20, queue: -1, wait: 5 * s, order: first, idleTimeout: 5 * s, expiry: lease | release, liveness: pool.Probe},
		"aiohttp": {overall: 100, idle: -1, idleAll: -1, queue: -1, order: fifo, idleTimeout: 15 * s, expiry: lease | sweep, counts: pool.CountLeased,
			resend: []pool.ResendRule{rule(pool.OnAny, all|pool.AfterPartial, "idempotent", 1, pool.PathPool)}},
		"nginx-upstream": {idle: -1, idleAll: 32, idleTimeout: 60 * s, expiry: timer | release, counts: pool.CountLeased,
			resend: []pool.ResendRule{rule(pool.OnReused, all|pool.AfterPartial, "!POST LOCK PATCH", 0, pool.PathPool)}},
		"nginx-upstream-old": {idleAll: -1, expiry: lease, counts: pool.CountLeased},
		"haproxy":            {idle: -1, idleAll: -1, queue: -1, wait: 5 * s, order: fifo, idleTimeout: 12 * s, expiry: sweep, counts: pool.CountLeased},
		"envoy":              {overall: 1024, idle: -1, idleAll: -1, queue: 1024, lateBind: true, idleTimeout: time.Hour, expiry: timer},
		"hyper-reqwest": {idle: -1, idleAll: -1, queue: -1, lateBind: true, idleTimeout: 90 * s, expiry: lease | sweep,
			resend: []pool.ResendRule{rule(pool.OnReused, pool.AfterUnsent, "all", 0, pool.PathPool)}},
		"libcurl": {idle: -1, idleAll: 5, queue: -1, order: first, idleTimeout: 118 * s, expiry: lease | sweep, liveness: pool.Probe, probeAfter: s,
			resend: curlRules},
		"dotnet-socketshttphandler": {idle: -1, idleAll: -1, queue: -1, lateBind: true, idleTimeout: 60 * s, expiry: lease | sweep, hint: pool.HintMin, liveness: pool.Probe,
			resend: []pool.ResendRule{rule(pool.OnAny, pool.AfterUnsent|pool.AfterEOF, "bodyless", 3, pool.PathPool)}},
		"aws-sdk-java-v2": {perKey: 50, idle: -1, idleAll: -1, queue: 10000, wait: 10 * s, order: lifo, idleTimeout: 5 * s, expiry: timer},
		"boto3":           {idle: 10, idleAll: -1, queue: -1, expiry: lease, liveness: pool.Probe},
		"ruby-net-http": {perKey: 1, idle: -1, idleAll: -1, queue: -1, idleTimeout: 2 * s, expiry: lease, liveness: pool.Probe,
			resend: rubyRules},
		"net-http-persistent": {overall: 256, idle: -1, idleAll: -1, queue: -1, wait: s / 2, idleTimeout: 5 * s, expiry: lease, liveness: pool.Probe,
			resend: rubyRules},
		"fasthttp": {perKey: 512, idle: -1, idleAll: -1, order: fifo, idleTimeout: 10 * s, expiry: sweep, liveness: pool.None,
			resend: []pool.ResendRule{rule(pool.OnAny, all|pool.AfterPartial|pool.AfterBody, "GET HEAD PUT", 4, pool.PathPool)}},
	} {
		preset, found := FindPool(name)
		if !found {
			t.Errorf("there is no %s", name)
			continue
		}
		p := preset.Pool
		got := row{
			p.MaxConns, p.MaxConnsAll, p.MaxIdle, p.MaxIdleAll, p.PendingMax, p.PendingTimeout, p.LateBind, p.LeaseOrder, p.IdleTimeout, p.Expiry,
			p.ServerHint, p.Liveness, p.ProbeAfter, p.Reap, p.CapCounts, p.Resend,
		}
		for _, limit := range []*int{&want.perKey, &want.overall} {
			if *limit == 0 {
				*limit = pool.NoCap
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v\nwant %+v", name, got, want)
		}
	}
	// The rest of the table, where few differ.
	for name, ok := range map[string]bool{
		"nginx-upstream":    policyOf(t, "nginx-upstream").MaxLifetime == time.Hour && policyOf(t, "nginx-upstream").MaxRequests == 1000,
		"libcurl":           policyOf(t, "libcurl").MaxLifetime == 24*time.Hour,
		"haproxy":           policyOf(t, "haproxy").ResendElse == pool.ElseHangup,
		"envoy":             policyOf(t, "envoy").DialFail == pool.FailAllPending,
		"slots":             policyOf(t, "undici").Slots && policyOf(t, "urllib3").Slots && policyOf(t, "requests").Slots && policyOf(t, "boto3").Slots && policyOf(t, "net-http-persistent").Slots,
		"okhttp":            policyOf(t, "okhttp").ProbeUnsafeOnly,
		"undici":            policyOf(t, "undici").HintMargin == 2*s && policyOf(t, "undici").HintCap == 600*s,
		"httpurlconnection": policyOf(t, "httpurlconnection").HintIfKeepAlive,
		"jetty":             policyOf(t, "jetty-httpclient").DialFail == pool.FailAllPending,
		"node-globalagent":  policyOf(t, "node-globalagent").HintMargin == s,
		"dotnet":            policyOf(t, "dotnet-socketshttphandler").HintMargin == s,
		"apache-hc4":        policyOf(t, "apache-hc4").MakeRoom,
		"apache-hc5":        policyOf(t, "apache-hc5").MakeRoom,
		"httpx":             policyOf(t, "httpx").MakeRoom,
		"persistent":        policyOf(t, "net-http-persistent").MakeRoom,
		"reactor-netty":     policyOf(t, "reactor-netty").Key == pool.ByAddress,
		"spring-webclient":  policyOf(t, "spring-webclient").MaxLifetime == 60*s,
	} {
		if !ok {
			t.Errorf("%s: not what the client does", name)
		}
	}
}

func policyOf(t *testing.T, name string) pool.Policy {
	t.Helper()
	policy, err := LoadPool(name)
	if err != nil {
		t.Fatal(err)
	}
	return policy
}
