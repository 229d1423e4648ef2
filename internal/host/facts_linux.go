package host

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// sysctls are the kernel settings that matter to the connections of a pool: ports,
// TIME_WAIT, accept queues, and how the kernel treats lost and idle connections.
var sysctls = []string{
	"net.core.somaxconn",
	"net.ipv4.ip_local_port_range",
	"net.ipv4.ip_local_reserved_ports",
	"net.ipv4.tcp_abort_on_overflow",
	"net.ipv4.tcp_congestion_control",
	"net.ipv4.tcp_fin_timeout",
	"net.ipv4.tcp_keepalive_intvl",
	"net.ipv4.tcp_keepalive_probes",
	"net.ipv4.tcp_keepalive_time",
	"net.ipv4.tcp_max_orphans",
	"net.ipv4.tcp_max_syn_backlog",
	"net.ipv4.tcp_max_tw_buckets",
	"net.ipv4.tcp_retries2",
	"net.ipv4.tcp_slow_start_after_idle",
	"net.ipv4.tcp_syn_retries",
	"net.ipv4.tcp_timestamps",
	"net.ipv4.tcp_tw_reuse",
	"net.ipv4.tcp_tw_reuse_delay",
}

// ReadFacts reads the facts. A fact that cannot be read is zero.
func ReadFacts() Facts {
	f := Facts{Sysctls: make(map[string]string, len(sysctls))}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		f.Kernel = unix.ByteSliceToString(uts.Release[:])
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		f.OpenFiles = limit.Cur
	}
	for _, name := range sysctls {
		if value, err := readSysctl(name); err == nil {
			f.Sysctls[name] = strings.Join(strings.Fields(value), " ")
		}
	}
	return f
}

// Ports reads the ephemeral ports of this network namespace.
func Ports() (EphemeralPorts, error) {
	portRange, err := readSysctl("net.ipv4.ip_local_port_range")
	if err != nil {
		return EphemeralPorts{}, err
	}
	reserved, err := readSysctl("net.ipv4.ip_local_reserved_ports")
	if err != nil {
		return EphemeralPorts{}, err
	}
	p, err := parseEphemeral(portRange, reserved)
	if err != nil {
		return EphemeralPorts{}, fmt.Errorf("ephemeral ports: %w", err)
	}
	return p, nil
}

func readSysctl(name string) (string, error) {
	value, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	return string(value), err
}

// trim returns the value in a file of one value.
func trim(text []byte) string { return strings.TrimSpace(string(text)) }
