package judge

import (
	"fmt"

	"github.com/kabench/kabench/results"
)

// Advise adds to d.Warnings what is true and odd, and what to do about it.
func Advise(d *results.Run, l Limits) {
	warnf := func(format string, args ...any) { d.Warnings = append(d.Warnings, fmt.Sprintf(format, args...)) }
	if p := d.Packets; p != nil {
		advisePackets(p, warnf)
	}
	if n := d.Counts.Dropped; n > 0 && d.Interrupted {
		warnf("%d of %d requests were due and never started: load.max_in_flight (%d) were under way, or they waited in the buffer when the run was stopped", n, d.Counts.Due, l.MaxInFlight)
	} else if n > 0 && (d.Valid || d.Instrument.Schedule.Overload == results.OverloadTarget) {
		warnf("%d of %d requests were due and never started, because load.max_in_flight (%d) were under way: their waiting is in no percentile; raise load.max_in_flight, or let them wait with load.buffer", n, d.Counts.Due, l.MaxInFlight)
	}
	if n := d.ErrorAnswers.Sum(); n > 0 {
		warnf("%d of %d answers had an error status (400 or above): they arrived, so they are ok as exchanges; expect error_answers: 0 to make them count", n, d.Counts.OK)
	}
	lag, response := d.Latency[results.LatencyLag], d.Latency[results.LatencyResponse]
	if d.Valid && response.Count > 0 && lag.P99 > 0.1*response.P99 && lag.P99 > 0.003 {
		warnf("the generator's own lateness (p99 %v) is more than a tenth of the response time (p99 %v): compare service times, or give this machine less else to do", seconds(lag.P99), seconds(response.P99))
	}
	if m := d.Instrument.Machine; m != nil {
		if d.Valid && m.Saturated > 1 && 10*m.Saturated >= m.Seconds {
			warnf("no core was free in %d of %d seconds: times hold the wait for one, the server's too if it runs here; give this machine less else to do, or more cores", m.Saturated, m.Seconds)
		}
		if m.Throttled != nil && *m.Throttled > 0.1 {
			warnf("the control group's CPU quota stopped kabench for %v in all: every pause of a quota is tens of milliseconds long; raise the quota (cpu.max)", seconds(*m.Throttled))
		}
		if m.Steal > 0.05 {
			warnf("the hypervisor gave %.0f %% of this machine's cores to others: use one that is not shared", 100*m.Steal)
		}
	}
	if n := d.Unasked(); n > 0 {
		warnf("%d requests were re-sent below the caller's eyes: %d attempts for %d exchanges", n, d.Attempts, d.Reuse.Fresh+d.Reuse.Reused)
	}
	if n := d.Resends.MaybeTwice; n > 0 {
		warnf("%d requests that are not idempotent were sent again after the server may have executed them: limit pool.resend to methods: idempotent, or make the server recognise a repetition", n)
	}
	if s := d.Sockets; s.Available && s.PortsAvailable > 0 && s.PortsUsedPeak*2 > s.PortsAvailable {
		warnf("%d of %d ephemeral ports towards the target were in use: beyond the range connects fail with \"cannot assign requested address\"; reuse connections, widen net.ipv4.ip_local_port_range, or name more target.source_addresses", s.PortsUsedPeak, s.PortsAvailable)
	}
	if n := d.Counts.Unbounded; n > 0 {
		warnf("%d of %d answers had neither a length nor chunks and ended with the connection: whether they are whole cannot be known; make the server send a Content-Length or chunks", n, d.Counts.OK)
	}
	if n := d.Counts.Unfinished; n > 0 {
		warnf("%d requests were given up when the run was aborted; they are neither ok nor failed", n)
	}
}

func advisePackets(p *results.Packets, warnf func(string, ...any)) {
	if p.Overwritten > 0 {
		warnf("the first %d packets are not kept, and how their connections ended is not known: raise network.record.packets", p.Overwritten)
	}
	if p.Unseen > 0 {
		warnf("%d packets were dropped because the network did not keep up: give this machine less else to do, or lower load.rate", p.Unseen)
	}
	if p.LateP99 > 0.001 {
		warnf("packets were delivered %v late at the 99th percentile, on top of the links' delay: give this machine less else to do, or lower load.rate", seconds(p.LateP99))
	}
}
