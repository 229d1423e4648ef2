package page

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/text"
)

// maxShown is how many stays the lifelines of a page have, over all its runs: about
// 100 bytes each.
const maxShown = 4500

// Gatherer gathers the data of one run on a page, from its exchanges and samples in
// any order. Its memory does not grow with their number. It is safe for concurrent
// use: a page may be drawn during the run.
type Gatherer struct {
	mu       sync.Mutex
	name     string
	doc      *results.Run
	live     bool
	oneIn    uint64
	flow     *flow
	heat     *heat
	errors   *errorCounts
	response *hdrhistogram.Histogram
	service  *hdrhistogram.Histogram
	pool     *gauges
	sockets  *gauges
	server   bool // whether the server's sockets were seen
	lives    *lifelines
	tally    results.Tally // of a live run
	last     time.Duration // latest stamp of a live run
	opened   uint64
	ends     bool // whether the end of any connection was recorded
	stays    int  // how many stays the lifelines show at most
}

// NewGatherer makes a Gatherer of a finished run. It must observe every recorded
// exchange of the run.
func NewGatherer(name string, doc *results.Run) *Gatherer { return newGatherer(name, doc, 1) }

// newGatherer is NewGatherer for a page with the given number of runs.
func newGatherer(name string, doc *results.Run, runs int) *Gatherer {
	width, columns := max(maxSpans/runs, leastSpans), max(maxColumns/runs, leastColumns)
	return &Gatherer{
		stays: maxShown / runs,
		name:  name, doc: doc, oneIn: max(doc.Recording.SuccessesOneIn, 1),
		flow: newFlow(width), heat: newHeat(columns), errors: newErrorCounts(), response: results.NewHistogram(), service: results.NewHistogram(),
		pool: newGauges(6, width), sockets: newGauges(4, width), lives: newLifelines(max(doc.Recording.SuccessesOneIn, 1)),
	}
}

// NewLiveGatherer makes a Gatherer of a run in progress. It must observe every
// exchange, and counts what the run's document will count. It does not change begun,
// the document as known at the beginning.
func NewLiveGatherer(name string, begun *results.Run) *Gatherer {
	g := NewGatherer(name, begun)
	g.live, g.oneIn = true, 1
	return g
}

// Finish ends a live run: its document doc replaces the live counts. The caller must
// not change doc afterwards.
func (g *Gatherer) Finish(doc *results.Run) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.doc, g.live = doc, false
}

// Evidence adds failures with their packets. Call it before Observe, so that their
// connections are shown.
func (g *Gatherer) Evidence(all []results.Evidence) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range all {
		g.lives.evidence[e.Seq] = e
	}
}

// Observe counts an exchange that is over. It does not keep e. While Run or Data are
// being made, which takes some milliseconds, it waits, so the loop that sends a run's
// requests must not call it.
func (g *Gatherer) Observe(e *results.Exchange) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := uint64(1)
	if e.OK() && len(e.Tries) == 0 { // else it is always recorded
		n = g.oneIn
	}
	if g.live {
		g.tally.Add(e)
		g.last = max(g.last, e.Due, e.Done)
	}
	g.flow.add(&g.flow.due, e.Due, n)
	if e.Phase == results.PhaseSchedule {
		g.flow.fail(outcome{e.Phase, e.Cause}, e.Due)
		return
	}
	g.flow.add(&g.flow.started, e.Start, n)
	switch {
	case e.OK():
		g.flow.add(&g.flow.ok, e.Done, n)
		g.heat.add(e.Due, e.ResponseTime(), n)
		if !e.WarmUp {
			recordIn(g.response, e.ResponseTime(), n)
			recordIn(g.service, e.ServiceTime(), n)
		}
	case e.Failed():
		g.flow.fail(outcome{e.Phase, e.Cause}, max(e.Done, e.Start))
		if e.Done != results.Never {
			g.heat.fail(e.Due, e.ResponseTime())
		}
		g.errors.add(e)
	}
	g.lives.observe(e)
}

func recordIn(h *hdrhistogram.Histogram, d time.Duration, n uint64) {
	us := min(max(d, 0), results.HistogramMax).Round(time.Microsecond).Microseconds()
	_ = h.RecordValues(us, int64(min(n, math.MaxInt32))) // it is within the histogram's range
}

// Sample adds a sample of the gauges.
func (g *Gatherer) Sample(s results.Sample) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opened = max(g.opened, s.Opened)
	g.pool.add(s.T, s.Leased, s.Idle, s.Dialing, s.Pending, s.InFlight, s.Limit)
	if k := s.Sockets; k != nil {
		g.server = g.server || k.Server != nil
		g.sockets.add(s.T, k.Client["ESTABLISHED"], k.Client["TIME_WAIT"], k.Server["TIME_WAIT"], k.PortsUsed)
	}
}

// Run returns the data gathered so far.
func (g *Gatherer) Run() Run {
	g.mu.Lock()
	defer g.mu.Unlock()
	set := results.SetupOf(g.doc)
	doc := *g.doc
	if g.live {
		g.count(&doc, set.WarmUp)
	}
	agents, asked := agentsOf(&doc), text.AskedOfRun(&doc)
	doc.Profile, doc.Agents = nil, nil // they may be long, and the page does not show them
	if doc.Packets != nil {
		packets := *doc.Packets
		packets.Failures = nil // they are in the lifelines
		doc.Packets = &packets
	}
	r := Run{Name: g.name, asked: asked, Doc: &doc, WarmUp: set.WarmUp.Seconds(), Flow: g.flow.data(g.oneIn), Heat: g.heat.data(), Errors: g.errors.data(&doc)}
	if !g.live { // during the run, how connections ended is unknown
		r.NoTimer = text.NoTimerMet(&doc)
	}
	r.Driver, r.Agents = driverOf(doc.Driver), agents
	r.Response, r.Service = curve(g.response), curve(g.service)

	t, high := g.pool.data()
	r.Pool = Pool{
		T: t, Leased: high[0], Idle: high[1], Dialing: high[2], Pending: high[3], InFlight: high[4],
		MaxConns: set.MaxConns, PendingMax: set.PendingMax,
	}
	if doc.Limit != nil || slices.Max(append(high[5], 0)) > 0 {
		r.Pool.Limit = high[5]
	}
	t, high = g.sockets.data()
	r.Sockets = Sockets{T: t, Established: high[0], TimeWait: high[1], TimeWaitServer: []int{}, PortsUsed: high[3], PortsAvailable: doc.Sockets.PortsAvailable}
	if g.server {
		r.Sockets.TimeWaitServer = high[2]
	}
	if doc.Ports != nil {
		r.Sockets.Predicted = doc.Ports.Predicted
	}

	g.lives.poolIdle, g.lives.unknown = poolIdle(&set), g.whyUnknown()
	lanes := g.lives.data(g.stays)
	r.Lifelines = Lifelines{Lanes: lanes, Connections: max(doc.Connections.Opened, g.connections(agents != nil)), IdleTimeout: set.PeerIdleTimeout.Seconds(), OneIn: g.oneIn}
	shown := uint64(0)
	for _, lane := range lanes {
		if lane.Conn == 0 {
			continue
		}
		shown++
		if slices.ContainsFunc(lane.Exchanges, func(s Stay) bool { return s.Failed }) {
			r.Lifelines.Failing++
		}
	}
	r.Lifelines.LeftOut = max(r.Lifelines.Connections, shown) - shown
	if f := doc.Forecast; f != nil { // it has no record
		rows := text.ForecastRows(f)
		r.Forecast = &Forecast{Head: rows[0], Rows: rows[1:], First: text.FirstFailure(&doc), LeftOut: f.LeftOut}
		r.Lifelines.LeftOut = 0
	}
	return r
}

// count fills doc with the counts of a live run so far.
func (g *Gatherer) count(doc *results.Run, warmUp time.Duration) {
	g.tally.Fill(doc, max(g.last-warmUp, 0))
	doc.Complete, doc.Valid = true, len(doc.Invalid) == 0
	doc.End = doc.Start.Add(g.last)
	doc.Connections.Opened = max(g.opened, g.connections(false))
}

// connections is how many connections the exchanges show at least. Those of several agents
// have numbers with gaps, and whether a live run has agents is not known here.
func (g *Gatherer) connections(agents bool) uint64 {
	if agents || g.live {
		return g.lives.first
	}
	return g.lives.highest
}

// Data returns a page of this run alone.
func (g *Gatherer) Data() *Data {
	r := g.Run()
	d := &Data{
		Kind: KindRun, Title: r.Doc.Name, Question: r.Doc.Question, Headline: text.HeadlineOfRun(r.Doc),
		Notes: []string{}, Runs: []Run{r}, Live: g.live,
	}
	d.firstScreen()
	return d
}

// curve lists percentiles of h for an axis of 1/(1-p): five points each time the share
// of values above halves, up to the largest value.
func curve(h *hdrhistogram.Histogram) []Point {
	list := []Point{}
	n := float64(h.TotalCount())
	if n == 0 {
		return list
	}
	for above := 1.0; ; above *= math.Pow(0.5, 0.2) { // the share of values above
		if above*n < 1 {
			above = 1 / n // the largest value
		}
		p := 100 * (1 - above)
		at := float64(h.ValueAtPercentile(p)) / 1e6
		if above*n <= 1 {
			at = float64(h.Max()) / 1e6
		}
		list = append(list, Point{Percentile: round(p, 1e7), Seconds: round(at, 1e6)})
		if above*n <= 1 {
			return list
		}
	}
}
