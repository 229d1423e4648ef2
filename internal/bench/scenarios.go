package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// conns is the number of connections of every tool in every scenario.
const conns = 16

// scenario is one measurement that is made with all tools that can do it.
type scenario struct {
	name  string
	title string
	about string // what the figures mean, for the report
	job   job    // its address is set later
	kind  kind
}

type kind int

const (
	paced    kind = iota // at the rate of the job
	highest              // at the highest rate that the tool sustains, or as fast as its closed loop is
	fresh                // a new connection for each request, up to the rate of the job
	overhead             // only kabench, with and without its instruments
)

// scenarios returns the scenarios in the order of the report.
func scenarios(quick bool) []scenario {
	long, short, fresher := 10, 3, 5
	if quick {
		long, short, fresher = 2, 1, 2
	}
	return []scenario{
		{"steady", fmt.Sprintf("400/s for %d s over %d connections", long, conns),
			"Lag is how late requests reached the server against an ideal schedule of constant rate; settled is the same without the first half second, in which some tools open their connections one after the other.",
			job{rate: 400, seconds: long, conns: conns}, paced},
		{"fast", fmt.Sprintf("30,000/s for %d s over %d connections", long, conns),
			"Achieved is the number of requests that reached the server, divided by the time they took. A tool above 100 % sends more than it was asked to.",
			job{rate: 30_000, seconds: long, conns: conns}, paced},
		{"highest", fmt.Sprintf("Highest sustained rate over %d connections, in steps of %d s", conns, short),
			fmt.Sprintf("The highest offered rate at which at least %.1f %% of the requests arrived, with a 99th percentile of lag of at most %.0f ms, without the first half second of each step. A step that fails is tried a second time. "+
				"A tool marked as closed loop has no such rate: its figure is its rate when each connection sends again as soon as it has its response.", heldShare*100, heldLag/1e3),
			job{seconds: short, conns: conns}, highest},
		{"fresh", fmt.Sprintf("A new connection for each request: up to 20,000/s for %d s, %d at a time", fresher, conns),
			"The rate is measured from the first request to the last. A tool is ended when it has used three quarters of the ephemeral ports towards its destination. Each run has a destination of its own.",
			job{rate: 20_000, seconds: fresher, conns: conns, fresh: true}, fresh},
		{"overhead", fmt.Sprintf("kabench at 10,000/s for %d s, with and without its instruments", long),
			"Record is the file of exchanges on disk.",
			job{rate: 10_000, seconds: long, conns: conns}, overhead},
	}
}

// entry is one tool in one scenario.
type entry struct {
	scenario scenario
	tool     tool
	job      job
}

// plainName is the name of kabench without its instruments in tables.
const plainName = kabenchName + " " + plainFlag

// plan returns which tools take part in which scenario. left names, by scenario, the
// tools that do not, each with the reason.
func plan(all []scenario, present []tool, hasPlain bool) (entries []entry, left map[string][]string) {
	left = map[string][]string{}
	leave := func(sc scenario, name, why string) {
		left[sc.name] = append(left[sc.name], name+": "+why)
	}
	for _, sc := range all {
		for _, t := range present {
			j := sc.job
			switch {
			case sc.kind == overhead && t.name != kabenchName:
				continue
			case sc.kind == highest && t.open:
				j.rate = 1 // the search sets it
			case sc.kind == fresh && !manyLoopbacks:
				leave(sc, t.name, "this system has only one loopback address, whose ports would be used up")
				continue
			}
			j.url = "http://127.0.0.1:1/"
			_, err := t.call(j)
			if errors.Is(err, errNoRate) && sc.kind == fresh {
				j.rate = 0
				_, err = t.call(j)
			}
			if err != nil {
				leave(sc, t.name, err.Error())
				continue
			}
			entries = append(entries, entry{sc, t, j})
			if sc.kind != overhead {
				continue
			}
			if !hasPlain {
				leave(sc, plainName, "this kabench has no such flag")
				continue
			}
			j.plain = true
			entries = append(entries, entry{sc, t, j})
		}
	}
	return entries, left
}

// label returns the name of an entry in tables.
func (e entry) label() string {
	if e.job.plain {
		return plainName
	}
	return e.tool.name
}

// repeat runs every scenario once, with its tools in a new random order, and passes on
// each measurement when it is made.
func (b *bench) repeat(ctx context.Context, number int, entries []entry, find search, keep func(sample)) error {
	for len(entries) > 0 {
		name := entries[0].scenario.name
		n := slices.IndexFunc(entries, func(e entry) bool { return e.scenario.name != name })
		if n < 0 {
			n = len(entries)
		}
		block := slices.Clone(entries[:n])
		entries = entries[n:]
		b.rng.Shuffle(len(block), func(i, j int) { block[i], block[j] = block[j], block[i] })
		for _, e := range block {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			fmt.Fprintf(b.log, "bench: repeat %d, %s: %s\n", number, name, e.label())
			s, err := b.one(ctx, e, find)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", name, e.label(), err)
			}
			b.order++
			s.Scenario, s.Tool, s.Repeat, s.Order = name, e.label(), number, b.order
			keep(s)
		}
	}
	return nil
}

func (b *bench) one(ctx context.Context, e entry, find search) (sample, error) {
	j, addr, quota := e.job, b.addr, int64(0)
	if e.scenario.kind == fresh {
		var err error
		if addr, err = b.freshAddress(); err != nil {
			return sample{}, err
		}
		quota = int64(portRange()) * 3 / 4
	}
	j.url = "http://" + addr + "/"
	if e.scenario.kind == highest && e.tool.open {
		return b.highest(ctx, e.tool, j, find)
	}
	s, _, err := b.measure(ctx, e.tool, j, quota)
	return s, err
}

// hasFlag reports whether the command kabench run has a flag.
func hasFlag(ctx context.Context, kabench, flag string) (bool, error) {
	out, err := exec.CommandContext(ctx, kabench, "run", "--help").CombinedOutput()
	if err != nil {
		return false, fmt.Errorf("%s run --help: %w: %s", kabench, err, tail(string(out), 300))
	}
	return strings.Contains(string(out), flag), nil
}
