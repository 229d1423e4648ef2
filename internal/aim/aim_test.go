package aim

import (
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

const ms = time.Millisecond

// measured is a server as a probe writes it.
func measured(closes int, least, median, most time.Duration) profiles.ServerPreset {
	return profiles.ServerPreset{Name: "mine", Measured: &profiles.Measured{
		URL: "http://127.0.0.1:8080/", From: "probe", Closes: closes, IdleMin: least, IdleMedian: median, IdleMax: most,
		RoundTrip: 30 * time.Microsecond, Response: 1030 * time.Microsecond, ResponseMax: 3 * ms,
	}}
}

var (
	nginx  = measured(20, 4998*ms, 5000*ms, 5003*ms)
	tomcat = measured(20, 20100*ms, 20900*ms, 21850*ms)
)

func order(t *testing.T, incident, pool string, server profiles.ServerPreset, sets ...string) Order {
	t.Helper()
	p, err := profiles.Open(incident, nil)
	if err != nil {
		t.Fatal(err)
	}
	return Order{Incident: p, URL: "http://127.0.0.1:8080/", Server: server, Pool: pool, Here: true, Sets: sets}
}

func plan(t *testing.T, o Order) (*profiles.Profile, *results.Forecast) {
	t.Helper()
	p, f, err := Plan(o)
	if err != nil {
		t.Fatal(err)
	}
	return p, f
}

// The silences are chosen so that a server which spreads its closes is met in nearly each
// run: what is expected must come in CI too.
func TestTheSilencesAreWellDrawn(t *testing.T) {
	o := order(t, "idle-race", "reactor-netty", measured(20, 2300*ms, 2800*ms, 3400*ms))
	p, f := plan(t, o)
	e, err := expect(p, ServerOf(o.Server), failures, 100)
	if err != nil {
		t.Fatal(err)
	}
	none := 0
	for _, c := range e.runs {
		if c.Failed == 0 {
			none++
		}
	}
	if none > 10 {
		t.Errorf("%v, and %d of 100 runs show none", f, none)
	}
}

// What is planned stays within the budget, meets the timer often enough, and has a remedy
// that closes first.
func TestPlanOfTheIdleTimer(t *testing.T) {
	noLink := time.Duration(0)
	for name, test := range map[string]struct {
		incident, pool string
		server         profiles.ServerPreset
		link           *time.Duration
		budget         Budget
	}{
		"1 s":             {"idle-race", "reactor-netty", measured(20, 999*ms, 1000*ms, 1002*ms), nil, Budget{}},
		"1 s, no link":    {"idle-race", "reactor-netty", measured(20, 999*ms, 1000*ms, 1002*ms), &noLink, Budget{}},
		"5 s":             {"idle-race", "reactor-netty", nginx, nil, Budget{}},
		"75 s":            {"idle-race", "reactor-netty", measured(20, 74998*ms, 75000*ms, 75003*ms), nil, Budget{}},
		"20 s, spread":    {"idle-race", "reactor-netty", tomcat, nil, Budget{}},
		"few connections": {"idle-race", "reactor-netty", nginx, nil, Budget{Connections: 10}},
		"few requests":    {"idle-race", "reactor-netty", nginx, nil, Budget{Requests: 100}},
		"all requests":    {"idle-race", "reactor-netty", tomcat, nil, Budget{Requests: 3000}},
		"LIFO":            {"nginx-1s", "okhttp", nginx, nil, Budget{}},
		"its own pool":    {"direct-idle-order", "", nginx, nil, Budget{}},
	} {
		t.Run(name, func(t *testing.T) {
			o := order(t, test.incident, test.pool, test.server)
			o.LinkDelay, o.Budget = test.link, test.budget
			p, f := plan(t, o)
			if f.Reason != "" || f.Mean < enough || float64(f.Low) > f.Mean || f.Mean > float64(f.High) {
				t.Errorf("%v: %s %s", f, f.Reason, f.Why)
			}
			b := o.Budget.filled(ServerOf(o.Server))
			if f.AllSeconds > b.Time.Seconds()+3 || int(f.Requests) > b.Requests || int(f.Connections) > b.Connections {
				t.Errorf("%v with %d connections, %.0f s in all; the budget is %+v", f, f.Connections, f.AllSeconds, b)
			}
			below, err := time.ParseDuration(p.Remedies[0].Set["pool.idle_timeout"])
			if limit := test.server.Measured.IdleMin - 60*ms; err != nil || below <= 0 || below >= limit {
				t.Errorf("the remedy sets %v, which is not below %v", p.Remedies[0].Set, limit)
			}
			if linked := p.Target.Link != nil; linked != (test.link == nil) {
				t.Errorf("link %v", p.Target.Link)
			}
		})
	}
}

// A plan that needs about as many requests as the budget has ends in time.
func TestPlanWithinTheRequests(t *testing.T) {
	few := time.Duration(0)
	for _, o := range []Order{
		withBudget(order(t, "pending-queue-full", "reactor-netty-builder", nginx), Budget{Requests: 301}),
		withBudget(order(t, "idle-race", "reactor-netty", tomcat), Budget{Requests: 777}),
		{Incident: order(t, "idle-race", "", tomcat).Incident, URL: "http://127.0.0.1:8080/", Pool: "reactor-netty", Server: tomcat, LinkDelay: &few},
	} {
		_, f := plan(t, o)
		if most := o.Budget.filled(ServerOf(o.Server)).Requests; int(f.Requests) > most || f.Reason == ReasonBudget {
			t.Errorf("%v, and %d are allowed: %s", f, most, f.Why)
		}
	}
}

// A run that shows few failures keeps to the time too.
func TestFewAreWithinTheTime(t *testing.T) {
	for range 3 {
		o := withBudget(order(t, "idle-race", "reactor-netty", tomcat), Budget{Time: 20 * time.Second, Connections: 400})
		if p, f := plan(t, o); !Hopeless(f) && p.Sending() > 11*time.Second {
			t.Errorf("%v for each of two runs within 20 s: %v", p.Sending(), f)
		}
	}
}

// The remedies of a plan clear it, on virtual time.
func TestRemediesClear(t *testing.T) {
	for _, pool := range profiles.Pools() {
		p, f := plan(t, order(t, "idle-race", pool.Name, nginx))
		if f.Reason != "" {
			continue // this pool is safe, or keeps nothing
		}
		changed, err := p.With(p.Remedies[0])
		if err != nil {
			t.Fatal(err)
		}
		e, err := expect(changed, ServerOf(nginx), figure{"", func(c Counts) int { return c.Met }}, tried)
		if err != nil {
			t.Fatal(err)
		}
		if e.mean > 0 {
			t.Errorf("%s: with %v, %v requests still meet the close", pool.Name, p.Remedies[0].Set, e.mean)
		}
	}
}

// The plan's numbers are those of the profile: it can be written, read and planned again.
func TestAPlanIsAWholeProfile(t *testing.T) {
	for name := range adaptations {
		if takes, _ := Takes(name); !takes {
			continue
		}
		pool, server, sets := "reactor-netty-builder", nginx, []string(nil)
		switch name {
		case "idle-race-tls":
			sets = []string{"target.url=https://127.0.0.1:8443/"}
		case "l7-lb-order":
			balanced := *server.Measured
			balanced.RoundTrip = 10 * ms
			server.Measured = &balanced
			sets = []string{"target.url=http://127.0.0.1:8081/"}
		case "keep-alive-hint":
			server.Lab.Hint = "timeout=5"
		case "pending-timeout":
			sets = []string{"pool.pending_max=400", "pool.pending_timeout=300ms"}
		}
		o := order(t, name, pool, server, sets...)
		if len(sets) > 0 && strings.HasPrefix(sets[0], "target.url=") {
			o.URL, o.Sets = strings.TrimPrefix(sets[0], "target.url="), nil
		}
		p, f, err := Plan(o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if f.Reason != "" && name != "port-exhaustion" {
			t.Errorf("%s: %s: %s", name, f.Reason, f.Why)
		}
		text, err := profiles.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		again, err := profiles.Load(name, text, nil)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
			continue
		}
		if again.Forecast == nil || again.Forecast.Path != f.Path || again.Forecast.Low != f.Low {
			t.Errorf("%s: the forecast %+v is %+v when it is read again", name, f, again.Forecast)
		}
	}
}

// The reason is the rule without which the incident would show.
func TestWhyNothingIsExpected(t *testing.T) {
	noLink := time.Duration(0)
	// A rate that swings, and slow responses: a FIFO pool uses each of its many connections
	// seldom while the rate is low.
	swings := []string{"load.rate=100/s", "load.arrivals={process: sine, amplitude: 90/s, period: 10s}", "load.duration=30s", "pool.shards=1"}
	slow := measured(20, 1998*ms, 2000*ms, 2003*ms)
	slow.Measured.Response, slow.Measured.ResponseMax = 500*ms, 501*ms
	for name, test := range map[string]struct {
		o      Order
		link   *time.Duration
		reason string
		says   string
	}{
		"own timer":      {order(t, "idle-race", "reactor-netty", nginx, "pool.idle_timeout=3s"), nil, ReasonOwnTimer, "3s"},
		"hint":           {order(t, "idle-race", "apache-hc5", withHint(nginx), "pool.resend=[]", "pool.hint_margin=1s", "pool.server_hint=min"), nil, ReasonOwnTimer, "hint"},
		"timer, resends": {order(t, "idle-race", "ruby-net-http", nginx), nil, ReasonOwnTimer, "2s"},
		"lifetime":       {order(t, "idle-race", "reactor-netty", nginx, "pool.max_lifetime=2s"), nil, ReasonLifetime, "2s"},
		"nothing kept":   {order(t, "idle-race", "reactor-netty", nginx, "pool.max_idle=0"), nil, ReasonNotKept, "keeps no connection"},
		"LIFO":           {order(t, "idle-race", "", slow, append(swings, "pool.lease_order=lifo")...), nil, ReasonLIFO, "lifo"},
		"cap":            {order(t, "idle-race", "", slow, append(swings, "pool.max_conns=1", "pool.lease_order=fifo")...), nil, ReasonCap, "max_conns 1"},
		"no timer":       {order(t, "idle-race", "reactor-netty", profiles.ServerPreset{Measured: &profiles.Measured{LongerThan: time.Minute}}), nil, ReasonNoTimer, "1m0s"},
		"closes each":    {order(t, "idle-race", "reactor-netty", profiles.ServerPreset{Facts: profiles.ServerFacts{MaxRequests: 1}, Measured: &profiles.Measured{}}), nil, ReasonNotKept, "after one response"},
		"forgets":        {order(t, "idle-race", "reactor-netty", profiles.ServerPreset{Facts: profiles.ServerFacts{Silent: true, IdleTimeout: time.Minute}, Measured: &profiles.Measured{}}), nil, ReasonNoTimer, "forgets idle connections after 1m0s"},
		"no hint":        {order(t, "keep-alive-hint", "reactor-netty", nginx), nil, ReasonNoHint, "no Keep-Alive header"},
		"spread":         {order(t, "idle-race", "reactor-netty", tomcat), &noLink, ReasonFew, "20.1s to 21.9s"},
		"budget":         {withBudget(order(t, "idle-race", "reactor-netty", tomcat), Budget{Time: 20 * time.Second}), nil, ReasonBudget, "--budget-time 20s"},
		"balancer":       {withBudget(order(t, "l7-lb-order", "reactor-netty", elsewhere(tomcat)), Budget{}), nil, ReasonFew, "the balancer's request"},
		"queue, no cap":  {order(t, "pending-queue-full", "go-default-transport", nginx), nil, ReasonCapacity, "no limit"},
		"queue, too big": {order(t, "pending-queue-full", "reactor-netty", nginx, "target.link.delay=1ms"), nil, ReasonCapacity, "requests/s"},
	} {
		test.o.LinkDelay = test.link
		_, f, err := Plan(test.o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if f.Reason != test.reason || !strings.Contains(f.Why, test.says) || f.Takes == "" || f.Mean >= enough {
			t.Errorf("%s: %v: %q: %s; it would take %s; want the reason %s with %q", name, f, f.Reason, f.Why, f.Takes, test.reason, test.says)
		}
	}
}

func withBudget(o Order, b Budget) Order {
	o.Budget = b
	return o
}

// elsewhere is a server that was measured at another address than the target's.
func elsewhere(p profiles.ServerPreset) profiles.ServerPreset {
	m := *p.Measured
	m.URL = "http://127.0.0.1:9090/"
	p.Measured = &m
	return p
}

func withHint(p profiles.ServerPreset) profiles.ServerPreset {
	p.Facts.Hint = 5 * time.Second
	return p
}

func TestOrdersThatCannotBe(t *testing.T) {
	for name, test := range map[string]struct {
		o    Order
		says string
	}{
		"needs a script": {order(t, "truncated", "", nginx), "script"},
		"no TLS":         {order(t, "idle-race-tls", "", nginx), "https"},
		"POST":           {order(t, "idle-race", "", nginx, "target.method=POST"), "--allow-unsafe"},
		"no such pool":   {order(t, "idle-race", "reactor-nety", nginx), "reactor-netty"},
		"bad set":        {order(t, "idle-race", "", nginx, "pool.idle_timeot=3s"), "idle_timeout"},
		"no value":       {order(t, "idle-race", "", nginx, "pool"), "path=value"},
		"own server":     {order(t, "idle-race", "", nginx, "target.lab={delay: 1ms}"), "target.lab"},
		"the balancer":   {order(t, "l7-lb-order", "", nginx), "server behind it"},
	} {
		if _, _, err := Plan(test.o); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v; want %q", name, err, test.says)
		}
	}
}

// Every incident of the library says whether it takes a target.
func TestEveryIncidentIsInTheTable(t *testing.T) {
	known := map[string]bool{}
	for _, e := range profiles.Incidents() {
		known[e.Name] = true
		a, found := adaptations[e.Name]
		if !found || (a.at == nil) == (a.not == "") {
			t.Errorf("%s: say how it is aimed, or why it cannot be", e.Name)
		}
	}
	for name := range adaptations {
		if !known[name] {
			t.Errorf("%s is in the table and not in the library", name)
		}
	}
	if takes, why := Takes("mine"); takes || why == "" {
		t.Error("an incident that is not of the library takes a target")
	}
}

// A plan that does not even simulate a run has no numbers.
func TestNothingToSend(t *testing.T) {
	for _, incident := range []string{"keep-alive-hint", "port-exhaustion"} {
		_, f := plan(t, order(t, incident, "reactor-netty", nginx))
		if !Hopeless(f) || f.Requests != 0 || f.AllRequests != 0 || f.Connections != 0 || f.Reason == "" {
			t.Errorf("%s: %+v", incident, f)
		}
	}
}

// A budget that is too small for any aim is kept, and the plan says what it takes.
func TestTinyBudgetsAreKept(t *testing.T) {
	for flag, b := range map[string]Budget{
		"--max-requests": {Requests: 5}, "--max-connections": {Connections: 1}, "--budget-time": {Time: time.Second},
	} {
		o := order(t, "idle-race", "reactor-netty", nginx)
		o.Budget = b
		if _, f := plan(t, o); f.Reason != ReasonBudget || !Hopeless(f) || !strings.HasPrefix(f.Takes, flag+" ") {
			t.Errorf("%s: %+v", flag, f)
		}
	}
}
