package capacity

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/kabench/kabench/internal/host"
)

// Limits is what this machine lets a run have.
type Limits struct {
	openFiles  uint64 // 0: not known
	inUse      int    // open already
	Ports      int    // ephemeral ports towards one address; 0: not known
	timeWait   time.Duration
	maxInWait  int // how many TIME_WAIT sockets there may be; 0: not known
	waitReused bool
}

// TimeWait is how long the kernel keeps a socket in TIME_WAIT: TCP_TIMEWAIT_LEN of
// include/net/tcp.h.
const TimeWait = 60 * time.Second

// ReadLimits reads the limits for connections to remotes.
func ReadLimits(remotes []netip.AddrPort) Limits {
	var l Limits
	if soft, _, err := host.OpenFileLimit(); err == nil {
		l.openFiles = soft // already as high as we may raise it
	}
	if n, err := host.OpenFiles(); err == nil {
		l.inUse = n
	}
	if p, err := host.Ports(); err == nil {
		l.Ports = p.Available()
	}
	sysctls := host.ReadFacts().Sysctls
	l.maxInWait, _ = strconv.Atoi(sysctls["net.ipv4.tcp_max_tw_buckets"])
	l.timeWait, l.waitReused = portsReturn(sysctls, remotes)
	return l
}

// portsReturn returns how long a port stays in use after we closed first. A connect may
// use it sooner with net.ipv4.tcp_tw_reuse 1, or 2 (the default) on the
// loopback interface: after a second, or net.ipv4.tcp_tw_reuse_delay (in ms,
// since 6.13); Documentation/networking/ip-sysctl.rst.
func portsReturn(sysctls map[string]string, remotes []netip.AddrPort) (d time.Duration, reused bool) {
	loopback := len(remotes) > 0
	for _, r := range remotes {
		loopback = loopback && r.Addr().IsLoopback()
	}
	mode := sysctls["net.ipv4.tcp_tw_reuse"]
	if mode != "1" && (mode != "2" || !loopback) || sysctls["net.ipv4.tcp_timestamps"] == "0" {
		return TimeWait, false
	}
	if ms, err := strconv.Atoi(sysctls["net.ipv4.tcp_tw_reuse_delay"]); err == nil {
		return time.Duration(ms) * time.Millisecond, true
	}
	return time.Second, true
}
