package host

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// sandboxSysctls are the settings that forbid or limit user namespaces: one of Debian,
// two of the kernel (namespaces(7)) and one of Ubuntu.
var sandboxSysctls = []string{
	"kernel.unprivileged_userns_clone",
	"user.max_user_namespaces",
	"user.max_net_namespaces",
	"kernel.apparmor_restrict_unprivileged_userns",
}

// ReadFitness reads the facts.
func ReadFitness() Fitness {
	f := Fitness{Sysctls: map[string]string{}}
	if text, err := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource"); err == nil {
		f.Clocksource = trim(text)
	}
	files, _ := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor") // the pattern is well formed
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			if f.Governors == nil {
				f.Governors = map[string]int{}
			}
			f.Governors[trim(text)]++
		}
	}
	if most, err := readNumber("net.netfilter.nf_conntrack_max"); err == nil {
		count, err := readNumber("net.netfilter.nf_conntrack_count")
		if err == nil {
			f.Conntrack = &Conntrack{Count: count, Max: most}
		}
	}
	for _, name := range sandboxSysctls {
		if value, err := readSysctl(name); err == nil {
			f.Sysctls[name] = strings.TrimSpace(value)
		}
	}
	return f
}

func readNumber(name string) (int, error) {
	value, err := readSysctl(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(value))
}

// TryNamespaces starts this program again in a user and network namespace of its own.
// args must make it end without doing anything. Only an attempt shows what the kernel,
// its settings and the security modules allow together.
func TryNamespaces(args ...string) Namespaces {
	var n Namespaces
	c := exec.Command("/proc/self/exe", args...)
	c.Args[0] = os.Args[0]
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	if out, err := c.CombinedOutput(); err != nil {
		n.Err = err
		if _, ran := errors.AsType[*exec.ExitError](err); ran {
			n.Err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
		}
	}
	tun, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		n.TUN = err
	} else {
		tun.Close()
	}
	return n
}
