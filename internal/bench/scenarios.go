package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
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
	// beside is another way to run kabench. Only kabench is measured then, in both ways.
	beside *variant
	asked  bool // it is measured only if --scenarios names it
}

// variant is a way to run kabench that is compared with the usual one.
type variant struct {
	flag  string // of kabench run
	name  string // in tables
	set   func(*job)
	ratio string // the head of the row that divides the two
	over  bool   // the usual way is divided by this one, otherwise this one by the usual way
}

var (
	bare = variant{plainFlag, kabenchName + " " + plainFlag, func(j *job) { j.plain = true }, "with ÷ without", true}
	two  = variant{agentsFlag, kabenchName + " " + agentsFlag + " local:2", func(j *job) { j.agents = 2 }, "two agents ÷ one process", false}
)

type kind int

const (
	paced    kind = iota // at the rate of the job
	highest              // at the highest rate that the tool sustains, or as fast as its closed loop is
	fresh                // a new connection for each request, up to the rate of the job
	overhead             // the cost of instruments
	curved               // paced, only kabench, with a curve of the tool's memory
)

// scenarios returns the scenarios in the order of the report.
func scenarios(quick bool) []scenario {
	long, short, fresher, hour := 10, 3, 5, 3600
	if quick {
		long, short, fresher, hour = 2, 1, 2, 45
	}
	searched := fmt.Sprintf("The highest offered rate at which at least %.1f %% of the requests arrived, with a 99th percentile of lag of at most %.0f ms, without the first half second of each step. A step that fails is tried a second time. "+
		"A tool marked as closed loop has no such rate: its figure is its rate when each connection sends again as soon as it has its response.", heldShare*100, heldLag/1e3)
	const (
		settledMeans = "Lag is how late requests reached the server against an ideal schedule of constant rate; settled is the same without the first half second, in which some tools open their connections one after the other."
		shareMeans   = "Achieved is the number of requests that reached the server, divided by the time they took. A tool above 100 % sends more than it was asked to."
		freshMeans   = "The rate is measured from the first request to the last. A tool is ended when it has used three quarters of the ephemeral ports towards its destination. Each run has a destination of its own."
		tlsMeans     = "The server speaks TLS 1.3, unless a tool cannot, with AES-128-GCM, an ECDSA certificate and HTTP/1.1; it decrypts in the same loop that stamps. "
	)
	base := job{rate: 400, seconds: long, conns: conns}
	with := func(change func(*job)) job { j := base; change(&j); return j }
	return []scenario{
		{name: "steady", title: fmt.Sprintf("400/s for %d s over %d connections", long, conns), about: settledMeans, job: base},
		{name: "fast", title: fmt.Sprintf("30,000/s for %d s over %d connections", long, conns), about: shareMeans,
			job: with(func(j *job) { j.rate = 30_000 })},
		{name: "highest", title: fmt.Sprintf("Highest sustained rate over %d connections, in steps of %d s", conns, short), about: searched,
			job: with(func(j *job) { j.rate, j.seconds = 0, short }), kind: highest},
		{name: "fresh", title: fmt.Sprintf("A new connection for each request: up to 20,000/s for %d s, %d at a time", fresher, conns), about: freshMeans,
			job: with(func(j *job) { j.rate, j.seconds, j.fresh = 20_000, fresher, true }), kind: fresh},
		{name: "kept", title: fmt.Sprintf("20,000/s for %d s over 10,000 kept connections", 2*long),
			about: "Every tool is asked to use 10,000 connections. The column connections says how many carried a request. " + shareMeans,
			job:   with(func(j *job) { j.rate, j.seconds, j.conns, j.each = 20_000, 2*long, 10_000, true })},
		{name: "tls", title: fmt.Sprintf("TLS: 400/s for %d s over %d connections", long, conns), about: tlsMeans + settledMeans,
			job: with(func(j *job) { j.as = overTLS })},
		{name: "tls-fast", title: fmt.Sprintf("TLS: 10,000/s for %d s over %d connections", long, conns), about: tlsMeans + shareMeans,
			job: with(func(j *job) { j.rate, j.as = 10_000, overTLS })},
		{name: "tls-highest", title: fmt.Sprintf("TLS: highest sustained rate over %d connections, in steps of %d s", conns, short), about: tlsMeans + searched,
			job: with(func(j *job) { j.rate, j.seconds, j.as = 0, short, overTLS }), kind: highest},
		{name: "tls-fresh", title: fmt.Sprintf("TLS: a full handshake for each request: up to 20,000/s for %d s, %d at a time", fresher, conns),
			about: tlsMeans + "It gives out no sessions. " + freshMeans,
			job:   with(func(j *job) { j.rate, j.seconds, j.fresh, j.as = 20_000, fresher, true, overTLS }), kind: fresh},
		{name: "tls-resumed", title: fmt.Sprintf("TLS: a new connection for each request, sessions may be resumed: up to 20,000/s for %d s, %d at a time", fresher, conns),
			about: tlsMeans + "It gives out sessions; resumed is the share of the handshakes that took one up, as the server counts them. " + freshMeans,
			job:   with(func(j *job) { j.rate, j.seconds, j.fresh, j.as = 20_000, fresher, true, overResume }), kind: fresh},
		{name: "overhead", title: fmt.Sprintf("kabench at 10,000/s for %d s, with and without its instruments", long), about: "Record is the file of exchanges on disk.",
			job: with(func(j *job) { j.rate = 10_000 }), kind: overhead, beside: &bare},
		{name: "time-wait", title: fmt.Sprintf("The same beside %s sockets in TIME_WAIT", thousands(crowd)),
			about: "Bench opens and closes that many connections between other addresses of the loopback device before each run.",
			job:   with(func(j *job) { j.rate, j.waiting = 10_000, crowd }), kind: overhead, beside: &bare},
		{name: "agents", title: fmt.Sprintf("Two agents beside one process: 30,000/s for %d s over %d connections", long, conns),
			about: "Both agents, their controller and the server share the machine's cores. Each agent has half of the connections. CPU is that of all processes together, their start included; peak memory is that of the largest.",
			job:   with(func(j *job) { j.rate = 30_000 }), beside: &two},
		{name: "agents-highest", title: fmt.Sprintf("Two agents beside one process: highest sustained rate over %d connections, in steps of %d s", conns, short), about: searched,
			job: with(func(j *job) { j.rate, j.seconds = 0, short }), kind: highest, beside: &two},
		{name: "hour", title: fmt.Sprintf("kabench at 10,000/s for %s s over %d connections", thousands(float64(hour)), conns),
			about: "Peak is the highest resident memory. The curve is the resident memory of the process during the run.",
			job:   with(func(j *job) { j.rate, j.seconds = 10_000, hour }), kind: curved, asked: true},
	}
}

// entry is one tool in one scenario.
type entry struct {
	scenario scenario
	tool     tool
	job      job
	label    string // its name in tables
}

// plan returns which tools take part in which scenario. left names, by scenario, the
// tools that do not, each with the reason. has reports whether kabench run has a flag.
func plan(all []scenario, present []tool, has func(flag string) bool) (entries []entry, left map[string][]string) {
	left = map[string][]string{}
	leave := func(sc scenario, name, why string) {
		left[sc.name] = append(left[sc.name], name+": "+why)
	}
	for _, sc := range all {
		if most := mostWaiting(); sc.job.waiting > most {
			leave(sc, kabenchName, fmt.Sprintf("this system keeps at most %d sockets in TIME_WAIT", most))
			continue
		}
		for _, t := range present {
			j := sc.job
			switch {
			case (sc.beside != nil || sc.kind == curved) && t.name != kabenchName:
				continue
			case sc.kind == highest && t.open:
				j.rate = 1 // the search sets it
			case sc.kind == fresh && !manyLoopbacks:
				leave(sc, t.name, "this system has only one loopback address, whose ports would be used up")
				continue
			}
			j.url = j.as.scheme() + "127.0.0.1:1/"
			_, err := t.call(j)
			if errors.Is(err, errNoRate) && sc.kind == fresh {
				j.rate = 0
				_, err = t.call(j)
			}
			if err != nil {
				leave(sc, t.name, err.Error())
				continue
			}
			entries = append(entries, entry{sc, t, j, t.name})
			if sc.beside == nil {
				continue
			}
			if !has(sc.beside.flag) {
				leave(sc, sc.beside.name, "this kabench has no such flag")
				continue
			}
			sc.beside.set(&j)
			entries = append(entries, entry{sc, t, j, sc.beside.name})
		}
	}
	return entries, left
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
			fmt.Fprintf(b.log, "bench: repeat %d, %s: %s\n", number, name, e.label)
			s, err := b.one(ctx, e, find)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", name, e.label, err)
			}
			b.order++
			s.Scenario, s.Tool, s.Repeat, s.Order = name, e.label, number, b.order
			keep(s)
		}
	}
	return nil
}

func (b *bench) one(ctx context.Context, e entry, find search) (sample, error) {
	j, quota := e.job, int64(0)
	var addr string
	var err error
	if e.scenario.kind == fresh {
		addr, err = b.freshAddress(j.as)
		quota = int64(portRange()) * 3 / 4
	} else {
		addr, err = b.address(j.as)
	}
	if err != nil {
		return sample{}, err
	}
	j.url = j.as.scheme() + addr + "/"
	if e.scenario.kind == highest && e.tool.open {
		return b.highest(ctx, e.tool, j, find)
	}
	s, _, err := b.measure(ctx, e.tool, j, quota)
	return s, err
}

// helpOf returns the help of kabench run, which names its flags.
func helpOf(ctx context.Context, kabench string) (string, error) {
	out, err := exec.CommandContext(ctx, kabench, "run", "--help").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s run --help: %w: %s", kabench, err, tail(string(out), 300))
	}
	return string(out), nil
}
