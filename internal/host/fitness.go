package host

// Fitness are the facts that decide how well this machine can make a load. A fact that
// could not be read is zero.
type Fitness struct {
	Clocksource string            // current_clocksource
	Governors   map[string]int    // number of cores by CPU frequency governor; nil: not visible
	Conntrack   *Conntrack        // nil: no connection tracking
	Sysctls     map[string]string // the settings in sandboxSysctls
}

// Conntrack is the table of the kernel's connection tracking. It also holds connections
// in TIME_WAIT. When it is full, packets of new connections are lost.
type Conntrack struct{ Count, Max int }

// Namespaces says whether the private network of a run can be made here.
type Namespaces struct {
	// Err is why a process in a user and network namespace of its own could not be
	// started; nil if it could.
	Err error
	// TUN is why /dev/net/tun cannot be opened; nil if it can.
	TUN error
}
