// Package doctor checks whether a machine can produce load. It reads the machine's limits and
// settings, measures its timers and the rate that it sustains, and advises what to change.
package doctor

import (
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/internal/poll"
)

// Facts are what is known about the machine. The checks judge them.
type Facts struct {
	os   string
	cpus int
	root bool

	goTimer, ownTimer late
	ownTimerErr       error
	clockCost         time.Duration

	rate    *Ladder // nil: not measured
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

// Examine reads the machine's settings and measures its timers. Call MeasureRate next, if the
// rate is wanted, and Finish last.
func Examine() *Facts {
	f := &Facts{os: runtime.GOOS, cpus: runtime.NumCPU(), fitness: host.ReadFitness(), sysctls: host.ReadFacts().Sysctls}
	f.timesBefore, f.timesErr = host.ReadCPUTimes()
	f.openFiles, _, f.filesErr = host.OpenFileLimit()
	f.ports, f.portsErr = host.Ports()
	f.quota, f.quotaErr = host.ReadCPUQuota()
	f.namespaces = host.TryNamespaces("version")
	f.root = os.Geteuid() == 0
	f.clockCost = host.ClockCost(100_000)
	f.goTimer = lateness(host.SleepLateness(naps, nap))
	late, err := poll.Lateness(naps, nap)
	f.ownTimer, f.ownTimerErr = lateness(late), err
	return f
}

const (
	naps = 200
	nap  = time.Millisecond
)

// Finish reads how busy the machine was since Examine.
func (f *Facts) Finish() {
	if f.timesErr == nil {
		f.timesAfter, f.timesErr = host.ReadCPUTimes()
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
