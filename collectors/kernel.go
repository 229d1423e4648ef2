package collectors

import (
	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/results"
)

// kernel reads the kernel's TCP counters before and after a run.
type kernel struct {
	read          func() (map[string]uint64, error) // host.ReadCounters, except in tests
	before, after map[string]uint64
	why           string // why there are no counters
}

func (k *kernel) begin() {
	if k.read == nil {
		k.read = func() (map[string]uint64, error) { return host.ReadCounters() }
	}
	k.before = k.look()
}

// end does nothing if begin was not called.
func (k *kernel) end() {
	if k.before != nil {
		k.after = k.look()
	}
}

func (k *kernel) look() map[string]uint64 {
	c, err := k.read()
	if err != nil {
		k.why = err.Error()
	}
	return c
}

// soFar is what counted would return if the run ended now. It may be called from any
// goroutine after begin.
func (k *kernel) soFar() results.Kernel {
	if k.before == nil {
		return (&kernel{why: k.why}).counted()
	}
	now := kernel{read: k.read, before: k.before}
	now.end()
	return now.counted()
}

// counted returns how far the counters rose.
func (k *kernel) counted() results.Kernel {
	if k.after == nil {
		return results.Kernel{Why: k.why, Counters: map[string]uint64{}}
	}
	counters := make(map[string]uint64, len(results.KernelCounters))
	for _, c := range results.KernelCounters {
		before, known := k.before[c.Group+c.Name]
		after, still := k.after[c.Group+c.Name]
		if known && still && after >= before {
			counters[c.Name] = after - before
		}
	}
	return results.Kernel{Available: true, Counters: counters}
}
