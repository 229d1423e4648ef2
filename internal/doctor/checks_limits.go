package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"syscall"

	"github.com/kabench/kabench/internal/host"
)

// How many files a run with the defaults needs: both ends of load.max_in_flight (1000)
// connections, because kabench may serve the target itself, and some more.
const (
	usualFiles = 2100
	leastFiles = 64
)

func openFiles(f *Facts) finding {
	if f.filesErr != nil {
		return finding{Unknown, f.filesErr.Error(), ""}
	}
	c := finding{OK, fmt.Sprintf("%d", f.openFiles), ""}
	if f.openFiles > 1<<40 {
		c.Found = "no limit"
	}
	fix := fmt.Sprintf("`ulimit -n %d` (as root, or LimitNOFILE= in a unit, --ulimit nofile= for a container)", 10*usualFiles)
	switch {
	case f.openFiles < leastFiles:
		c.Verdict, c.Fix = Bad, "this is too few for any run; raise the limit with "+fix
	case f.openFiles < usualFiles:
		c.Verdict, c.Fix = Warn, "kabench refuses profiles that may open more connections; raise the limit with "+fix
	}
	return c
}

func ports(f *Facts) finding {
	if f.portsErr != nil {
		return notKnown(f, f.portsErr)
	}
	n := f.ports.Available()
	c := finding{OK, fmt.Sprintf("%d (%d to %d, %d reserved)", n, f.ports.First, f.ports.Last, f.ports.Reserved), ""}
	const widen = "sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\""
	switch {
	case n == 0:
		c.Verdict, c.Fix = Bad, "no connection can be opened; "+widen
	case n < 10_000:
		c.Verdict, c.Fix = Warn, "with a new connection per request, a few hundred requests a second use them up in less than a minute; "+widen
	}
	return c
}

func timeWaitReuse(f *Facts) finding {
	found := map[string]string{
		"0": "0: a port stays in use for 60 s after kabench closes a connection first",
		"1": "1: a port in TIME_WAIT can be used again after a second",
		"2": "2: a port in TIME_WAIT can be used again after a second, but only on the loopback interface",
	}[f.sysctls["net.ipv4.tcp_tw_reuse"]]
	if found == "" {
		return notKnown(f, nil)
	}
	return finding{OK, found, ""} // each value is right for some profile
}

func timeWaitBuckets(f *Facts) finding {
	return number(f, "net.ipv4.tcp_max_tw_buckets", f.ports.Available(),
		"above this number the kernel ends TIME_WAIT early, so ports do not run out here as they would elsewhere; sysctl -w net.ipv4.tcp_max_tw_buckets=65536")
}

func backlog(f *Facts) finding {
	return number(f, "net.core.somaxconn", 1024,
		"a server on this machine drops connection requests that come in bursts, and each is sent again only after a second; sysctl -w net.core.somaxconn=4096")
}

// number warns about a setting below least.
func number(f *Facts, sysctl string, least int, fix string) finding {
	n, err := strconv.Atoi(f.sysctls[sysctl])
	if err != nil {
		return notKnown(f, nil)
	}
	if n < least {
		return finding{Warn, strconv.Itoa(n), fix}
	}
	return finding{OK, strconv.Itoa(n), ""}
}

func conntrack(f *Facts) finding {
	if f.os != "linux" {
		return notKnown(f, nil)
	}
	t := f.fitness.Conntrack
	if t == nil {
		return finding{OK, "connections are not tracked", ""}
	}
	c := finding{OK, fmt.Sprintf("%d of %d entries used", t.Count, t.Max), ""}
	switch free := t.Max - t.Count; {
	case free <= 0:
		c.Verdict, c.Fix = Warn, "the table is full, so packets of new connections are lost; sysctl -w net.netfilter.nf_conntrack_max=262144"
	case free < f.ports.Available():
		c.Verdict, c.Fix = Warn, "the table may be full before the ports run out, because each entry stays two minutes longer than its connection; sysctl -w net.netfilter.nf_conntrack_max=262144"
	}
	return c
}

// privateNetwork checks whether a run can have a network of its own, and if not, why.
func privateNetwork(f *Facts) finding {
	n := f.namespaces
	if errors.Is(n.Err, host.ErrNeedsLinux) {
		return notKnown(f, n.Err)
	}
	if n.Err != nil {
		why, fix := forbidden(f)
		return finding{Warn, fmt.Sprintf("not available: %v%s", n.Err, why), fix + "; only profiles with a private network need it"}
	}
	if n.TUN != nil {
		fix := "sudo chmod 666 /dev/net/tun"
		if errors.Is(n.TUN, fs.ErrNotExist) {
			fix = "sudo modprobe tun (in a container: --device /dev/net/tun)"
		}
		return finding{Warn, fmt.Sprintf("user and network namespaces are available, but %v", n.TUN), fix + "; only profiles with a private network that has a link need it"}
	}
	return finding{OK, "user and network namespaces and /dev/net/tun are available", ""}
}

// forbidden returns the setting that forbids user and network namespaces, and how to allow
// them.
func forbidden(f *Facts) (why, fix string) {
	s := f.fitness.Sysctls
	for _, name := range []string{"user.max_user_namespaces", "user.max_net_namespaces"} {
		if s[name] == "0" || s[name] != "" && errors.Is(f.namespaces.Err, syscall.ENOSPC) {
			return fmt.Sprintf(" (%s is %s)", name, s[name]), "sudo sysctl -w " + name + "=15000"
		}
	}
	if !f.root {
		if s["kernel.unprivileged_userns_clone"] == "0" {
			return " (kernel.unprivileged_userns_clone is 0)", "sudo sysctl -w kernel.unprivileged_userns_clone=1"
		}
		if s["kernel.apparmor_restrict_unprivileged_userns"] == "1" {
			return " (kernel.apparmor_restrict_unprivileged_userns is 1)", "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for kabench that allows userns"
		}
	}
	return "", "a seccomp filter or a security module forbids it, as usual in containers; run kabench outside the container, or with docker's --security-opt seccomp=unconfined"
}
