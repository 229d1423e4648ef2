package expect

import (
	"cmp"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/kabench/kabench/internal/nearest"
	"github.com/kabench/kabench/results"
)

// answersPath finds error_answers, error_answers.rate, .client and .server.
func answersPath(run *results.Run, name string) (Value, bool) {
	e := results.CountErrorAnswers(run.Statuses)
	switch name {
	case "":
		return count(e.Sum()), true
	case "client":
		return count(e.Client), true
	case "server":
		return count(e.Server), true
	case "rate":
		if run.Counts.OK == 0 {
			return Value{Unit: results.UnitRatio, Why: "no exchange was ok"}, true
		}
		return Value{Number: float64(e.Sum()) / float64(run.Counts.OK), Unit: results.UnitRatio}, true
	}
	return Value{}, false
}

func isStatus(text string) bool {
	status, err := strconv.Atoi(text)
	return err == nil && len(text) == 3 && status >= 100
}

// timesPath finds a path of the section times.
func timesPath(run *results.Run, name string) (Value, bool) {
	t, unknown := results.Times{}, "this run does not tell when things happened"
	if run.Times != nil {
		t, unknown = *run.Times, ""
	}
	none := func(missing bool, why string) string {
		if unknown == "" && missing {
			return why
		}
		return unknown
	}
	switch name {
	case "first_failure":
		return Value{Number: t.FirstFailure, Unit: results.UnitSeconds, Why: none(run.Counts.Failed == 0, "no request failed")}, true
	case "last_failure":
		return Value{Number: t.LastFailure, Unit: results.UnitSeconds, Why: none(run.Counts.Failed == 0, "no request failed")}, true
	case "fresh_peak":
		return Value{Number: float64(t.FreshPeak), Why: unknown}, true
	case "fresh_period":
		return Value{Number: t.FreshPeriod, Unit: results.UnitSeconds, Why: none(t.FreshPeriod == 0, "fresh connections did not come in waves")}, true
	}
	return Value{}, false
}

// failures finds the paths failures, failures.fresh, failures.reused,
// failures.no_connection, failures.rate, failures.<phase> and
// failures.<phase>.<cause>.
func failures(run *results.Run, rest string) (Value, bool) {
	var matches func(results.Outcome) bool
	switch rest {
	case "":
		return count(run.Counts.Failed), true
	case "rate":
		if run.Counts.Started == 0 {
			return Value{Unit: results.UnitRatio, Why: "no exchange was started"}, true
		}
		return Value{Number: float64(run.Counts.Failed) / float64(run.Counts.Started), Unit: results.UnitRatio}, true
	case "fresh":
		matches = func(o results.Outcome) bool { return o.Connection() == results.ConnectionFresh }
	case "reused":
		matches = func(o results.Outcome) bool { return o.Connection() == results.ConnectionReused }
	case "no_connection":
		matches = func(o results.Outcome) bool { return o.Connection() == results.ConnectionNone }
	default:
		phaseName, causeName, hasCause := strings.Cut(rest, ".")
		var phase results.Phase
		var cause results.Cause
		if phase.UnmarshalText([]byte(phaseName)) != nil || phase == results.PhaseSchedule || phase == results.PhaseDone {
			return Value{}, false
		}
		if hasCause && (cause.UnmarshalText([]byte(causeName)) != nil || cause == results.CauseNone) {
			return Value{}, false
		}
		matches = func(o results.Outcome) bool { return o.Phase == phase && (!hasCause || o.Cause == cause) }
	}
	var n uint64
	for _, o := range run.Outcomes {
		if o.Failed() && matches(o) {
			n += o.Count
		}
	}
	return count(n), true
}

// portsPath finds a path of the section ports.
func portsPath(run *results.Run, name string) (Value, bool) {
	if run.Ports == nil {
		run = &results.Run{Ports: &results.Ports{}}
	}
	p := run.Ports
	none := func(missing bool, why string) string {
		if missing {
			return why
		}
		return ""
	}
	noPrediction := none(p.Predicted == 0, "the ports were not to run out")
	noFailure := none(p.FirstFail == 0, "no request failed for lack of a port")
	switch name {
	case "predicted":
		return Value{Number: p.Predicted, Unit: results.UnitSeconds, Why: noPrediction}, true
	case "first":
		return Value{Number: p.FirstFail, Unit: results.UnitSeconds, Why: noFailure}, true
	case "last":
		return Value{Number: p.LastFail, Unit: results.UnitSeconds, Why: noFailure}, true
	case "back":
		return Value{Number: p.Back, Unit: results.UnitSeconds, Why: none(p.Back == 0, "no port came back")}, true
	case "met":
		return Value{Number: p.Met(), Unit: results.UnitRatio, Why: cmp.Or(noPrediction, noFailure)}, true
	case "recovered":
		return count(p.Recovered), true
	}
	return Value{}, false
}

func latency(m map[string]results.Quantiles, name, stat string) (Value, bool) {
	if !slices.Contains(results.LatencyNames(), name) {
		return Value{}, false
	}
	return quantile(m, name, stat)
}

func quantile(m map[string]results.Quantiles, name, stat string) (Value, bool) {
	q := m[name]
	v, found := field(reflect.ValueOf(q), stat)
	if !found {
		return Value{}, false
	}
	if stat != "count" && stat != "overflow" {
		v.Unit = results.UnitSeconds
		if q.Count == 0 {
			v.Why = "there were none to measure"
		}
	}
	return v, true
}

// noProxies is the reason why the section proxy is empty.
const noProxies = "no proxies of kabench's own stand before the server"

// labHeader counts the requests that had a header called name, in upper or lower
// case.
func labHeader(run *results.Run, name string) Value {
	if run.Lab == nil {
		return Value{Why: notOurServer}
	}
	if run.Lab.Headers == nil {
		return Value{Why: "the server kept no headers (target.lab.record_headers)"}
	}
	return count(run.Lab.Headers[http.CanonicalHeaderKey(name)])
}

// labShare is the share of all requests that the server on a host read.
func labShare(run *results.Run, host string) Value {
	v := Value{Unit: results.UnitRatio}
	switch {
	case run.Lab == nil:
		v.Why = notOurServer
	case run.Lab.Hosts == nil:
		v.Why = "the server stands in no private network"
	case run.Lab.Requests == 0:
		v.Why = "no request was read"
	default:
		v.Number = float64(run.Lab.Hosts[host]) / float64(run.Lab.Requests)
	}
	return v
}

// notOurServer is the reason why the section lab is empty.
const notOurServer = "the target is not kabench's own server"

// unseen returns the reason why the value in a section was not measured, or "" if it
// was.
func unseen(run *results.Run, section, name string) string {
	switch {
	case section == "lab" && run.Lab == nil:
		return notOurServer
	case section == "proxy" && run.Proxy == nil:
		return noProxies
	case section == "packets" && run.Packets == nil:
		return noPackets
	case ofOwnPool(section, name) && results.SetupOf(run).Client == "stock":
		return "the stock client's pool does not tell it"
	case untold(run, section+"."+name):
		return notTold(run)
	case section != "sockets" || name == "available" || name == "server_side":
		return ""
	case !run.Sockets.Available:
		if run.Sockets.Why != "" {
			return "sockets could not be seen: " + run.Sockets.Why
		}
		return "sockets could not be seen"
	case name == "time_wait_server_peak" && !run.Sockets.ServerSide:
		return "the server's sockets could not be seen"
	}
	return ""
}

// NeverKnown returns the reason why no run with this setup can know the result at
// path, or "" if a run can. lab, proxies and network report whether the setup has
// kabench's own server, proxies in front of the server, and a private network.
func NeverKnown(path, client string, lab, proxies, network bool) string {
	section, name, _ := strings.Cut(path, ".")
	switch {
	case section == "lab" && !lab:
		return notOurServer
	case section == "proxy" && !proxies:
		return noProxies
	case (section == "packets" || section == "closed") && !network:
		return noPackets
	case section == "lab" && strings.HasPrefix(name, "share.") && !network:
		return "hosts serve the target in a private network only: the profile has none"
	case section == "kernel" && strings.Contains(name, ".") && !network:
		return "hosts count for themselves in a private network only: the profile has none"
	case client == "stock" && ofOwnPool(section, name):
		return "the stock client's pool does not tell it"
	}
	return ""
}

// notTold is why a figure is unknown that only kabench's own client has.
func notTold(run *results.Run) string {
	return "unknown: " + run.Driver.Client + " does not tell it, and it cannot be seen from outside"
}

// untold reports whether only kabench's own pool has a figure, and a real client made the
// run. The figures of a client's gauges are known.
func untold(run *results.Run, path string) bool {
	d := run.Driver
	section, name, _ := strings.Cut(path, ".")
	switch {
	case d == nil:
		return false
	case path == "counts.unbounded": // which needs the response's head
		return true
	case path == "connections.tls_resumed": // which needs the client's keys
		return true
	case section == "resends": // each attempt is on the wire
		return !d.Looked
	case section == "pool":
		gauge, known := map[string]string{"peak_pending": "pending", "peak_leased": "active", "peak_idle": "idle"}[name]
		return !known || !run.Tells(gauge)
	case section == "connections" || section == "idle" || section == "idle_at_failure" || section == "reuse":
		return !d.Counted || ofOwnPool(section, name)
	}
	return ofOwnPool(section, name)
}

// ofOwnPool reports whether only kabench's own pool reports a figure. net/http's
// Transport does not show when it queues, dials, evicts or re-sends.
func ofOwnPool(section, name string) bool {
	switch section {
	case "pool":
		return name == "peak_pending" || name == "peak_dialing"
	case "connections":
		return strings.HasPrefix(name, "evictions.")
	case "resends": // attempts.resent counts the resends of the Transport that kabench saw
		return true
	}
	return false
}

// field finds the number or bool that is called name in the section's JSON.
func field(section reflect.Value, name string) (Value, bool) {
	for _, typ := range reflect.VisibleFields(section.Type()) {
		tag, _, _ := strings.Cut(typ.Tag.Get("json"), ",")
		if tag != name {
			continue
		}
		switch f := section.FieldByIndex(typ.Index); f.Kind() {
		case reflect.Int:
			return Value{Number: float64(f.Int())}, true
		case reflect.Uint64:
			return Value{Number: float64(f.Uint())}, true
		case reflect.Float64:
			unit := results.UnitPerSecond
			if strings.HasPrefix(name, "late_") {
				unit = results.UnitSeconds
			}
			return Value{Number: f.Float(), Unit: unit}, true
		case reflect.Bool:
			return Value{Number: float64(b2i(f.Bool())), Unit: results.UnitBool}, true
		}
	}
	return Value{}, false
}

// evictions are the reasons for which Connections.Evictions counts connections.
var evictions = []string{
	"expired", "lifetime", "max_requests", "surplus", "made_room", "hint", "peer_closed", "reset",
	"server_said_close", "broken", "shutdown",
}

// knownPaths lists every path, with 200 for any status.
func knownPaths() []string {
	paths := []string{
		"valid", "attempts", "attempts.resent", "statuses.200", "failed.statuses.200", "lab.headers.connection", "lab.share.server",
		"failures", "failures.rate", "failures.fresh", "failures.reused", "failures.no_connection",
		"error_answers", "error_answers.rate", "error_answers.client", "error_answers.server",
	}
	for p := results.PhaseAcquire; p < results.PhaseDone; p++ {
		paths = append(paths, "failures."+p.String())
		for c := results.CauseNone + 1; int(c) < results.NumCauses; c++ {
			paths = append(paths, "failures."+p.String()+"."+c.String())
		}
	}
	for _, reason := range evictions {
		paths = append(paths, "connections.evictions."+reason)
	}
	for _, c := range results.KernelCounters {
		paths = append(paths, "kernel."+c.Name, "kernel.server."+c.Name)
	}
	paths = append(paths, "ports.predicted", "ports.first", "ports.last", "ports.back", "ports.recovered", "ports.met",
		"times.first_failure", "times.last_failure", "times.fresh_peak", "times.fresh_period")
	for _, by := range closers {
		paths = append(paths, "closed."+by)
		for _, how := range manners {
			paths = append(paths, "closed."+by+"."+how)
		}
	}
	for _, name := range budgets {
		paths = append(paths, fieldNames("packets."+name, reflect.ValueOf(results.Budget{}))...)
	}
	for name, section := range sections(&results.Run{}) {
		paths = append(paths, fieldNames(name, section)...)
	}
	for _, name := range results.LatencyNames() {
		paths = append(paths, fieldNames(name, reflect.ValueOf(results.Quantiles{}))...)
		if name != results.LatencyLag {
			for _, of := range []string{"failed.", "fresh.", "reused."} {
				paths = append(paths, fieldNames(of+name, reflect.ValueOf(results.Quantiles{}))...)
			}
		}
	}
	paths = append(paths, fieldNames("idle_at_failure", reflect.ValueOf(results.Quantiles{}))...)
	slices.Sort(paths)
	return paths
}

func fieldNames(prefix string, section reflect.Value) []string {
	var names []string
	for i := range section.NumField() {
		name, _, _ := strings.Cut(section.Type().Field(i).Tag.Get("json"), ",")
		if _, found := field(section, name); found {
			names = append(names, prefix+"."+name)
		}
	}
	return names
}

func unknownPath(path string) error {
	paths := knownPaths()
	if known := nearest.Name(path, paths); known != "" {
		return fmt.Errorf("%q is not a result; the nearest is %s", path, known)
	}
	below := slices.DeleteFunc(paths, func(known string) bool { return !strings.HasPrefix(known, path+".") })
	if len(below) > 1 {
		return fmt.Errorf("%q is not a result, but a group of them, such as %s and %s; docs/results.md#expectations lists them", path, below[0], below[1])
	}
	return fmt.Errorf("%q is not a result that a condition can be about; docs/results.md#expectations lists those", path)
}
