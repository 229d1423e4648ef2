package aim

import (
	"math"
	"strings"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/profiles"
)

// shape is a load that sends bursts a constant time apart. So each connection that one
// burst has used is idle until the next.
type shape struct {
	shards      int // copies of the pool, each with a connection or more; 0: as in the policy
	rate        float64
	on          time.Duration // of a burst
	off, offMax time.Duration // of the silence
	cycles      int           // silences
}

// shape sets the load of p.
func (a *aiming) shape(p *profiles.Profile, s shape) {
	p.Load.Rate = generator.Rate(s.rate)
	p.Load.Arrivals = generator.Arrivals{Process: generator.Burst, On: s.on, Off: s.off}
	if s.offMax > s.off {
		p.Load.Arrivals.OffMax = s.offMax
	}
	p.Load.Duration = time.Duration(s.cycles)*(s.on+max(s.off, s.offMax)) + s.on
	p.Load.WarmUp = 0
	if s.shards > 0 {
		p.Pool.Shards = s.shards
	}
	p.Load.MaxInFlight = max(200, s.shards+50)
}

// target is the idle times at which a reuse is most often met by the server's close.
type target struct {
	from, to time.Duration
	chance   float64 // of one reuse
}

// bestAge returns the idle times at which the most reuses are lost: those whose FIN is on
// its way. A client that never notices a FIN loses all later ones too.
func (a *aiming) bestAge(p *profiles.Profile) target {
	p = a.model(p)
	q, trip := a.server.Idle.expected(), roundTrip(p, a.server)
	s := a.server.Idle
	if s.sweeps() { // when it looks next has nothing to do with the connection
		q = through(evenly(q.at(0), q.at(1)).points, []float64{0, 0.25, 0.5, 0.75, 1})
	}
	lost := func(age time.Duration) float64 {
		chance := q.below(age + trip)
		if p.Pool.Liveness != pool.None && !(p.Pool.Liveness == pool.Probe && p.Pool.ProbeAfter > age) {
			chance -= q.below(age)
		}
		return chance
	}
	// A machine that is late by more than the round trip misses what it aims at.
	steady := trip.Seconds() / (trip + usualLag).Seconds()
	const steps = 400
	from := max(s.Min-trip-s.Width()/20, 0)
	step := max((s.Max+trip-from)/steps, 1)
	best := 0.0
	for i := range time.Duration(steps) {
		best = max(best, lost(from+i*step))
	}
	// All ages that are nearly as good, from the first to the last.
	t := target{from: -1, chance: best * steady}
	for i := range time.Duration(steps) {
		if age := from + i*step; lost(age) >= 0.9*best {
			if t.from < 0 {
				t.from = age
			}
			t.to = age
		}
	}
	if best > mostOf { // one age meets most timers; its middle forgives the most lateness
		t.from = (t.from + t.to) / 2
		t.to = t.from
	}
	return t
}

// mostOf is the share of the closes above which one age is aimed at.
const mostOf = 0.6

// usualLag is by how much requests leave early or late, as a rule.
const usualLag = 400 * time.Microsecond

// serviceTime is how long a request holds its connection.
func (a *aiming) serviceTime(p *profiles.Profile) time.Duration {
	return roundTrip(a.model(p), a.server) + a.server.Response
}

// dialTime is how long a connection takes to open. One that was new in a burst is idle
// for that much less until the next.
func dialTime(p *profiles.Profile, trip time.Duration) time.Duration {
	takes := trip
	if p.Target.Link != nil {
		takes = 0 // through kabench's own link a connect takes no round trip
	}
	if strings.HasPrefix(p.Target.URL, "https:") {
		takes += trip + 2*time.Millisecond // and what the certificates cost to compute
	}
	return takes
}

// search sets the load that meets the server's timer as often as wanted, by the fewest
// requests and in the shortest time of the candidates. If none does, it is the one that
// meets the timer most often. remedies is how many runs follow.
func (a *aiming) search(remedies int) error {
	age := a.bestAge(a.profile)
	var best *profiles.Profile
	most := -1.0
	for _, s := range a.candidates(age, a.perRun(remedies)) {
		p, e, err := a.try(func(p *profiles.Profile) { a.shape(p, s) }, tried)
		if err != nil {
			return err
		}
		met := e.mean
		if a.figure.path == failures.path {
			met = max(met, e.meanOf(resends.of))
		}
		if met > most {
			best, most = p, met
		}
		if met >= wanted {
			break
		}
	}
	a.profile = best
	return nil
}

// draws is how many draws of the silences are compared, at most.
const draws = 12

// chooseSilences draws the lengths of the silences several times, if they differ, and takes
// those with which the most runs meet the timer. Some draws miss it in each silence.
func (a *aiming) chooseSilences() error {
	if a.profile.Load.Arrivals.OffMax == 0 || a.isSet("load") {
		return nil
	}
	var best *profiles.Profile
	most, mean := -1, 0.0
	for i := range draws {
		p, e, err := a.try(func(p *profiles.Profile) {
			if i > 0 {
				p.Load.Seed = newSeed()
			}
		}, tried)
		if err != nil {
			return err
		}
		hits := 0
		for _, c := range e.runs {
			if c.Met > 0 {
				hits++
			}
		}
		if m := e.meanOf(met); hits > most || hits == most && m > mean {
			best, most, mean = p, hits, m
		}
		if most == tried && mean >= wanted {
			break
		}
	}
	a.profile = best
	return nil
}

// candidates returns loads to try, the cheapest first: bursts through one pool, and then
// through as many copies of it as it takes.
func (a *aiming) candidates(age target, budget time.Duration) []shape {
	holds := a.serviceTime(a.profile)
	// The last requests of a burst put as many connections back as the first ones of the
	// next burst take, in the same order: each was idle for the silence.
	least, most := fine(max(age.from, time.Millisecond)), fine(max(age.to, time.Millisecond))
	var list []shape
	for _, rate := range []float64{100, 200, 400} {
		if a.profile.Pool.Shards > 1 {
			break // copies fit them
		}
		on := 250 * time.Millisecond
		period := on + most
		perBurst := rate * on.Seconds()
		meets := age.chance * max(rate*holds.Seconds(), 1) // as many connections are in use side by side
		cycles := min(math.Ceil(1.3*wanted/meets), math.Floor((budget-on).Seconds()/period.Seconds()), math.Floor(float64(a.order.Budget.Requests)/perBurst)-1)
		// A user who wants one pool has the patience for it.
		patient := a.behind || a.order.OneClient || a.isSet("pool.shards")
		if patient {
			cycles = max(cycles, 1)
		}
		if takes := time.Duration(cycles)*period + on; cycles >= 1 && (takes <= patience || patient) {
			list = append(list, shape{rate: rate, on: on, off: least, offMax: most, cycles: int(cycles)})
		}
	}
	if a.behind || a.order.OneClient { // copies of the client's pool are none of the balancer's
		return list
	}
	return append(list, a.copies(age, budget)...)
}

// patience is how long a run through one pool may take before copies of the pool are used
// to shorten it.
const patience = 20 * time.Second

// copies returns loads through many copies of the pool. Each copy sends one request in each
// burst, as a client with little to do.
func (a *aiming) copies(age target, budget time.Duration) []shape {
	b := a.order.Budget
	period := age.to + a.perUse()
	most := max(int((budget-time.Second)/max(period, time.Millisecond)), 1)
	reuses := math.Ceil(1.4 * wanted / max(age.chance, 1e-9))
	fixed := a.isSet("pool.shards") // the user has chosen how many copies there are
	if fixed && a.profile.Pool.Shards < 2 {
		return nil
	}
	var list []shape
	// Several silences, if there is time: one that this machine disturbs is not all.
	least := min(most, int(severalWithin/max(period, time.Millisecond)), severalCycles)
	for cycles := max(least, 1); cycles <= most; cycles++ {
		// A connection that is lost at the end of a silence is new in the next.
		lost := 1 + age.chance*float64(cycles-1)/float64(cycles)
		reuses := reuses * lost
		n := min(reuses/float64(cycles), float64(b.Connections), float64(b.Requests/(cycles+1)))
		if fixed {
			n = float64(a.profile.Pool.Shards)
		}
		if n*float64(cycles) >= 0.7*reuses || cycles == most || cycles == 100 {
			list = append(list, a.spreadOut(age, int(max(n, 5)), cycles))
			break
		}
	}
	return list
}

// severalCycles is how many silences a run through copies of a pool has at least, if they
// do not take longer than severalWithin.
const (
	severalCycles = 3
	severalWithin = 45 * time.Second
)

// perUse is the time between two bursts in which a connection that was new in the first is
// not idle.
func (a *aiming) perUse() time.Duration {
	return a.serviceTime(a.profile) + dialTime(a.profile, roundTrip(a.profile, a.server))
}

// spreadOut returns bursts of n requests, one through each of n copies of the pool.
func (a *aiming) spreadOut(age target, n, cycles int) shape {
	period := age.from + a.perUse()
	// A server that looks at its timers now and then closes many connections at once, so
	// a burst lasts about as long as the closes are spread.
	length := swept
	if a.server.Idle.sweeps() {
		length = a.server.Idle.Width()
	}
	rate := 1000.0
	for _, r := range []float64{500, 200, 100, 50, 20} {
		if on := float64(n) / r; on <= max(length, 2*time.Second).Seconds() && on <= period.Seconds()/2 && rate*length.Seconds() > float64(n) {
			rate = r
		}
	}
	n = min(n, max(int(rate*period.Seconds()/2), 1))
	if agents := a.order.Agents; agents > 1 {
		n = max(n-n%agents, agents)
	}
	on := time.Duration(float64(n) / rate * float64(time.Second))
	least := fine(max(period-on, time.Millisecond))
	return shape{shards: n, rate: rate, on: on, off: least, offMax: least + fine(age.to-age.from), cycles: cycles}
}

// fine returns d to a tenth of a millisecond, which a profile can show.
func fine(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
