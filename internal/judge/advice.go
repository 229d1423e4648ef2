package judge

import (
	"fmt"

	"github.com/kabench/kabench/results"
)

// advice is a warning, given if applies.
type advice struct {
	applies bool
	text    string
}

// Advise adds to d.Warnings what is true and odd, and what to do about it.
func Advise(d *results.Run, l Limits) {
	for _, list := range [][]advice{packets(d), load(d, l), machine(d), sending(d)} {
		for _, a := range list {
			if a.applies {
				d.Warnings = append(d.Warnings, a.text)
			}
		}
	}
}

func packets(d *results.Run) []advice {
	p := d.Packets
	if p == nil {
		return nil
	}
	return []advice{
		{p.Overwritten > 0, fmt.Sprintf("the first %d packets are not kept, and how their connections ended is not known: raise network.record.packets", p.Overwritten)},
		{p.Unseen > 0, fmt.Sprintf("%d packets were dropped because the network did not keep up: give this machine less else to do, or lower load.rate", p.Unseen)},
		{p.LateP99 > 0.001, fmt.Sprintf("packets were delivered %v late at the 99th percentile, on top of the links' delay: give this machine less else to do, or lower load.rate", seconds(p.LateP99))},
	}
}

func load(d *results.Run, l Limits) []advice {
	dropped, due := d.Counts.Dropped, d.Counts.Due
	lag, response := d.Latency[results.LatencyLag], d.Latency[results.LatencyResponse]
	return []advice{
		{dropped > 0 && d.Interrupted, fmt.Sprintf("%d of %d requests were due and never started: load.max_in_flight (%d) were under way, or they waited in the buffer when the run was stopped", dropped, due, l.MaxInFlight)},
		{dropped > 0 && !d.Interrupted && (d.Valid || d.Instrument.Schedule.Overload == results.OverloadTarget),
			fmt.Sprintf("%d of %d requests were due and never started, because load.max_in_flight (%d) were under way: their waiting is in no percentile; raise load.max_in_flight, or let them wait with load.buffer", dropped, due, l.MaxInFlight)},
		{d.ErrorAnswers.Sum() > 0, fmt.Sprintf("%d of %d answers had an error status (400 or above): they arrived, so they are ok as exchanges; expect error_answers: 0 to make them count", d.ErrorAnswers.Sum(), d.Counts.OK)},
		{d.Valid && response.Count > 0 && lag.P99 > 0.1*response.P99 && lag.P99 > 0.003,
			fmt.Sprintf("the generator's own lateness (p99 %v) is more than a tenth of the response time (p99 %v): compare service times, or give this machine less else to do", seconds(lag.P99), seconds(response.P99))},
	}
}

func machine(d *results.Run) []advice {
	m := d.Instrument.Machine
	if m == nil {
		return nil
	}
	throttled := 0.0
	if m.Throttled != nil {
		throttled = *m.Throttled
	}
	return []advice{
		{d.Valid && m.Saturated > 1 && 10*m.Saturated >= m.Seconds, fmt.Sprintf("no core was free in %d of %d seconds: times hold the wait for one, the server's too if it runs here; give this machine less else to do, or more cores", m.Saturated, m.Seconds)},
		{throttled > 0.1, fmt.Sprintf("the control group's CPU quota stopped kabench for %v in all: every pause of a quota is tens of milliseconds long; raise the quota (cpu.max)", seconds(throttled))},
		{m.Steal > 0.05, fmt.Sprintf("the hypervisor gave %.0f %% of this machine's cores to others: use one that is not shared", 100*m.Steal)},
	}
}

func sending(d *results.Run) []advice {
	s := d.Sockets
	return []advice{
		{d.Unasked() > 0, fmt.Sprintf("%d requests were re-sent below the caller's eyes: %d attempts for %d exchanges", d.Unasked(), d.Attempts, d.Reuse.Fresh+d.Reuse.Reused)},
		{d.Resends.MaybeTwice > 0, fmt.Sprintf("%d requests that are not idempotent were sent again after the server may have executed them: limit pool.resend to methods: idempotent, or make the server recognise a repetition", d.Resends.MaybeTwice)},
		{s.Available && s.PortsAvailable > 0 && s.PortsUsedPeak*2 > s.PortsAvailable,
			fmt.Sprintf("%d of %d ephemeral ports towards the target were in use: beyond the range connects fail with \"cannot assign requested address\"; reuse connections, widen net.ipv4.ip_local_port_range, or name more target.source_addresses", s.PortsUsedPeak, s.PortsAvailable)},
		{d.Counts.Unbounded > 0, fmt.Sprintf("%d of %d answers had neither a length nor chunks and ended with the connection: whether they are whole cannot be known; make the server send a Content-Length or chunks", d.Counts.Unbounded, d.Counts.OK)},
		{d.Counts.Unfinished > 0, fmt.Sprintf("%d requests were given up when the run was aborted; they are neither ok nor failed", d.Counts.Unfinished)},
	}
}
