package telemetry

import (
	"cmp"
	"maps"
	"net"
	"slices"
	"strconv"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/timings"
)

// methods are those that http.request.method may name; any other is "_OTHER".
var methods = []string{"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE", "QUERY"}

// Method is m as http.request.method has it; "" if it is not known.
func Method(m string) string {
	if m != "" && !slices.Contains(methods, m) {
		return "_OTHER"
	}
	return m
}

// ErrorType is error.type of an exchange that ended like this, with the status of its
// response, or 0; "" if it is not an error: a status from 400 on is one.
func ErrorType(phase results.Phase, cause results.Cause, status int) string {
	switch {
	case phase != results.PhaseDone:
		return phase.String() + "/" + cause.String()
	case status >= 400:
		return strconv.Itoa(status)
	}
	return ""
}

// builder makes the metrics of one run.
type builder struct {
	run    string
	server []string // server.address and server.port, if they are known
	method string
	list   []Metric
}

// Of returns the metrics of a run that stands like this, under the name run. All counters
// are those of the document, so that at the end they are equal to those in run.json.
func Of(run string, s *kabench.Standing) []Metric {
	b := &builder{run: run, method: Method(s.Method)}
	if host, port, err := net.SplitHostPort(s.Server); err == nil {
		b.server = []string{"server.address", host, "server.port", port}
	}
	doc := s.Run
	b.about(doc, s.Over)
	b.durations(s.Timings)
	b.exchanges(doc)
	b.connections(doc)
	b.kernel(&doc.Kernel)
	if s.Sample != nil {
		b.gauges(s.Sample, doc.Sockets.PortsAvailable)
	}
	b.peaks(doc)
	return b.list
}

// add adds a metric without points.
func (b *builder) add(kind Kind, name, unit, help string) *Metric {
	b.list = append(b.list, Metric{Name: name, Unit: unit, Help: help, Kind: kind})
	return &b.list[len(b.list)-1]
}

// point adds a point; pairs are names and values of its labels in turn.
func (b *builder) point(m *Metric, v float64, pairs ...string) {
	m.Points = append(m.Points, Point{Labels: labels(append(pairs, "kabench.run", b.run)...), Value: v})
}

func (b *builder) histogram(m *Metric, h *timings.Histogram, pairs ...string) {
	m.Points = append(m.Points, Point{Labels: labels(append(pairs, "kabench.run", b.run)...), Histogram: h})
}

// one adds a metric with one point.
func (b *builder) one(kind Kind, name, unit, help string, v float64, pairs ...string) {
	b.point(b.add(kind, name, unit, help), v, pairs...)
}

func (b *builder) about(doc *results.Run, over bool) {
	client := ""
	if doc.Driver != nil {
		client = doc.Driver.Client
	}
	if doc.Preset != nil {
		client = cmp.Or(client, doc.Preset.Name)
	}
	b.one(Gauge, "kabench.run.info", "", "Always 1; its labels describe the run.", 1, "kabench.version", doc.Version, "kabench.client", client)
	b.one(Gauge, "kabench.run.start_time", "s", "When the run began, as Unix time.", float64(doc.Start.UnixNano())/1e9)
	b.one(Gauge, "kabench.run.over", "", "1 once the run is over, and its counters are those of run.json.", truth(over))
	if over {
		b.one(Gauge, "kabench.run.valid", "", "1 if the run is valid; there is no such series before its end.", truth(doc.Valid))
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (b *builder) durations(t *timings.Timings) {
	if t == nil {
		t = &timings.Timings{}
	}
	m := b.add(Histogram, "http.client.request.duration", "s", "Service time of the exchanges that are ok or failed: from their start to their end.")
	for _, key := range slices.SortedFunc(maps.Keys(t.Service), compareKeys) {
		status := ""
		if key.Status > 0 {
			status = strconv.Itoa(key.Status)
		}
		b.histogram(m, t.Service[key], append(b.server, "http.request.method", b.method,
			"http.response.status_code", status, "error.type", ErrorType(key.Phase, key.Cause, key.Status))...)
	}
	m = b.add(Histogram, "kabench.response.duration", "s", "Response time: from when an exchange was due to its end.")
	b.histogram(m, &t.Response, "kabench.outcome", "ok")
	b.histogram(m, &t.Failed, "kabench.outcome", "failed")
	m = b.add(Histogram, "kabench.lag", "s", "How late kabench itself started exchanges.")
	b.histogram(m, &t.Lag)
	if t.Lives != nil {
		m = b.add(Histogram, "http.client.connection.duration", "s", "How long connections were open, of those that were closed.")
		b.histogram(m, t.Lives, b.server...)
	}
}

func compareKeys(a, b timings.Key) int {
	return cmp.Or(cmp.Compare(a.Phase, b.Phase), cmp.Compare(a.Cause, b.Cause), cmp.Compare(a.Status, b.Status))
}

func (b *builder) exchanges(doc *results.Run) {
	c := &doc.Counts
	for _, each := range []struct {
		name, help string
		n          uint64
	}{
		{"due", "Exchanges that were due, of those that are over.", c.Due},
		{"started", "Exchanges that were started, of those that are over.", c.Started},
		{"dropped", "Exchanges that were due and never started, because the limit of requests in flight was reached.", c.Dropped},
		{"ok", "Exchanges whose complete response arrived, whatever its status.", c.OK},
		{"failed", "Exchanges that were started and failed.", c.Failed},
		{"unfinished", "Exchanges that were given up when the run was aborted.", c.Unfinished},
		{"waited", "Exchanges that waited in kabench's bounded buffer before they were started.", c.Waited},
		{"warm_up", "Exchanges of the warm-up, which no other counter of exchanges has.", c.WarmUp},
		{"unbounded", "Exchanges that are ok and whose response ended only with the connection.", c.Unbounded},
	} {
		b.one(Counter, "kabench.exchanges."+each.name, "{exchange}", each.help, float64(each.n))
	}
	m := b.add(Counter, "kabench.outcomes", "{exchange}", "Exchanges by how they ended, and on what kind of connection.")
	for _, o := range doc.Outcomes {
		b.point(m, float64(o.Count), "kabench.phase", o.Phase.String(), "kabench.cause", o.Cause.String(),
			"kabench.connection", o.Connection(), "error.type", ErrorType(o.Phase, o.Cause, 0))
	}
	m = b.add(Counter, "kabench.responses", "{response}", "Responses by status; complete is false of those that were cut off after their head.")
	for _, each := range []struct {
		complete string
		statuses map[string]uint64
	}{{"true", doc.Statuses}, {"false", doc.FailedStatuses}} {
		for _, status := range slices.Sorted(maps.Keys(each.statuses)) {
			b.point(m, float64(each.statuses[status]), "http.response.status_code", status, "kabench.complete", each.complete)
		}
	}
	b.one(Counter, "kabench.attempts", "{attempt}", "How often requests were put on a connection.", float64(doc.Attempts))
	m = b.add(Counter, "kabench.resends", "{attempt}", "Attempts that failed and after which the request was sent again.")
	for _, r := range doc.Resends.Causes {
		b.point(m, float64(r.Count), "kabench.phase", r.Phase.String(), "kabench.cause", r.Cause.String(), "kabench.reused", strconv.FormatBool(r.Reused))
	}
	m = b.add(Counter, "kabench.resent_exchanges", "{exchange}", "Exchanges that were sent again: all, those that are ok in the end, and those that may have been executed twice.")
	b.point(m, float64(doc.Resends.Exchanges), "kabench.result", "any")
	b.point(m, float64(doc.Resends.Rescued), "kabench.result", "rescued")
	b.point(m, float64(doc.Resends.MaybeTwice), "kabench.result", "maybe_twice")
}

func (b *builder) connections(doc *results.Run) {
	c := &doc.Connections
	b.one(Counter, "kabench.connections.opened", "{connection}", "Connections whose handshakes were completed, warm-up included.", float64(c.Opened))
	b.one(Counter, "kabench.connections.tls_resumed", "{connection}", "TLS handshakes that took up an earlier session.", float64(c.TLSResumed))
	m := b.add(Counter, "kabench.connections.closed", "{connection}", "Connections that were closed, by who was first: us, the peer with a FIN, the peer with an RST, or unknown.")
	b.point(m, float64(c.ClosedByUs), "kabench.closer", "us")
	b.point(m, float64(c.ClosedByPeer), "kabench.closer", "peer")
	b.point(m, float64(c.Reset), "kabench.closer", "reset")
	b.point(m, float64(c.Unknown), "kabench.closer", "unknown")
	m = b.add(Counter, "kabench.connections.evicted", "{connection}", "Connections that left the pool, by the reason.")
	for _, reason := range slices.Sorted(maps.Keys(c.Evictions)) {
		b.point(m, float64(c.Evictions[reason]), "kabench.reason", reason)
	}
	m = b.add(Counter, "kabench.exchanges.by_connection", "{exchange}", "Exchanges that were started, by the kind of connection they were put on.")
	b.point(m, float64(doc.Reuse.Fresh), "kabench.connection", results.ConnectionFresh)
	b.point(m, float64(doc.Reuse.Reused), "kabench.connection", results.ConnectionReused)
	b.point(m, float64(doc.Reuse.NoConnection), "kabench.connection", results.ConnectionNone)
}

func (b *builder) kernel(k *results.Kernel) {
	if !k.Available {
		return
	}
	m := b.add(Counter, "kabench.kernel.events", "{event}", "How far the kernel's TCP counters rose during the run, of everything in the network namespace.")
	for _, name := range slices.Sorted(maps.Keys(k.Counters)) {
		b.point(m, float64(k.Counters[name]), "kabench.counter", name)
	}
	for _, host := range slices.Sorted(maps.Keys(k.Hosts)) {
		for _, name := range slices.Sorted(maps.Keys(k.Hosts[host])) {
			b.point(m, float64(k.Hosts[host][name]), "kabench.counter", name, "kabench.host", host)
		}
	}
}

// gauges are those of the newest sample.
func (b *builder) gauges(s *results.Sample, ports int) {
	m := b.add(UpDown, "http.client.open_connections", "{connection}", "Open connections of the pool: active ones are leased.")
	b.point(m, float64(s.Leased), append(b.server, "http.connection.state", "active")...)
	b.point(m, float64(s.Idle), append(b.server, "http.connection.state", "idle")...)
	b.one(UpDown, "http.client.active_requests", "{request}", "Exchanges in flight.", float64(s.InFlight), append(b.server, "http.request.method", b.method)...)
	b.one(UpDown, "kabench.pool.dialing", "{connection}", "Connections being opened.", float64(s.Dialing))
	b.one(UpDown, "kabench.pool.pending", "{request}", "Requests that wait for a connection.", float64(s.Pending))
	b.one(UpDown, "kabench.buffered", "{request}", "Requests that are due and wait in kabench's bounded buffer.", float64(s.Buffered))
	b.one(Gauge, "kabench.cpu.cores", "{core}", "CPU that kabench uses, with the server if that is in its process.", s.CPU)
	b.one(Gauge, "kabench.goroutines", "{goroutine}", "Goroutines of kabench.", float64(s.Goroutines))
	b.one(Gauge, "kabench.open_files", "{file}", "Open files of kabench.", float64(s.OpenFiles))
	if s.Sockets == nil {
		return
	}
	m = b.add(UpDown, "kabench.sockets", "{socket}", "Sockets to the target by side and TCP state, as the kernel lists them.")
	states := slices.Concat(results.TCPStates[:9], results.TCPStates[10:]) // without LISTEN
	for _, side := range []struct {
		name   string
		counts map[string]int
	}{{"client", s.Sockets.Client}, {"server", s.Sockets.Server}} {
		for _, state := range states {
			if side.counts != nil {
				b.point(m, float64(side.counts[state]), "kabench.side", side.name, "kabench.state", state)
			}
		}
	}
	b.one(UpDown, "kabench.ports.used", "{port}", "Local ports in use towards the target, TIME_WAIT included.", float64(s.Sockets.PortsUsed))
	b.one(UpDown, "kabench.ports.available", "{port}", "Local ports that there are towards the target.", float64(ports))
}

// peaks are the largest values that gauges have had.
func (b *builder) peaks(doc *results.Run) {
	m := b.add(Gauge, "kabench.peak", "", "The largest value so far, by the name in run.json.")
	p, s := &doc.Pool, &doc.Sockets
	for _, each := range []struct {
		name string
		n    int
	}{
		{"connections.max_open", doc.Connections.MaxOpen},
		{"pool.peak_pending", p.PeakPending}, {"pool.peak_leased", p.PeakLeased}, {"pool.peak_idle", p.PeakIdle}, {"pool.peak_dialing", p.PeakDialing},
		{"sockets.time_wait_peak", s.TimeWaitPeak}, {"sockets.time_wait_server_peak", s.TimeWaitServer},
		{"sockets.established_peak", s.EstablishedPeak}, {"sockets.close_wait_peak", s.CloseWaitPeak}, {"sockets.ports_used_peak", s.PortsUsedPeak},
	} {
		b.point(m, float64(each.n), "kabench.figure", each.name)
	}
}
