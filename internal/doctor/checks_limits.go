package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"syscall"

	"github.com/kabench/kabench/internal/host"
)

// What a run with the defaults takes: load.max_in_flight 1000 connections, both
// ends of them when kabench serves its own target, and some.
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
		c.Verdict, c.Fix = Bad, "no run fits into that; raise it with "+fix
	case f.openFiles < usualFiles:
		c.Verdict, c.Fix = Warn, "profiles that may open more connections are refused; raise it with "+fix
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
		c.Verdict, c.Fix = Warn, "a new connection per request uses them up in less than a minute at few hundred requests a second; "+widen
	}
	return c
}

func timeWaitReuse(f *Facts) finding {
	found := map[string]string{
		"0": "0: a port is taken for 60 s after we close a connection",
		"1": "1: a port in TIME_WAIT may be used again after a second",
		"2": "2: a port in TIME_WAIT may be used again after a second, on the loopback interface only",
	}[f.sysctls["net.ipv4.tcp_tw_reuse"]]
	if found == "" {
		return notKnown(f, nil)
	}
	return finding{OK, found, ""} // what ports run out at is the profile's question
}

func timeWaitBuckets(f *Facts) finding {
	return number(f, "net.ipv4.tcp_max_tw_buckets", f.ports.Available(),
		"beyond it the kernel forgets TIME_WAIT early, so ports do not run out here as they would elsewhere; sysctl -w net.ipv4.tcp_max_tw_buckets=65536")
}

func backlog(f *Facts) finding {
	return number(f, "net.core.somaxconn", 1024,
		"a server here drops connects that come in bursts, and each waits a second for its next try; sysctl -w net.core.somaxconn=4096")
}

// number warns of a setting below least.
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
		c.Verdict, c.Fix = Warn, "the table is full, and packets of new connections are lost; sysctl -w net.netfilter.nf_conntrack_max=262144"
	case free < f.ports.Available():
		c.Verdict, c.Fix = Warn, "it may be full before the ports have run out, as each entry outlives its connection by two minutes; sysctl -w net.netfilter.nf_conntrack_max=262144"
	}
	return c
}

// privateNetwork says whether a run can have a network of its own, and why not.
func privateNetwork(f *Facts) finding {
	n := f.namespaces
	if errors.Is(n.Err, host.ErrNeedsLinux) {
		return notKnown(f, n.Err)
	}
	if n.Err != nil {
		why, fix := forbidden(f)
		return finding{Warn, fmt.Sprintf("not available: %v%s", n.Err, why), fix + "; only profiles with a network of their own need it"}
	}
	if n.TUN != nil {
		fix := "sudo chmod 666 /dev/net/tun"
		if errors.Is(n.TUN, fs.ErrNotExist) {
			fix = "sudo modprobe tun (in a container: --device /dev/net/tun)"
		}
		return finding{Warn, fmt.Sprintf("user and network namespaces are available, but %v", n.TUN), fix + "; only profiles with a link of their own need it"}
	}
	return finding{OK, "user and network namespaces and /dev/net/tun are available", ""}
}

// forbidden says which setting forbids user and network namespaces, and how to
// allow them.
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
	return "", "a seccomp filter or security module forbids it, as a container's usually does (docker: --security-opt seccomp=unconfined); run kabench outside of it"
}
