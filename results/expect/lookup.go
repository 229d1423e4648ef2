package expect

import (
	"reflect"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
)

// Value is the result at a path. If there is no result, Why gives the reason.
type Value struct {
	Number float64
	Unit   results.Unit
	Why    string
}

func count[N int | uint64](n N) Value { return Value{Number: float64(n)} }

// finder finds the value at the rest of a path. It returns false if it does not know
// the path.
type finder func(run *results.Run, rest string) (Value, bool)

// finders find the paths that are not simply a field of a section, by their first
// word. Lookup finds latencies and fields of sections without a finder.
var finders = map[string]finder{
	"valid":           validPath,
	"attempts":        attemptsPath,
	"failures":        failures,
	"statuses":        statusesPath,
	"error_answers":   answersPath,
	"connections":     evictionsPath,
	"kernel":          kernelPath,
	"lab":             labPath,
	"ports":           portsPath,
	"times":           timesPath,
	"closed":          closedPath,
	"packets":         packetsPath,
	"failed":          failedPath,
	"fresh":           freshPath,
	"reused":          reusedPath,
	"idle_at_failure": idleAtFailurePath,
}

// Lookup finds the value at path in run. It returns an error if no run has this path.
func Lookup(run *results.Run, path string) (Value, error) {
	head, rest, _ := strings.Cut(path, ".")
	if find := finders[head]; find != nil {
		if v, found := find(run, rest); found {
			return v, nil
		}
	} else if v, found := latency(run.Latency, head, rest); found {
		return v, nil
	}
	if section, found := sections(run)[head]; found {
		if v, found := field(section, rest); found {
			v.Why = unseen(run, head, rest)
			return v, nil
		}
	}
	return Value{}, unknownPath(path)
}

func validPath(run *results.Run, rest string) (Value, bool) {
	return Value{Number: float64(b2i(run.Valid)), Unit: results.UnitBool}, rest == ""
}

func attemptsPath(run *results.Run, rest string) (Value, bool) {
	switch rest {
	case "":
		return count(run.Attempts), true
	case "resent":
		once := run.Reuse.Fresh + run.Reuse.Reused // requests put on a connection
		return count(max(run.Attempts, once) - once), true
	}
	return Value{}, false
}

func statusesPath(run *results.Run, rest string) (Value, bool) {
	return count(run.Statuses[rest]), isStatus(rest)
}

func evictionsPath(run *results.Run, rest string) (Value, bool) {
	reason, found := strings.CutPrefix(rest, "evictions.")
	if !found || !slices.Contains(evictions, reason) {
		return Value{}, false
	}
	v := count(run.Connections.Evictions[reason])
	v.Why = unseen(run, "connections", rest)
	return v, true
}

func labPath(run *results.Run, rest string) (Value, bool) {
	if host, found := strings.CutPrefix(rest, "share."); found && host != "" {
		return labShare(run, host), true
	}
	name, found := strings.CutPrefix(rest, "headers.")
	if !found || name == "" {
		return Value{}, false
	}
	return labHeader(run, name), true
}

func failedPath(run *results.Run, rest string) (Value, bool) {
	if status, found := strings.CutPrefix(rest, "statuses."); found && isStatus(status) {
		return count(run.FailedStatuses[status]), true
	}
	return apart(run.FailedLatency, rest)
}

func freshPath(run *results.Run, rest string) (Value, bool) { return apart(run.LatencyFresh, rest) }

func reusedPath(run *results.Run, rest string) (Value, bool) { return apart(run.LatencyReused, rest) }

// apart finds a latency in m, which covers one group of exchanges only: failed, fresh
// or reused. There is no lag for a group: lag covers all exchanges that were started.
func apart(m map[string]results.Quantiles, rest string) (Value, bool) {
	name, stat, _ := strings.Cut(rest, ".")
	if name == results.LatencyLag {
		return Value{}, false
	}
	return latency(m, name, stat)
}

func idleAtFailurePath(run *results.Run, rest string) (Value, bool) {
	var q results.Quantiles
	if run.IdleAtFailure != nil {
		q = *run.IdleAtFailure
	}
	return quantile(map[string]results.Quantiles{"": q}, "", rest)
}

// sections are the parts of the document whose fields are paths.
func sections(run *results.Run) map[string]reflect.Value {
	var lab results.LabSeen
	if run.Lab != nil {
		lab = *run.Lab
	}
	var proxy results.ProxySeen
	if run.Proxy != nil {
		proxy = *run.Proxy
	}
	var packets results.Packets
	if run.Packets != nil {
		packets = *run.Packets
	}
	return map[string]reflect.Value{
		"counts": reflect.ValueOf(run.Counts), "connections": reflect.ValueOf(run.Connections),
		"pool": reflect.ValueOf(run.Pool), "sockets": reflect.ValueOf(run.Sockets), "rate": reflect.ValueOf(run.Rate),
		"reuse": reflect.ValueOf(run.Reuse), "resends": reflect.ValueOf(run.Resends), "lab": reflect.ValueOf(lab),
		"packets": reflect.ValueOf(packets), "proxy": reflect.ValueOf(proxy),
	}
}
