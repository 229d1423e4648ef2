// Package place finds the processes of a container or a pod by their control groups, and the
// network namespace of a process.
package place

import (
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Errors of processes, containers and pods, with their names around them.
var (
	ErrNone      = errors.New("no process of it is seen here; as root, and from the PID namespace of the host, all are")
	ErrGone      = errors.New("there is no such process")
	ErrNoRight   = errors.New("its network namespace cannot be entered: that needs root, or CAP_SYS_ADMIN and CAP_SYS_PTRACE")
	ErrNotLinux  = errors.New("network namespaces exist only on Linux")
	ErrAmbiguous = errors.New("several have names that begin so; give more of it")
)

// Container is where a process runs, as its control groups say.
type Container struct {
	ID  string // of the container, in hexadecimal digits; "": none
	Pod string // UID of the pod, with dashes; "": none
}

var (
	// podPart is the part of a path that names a pod: pod<UID> with the driver cgroupfs, or
	// kubepods-burstable-pod<UID>.slice with underscores with systemd. A static pod's UID is a
	// hash without dashes. A kubelet in a container has its own name before kubepods.
	podPart = regexp.MustCompile(`^(?:[a-z-]*kubepods(?:-[a-z]+)?-)?pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?$`)
	// idPart is the part that names a container: the bare ID with the driver cgroupfs (Docker,
	// containerd), or with the name of the runtime: docker-ID.scope, cri-containerd-ID.scope,
	// crio-ID.scope, libpod-ID.scope, libpod-payload-ID, nerdctl-ID.scope.
	idPart = regexp.MustCompile(`^(?:([a-z][a-z-]*)-)?([0-9a-f]{64})(?:\.scope)?$`)
)

// Parse reads the text of /proc/N/cgroup: a line HIERARCHY:CONTROLLERS:PATH for each hierarchy of
// version 1, and 0::PATH for version 2. A process that looks after a container from outside,
// as CRI-O's and Podman's conmon, is in none.
func Parse(text string) Container {
	var best Container
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) < 3 || !strings.HasPrefix(parts[2], "/") {
			continue
		}
		c := parsePath(parts[2])
		if c.ID != "" && best.ID == "" || c.Pod != "" && best.Pod == "" && best.ID == "" {
			best = c
		}
	}
	return best
}

// parsePath reads the path of a control group. The innermost container counts, as of Docker in Docker.
func parsePath(at string) (c Container) {
	for part := range strings.SplitSeq(at, "/") {
		// containerd with systemd and version 1 has parts as kubepods-podUID.slice:cri-containerd:ID.
		for name := range strings.SplitSeq(part, ":") {
			if m := podPart.FindStringSubmatch(name); m != nil {
				c = Container{Pod: uid(m[1])}
			} else if m := idPart.FindStringSubmatch(name); m != nil {
				if strings.HasSuffix(m[1], "conmon") {
					return Container{Pod: c.Pod}
				}
				c.ID = m[2]
			}
		}
	}
	return c
}

// uid writes a pod's UID as Kubernetes does: systemd's names have no dashes.
func uid(text string) string { return strings.ReplaceAll(text, "_", "-") }

// process is a process in a container.
type process struct {
	pid int
	Container
}

// ByContainer returns the processes of a container, given by its ID or at least 12 digits of it,
// with or without the name of a runtime before it, as containerd://ID.
func ByContainer(id string) ([]int, error) { return finder{"/proc"}.byContainer(id) }

// ByPod returns the processes of a pod on this machine, given by its UID or by its name, which
// is the host name in it.
func ByPod(name string) ([]int, error) { return finder{"/proc"}.byPod(name) }

// finder finds processes in a proc file system.
type finder struct{ proc string }

func (f finder) byContainer(id string) ([]int, error) {
	_, digits, prefixed := strings.Cut(id, "://")
	if !prefixed {
		digits = id
	}
	if len(digits) < 12 || len(digits) > 64 || strings.Trim(digits, "0123456789abcdef") != "" {
		return nil, fmt.Errorf("container %q: want an ID of 12 to 64 hexadecimal digits, as docker ps and kubectl get pod -o yaml show it; names are not known to the kernel", id)
	}
	return choose("container "+id, f.processes(), func(p process) string {
		if strings.HasPrefix(p.ID, digits) {
			return p.ID
		}
		return ""
	})
}

func (f finder) byPod(name string) ([]int, error) {
	return choose("pod "+name, f.processes(), func(p process) string {
		if p.Pod != "" && (p.Pod == uid(name) || p.Pod == strings.ReplaceAll(name, "-", "")) {
			return p.Pod
		}
		if p.Pod != "" && name != "" && f.hostName(p.pid) == name {
			return p.Pod
		}
		return ""
	})
}

// choose returns the processes to which key gives the same text, which is not empty.
func choose(what string, all []process, key func(process) string) ([]int, error) {
	var pids []int
	found := ""
	for _, p := range all {
		k := key(p)
		if k == "" {
			continue
		}
		if found != "" && k != found {
			return nil, fmt.Errorf("%s: %w", what, ErrAmbiguous)
		}
		found = k
		pids = append(pids, p.pid)
	}
	if len(pids) == 0 {
		return nil, fmt.Errorf("%s: %w", what, ErrNone)
	}
	return pids, nil
}

// processes returns the processes in containers, by number.
func (f finder) processes() (list []process) {
	entries, err := os.ReadDir(f.proc)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile(path.Join(f.proc, e.Name(), "cgroup"))
		if err != nil {
			continue // it has ended
		}
		if c := Parse(string(text)); c != (Container{}) {
			list = append(list, process{pid, c})
		}
	}
	slices.SortFunc(list, func(a, b process) int { return a.pid - b.pid })
	return list
}

// hostName is the host name that a container was given, by the file that runtimes write for it.
func (f finder) hostName(pid int) string {
	text, err := os.ReadFile(path.Join(f.proc, strconv.Itoa(pid), "root/etc/hostname"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
