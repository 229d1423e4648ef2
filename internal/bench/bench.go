package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// sample is one measurement of one tool in one scenario.
type sample struct {
	Scenario string `json:"scenario"`
	Tool     string `json:"tool"`
	Repeat   int    `json:"repeat"` // counted from 1
	Order    int    `json:"order"`  // its place in the whole run, counted from 1

	Command []string `json:"command"`           // in a search: that of the last step
	Offered float64  `json:"offered"`           // per second; 0: as fast as possible
	Closed  bool     `json:"closed,omitempty"`  // a closed loop: its rate depends on the responses
	Seconds int      `json:"seconds"`           // how long it was asked to send
	Ended   string   `json:"ended,omitempty"`   // exit status if not 0, and why bench ended it
	Nothing string   `json:"nothing,omitempty"` // why there are no figures

	Requests    int64      `json:"requests"`    // requests that reached the server
	Achieved    float64    `json:"achieved"`    // per second
	Lag         *lags      `json:"lag"`         // null unless the rate is constant
	Settled     *lags      `json:"lag_settled"` // the same, without the first half second
	CPU         float64    `json:"cpu_us"`      // of the tool per request, µs
	Errors      *int64     `json:"errors"`      // errors that the tool reported; null: it reported no number
	Connections int64      `json:"connections"` // connections that carried a request
	Accepted    int64      `json:"accepted"`    // all connections, also those without a request
	Peak        int64      `json:"peak"`        // most connections open at once
	Refused     int64      `json:"refused,omitempty"`
	TLS         bool       `json:"tls,omitempty"`
	Shaken      int64      `json:"handshakes,omitempty"` // over TLS, those that succeeded
	Resumed     int64      `json:"resumed,omitempty"`    // those of them that took up an earlier session
	Waiting     int64      `json:"time_wait"`            // sockets of the machine in TIME_WAIT when the tool started; -1: not known
	RSS         int64      `json:"rss"`                  // peak memory of the tool in bytes; 0: not known
	Memory      []memoryAt `json:"memory,omitempty"`     // its resident memory during the run, if that was a long one

	ServerCPU float64 `json:"server_cpu_us"` // of the recording server per request, µs; 0: not known
	Others    float64 `json:"others"`        // CPUs that other programs used meanwhile; -1: not known

	Steps []step `json:"steps,omitempty"` // of a search

	Record  int64 `json:"record_bytes,omitempty"`  // size of kabench's exchange record
	Results int64 `json:"results_bytes,omitempty"` // size of all files that kabench wrote
}

// step is one step of a search.
type step struct {
	Offered  float64 `json:"offered"`
	Achieved float64 `json:"achieved"`
	LagP99   float64 `json:"lag_p99_us"`
	CPU      float64 `json:"cpu_us"`
	Others   float64 `json:"others"`
	Held     bool    `json:"held"`
}

// bench is a run of this program.
type bench struct {
	rec       *recorder
	addrs     map[manner]string // of the recording server
	programs  map[string]string // by tool
	dir       string            // where tools write
	rng       *rand.Rand
	waitQuiet time.Duration // longest wait before each measurement until the machine is quiet
	loopbacks int           // number of addresses given out
	loopback  byte          // the second byte of these addresses
	order     int
	log       io.Writer
}

// grace is how much longer than asked a tool may take.
const grace = 20 * time.Second

// measure runs a tool once. An error means that the benchmark cannot go on; failures of
// the tool are in the sample. quota is the number of requests after which the tool is
// ended; 0: none.
func (b *bench) measure(ctx context.Context, t tool, j job, quota int64) (sample, []int64, error) {
	if err := b.rec.idle(ctx); err != nil {
		return sample{}, nil, err
	}
	b.quiet(ctx)
	if err := b.fill(ctx, j.waiting); err != nil {
		return sample{}, nil, err
	}
	dir, err := os.MkdirTemp(b.dir, t.name)
	if err != nil {
		return sample{}, nil, err
	}
	defer os.RemoveAll(dir)
	j.dir = dir
	c, err := t.call(j)
	if err != nil {
		return sample{}, nil, err // cannot happen: plan has called it already
	}
	program := b.programs[t.name]
	s := sample{
		Command: append([]string{filepath.Base(program)}, c.args...), Offered: j.rate, Closed: j.rate == 0, Seconds: j.seconds, Others: -1,
		Waiting: waitingSockets(), TLS: j.secure(),
	}
	patience := 5 * time.Second
	if quota > 0 {
		patience = 500 * time.Millisecond // after an interrupt, vegeta first sends all requests that are due
	}
	run, err := b.drive(ctx, j, quota, func(ctx context.Context) (usage, error) {
		return runProcess(ctx, program, c, dir, patience)
	})
	if err != nil {
		return sample{}, nil, err
	}
	s.fill(run, j, quota)
	if run.got.requests == 0 {
		return s, nil, nil
	}
	out := run.used.stdout
	if t.after != nil {
		// The tool itself sums up its results, outside of the measurement.
		sum, err := runProcess(ctx, program, call{args: t.after(j)}, dir, patience)
		if err != nil {
			return sample{}, nil, err
		}
		out = sum.stdout
	}
	if n, ok := t.errors(out); ok {
		s.Errors = &n
	}
	if t.name == kabenchName {
		s.Record, s.Results, err = sizes(filepath.Join(dir, "results"))
	}
	return s, run.got.stamps, err
}

// driven is what a tool's run used and what the server saw of it.
type driven struct {
	used   usage
	got    seen
	why    error         // it was ended; nil: it ended by itself
	took   time.Duration // from start to end
	others float64       // cores that other programs used meanwhile; -1: unknown
}

// drive runs a tool against the recording server until it ends, takes too long or
// has sent quota requests.
func (b *bench) drive(ctx context.Context, j job, quota int64, start func(context.Context) (usage, error)) (driven, error) {
	room := int(quota)
	if quota == 0 && j.rate > 0 {
		room = int(j.rate)*j.seconds*5/4 + 10_000
	}
	if err := b.rec.reset(room, false); err != nil {
		return driven{}, err
	}
	running, end := context.WithCancelCause(ctx)
	defer end(nil)
	running, stop := context.WithTimeoutCause(running, time.Duration(j.seconds)*time.Second*61/60+grace, errTooLong)
	defer stop()
	if quota > 0 {
		go b.endAt(running, quota, func() { end(errEnough) })
	}
	busyBefore, started := busyNow(), time.Now()
	used, err := start(running)
	if err != nil {
		return driven{}, err
	}
	took, busyAfter := time.Since(started), busyNow()
	d := driven{used: used, why: context.Cause(running), took: took, others: -1}
	end(nil)
	if ctx.Err() != nil {
		return driven{}, context.Cause(ctx)
	}
	if err := b.rec.idle(ctx); err != nil {
		return driven{}, err
	}
	if d.got, err = b.rec.take(); err != nil {
		return driven{}, err
	}
	if busyBefore >= 0 && busyAfter >= 0 {
		d.others = max(0, (busyAfter-busyBefore-used.cpu-time.Duration(d.got.cpu)).Seconds()/took.Seconds())
	}
	return d, nil
}

// fill sets the figures of a run.
func (s *sample) fill(d driven, j job, quota int64) {
	got := d.got
	s.Requests, s.Connections, s.Accepted, s.Peak, s.Refused = got.requests, got.used, got.accepted, got.peak, got.refused
	s.RSS, s.Memory, s.Ended = d.used.rss, d.used.memory, d.used.ended
	s.Shaken, s.Resumed = got.shaken, got.resumed
	if d.why != nil {
		s.Ended = strings.TrimPrefix(s.Ended+"; "+d.why.Error(), "; ")
	}
	if got.requests == 0 {
		s.Nothing = fmt.Sprintf("no request arrived (%s): %s", s.Ended, d.used.stderr)
		return
	}
	s.CPU = micros(d.used.cpu) / float64(got.requests)
	s.ServerCPU = float64(got.cpu) / 1e3 / float64(got.requests)
	s.Others = d.others
	s.Achieved = perSecond(got.requests, got.first, got.last)
	if quota > 0 { // what came after the quota was reached does not count
		s.Achieved = perSecond(int64(len(got.stamps)), got.first, got.stamps[len(got.stamps)-1])
	}
	if j.rate > 0 && !j.fresh {
		lag, span := lateness(got.stamps, j.rate)
		later, _ := lateness(settled(got.stamps), j.rate)
		s.Lag, s.Settled = &lag, &later
		s.Achieved = float64(got.requests) / max(time.Duration(j.seconds)*time.Second, span).Seconds()
	}
}

func micros(d time.Duration) float64 { return float64(d) / 1e3 }

// busyNow returns the result of busy, or -1 if it is not known.
func busyNow() time.Duration {
	d, ok := busy()
	if !ok {
		return -1
	}
	return d
}

// endAt calls end when the server has seen quota requests.
func (b *bench) endAt(ctx context.Context, quota int64, end func()) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		requests, _, err := b.rec.count()
		if err != nil {
			return // the measurement will fail with it too
		}
		if requests >= quota {
			end()
			return
		}
	}
}

// quiet waits until the machine has used less than a tenth of a CPU for half a second,
// but not longer than waitQuiet.
func (b *bench) quiet(ctx context.Context) {
	deadline := time.Now().Add(b.waitQuiet)
	for time.Now().Before(deadline) {
		before, ok := busy()
		if !ok {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(500 * time.Millisecond):
		}
		if after, _ := busy(); after-before < 50*time.Millisecond {
			return
		}
	}
}

// sizes returns the bytes of kabench's exchange record and of its whole results
// directory; 0 for both if there is no directory.
func sizes(dir string) (record, all int64, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return 0, 0, nil
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			return 0, 0, err
		}
		all += info.Size()
		if strings.HasPrefix(entry.Name(), "exchanges.") {
			record += info.Size()
		}
	}
	return record, all, err
}

// freshAddress makes the server listen on a loopback address that this run has not used
// yet: closed connections keep their ports for a minute, but only towards their old
// address.
func (b *bench) freshAddress(as manner) (string, error) {
	return b.rec.listen(b.loopbackAddress(), as)
}

// loopbackAddress returns a loopback address that this run has not used yet.
func (b *bench) loopbackAddress() string {
	b.loopbacks++
	return fmt.Sprintf("127.%d.%d.%d", b.loopback, b.loopbacks/250, b.loopbacks%250+1)
}

// address returns the server's address for kept connections, where it speaks as.
func (b *bench) address(as manner) (string, error) {
	if b.addrs[as] != "" {
		return b.addrs[as], nil
	}
	addr, err := b.rec.listen("127.0.0.1", as)
	if err == nil {
		b.addrs[as] = addr
	}
	return addr, err
}

// highest searches for the highest rate that a tool sustains.
func (b *bench) highest(ctx context.Context, t tool, j job, find search) (sample, error) {
	var total, best sample
	for {
		rate, more := find.next()
		if !more {
			break
		}
		j.rate = rate
		s, stamps, err := b.measure(ctx, t, j, 0)
		if err != nil {
			return sample{}, err
		}
		achieved, lag, held := sustained(stamps, rate, time.Duration(j.seconds)*time.Second)
		find.report(held)
		total.Steps = append(total.Steps, step{rate, achieved, lag.P99, s.CPU, s.Others, held})
		total.Command = s.Command
		if held {
			best = s
		}
		fmt.Fprintf(b.log, "bench:   %s at %.0f/s: %.0f/s, lag p99 %.1f ms: %s\n", t.name, rate, achieved, lag.P99/1e3,
			map[bool]string{true: "held", false: "not held"}[held])
	}
	best.Command, best.Steps, best.Lag, best.Settled = total.Command, total.Steps, nil, nil
	best.Offered, best.Achieved, best.Seconds = find.held, find.held, j.seconds
	if find.held == 0 {
		best.Nothing = fmt.Sprintf("no rate from %.0f/s up was held", find.min)
	}
	best.Others = mostOthers(best.Steps)
	return best, nil
}

func mostOthers(steps []step) float64 {
	most := -1.0
	for _, s := range steps {
		most = max(most, s.Others)
	}
	return most
}
