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

// Advise adds warnings to d: what a reader must know about the figures, and what to do
// about it.
func Advise(d *results.Run, l Limits) {
	for _, list := range [][]advice{packets(d), load(d, l), machine(d), sending(d), words(d)} {
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
		{p.Overwritten > 0, fmt.Sprintf("The first %d packets were not kept, so it is not known how their connections ended. Raise network.record.packets", p.Overwritten)},
		{p.Unseen > 0, fmt.Sprintf("%d packets were dropped, because the private network could not keep up. Free up CPU or lower load.rate", p.Unseen)},
		{p.LateP99 > 0.001, fmt.Sprintf("1 %% of packets were delivered at least %s late, in addition to the links' delay. Free up CPU or lower load.rate", results.FormatSeconds(p.LateP99))},
	}
}

// words are about what a real client said beside what was seen.
func words(d *results.Run) []advice {
	r := d.Driver
	if r == nil {
		return nil
	}
	example := ""
	for _, e := range r.Errors {
		if !e.Agree {
			example = fmt.Sprintf(". For example %q of exchange %d: %s", e.Text, e.Seq, e.Differ)
			break
		}
	}
	var warm results.DriverWarmUp
	if r.WarmUp != nil {
		warm = *r.WarmUp
	}
	return []advice{
		{r.Disagreements > 0, fmt.Sprintf("For %d of %d exchanges, what %s said, as kabench understands its words, is not what was seen on the wire. What was seen counts%s. Please report it: kabench's table of words is wrong, or what it saw", r.Disagreements, r.Answered, r.Client, example)},
		{warm.Failed > 0, fmt.Sprintf("%d of %d requests of the client's warm-up failed, so it may have been measured cold", warm.Failed, warm.Requests)},
	}
}

func load(d *results.Run, l Limits) []advice {
	dropped, due := d.Counts.Dropped-min(d.LostArrivals(), d.Counts.Dropped), d.Counts.Due
	lag, response := d.Latency[results.LatencyLag], d.Latency[results.LatencyResponse]
	return []advice{
		{d.Valid && d.Degraded() != "", "The load was lower than the profile asks: " + d.Degraded() + ". So the exit code is 1, and comparisons leave this run out. Run it again"},
		{dropped > 0 && d.Interrupted, fmt.Sprintf("%d of %d requests were never started: %s were in flight, or the requests waited in the buffer when the run was stopped", dropped, due, l.full())},
		{dropped > 0 && !d.Interrupted && (d.Valid || d.Instrument.Schedule.Overload == results.OverloadTarget),
			fmt.Sprintf("%d of %d requests were never started, because %s were in flight. No percentile includes them. %s, or let requests wait with load.buffer", dropped, due, l.full(), l.raise())},
		{d.ErrorAnswers.Sum() > 0, fmt.Sprintf("%d of %d responses had an error status (400 or above). They count as ok, because they arrived. To count them as failures of the run, expect error_answers: 0", d.ErrorAnswers.Sum(), d.Counts.OK)},
		{d.Valid && response.Count > 0 && lag.P99 > 0.1*response.P99 && lag.P99 > 0.003,
			fmt.Sprintf("The lag of kabench itself (p99 %s) is more than a tenth of the response time (p99 %s). Compare service times, or free up CPU", results.FormatSeconds(lag.P99), results.FormatSeconds(response.P99))},
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
		{d.Valid && m.Saturated > 1 && 10*m.Saturated >= m.Seconds, fmt.Sprintf("The CPU was saturated in %d of %d seconds, so latencies include waiting for CPU. Stop other programs or add cores", m.Saturated, m.Seconds)},
		{throttled > 0.1, fmt.Sprintf("The control group's CPU quota paused kabench for %s in all, for tens of milliseconds each time. Raise the quota (cpu.max)", results.FormatSeconds(throttled))},
		{m.Steal > 0.05, fmt.Sprintf("The hypervisor gave %.0f %% of this machine's CPU time to other machines. Use a machine that is not shared", 100*m.Steal)},
	}
}

func sending(d *results.Run) []advice {
	s := d.Sockets
	limit, wider := "Limit pool.resend to methods: idempotent", "widen net.ipv4.ip_local_port_range, or add target.source_addresses"
	if d.Driver != nil {
		limit, wider = "Configure the client not to do so", "or widen net.ipv4.ip_local_port_range"
	}
	return []advice{
		{d.Unasked() > 0, fmt.Sprintf("The client sent %d requests again without being asked: %d attempts for %d exchanges", d.Unasked(), d.Attempts, d.Reuse.Fresh+d.Reuse.Reused)},
		{d.Resends.MaybeTwice > 0, fmt.Sprintf("%d requests that are not idempotent were sent again although the server may have executed them. %s, or make the server detect duplicates", d.Resends.MaybeTwice, limit)},
		{s.Available && s.PortsAvailable > 0 && s.PortsUsedPeak*2 > s.PortsAvailable,
			fmt.Sprintf("%d of %d ephemeral ports towards the target were in use. When none is left, connects fail with \"cannot assign requested address\". Reuse connections, %s", s.PortsUsedPeak, s.PortsAvailable, wider)},
		{d.Counts.Unbounded > 0, fmt.Sprintf("%d of %d responses had neither a length nor chunks and ended with the connection, so it is not known whether they are complete. Make the server send a Content-Length or chunks", d.Counts.Unbounded, d.Counts.OK)},
		{d.Counts.Unfinished > 0, fmt.Sprintf("%d requests were given up when the run was aborted. They count neither as ok nor as failed", d.Counts.Unfinished)},
	}
}
