package aim

import (
	"math"
	"math/rand/v2"
	"slices"
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

// A busy machine takes a time much too late now and then. That is not taken for a server
// that spreads its closes.
func TestOneLateTimeIsNoSpread(t *testing.T) {
	server := measured(20, 1163*ms, 1164*ms, 1433*ms)
	server.Measured.IdleLow, server.Measured.IdleHigh = 1163*ms, 1169*ms
	p, f := plan(t, order(t, "idle-race", "reactor-netty", server, "pool.shards=50"))
	if f.Reason != "" || f.Mean < 20 {
		t.Errorf("%v: %s", f, f.Why)
	}
	if period := p.Load.Arrivals.On + p.Load.Arrivals.Off; period < 1160*ms || period > 1190*ms {
		t.Errorf("bursts are %v apart", period)
	}
	spread := ServerOf(tomcat).Idle
	if spread.Width() < 1700*ms {
		t.Errorf("Tomcat's spread is taken for %v", spread.Width())
	}
}

// withTimes is a server whose closes a probe has seen after these times.
func withTimes(slack time.Duration, times ...time.Duration) profiles.ServerPreset {
	times = slices.Sorted(slices.Values(times))
	n := len(times)
	p := measured(n, times[0], times[n/2], times[n-1])
	p.Measured.Idle, p.Measured.IdleSlack = times, slack
	return p
}

// The simulation draws from the times themselves: late ones do not stretch the others, and
// the requests are aimed at where most closes are. If this machine has made them late, the
// interval reaches to what comes if it had not.
func TestTheTimesThemselves(t *testing.T) {
	var times []time.Duration
	for i := range 20 {
		times = append(times, 3700*ms+time.Duration(i)*ms/10)
	}
	for i := range 10 { // a third of them late, up to two round trips
		times = append(times, 3704*ms+time.Duration(2*i)*ms)
	}
	_, blurred := plan(t, order(t, "idle-race", "reactor-netty", measured(30, 3700*ms, 3701500*time.Microsecond, 3722*ms)))
	p, f := plan(t, order(t, "idle-race", "reactor-netty", withTimes(20*ms, times...)))
	// Of three silences the second meets nothing if the first meets all.
	if most := uint64(2 * p.Pool.Shards); f.Reason != "" || f.High < most-2 || f.Disturbed == "" {
		t.Errorf("%v of %d that can be met, %q; without the times %v", f, most, f.Disturbed, blurred)
	}
	if aimed := p.Load.Arrivals.On + p.Load.Arrivals.Off - 11*ms; aimed > 3702*ms {
		t.Errorf("requests are aimed %v after the ones before, and most closes come before 3.702 s", aimed)
	}
	for i := range 10 { // the server's times too, on a machine that is very busy
		times[20+i] = 3710*ms + time.Duration(25*i)*ms
	}
	if s := ServerOf(withTimes(10*ms, times...)).Idle; s.sweeps() {
		t.Errorf("late closes are taken for those of a sweep: %v", times)
	}
	var spread []time.Duration
	for i := range 12 { // Tomcat's: some together, the others spread
		spread = append(spread, 2500*ms+time.Duration(i)*2*ms)
	}
	for i := range 12 {
		spread = append(spread, 2300*ms+time.Duration(i)*90*ms)
	}
	if s := ServerOf(withTimes(0, spread...)).Idle; s.Width() < 800*ms {
		t.Errorf("the closes are spread over %v, and not over 990ms", s.Width())
	}
	if s := ServerOf(withTimes(0, spread[12:]...)).Idle; !s.sweeps() {
		t.Errorf("the closes are evenly spread over %v, and are none of a sweep", s.Width())
	}
}

// A file of a long capture may have millions of closes and no list of their times.
func TestManyCloses(t *testing.T) {
	if _, f := plan(t, order(t, "idle-race", "reactor-netty", measured(1<<40, 4998*ms, 5000*ms, 5003*ms))); f.Mean < enough {
		t.Errorf("%v", f)
	}
}

// A busy machine widens the interval, and the forecast says so. A run has several silences,
// so that one stall does not spoil all of it.
func TestABusyMachine(t *testing.T) {
	o := order(t, "idle-race", "reactor-netty", nginx)
	p, quiet := plan(t, o)
	if n := p.Load.Duration / (p.Load.Arrivals.On + p.Load.Arrivals.Off); n < 3 {
		t.Errorf("%d silences", n)
	}
	for i := range 500 {
		late := 100 * time.Microsecond
		if i%25 == 0 {
			late = 25 * ms
		}
		o.Late = append(o.Late, late)
	}
	p, busy := plan(t, o)
	if busy.High-busy.Low <= quiet.High-quiet.Low || quiet.Disturbed != "" || !strings.Contains(busy.Disturbed, "busy") {
		t.Errorf("%v on a busy machine (%q), %v on a quiet one (%q)", busy, busy.Disturbed, quiet, quiet.Disturbed)
	}
	if want := p.Expect["failures.before_response"]; want == "" || want > ">= 5" || len(want) > 4 {
		t.Errorf("the incident expects %s of %v", want, busy)
	}
}

func TestQuantiles(t *testing.T) {
	for _, q := range []quantiles{evenly(time.Second, 2*time.Second).expected(), ServerOf(nginx).Idle.expected(), {[]float64{0, 0.25, 0.5, 0.75, 1}, []float64{1e9, 1e9, 1e9, 2e9, 2e9}}} {
		last := 0.0
		for d := 500 * ms; d < 10*time.Second; d += 3 * ms {
			p := q.below(d)
			if !(p >= last && p <= 1) {
				t.Fatalf("below(%v) is %v after %v", d, p, last)
			}
			last = p
		}
		for _, p := range []float64{0.1, 0.3, 0.6, 0.9} {
			if d := q.at(p); q.below(d-time.Microsecond) > p+1e-6 || q.below(d+time.Microsecond) < p-1e-6 {
				t.Errorf("at(%v) is %v, below is %v", p, d, q.below(d))
			}
		}
		if q.below(0) != 0 || q.below(time.Minute) != 1 {
			t.Errorf("%v, %v at the ends", q.below(0), q.below(time.Minute))
		}
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

// An interval that is made from a measurement contains the count of a run with the true
// server in about 95 % of the cases, whatever the server, as far as the model goes.
func TestTheIntervalHoldsTheCount(t *testing.T) {
	worlds := 150
	if testing.Short() {
		worlds = 60
	}
	inside, tooHigh := 0, 0
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range worlds {
		timeout := time.Duration(500+rng.IntN(4000)) * ms
		spread := time.Duration(float64(ms) * math.Exp(8*rng.Float64())) // 1 ms to 3 s
		truth := through(evenly(timeout, timeout+spread).points, []float64{0, 0.25, 0.5, 0.75, 1})
		var seen []time.Duration
		for range 20 {
			seen = append(seen, truth.at(rng.Float64()))
		}
		slices.Sort(seen)
		file := measured(20, seen[0], seen[10], seen[19])
		file.Measured.IdleLow, file.Measured.IdleHigh = seen[5], seen[14]
		server := ServerOf(file)
		p := profiles.Default()
		p.Target.URL = "http://127.0.0.1:8080/"
		a := &aiming{order: Order{Here: true}, server: server, profile: &p, figure: failures}
		a.order.Budget = Budget{}.filled(server)
		if rng.IntN(3) > 0 {
			if err := profiles.Set(&p, "target.link", "{delay: 5ms}"); err != nil {
				t.Fatal(err)
			}
		}
		a.shape(&p, a.spreadOut(a.bestAge(&p), 200, 2))
		e, err := expect(&p, server, failures, 100)
		if err != nil {
			t.Fatal(err)
		}
		schedule, _ := p.Load.Schedule()
		run := newWorld(&p, server, uint64(1000+i))
		run.idle = truth
		if run.sweep != nil { // whether it looks more often under load is not known beforehand
			run.events = nil
			under := time.Duration(float64(spread) * math.Pow(busier, -rng.Float64()))
			run.sweep = sweepOf(run, timeout, max(spread, swept), max(under, swept/busier))
		}
		run.run(schedule)
		n := uint64(run.counts.Failed)
		switch {
		case n > e.high:
			tooHigh++
		case n >= e.low:
			inside++
		}
	}
	share := float64(inside) / float64(worlds)
	t.Logf("%d of %d inside, %d above", inside, worlds, tooHigh)
	if share < 0.90 {
		t.Errorf("%.0f %% of the runs lie inside the interval, want about 95 %%", 100*share)
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
