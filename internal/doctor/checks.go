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
	return finding{Unknown, "this kernel does not report it", ""}
}

func goTimer(f *Facts) finding {
	c := finding{OK, fmt.Sprintf("wakes %v late, %v at p99", round(f.goTimer.p50), round(f.goTimer.p99)), ""}
	if f.goTimer.p99 > 5*time.Millisecond {
		c.Verdict, c.Fix = Warn, "timeouts fire late and requests start late; stop other programs"
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
		c.Verdict, c.Fix = Warn, "the kernel has no high-resolution timers, so requests start only at its clock ticks; check CONFIG_HIGH_RES_TIMERS, and highres=off on the kernel's command line"
	case f.ownTimer.p99 > time.Millisecond:
		c.Verdict, c.Fix = Warn, "a thread whose timer has fired waits for a core; stop other programs"
	}
	return c
}

// slowClocks are clock sources that are read from a device, or by a call to the kernel or
// the hypervisor, and not from a register.
var slowClocks = []string{"hpet", "acpi_pm", "jiffies", "pit", "xen", "refined-jiffies"}

func clock(f *Facts) finding {
	source := f.fitness.Clocksource
	if source == "" {
		return notKnown(f, nil)
	}
	c := finding{OK, fmt.Sprintf("%s, %v a reading", source, f.clockCost), ""}
	if slices.Contains(slowClocks, source) || f.clockCost > time.Microsecond {
		c.Verdict, c.Fix = Warn, "kabench reads the clock a dozen times per request; choose a faster one (tsc, kvm-clock) in /sys/devices/system/clocksource/clocksource0/current_clocksource, or use another machine"
	}
	return c
}

func rate(f *Facts) finding {
	var c finding
	switch {
	case f.rate == nil:
	case f.rateErr != nil:
		c.Verdict, c.Found, c.Fix = Bad, f.rateErr.Error(), "kabench could not make a run"
	case f.rate.held == 0 && f.rate.failed == 0:
		return finding{Unknown, "there was no time to measure it", ""}
	case f.rate.held == 0:
		c.Verdict, c.Found = Bad, fmt.Sprintf("not even %d requests/s could be sent on time (lag within %v at p99)", f.rate.failed, RungLag)
		c.Fix = "this machine cannot start requests on time; stop other programs, or use another machine"
	default:
		c.Verdict, c.Found = OK, fmt.Sprintf("%d requests/s sent on time to a server in this process (lag within %v at p99)", f.rate.held, RungLag)
		if f.rate.failed > 0 {
			c.Found += fmt.Sprintf("; not %d/s", f.rate.failed)
		}
		if f.rate.held < 1000 {
			c.Verdict, c.Fix = Warn, "most profiles need more; stop other programs"
		}
	}
	return c
}

func cores(f *Facts) finding {
	c := finding{OK, strconv.Itoa(f.cpus), ""}
	if f.cpus < 2 {
		c.Verdict, c.Fix = Warn, "a server on this machine would compete with kabench for the only core; send to another machine, or use two cores"
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
	c := finding{OK, fmt.Sprintf("%.3g cores; throttled %d times so far, for %v in total", q.Cores, q.Times, round(q.Throttled)), ""}
	if q.Cores < 1 || q.Times > 0 {
		c.Verdict, c.Fix = Warn, "when the quota is used up, kabench is stopped for up to a tenth of a second, and requests start late; raise cpu.max (a container's --cpus or limits.cpu)"
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
	// While the rate is measured, kabench itself uses the cores.
	busy := float64(f.timesAfter.Busy-f.timesBefore.Busy) / float64(total)
	c := finding{OK, fmt.Sprintf("%.0f %% of all cores during the checks, %d tasks running", 100*busy, f.timesBefore.Running), ""}
	if f.rate == nil && busy > 0.5 {
		c.Verdict, c.Fix = Warn, "other programs are using the CPU; stop them before measuring"
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
	c := finding{OK, fmt.Sprintf("%.2g %% since the machine was started", 100*share), ""}
	if share > 0.01 {
		c.Verdict, c.Fix = Warn, "the hypervisor gives this machine's cores to other machines, so requests start late; use a machine with cores of its own"
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
		c.Verdict, c.Fix = Warn, "cores in power-saving mode wake up late; set the governor to performance (cpupower frequency-set -g performance)"
	}
	return c
}

// round returns d with the precision that a person reads.
func round(d time.Duration) time.Duration {
	switch {
	case d > 10*time.Millisecond:
		return d.Round(100 * time.Microsecond)
	case d > 100*time.Microsecond:
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}
