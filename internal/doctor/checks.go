package doctor

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/host"
)

// Verdict is what a check comes to.
type Verdict string

const (
	OK      Verdict = "ok"
	Warn    Verdict = "warn"    // figures suffer, or some profiles are refused
	Bad     Verdict = "bad"     // runs are impossible
	Unknown Verdict = "unknown" // it cannot be checked here
)

// Check is one line of 'kabench doctor'.
type Check struct {
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"`
	Found   string  `json:"found"`
	Fix     string  `json:"fix,omitempty"` // of what is bad or to warn of
}

// finding is what a check finds.
type finding struct {
	Verdict    Verdict // "": there is nothing to check
	Found, Fix string
}

// checks has all of them, in the order in which they are printed.
var checks = []struct {
	name string
	find func(*Facts) finding
}{
	{"Go's timer", goTimer},
	{"kabench's timer", ownTimer},
	{"clock", clock},
	{"rate", rate},
	{"cores", cores},
	{"CPU quota", quota},
	{"busy", busy},
	{"steal time", steal},
	{"CPU frequency", governor},
	{"open files", openFiles},
	{"ephemeral ports", ports},
	{"tcp_tw_reuse", timeWaitReuse},
	{"tcp_max_tw_buckets", timeWaitBuckets},
	{"somaxconn", backlog},
	{"conntrack", conntrack},
	{"private network", privateNetwork},
}

// Checks returns what all checks find in f.
func (f *Facts) Checks() []Check {
	var list []Check
	for _, c := range checks {
		if found := c.find(f); found.Verdict != "" {
			list = append(list, Check{c.name, found.Verdict, found.Found, found.Fix})
		}
	}
	return list
}

// notKnown is the finding when a fact could not be read, because of err if it is not nil.
func notKnown(f *Facts, err error) finding {
	if errors.Is(err, host.ErrNeedsLinux) || err == nil && f.os != "linux" {
		return finding{Unknown, "cannot be checked on " + f.os, ""}
	}
	if err != nil {
		return finding{Unknown, err.Error(), ""}
	}
	return finding{Unknown, "this kernel does not tell", ""}
}

func goTimer(f *Facts) finding {
	c := finding{OK, fmt.Sprintf("wakes %v late, %v at p99", round(f.goTimer.p50), round(f.goTimer.p99)), ""}
	if f.goTimer.p99 > 5*time.Millisecond {
		c.Verdict, c.Fix = Warn, "timeouts and the lag of runs suffer; give this machine less else to do"
	}
	return c
}

func ownTimer(f *Facts) finding {
	if f.ownTimerErr != nil {
		return notKnown(f, f.ownTimerErr)
	}
	c := finding{OK, fmt.Sprintf("wakes %v late, %v at p99", round(f.ownTimer.p50), round(f.ownTimer.p99)), ""}
	switch {
	case f.ownTimer.p50 > time.Millisecond:
		c.Verdict, c.Fix = Warn, "the kernel has no high-resolution timers (CONFIG_HIGH_RES_TIMERS, highres=off on its command line): nothing can be started more exactly than by the tick"
	case f.ownTimer.p99 > time.Millisecond:
		c.Verdict, c.Fix = Warn, "a thread that is due does not get a core at once; give this machine less else to do"
	}
	return c
}

// slowClocks are clocksources that are read from a device, or by a call into
// the kernel or hypervisor, instead of from a register.
var slowClocks = []string{"hpet", "acpi_pm", "jiffies", "pit", "xen", "refined-jiffies"}

func clock(f *Facts) finding {
	source := f.fitness.Clocksource
	if source == "" {
		return notKnown(f, nil)
	}
	c := finding{OK, fmt.Sprintf("%s, %v a reading", source, f.clockCost), ""}
	if slices.Contains(slowClocks, source) || f.clockCost > time.Microsecond {
		c.Verdict, c.Fix = Warn, "every request is stamped a dozen times; choose a faster one in /sys/devices/system/clocksource/clocksource0/current_clocksource (tsc, kvm-clock), or another machine"
	}
	return c
}

func rate(f *Facts) finding {
	var c finding
	switch {
	case f.rate == nil:
	case f.rateErr != nil:
		c.Verdict, c.Found, c.Fix = Bad, f.rateErr.Error(), "no run could be made"
	case f.rate.held == 0 && f.rate.failed == 0:
		return finding{Unknown, "there was no time to measure", ""}
	case f.rate.held == 0:
		c.Verdict, c.Found = Bad, fmt.Sprintf("not even %d/s were held, with lag within %v at p99", f.rate.failed, RungLag)
		c.Fix = "this machine cannot start requests when they are due; give it less else to do, or use another"
	default:
		c.Verdict, c.Found = OK, fmt.Sprintf("held %d/s to a server in this process, with lag within %v at p99", f.rate.held, RungLag)
		if f.rate.failed > 0 {
			c.Found += fmt.Sprintf("; not %d/s", f.rate.failed)
		}
		if f.rate.held < 1000 {
			c.Verdict, c.Fix = Warn, "most profiles ask for more; give this machine less else to do"
		}
	}
	return c
}

func cores(f *Facts) finding {
	c := finding{OK, strconv.Itoa(f.cpus), ""}
	if f.cpus < 2 {
		c.Verdict, c.Fix = Warn, "a server on the same machine takes its core from the load; send to another machine, or use two cores"
	}
	return c
}

func quota(f *Facts) finding {
	if f.quotaErr != nil {
		return notKnown(f, f.quotaErr)
	}
	q := f.quota
	if q.Cores == 0 {
		return finding{OK, "none", ""}
	}
	c := finding{OK, fmt.Sprintf("%.3g cores; throttled %d times so far, %v in all", q.Cores, q.Times, round(q.Throttled)), ""}
	if q.Cores < 1 || q.Times > 0 {
		c.Verdict, c.Fix = Warn, "a group that has used up its quota stands still for the rest of a tenth of a second, and every request due then is late; raise cpu.max (a container's --cpus or limits.cpu)"
	}
	return c
}

func busy(f *Facts) finding {
	total := f.timesAfter.Total - f.timesBefore.Total
	if f.timesErr != nil {
		return notKnown(f, f.timesErr)
	}
	if total == 0 {
		return finding{Unknown, "there was no time to measure", ""}
	}
	// While the rate is measured this is kabench's own doing.
	busy := float64(f.timesAfter.Busy-f.timesBefore.Busy) / float64(total)
	c := finding{OK, fmt.Sprintf("%.0f %% of all cores meanwhile, %d tasks running", 100*busy, f.timesBefore.Running), ""}
	if f.rate == nil && busy > 0.5 {
		c.Verdict, c.Fix = Warn, "others use this machine; let it be idle but for the run"
	}
	return c
}

func steal(f *Facts) finding {
	if f.timesErr != nil {
		return notKnown(f, f.timesErr)
	}
	share := 0.0
	if f.timesBefore.Total > 0 {
		share = float64(f.timesBefore.Steal) / float64(f.timesBefore.Total)
	}
	c := finding{OK, fmt.Sprintf("%.2g %% since the machine started", 100*share), ""}
	if share > 0.01 {
		c.Verdict, c.Fix = Warn, "the hypervisor gives this machine's cores to others, and lateness with them; use one that is not shared"
	}
	return c
}

func governor(f *Facts) finding {
	if f.os != "linux" {
		return notKnown(f, nil)
	}
	if len(f.fitness.Governors) == 0 {
		return finding{Unknown, "not visible, as in most virtual machines", ""}
	}
	var list []string
	for _, g := range slices.Sorted(maps.Keys(f.fitness.Governors)) {
		list = append(list, fmt.Sprintf("%s on %d", g, f.fitness.Governors[g]))
	}
	c := finding{OK, strings.Join(list, ", "), ""}
	if f.fitness.Governors["powersave"] > 0 {
		c.Verdict, c.Fix = Warn, "cores that sleep deep wake late; set the governor performance (cpupower frequency-set -g performance)"
	}
	return c
}

// round is d as a person reads it.
func round(d time.Duration) time.Duration {
	switch {
	case d > 10*time.Millisecond:
		return d.Round(100 * time.Microsecond)
	case d > 100*time.Microsecond:
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}
