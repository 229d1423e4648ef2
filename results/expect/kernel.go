package expect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
)

// isKernelCounter reports whether KernelCounters has a counter called name.
func isKernelCounter(name string) bool {
	return slices.ContainsFunc(results.KernelCounters, func(c results.KernelCounter) bool { return c.Name == name })
}

// kernelPath finds kernel.<counter> and, in a private network,
// kernel.<host>.<counter>.
func kernelPath(run *results.Run, rest string) (Value, bool) {
	name, ofHost := rest, false
	host, counter, dotted := strings.Cut(rest, ".")
	if dotted {
		name, ofHost = counter, true
	}
	if !isKernelCounter(name) || ofHost && host == "" {
		return Value{}, false
	}
	if !ofHost {
		return kernelValue(&run.Kernel, run.Kernel.Counters, name), true
	}
	v := kernelValue(&run.Kernel, run.Kernel.Hosts[host], name)
	if run.Kernel.Hosts[host] == nil && run.Kernel.Available {
		v.Why = fmt.Sprintf("the kernel's counters of a host %s were not read", host)
	}
	return v, true
}

// kernelValue returns the counter called name.
func kernelValue(k *results.Kernel, counters map[string]uint64, name string) Value {
	n, known := counters[name]
	v := count(n)
	switch {
	case !k.Available && k.Why != "":
		v.Why = "the kernel's counters could not be read: " + k.Why
	case !k.Available:
		v.Why = "the kernel's counters could not be read"
	case !known:
		v.Why = "this kernel does not count it"
	}
	return v
}
