package host

// Fitness are facts on which it depends how well a load can be made here. What
// could not be read is zero.
type Fitness struct {
	Clocksource string            // current_clocksource
	Governors   map[string]int    // CPU frequency governor -> cores; nil: not visible
	Conntrack   *Conntrack        // nil: connections are not tracked here
	Sysctls     map[string]string // those of the sandbox; see sandboxSysctls
}

// Conntrack is the table of the kernel's connection tracking, which holds
// TIME_WAIT too: when it is full, packets of new connections are lost.
type Conntrack struct{ Count, Max int }

// Namespaces is what the private network of a run would need.
type Namespaces struct {
	// Err is why a process in a user and network namespace of its own could not
	// be started; nil if it was.
	Err error
	// TUN is why /dev/net/tun cannot be opened; nil if it can.
	TUN error
}
