package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/poll"
	"github.com/kabench/kabench/profiles"
)

// doctorOptions are the flags of `kabench doctor`.
type doctorOptions struct{ quick bool }

func newDoctor(s *streams) *cobra.Command {
	o := &doctorOptions{}
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say how fit this machine is to make a load, and what to change",
		Long: `Measure the timers and the rate that this machine holds, read its limits and settings, and try
whether a private network can be made here. Traffic goes to kabench's own server on the loopback
interface, for ten seconds at most; --quick leaves it out.

Exit codes: 0 runs can be made, whatever there is to warn of; 1 something makes them impossible.`,
		Args: none,
		RunE: func(c *cobra.Command, _ []string) error { return doDoctor(c, s, o) },
	}
	c.Flags().BoolVar(&o.quick, "quick", false, "leave out the rate, which takes up to ten seconds")
	return c
}

func doDoctor(c *cobra.Command, s *streams, o *doctorOptions) error {
	ctx, stop, restore := interruptible(c.Context(), s.err)
	defer restore()
	m := examine()
	m.takeTimers()
	if !o.quick {
		if !s.json {
			fmt.Fprintln(s.err, "measuring the rate that this machine holds, ten seconds at most")
		}
		rate, err := climb(rungs, time.Now().Add(climbLimit), func(rate int) (bool, error) { return holds(ctx, stop, rate) })
		if errors.Is(err, kabench.ErrInterrupted) {
			return err
		}
		m.rate, m.rateErr = &rate, err
	}
	m.takeLoad()
	list := m.checks()
	var err error
	if s.json {
		err = json.NewEncoder(s.out).Encode(list)
	} else {
		err = printChecks(s.out, list)
	}
	if err == nil && slices.ContainsFunc(list, func(c check) bool { return c.Verdict == bad }) {
		err = exitCode(exitUnmet)
	}
	return err
}

// examine reads what need not be measured.
func examine() machineFacts {
	m := machineFacts{os: runtime.GOOS, cpus: runtime.NumCPU(), fitness: host.ReadFitness(), sysctls: host.ReadFacts().Sysctls}
	m.timesBefore, m.timesErr = host.ReadCPUTimes()
	m.openFiles, _, m.filesErr = host.OpenFileLimit()
	m.ports, m.portsErr = host.Ports()
	m.quota, m.quotaErr = host.ReadCPUQuota()
	m.namespaces = host.TryNamespaces("version")
	m.root = os.Geteuid() == 0
	return m
}

const (
	naps = 200
	nap  = time.Millisecond
)

func (m *machineFacts) takeTimers() {
	m.clockCost = host.ClockCost(100_000)
	m.goTimer = lateness(host.SleepLateness(naps, nap))
	late, err := poll.Lateness(naps, nap)
	m.ownTimer, m.ownTimerErr = lateness(late), err
}

// takeLoad looks at what the machine did meanwhile.
func (m *machineFacts) takeLoad() {
	if m.timesErr == nil {
		m.timesAfter, m.timesErr = host.ReadCPUTimes()
	}
}

// late is how late a timer woke.
type late struct{ p50, p99 time.Duration }

func lateness(all []time.Duration) late {
	if len(all) == 0 {
		return late{}
	}
	slices.Sort(all)
	return late{all[len(all)/2], all[len(all)*99/100]}
}

// rungs are the rates tried, per second: the first so low that a machine which
// does not hold it can measure nothing.
var rungs = []int{200, 1000, 4000, 8000, 16000, 32000, 64000}

const (
	climbLimit = 10 * time.Second
	rungLength = time.Second
	// rungCost is what a rung takes at most: the load, and the lead and the end
	// around it.
	rungCost = rungLength + 400*time.Millisecond
)

// ladder is how high climb came.
type ladder struct {
	held   int // the highest rate that was held; 0: none
	failed int // the rate that was not; 0: all that were tried were held
}

// climb tries one rate after the other until one is not held twice, or the time
// is over: a single failure may have been the machine's other work.
func climb(rates []int, end time.Time, try func(rate int) (held bool, err error)) (ladder, error) {
	var l ladder
	for _, rate := range rates {
		for attempt := 0; ; attempt++ {
			if time.Until(end) < rungCost {
				return l, nil
			}
			held, err := try(rate)
			if err != nil {
				return l, err
			}
			if held {
				l.held, l.failed = rate, 0
				break
			}
			l.failed = rate
			if attempt > 0 {
				return l, nil
			}
		}
	}
	return l, nil
}

// rungLag is the 99th percentile of lag within which a rate counts as held.
const rungLag = 10 * time.Millisecond

// holds reports whether this machine sends that many requests a second when
// they are due, to a server in this process.
func holds(ctx context.Context, stop <-chan struct{}, rate int) (bool, error) {
	p, err := profiles.Load("doctor", nil, []string{
		"target.lab={}", "load.rate=" + strconv.Itoa(rate), "load.duration=" + rungLength.String(),
		"load.timeout=1s", "load.max_lag=" + rungLag.String(), "pool.max_conns=32",
	})
	if err != nil {
		return false, err
	}
	run, err := kabench.Run(ctx, p, kabench.Options{Version: version(), Stop: stop})
	if err != nil {
		return false, err
	}
	if run.Interrupted {
		return false, kabench.ErrInterrupted
	}
	return run.Valid && run.Counts.Dropped == 0 && run.Counts.Failed == 0, nil
}

func printChecks(w io.Writer, list []check) error {
	var b bytes.Buffer
	t := layout.Table(&b)
	for _, c := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\n", c.Verdict, c.Name, c.Found)
	}
	t.Flush()
	counts := map[verdict]int{}
	for _, c := range list {
		counts[c.Verdict]++
		if c.Fix != "" {
			fmt.Fprintf(&b, "\n%s: %s\n", c.Name, c.Fix)
		}
	}
	says := "fit to make runs"
	if counts[bad] > 0 {
		says = "runs cannot be made here as it is"
	}
	fmt.Fprintf(&b, "\n%s: %d ok, %d to warn of, %d bad, %d not known\n", says, counts[ok], counts[warn], counts[bad], counts[unknown])
	return layout.Print(w, b.String(), 0)
}
