package judge

import (
	"fmt"
	"math"
	"strings"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
)

// Forecast compares what was expected of an incident with what its run counted, and
// returns f with that. If the run shows less than expected it says which of the reasons
// it was, as far as the run's document tells.
func Forecast(f *results.Forecast, run *results.Run) *results.Forecast {
	held := *f
	held.Seen, held.Inside, held.Says = nil, false, ""
	if run == nil || !run.Valid || run.Interrupted || run.Degraded() != "" {
		return &held
	}
	v, err := expect.Lookup(run, f.Path)
	if err != nil || v.Why != "" {
		return &held
	}
	seen := uint64(math.Round(v.Number))
	held.Seen, held.Inside = &seen, f.Low <= seen && seen <= f.High
	held.Says = fmt.Sprintf("Expected beforehand: %s of %d [%d, %d] (%s). The run counted %d, ", results.FormatMean(f.Mean), run.Counts.Started, f.Low, f.High, f.Path, seen)
	switch {
	case held.Inside:
		held.Says += "inside the interval."
	case seen > f.High:
		held.Says += "above the interval: " + tooMany(f, run) + "."
	default:
		held.Says += "below the interval: " + tooFew(f, run) + "."
	}
	if f.Preset != "" {
		held.Says += fmt.Sprintf(" This was computed for the preset %s, and the real client may differ from it.", f.Preset)
	}
	if f.LinkDelay > 0 {
		held.Says += fmt.Sprintf(" kabench had put its own link before the target, with a delay of %s in each direction.", results.FormatSeconds(f.LinkDelay))
	}
	return &held
}

// tooMany says why a run counts more than expected.
func tooMany(f *results.Forecast, run *results.Run) string {
	late := lateness(f, run)
	switch {
	case late != "" && ofCloses(f):
		return "this machine was late, so a close took longer and met more requests (" + late + "). Run it again on a quieter machine"
	case late != "":
		return "this machine was late (" + late + "). Run it again when it is quieter"
	case ofCloses(f):
		return "more connections were met by the server's close than its measured timer says. Under load a server may look at its timers more often. Measure it again with kabench probe"
	}
	return "the server was slower than measured, or it was chance. Measure it again with kabench probe"
}

// ofCloses reports whether f counts what the server's closes have met.
func ofCloses(f *results.Forecast) bool { return !strings.HasPrefix(f.Path, "failures.acquire") }

// lateness says how late kabench was, if that is as much as the time within which a
// request meets a close: a round trip through kabench's own link. "" if it is less, or not
// known.
func lateness(f *results.Forecast, run *results.Run) string {
	var parts []string
	if lag := run.Latency[results.LatencyLag]; f.LinkDelay > 0 && lag.P99 >= 2*f.LinkDelay {
		parts = append(parts, "1 % of the requests started at least "+results.FormatSeconds(lag.P99)+" late")
	}
	if f.LinkDelay > 0 && run.Link != nil && run.Link.LateP99 > f.LinkDelay/2 {
		parts = append(parts, "1 % of the deliveries of kabench's link were at least "+results.FormatSeconds(run.Link.LateP99)+" late")
	}
	return strings.Join(parts, ", ")
}

// tooFew says why a run met the server's close less often than expected. The first cause
// that the document shows is the one.
func tooFew(f *results.Forecast, run *results.Run) string {
	own := run.Connections.Evictions["expired"] + run.Connections.Evictions["lifetime"]
	said := run.Connections.Evictions["server_said_close"]
	closes := run.Idle.AtPeerClose
	slack := max(0.05, 0.02*f.IdleTo)
	switch {
	case own > 0 && own >= run.Connections.ClosedByPeer:
		return fmt.Sprintf("the pool's own timer is shorter and closed %d connections first. Raise pool.idle_timeout to see the race", own)
	case said > 0 && 2*said >= run.Connections.Opened:
		return fmt.Sprintf("the server closes by another rule: it ended %d of %d connections after a response (Connection: close), before they were idle for long", said, run.Connections.Opened)
	case closes != nil && closes.Count > 0 && f.IdleTo > 0 && (closes.P50 < f.IdleFrom-slack || closes.P50 > f.IdleTo+slack):
		return fmt.Sprintf("the server closes by another rule than measured: it closed idle connections after %s in the median, and %s to %s was measured. Measure it again with kabench probe",
			results.FormatSeconds(closes.P50), results.FormatSeconds(f.IdleFrom), results.FormatSeconds(f.IdleTo))
	case !ofCloses(f):
		return "the server was faster than measured, or it was chance. Measure it again with kabench probe"
	}
	late := lateness(f, run)
	switch {
	case run.Idle.AtLease.Count > 0 && f.IdleFrom > 0 && run.Idle.AtLease.Max < f.IdleFrom-2*f.LinkDelay:
		text := fmt.Sprintf("no request was sent when the server closed: the connections had been idle for at most %s, and the server closes after %s at the earliest",
			results.FormatSeconds(run.Idle.AtLease.Max), results.FormatSeconds(f.IdleFrom))
		if late != "" {
			text += ". This machine was late (" + late + "). Run it again on a quieter machine"
		}
		return text
	case late != "":
		return "this machine was late, so too few requests met it (" + late + "). Run it again on a quieter machine"
	case closes != nil && closes.Count > 0:
		return fmt.Sprintf("the client noticed %d closes in time, before it used those connections. More connections or a larger --link-delay meet more", closes.Count)
	case run.Connections.ClosedByPeer+run.Connections.Reset == 0 && f.IdleTo > 0:
		return "the server closed no connection in this run, other than measured. Measure it again with kabench probe"
	}
	return "too few requests met it, by chance or because this machine was late. Run it again, or with a larger --budget-time"
}
