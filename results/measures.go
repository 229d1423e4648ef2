package results

import (
	"maps"
	"slices"
	"strings"
)

// Names of the measures of a comparison. The measure of the failures with one phase
// and cause has a name such as MeasureFailureRate + ".before_response.fin".
const (
	MeasureFailureRate  = "failures.rate"          // failed ÷ started
	MeasureDropped      = "dropped.rate"           // dropped ÷ due
	MeasureResponse     = "response"               // + .p50, .p99, .p999
	MeasureService      = "service"                // + .p50, .p99, .p999
	MeasureAcquire      = "acquire"                // + .p50, .p99, .p999: the wait for a connection
	MeasureOpened       = "connections.per_1000"   // opened, per 1000 requests
	MeasureHandshakes   = "handshakes.share"       // share of resolve, connect and tls in the time that requests were served
	MeasurePending      = "pool.peak_pending"      //
	MeasureTimeWait     = "sockets.time_wait_peak" // on the client
	MeasureTimeWaitPeer = "sockets.time_wait_server_peak"
	MeasurePorts        = "sockets.ports_used_peak"
	MeasureCPU          = "cpu.per_request" // seconds
)

// measureOrder is the order of the measures in a report. The measures of single
// phases and causes of failure follow MeasureFailureRate.
var measureOrder = []string{
	MeasureFailureRate, MeasureDropped,
	MeasureResponse + ".p50", MeasureResponse + ".p99", MeasureResponse + ".p999",
	MeasureService + ".p50", MeasureService + ".p99", MeasureService + ".p999",
	MeasureAcquire + ".p50", MeasureAcquire + ".p99", MeasureAcquire + ".p999",
	MeasureOpened, MeasureHandshakes, MeasurePending,
	MeasureTimeWait, MeasureTimeWaitPeer, MeasurePorts, MeasureCPU,
}

var measureLabels = map[string]string{
	MeasureFailureRate: "failure rate", MeasureDropped: "dropped",
	MeasureResponse: "response", MeasureService: "service", MeasureAcquire: "queue wait",
	MeasureOpened: "connections / 1000 requests", MeasureHandshakes: "handshake share",
	MeasurePending: "pending peak", MeasureTimeWait: "TIME_WAIT peak, ours", MeasureTimeWaitPeer: "TIME_WAIT peak, the server's",
	MeasurePorts: "ports used, peak", MeasureCPU: "CPU per request",
}

// MeasureLabel is the name of a measure in a report: "failure rate",
// "before_response / fin", "response p99.9".
func MeasureLabel(name string) string {
	if label, found := measureLabels[name]; found {
		return label
	}
	if way, found := strings.CutPrefix(name, MeasureFailureRate+"."); found {
		return strings.Replace(way, ".", " / ", 1)
	}
	if of, stat, found := strings.Cut(name, "."); found && measureLabels[of] != "" {
		return measureLabels[of] + " " + strings.Replace(stat, "p999", "p99.9", 1)
	}
	return name
}

// MeasureNames lists the measures that any arm of c has, in the order of a report:
// the failure rate, its parts, then times and costs.
func (c *Comparison) MeasureNames() []string {
	found := map[string]bool{}
	for _, arm := range c.Arms {
		for name := range arm.Measures {
			found[name] = true
		}
	}
	return slices.SortedFunc(maps.Keys(found), compareMeasures)
}

// compareMeasures orders two names as MeasureNames does.
func compareMeasures(a, b string) int {
	if d := measurePlace(a) - measurePlace(b); d != 0 {
		return d
	}
	return strings.Compare(a, b)
}

func measurePlace(name string) int {
	if strings.HasPrefix(name, MeasureFailureRate+".") {
		return 1 // after measureOrder[0]
	}
	switch i := slices.Index(measureOrder, name); {
	case i < 0:
		return 2 * len(measureOrder) // not a measure of this version
	default:
		return 2 * i
	}
}

// String is the estimate as printed: "10.0 %".
func (m Measure) String() string {
	if m.Unit == UnitCount {
		return FormatThree(m.Value)
	}
	return m.Unit.Text(m.Value)
}
