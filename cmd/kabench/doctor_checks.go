package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kabench/kabench/internal/host"
)

// verdict is what a check comes to.
type verdict string

const (
	ok      verdict = "ok"
	warn    verdict = "warn"    // figures suffer, or some profiles are refused
	bad     verdict = "bad"     // runs are impossible
	unknown verdict = "unknown" // not told here
)

// check is one line of `kabench doctor`.
type check struct {
	Name    string  `json:"name"`
	Verdict verdict `json:"verdict"`
	Found   string  `json:"found"`
	Fix     string  `json:"fix,omitempty"`
}

// machineFacts are what the checks go by.
type machineFacts struct {
	os   string
	cpus int
	root bool

	goTimer, ownTimer late
	ownTimerErr       error
	clockCost         time.Duration

	rate    *ladder // nil: not measured
	rateErr error

	openFiles               uint64
	filesErr                error
	ports                   host.EphemeralPorts
	portsErr                error
	sysctls                 map[string]string
	fitness                 host.Fitness
	quota                   host.CPUQuota
	quotaErr                error
	timesBefore, timesAfter host.CPUTimes
	timesErr                error
	namespaces              host.Namespaces
}

// checks are all of them, in the order in which they are printed.
func (m machineFacts) checks() []check {
	list := []check{m.timer(), m.sleep(), m.clock()}
	if m.rate != nil {
		list = append(list, m.held())
	}
	return append(list,
		m.cores(), m.quotaHit(), m.load(), m.steal(), m.governor(),
		m.files(), m.portRange(), m.reuse(), m.buckets(), m.backlog(), m.conntrack(), m.sandbox(),
	)
}

func (m machineFacts) untold(name string, err error) check {
	if errors.Is(err, host.ErrNeedsLinux) || err == nil && m.os != "linux" {
		return check{name, unknown, "cannot be checked on " + m.os, ""}
	}
	if err != nil {
		return check{name, unknown, err.Error(), ""}
	}
	return check{name, unknown, "this kernel does not tell", ""}
}

func (m machineFacts) timer() check {
	c := check{"Go's timer", ok, fmt.Sprintf("wakes %v late, %v at p99", round(m.goTimer.p50), round(m.goTimer.p99)), ""}
	if m.goTimer.p99 > 5*time.Millisecond {
		c.Verdict, c.Fix = warn, "timeouts and the lag of runs suffer; give this machine less else to do"
	}
	return c
}

func (m machineFacts) sleep() check {
	const name = "kabench's timer"
	if m.ownTimerErr != nil {
		return m.untold(name, m.ownTimerErr)
	}
	c := check{name, ok, fmt.Sprintf("wakes %v late, %v at p99", round(m.ownTimer.p50), round(m.ownTimer.p99)), ""}
	switch {
	case m.ownTimer.p50 > time.Millisecond:
		c.Verdict, c.Fix = warn, "the kernel has no high-resolution timers (CONFIG_HIGH_RES_TIMERS, highres=off on its command line): nothing can be started more exactly than by the tick"
	case m.ownTimer.p99 > time.Millisecond:
		c.Verdict, c.Fix = warn, "a thread that is due does not get a core at once; give this machine less else to do"
	}
	return c
}

// slowClocks are clocksources that are read from a device, or by a call into
// the kernel or hypervisor, instead of from a register.
var slowClocks = []string{"hpet", "acpi_pm", "jiffies", "pit", "xen", "refined-jiffies"}

func (m machineFacts) clock() check {
	const name = "clock"
	source := m.fitness.Clocksource
	if source == "" {
		return m.untold(name, nil)
	}
	c := check{name, ok, fmt.Sprintf("%s, %v a reading", source, m.clockCost), ""}
	if slices.Contains(slowClocks, source) || m.clockCost > time.Microsecond {
		c.Verdict, c.Fix = warn, "every request is stamped a dozen times; choose a faster one in /sys/devices/system/clocksource/clocksource0/current_clocksource (tsc, kvm-clock), or another machine"
	}
	return c
}

func (m machineFacts) held() check {
	const name = "rate"
	c := check{Name: name}
	switch {
	case m.rateErr != nil:
		c.Verdict, c.Found, c.Fix = bad, m.rateErr.Error(), "no run could be made"
	case m.rate.held == 0 && m.rate.failed == 0:
		return check{name, unknown, "there was no time to measure", ""}
	case m.rate.held == 0:
		c.Verdict, c.Found = bad, fmt.Sprintf("not even %d/s were held, with lag within %v at p99", m.rate.failed, rungLag)
		c.Fix = "this machine cannot start requests when they are due; give it less else to do, or use another"
	default:
		c.Verdict, c.Found = ok, fmt.Sprintf("held %d/s to a server in this process, with lag within %v at p99", m.rate.held, rungLag)
		if m.rate.failed > 0 {
			c.Found += fmt.Sprintf("; not %d/s", m.rate.failed)
		}
		if m.rate.held < 1000 {
			c.Verdict, c.Fix = warn, "most profiles ask for more; give this machine less else to do"
		}
	}
	return c
}

func (m machineFacts) cores() check {
	c := check{"cores", ok, strconv.Itoa(m.cpus), ""}
	if m.cpus < 2 {
		c.Verdict, c.Fix = warn, "a server on the same machine takes its core from the load; send to another machine, or use two cores"
	}
	return c
}

func (m machineFacts) quotaHit() check {
	const name = "CPU quota"
	if m.quotaErr != nil {
		return m.untold(name, m.quotaErr)
	}
	q := m.quota
	if q.Cores == 0 {
		return check{name, ok, "none", ""}
	}
	c := check{name, ok, fmt.Sprintf("%.3g cores; throttled %d times so far, %v in all", q.Cores, q.Times, round(q.Throttled)), ""}
	if q.Cores < 1 || q.Times > 0 {
		c.Verdict, c.Fix = warn, "a group that has used up its quota stands still for the rest of a tenth of a second, and every request due then is late; raise cpu.max (a container's --cpus or limits.cpu)"
	}
	return c
}

func (m machineFacts) load() check {
	const name = "busy"
	total := m.timesAfter.Total - m.timesBefore.Total
	if m.timesErr != nil {
		return m.untold(name, m.timesErr)
	}
	if total == 0 {
		return check{name, unknown, "there was no time to measure", ""}
	}
	// While the rate is measured this is kabench's own doing.
	busy := float64(m.timesAfter.Busy-m.timesBefore.Busy) / float64(total)
	c := check{name, ok, fmt.Sprintf("%.0f %% of all cores meanwhile, %d tasks running", 100*busy, m.timesBefore.Running), ""}
	if m.rate == nil && busy > 0.5 {
		c.Verdict, c.Fix = warn, "others use this machine; let it be idle but for the run"
	}
	return c
}

func (m machineFacts) steal() check {
	const name = "steal time"
	if m.timesErr != nil {
		return m.untold(name, m.timesErr)
	}
	share := 0.0
	if m.timesBefore.Total > 0 {
		share = float64(m.timesBefore.Steal) / float64(m.timesBefore.Total)
	}
	c := check{name, ok, fmt.Sprintf("%.2g %% since the machine started", 100*share), ""}
	if share > 0.01 {
		c.Verdict, c.Fix = warn, "the hypervisor gives this machine's cores to others, and lateness with them; use one that is not shared"
	}
	return c
}

func (m machineFacts) governor() check {
	const name = "CPU frequency"
	if m.os != "linux" {
		return m.untold(name, nil)
	}
	if len(m.fitness.Governors) == 0 {
		return check{name, unknown, "not visible, as in most virtual machines", ""}
	}
	var list []string
	for _, g := range slices.Sorted(maps.Keys(m.fitness.Governors)) {
		list = append(list, fmt.Sprintf("%s on %d", g, m.fitness.Governors[g]))
	}
	c := check{name, ok, strings.Join(list, ", "), ""}
	if m.fitness.Governors["powersave"] > 0 {
		c.Verdict, c.Fix = warn, "cores that sleep deep wake late; set the governor performance (cpupower frequency-set -g performance)"
	}
	return c
}

// What a run with the defaults takes: load.max_in_flight 1000 connections, both
// ends of them when kabench serves its own target, and some.
const (
	usualFiles = 2100
	leastFiles = 64
)

func (m machineFacts) files() check {
	const name = "open files"
	if m.filesErr != nil {
		return check{name, unknown, m.filesErr.Error(), ""}
	}
	c := check{name, ok, fmt.Sprintf("%d", m.openFiles), ""}
	if m.openFiles > 1<<40 {
		c.Found = "no limit"
	}
	fix := fmt.Sprintf("`ulimit -n %d` (as root, or LimitNOFILE= in a unit, --ulimit nofile= for a container)", 10*usualFiles)
	switch {
	case m.openFiles < leastFiles:
		c.Verdict, c.Fix = bad, "no run fits into that; raise it with "+fix
	case m.openFiles < usualFiles:
		c.Verdict, c.Fix = warn, "profiles that may open more connections are refused; raise it with "+fix
	}
	return c
}

func (m machineFacts) portRange() check {
	const name = "ephemeral ports"
	if m.portsErr != nil {
		return m.untold(name, m.portsErr)
	}
	n := m.ports.Available()
	c := check{name, ok, fmt.Sprintf("%d (%d to %d, %d reserved)", n, m.ports.First, m.ports.Last, m.ports.Reserved), ""}
	const widen = "sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\""
	switch {
	case n == 0:
		c.Verdict, c.Fix = bad, "no connection can be opened; "+widen
	case n < 10_000:
		c.Verdict, c.Fix = warn, "a new connection per request uses them up in less than a minute at few hundred requests a second; "+widen
	}
	return c
}

func (m machineFacts) reuse() check {
	const name = "tcp_tw_reuse"
	found := map[string]string{
		"0": "0: a port is taken for 60 s after we close a connection",
		"1": "1: a port in TIME_WAIT may be used again after a second",
		"2": "2: a port in TIME_WAIT may be used again after a second, on the loopback interface only",
	}[m.sysctls["net.ipv4.tcp_tw_reuse"]]
	if found == "" {
		return m.untold(name, nil)
	}
	return check{name, ok, found, ""} // what ports run out at is the profile's question
}

func (m machineFacts) buckets() check {
	return m.number("tcp_max_tw_buckets", "net.ipv4.tcp_max_tw_buckets", m.ports.Available(),
		"beyond it the kernel forgets TIME_WAIT early, so ports do not run out here as they would elsewhere; sysctl -w net.ipv4.tcp_max_tw_buckets=65536")
}

func (m machineFacts) backlog() check {
	return m.number("somaxconn", "net.core.somaxconn", 1024,
		"a server here drops connects that come in bursts, and each waits a second for its next try; sysctl -w net.core.somaxconn=4096")
}

// number warns of a setting below least.
func (m machineFacts) number(name, sysctl string, least int, fix string) check {
	n, err := strconv.Atoi(m.sysctls[sysctl])
	if err != nil {
		return m.untold(name, nil)
	}
	if n < least {
		return check{name, warn, strconv.Itoa(n), fix}
	}
	return check{name, ok, strconv.Itoa(n), ""}
}

func (m machineFacts) conntrack() check {
	const name = "conntrack"
	if m.os != "linux" {
		return m.untold(name, nil)
	}
	t := m.fitness.Conntrack
	if t == nil {
		return check{name, ok, "connections are not tracked", ""}
	}
	c := check{name, ok, fmt.Sprintf("%d of %d entries used", t.Count, t.Max), ""}
	switch free := t.Max - t.Count; {
	case free <= 0:
		c.Verdict, c.Fix = warn, "the table is full, and packets of new connections are lost; sysctl -w net.netfilter.nf_conntrack_max=262144"
	case free < m.ports.Available():
		c.Verdict, c.Fix = warn, "it may be full before the ports have run out, as each entry outlives its connection by two minutes; sysctl -w net.netfilter.nf_conntrack_max=262144"
	}
	return c
}

// sandbox says whether a run can have a network of its own, and why not.
func (m machineFacts) sandbox() check {
	const name = "private network"
	n := m.namespaces
	if errors.Is(n.Err, host.ErrNeedsLinux) {
		return m.untold(name, n.Err)
	}
	if n.Err != nil {
		why, fix := m.forbidden()
		return check{name, warn, fmt.Sprintf("not available: %v%s", n.Err, why), fix + "; only profiles with a network of their own need it"}
	}
	if n.TUN != nil {
		fix := "sudo chmod 666 /dev/net/tun"
		if errors.Is(n.TUN, fs.ErrNotExist) {
			fix = "sudo modprobe tun (in a container: --device /dev/net/tun)"
		}
		return check{name, warn, fmt.Sprintf("user and network namespaces are available, but %v", n.TUN), fix + "; only profiles with a link of their own need it"}
	}
	return check{name, ok, "user and network namespaces and /dev/net/tun are available", ""}
}

// forbidden says which setting forbids user and network namespaces, and how to
// allow them.
func (m machineFacts) forbidden() (why, fix string) {
	s := m.fitness.Sysctls
	for _, name := range []string{"user.max_user_namespaces", "user.max_net_namespaces"} {
		if s[name] == "0" || s[name] != "" && errors.Is(m.namespaces.Err, syscall.ENOSPC) {
			return fmt.Sprintf(" (%s is %s)", name, s[name]), "sudo sysctl -w " + name + "=15000"
		}
	}
	if !m.root {
		if s["kernel.unprivileged_userns_clone"] == "0" {
			return " (kernel.unprivileged_userns_clone is 0)", "sudo sysctl -w kernel.unprivileged_userns_clone=1"
		}
		if s["kernel.apparmor_restrict_unprivileged_userns"] == "1" {
			return " (kernel.apparmor_restrict_unprivileged_userns is 1)", "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for kabench that allows userns"
		}
	}
	return "", "a seccomp filter or security module forbids it, as a container's usually does (docker: --security-opt seccomp=unconfined); run kabench outside of it"
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
