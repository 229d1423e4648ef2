package doctor

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kabench/kabench/internal/host"
)

// fit returns the facts of a machine without any finding.
func fit() *Facts {
	return &Facts{
		os: "linux", cpus: 8,
		goTimer: late{600 * time.Microsecond, 1100 * time.Microsecond}, ownTimer: late{60 * time.Microsecond, 90 * time.Microsecond},
		clockCost: 40, rate: &Ladder{held: 64000}, openFiles: 1 << 20,
		ports: host.EphemeralPorts{First: 32768, Last: 60999},
		sysctls: map[string]string{
			"net.ipv4.tcp_tw_reuse": "2", "net.core.somaxconn": "4096", "net.ipv4.tcp_max_tw_buckets": "131072",
		},
		fitness:     host.Fitness{Clocksource: "tsc", Governors: map[string]int{"performance": 8}, Conntrack: &host.Conntrack{Count: 10, Max: 262144}},
		timesBefore: host.CPUTimes{Busy: 100, Steal: 1, Total: 10000}, timesAfter: host.CPUTimes{Busy: 200, Steal: 1, Total: 11000},
	}
}

func TestChecksOfAFitMachine(t *testing.T) {
	for _, c := range fit().Checks() {
		if c.Verdict != OK || c.Fix != "" || c.Found == "" {
			t.Errorf("%+v", c)
		}
	}
}

func TestChecks(t *testing.T) {
	gone := &fs.PathError{Op: "open", Path: "/dev/net/tun", Err: syscall.ENOENT}
	for _, tc := range []struct {
		what  string
		facts func(*Facts)
		check string
		want  Verdict
		says  string // in what was found or in the fix
	}{
		{"a slow timer", func(m *Facts) { m.goTimer.p99 = 20 * time.Millisecond }, "Go's timer", Warn, "20ms at p99"},
		{"no fine timers", func(m *Facts) { m.ownTimer = late{2 * time.Millisecond, 4 * time.Millisecond} }, "kabench's timer", Warn, "high-resolution timers"},
		{"a busy machine", func(m *Facts) { m.ownTimer.p99 = 4 * time.Millisecond }, "kabench's timer", Warn, "stop other programs"},
		{"not Linux", func(m *Facts) { m.ownTimerErr = host.ErrNeedsLinux }, "kabench's timer", Unknown, "cannot be checked"},
		{"a clock in a device", func(m *Facts) { m.fitness.Clocksource = "hpet" }, "clock", Warn, "current_clocksource"},
		{"a clock that is slow all the same", func(m *Facts) { m.clockCost = 2 * time.Microsecond }, "clock", Warn, "2µs a reading"},
		{"an unknown clock", func(m *Facts) { m.fitness.Clocksource = "" }, "clock", Unknown, "does not report"},
		{"a rate", func(m *Facts) { m.rate = &Ladder{8000, 16000} }, "rate", OK, "8000 requests/s sent on time to a server in this process (lag within 10ms at p99); not 16000/s"},
		{"a low rate", func(m *Facts) { m.rate = &Ladder{200, 1000} }, "rate", Warn, "200 requests/s sent on time"},
		{"no rate", func(m *Facts) { m.rate = &Ladder{0, 200} }, "rate", Bad, "not even 200 requests/s"},
		{"no time", func(m *Facts) { m.rate = &Ladder{} }, "rate", Unknown, "no time"},
		{"no run", func(m *Facts) { m.rateErr = errors.New("no socket") }, "rate", Bad, "no socket"},
		{"one core", func(m *Facts) { m.cpus = 1 }, "cores", Warn, "two cores"},
		{"a quota", func(m *Facts) { m.quota.Cores = 2 }, "CPU quota", OK, "2 cores"},
		{"a small quota", func(m *Facts) { m.quota.Cores = 0.5 }, "CPU quota", Warn, "cpu.max"},
		{"a quota that was hit", func(m *Facts) { m.quota = host.CPUQuota{Cores: 2, Times: 7, Throttled: time.Second} }, "CPU quota", Warn, "throttled 7 times"},
		{"others", func(m *Facts) { m.rate, m.timesAfter.Busy = nil, 800 }, "busy", Warn, "70 % of all cores"},
		{"our own doing", func(m *Facts) { m.timesAfter.Busy = 1000 }, "busy", OK, "90 %"},
		{"too short", func(m *Facts) { m.timesAfter = m.timesBefore }, "busy", Unknown, ""},
		{"stolen", func(m *Facts) { m.timesBefore.Steal = 500 }, "steal time", Warn, "5 %"},
		{"a lazy governor", func(m *Facts) { m.fitness.Governors = map[string]int{"powersave": 6, "performance": 2} }, "CPU frequency", Warn, "performance on 2, powersave on 6"},
		{"no governor", func(m *Facts) { m.fitness.Governors = nil }, "CPU frequency", Unknown, "not visible"},
		{"few files", func(m *Facts) { m.openFiles = 1024 }, "open files", Warn, "ulimit -n"},
		{"next to none", func(m *Facts) { m.openFiles = 32 }, "open files", Bad, "too few for any run"},
		{"no limit", func(m *Facts) { m.openFiles = 1<<64 - 1 }, "open files", OK, "no limit"},
		{"few ports", func(m *Facts) { m.ports.Last = 33767 }, "ephemeral ports", Warn, "1000 (32768 to 33767"},
		{"no ports", func(m *Facts) { m.ports.Reserved = 28232 }, "ephemeral ports", Bad, "no connection can be opened"},
		{"reuse", func(m *Facts) { m.sysctls["net.ipv4.tcp_tw_reuse"] = "0" }, "tcp_tw_reuse", OK, "60 s"},
		{"few TIME_WAIT", func(m *Facts) { m.sysctls["net.ipv4.tcp_max_tw_buckets"] = "4096" }, "tcp_max_tw_buckets", Warn, "ends TIME_WAIT early"},
		{"a short queue", func(m *Facts) { m.sysctls["net.core.somaxconn"] = "128" }, "somaxconn", Warn, "128"},
		{"an unknown queue", func(m *Facts) { delete(m.sysctls, "net.core.somaxconn") }, "somaxconn", Unknown, ""},
		{"conntrack nearly full", func(m *Facts) { m.fitness.Conntrack.Count = 262000 }, "conntrack", Warn, "262000 of 262144"},
		{"conntrack full", func(m *Facts) { m.fitness.Conntrack.Count = 262144 }, "conntrack", Warn, "packets of new connections are lost"},
		{"no conntrack", func(m *Facts) { m.fitness.Conntrack = nil }, "conntrack", OK, "not tracked"},
		{"no namespaces left", func(m *Facts) {
			m.namespaces.Err = syscall.ENOSPC
			m.fitness.Sysctls = map[string]string{"user.max_user_namespaces": "0"}
		}, "private network", Warn, "sysctl -w user.max_user_namespaces=15000"},
		{"Debian forbids them", func(m *Facts) {
			m.namespaces.Err = syscall.EPERM
			m.fitness.Sysctls = map[string]string{"user.max_user_namespaces": "9", "kernel.unprivileged_userns_clone": "0"}
		}, "private network", Warn, "kernel.unprivileged_userns_clone is 0"},
		{"Ubuntu forbids them", func(m *Facts) {
			m.namespaces.Err = syscall.EACCES
			m.fitness.Sysctls = map[string]string{"kernel.apparmor_restrict_unprivileged_userns": "1"}
		}, "private network", Warn, "AppArmor profile"},
		{"a container forbids them", func(m *Facts) { m.namespaces.Err, m.root = syscall.EPERM, true }, "private network", Warn, "seccomp"},
		{"no tun", func(m *Facts) { m.namespaces.TUN = gone }, "private network", Warn, "modprobe tun"},
		{"tun is root's", func(m *Facts) { m.namespaces.TUN = os.ErrPermission }, "private network", Warn, "chmod 666"},
	} {
		t.Run(tc.what, func(t *testing.T) {
			m := fit()
			tc.facts(m)
			for _, c := range m.Checks() {
				if c.Name != tc.check {
					if c.Verdict != OK {
						t.Errorf("%+v, which is another's fault", c)
					}
					continue
				}
				if c.Verdict != tc.want || !strings.Contains(c.Found+" "+c.Fix, tc.says) {
					t.Errorf("%+v, want %s with %q", c, tc.want, tc.says)
				}
				if (c.Verdict == Warn || c.Verdict == Bad) != (c.Fix != "") {
					t.Errorf("%+v: a fix where there is something to fix, and nowhere else", c)
				}
			}
		})
	}
}

// On other systems than Linux, what cannot be checked is unknown, not bad.
func TestChecksOffLinux(t *testing.T) {
	m := &Facts{
		os: "darwin", cpus: 8, goTimer: late{time.Millisecond, time.Millisecond}, openFiles: 1 << 20,
		ownTimerErr: host.ErrNeedsLinux, portsErr: host.ErrNeedsLinux, quotaErr: host.ErrNeedsLinux, timesErr: host.ErrNeedsLinux,
		namespaces: host.Namespaces{Err: host.ErrNeedsLinux, TUN: host.ErrNeedsLinux},
	}
	known := map[string]bool{"Go's timer": true, "cores": true, "open files": true}
	for _, c := range m.Checks() {
		if known[c.Name] != (c.Verdict == OK) || !known[c.Name] && (c.Verdict != Unknown || c.Found != "cannot be checked on darwin") {
			t.Errorf("%+v", c)
		}
	}
}

func TestClimb(t *testing.T) {
	broken := errors.New("broken")
	for _, tc := range []struct {
		name  string
		limit int           // the rate up to which rungs are held
		slips int           // how many rungs fail once although they could be held
		takes time.Duration // each
		err   error
		want  Ladder
		tries int
	}{
		{name: "all", limit: 1 << 30, want: Ladder{held: 4000}, tries: 3},
		{name: "some", limit: 1000, want: Ladder{1000, 4000}, tries: 4},
		{name: "none", limit: 0, want: Ladder{0, 200}, tries: 2},
		{name: "slips", limit: 1000, slips: 2, want: Ladder{1000, 4000}, tries: 6},
		{name: "out of time", limit: 1 << 30, takes: 4 * time.Second, want: Ladder{held: 1000}, tries: 2},
		{name: "no time at all", takes: time.Hour, want: Ladder{0, 200}, tries: 1},
		{name: "broken", err: broken, tries: 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries, slipped := 0, map[int]bool{}
				got, err := climb([]int{200, 1000, 4000}, time.Now().Add(8*time.Second), func(rate int) (bool, error) {
					tries++
					time.Sleep(tc.takes)
					if len(slipped) < tc.slips && !slipped[rate] {
						slipped[rate] = true
						return false, nil
					}
					return rate <= tc.limit, tc.err
				})
				if got != tc.want || tries != tc.tries || !errors.Is(err, tc.err) {
					t.Errorf("%+v in %d tries, %v; want %+v in %d", got, tries, err, tc.want, tc.tries)
				}
			})
		})
	}
}
