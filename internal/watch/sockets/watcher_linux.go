package sockets

import (
	"cmp"
	"errors"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/internal/watch"
	"golang.org/x/sys/unix"
)

// A Watcher looks at the sockets of a service in the network namespace in which it was made.
// It is not safe for concurrent use.
type Watcher struct {
	cfg       Config
	processes []process
	began     time.Time
	diag      *host.Diag
	query     host.DiagQuery
	ports     int    // that the kernel may choose from; 0: not known
	reuse     string // net.ipv4.tcp_tw_reuse
	known     known
	found     []found        // in the last look
	listeners []listener     // in the last look
	out       []watch.Socket // of the last look
}

// New opens a Watcher; Close closes it. Times are since began. It fails if cfg is wrong, if a
// process is gone or another user's (a [*ProcessError]), or if the kernel refuses sock_diag.
// The calling goroutine's thread must be in the network namespace of the service.
func New(cfg Config, began time.Time) (*Watcher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	w := &Watcher{cfg: cfg, began: began, known: newKnown(cfg)}
	for _, pid := range cfg.PIDs {
		p, err := openProcess(pid)
		if err != nil {
			return nil, err
		}
		w.processes = append(w.processes, p)
	}
	ports, err := host.Ports()
	if err == nil {
		w.ports = ports.Available()
	}
	reuse, _ := os.ReadFile("/proc/sys/net/ipv4/tcp_tw_reuse")
	w.reuse = strings.TrimSpace(string(reuse))
	if w.diag, err = host.NewDiag(); err != nil {
		return nil, err
	}
	w.query = host.DiagQuery{Info: true, Listeners: true}
	if len(cfg.Targets)+len(cfg.Listen) > 0 {
		var locals []netip.AddrPort
		for _, port := range cfg.Listen {
			locals = append(locals, netip.AddrPortFrom(netip.Addr{}, port))
		}
		var remotes []netip.AddrPort
		for t := range w.known.targets {
			remotes = append(remotes, t)
		}
		w.query.Filter = host.DiagFilter(remotes, locals)
	}
	// No connection has port 0; a kernel that refuses is heard at once.
	nobody := host.DiagQuery{Filter: host.DiagFilter([]netip.AddrPort{netip.AddrPortFrom(netip.IPv6Loopback(), 0)}, nil)}
	if err := w.diag.Sockets(nobody, func() {}, func(*host.DiagSocket) {}); err != nil {
		return nil, errors.Join(err, w.diag.Close())
	}
	return w, nil
}

// Close closes the socket to the kernel.
func (w *Watcher) Close() error { return w.diag.Close() }

// SetPIDs changes the processes whose sockets count, as those of a container that starts and
// ends processes. It leaves out processes that are gone.
func (w *Watcher) SetPIDs(pids []int) {
	w.processes = w.processes[:0]
	for _, pid := range pids {
		if p, err := openProcess(pid); err == nil {
			w.processes = append(w.processes, p)
		}
	}
	w.cfg.PIDs = pids
	w.known.forget()
}

// Sees says what this layer sees.
func (w *Watcher) Sees() watch.Sees {
	s := watch.Sees{Layer: watch.Sockets, On: true, Says: "states, queues, round trips and idle times of connections, TIME_WAIT by side, and local ports, at each look; what happens between looks is not seen"}
	if len(w.processes) == 0 {
		s.Says += "; the connections of all processes count"
	}
	return s
}

// Look looks at the sockets that exist now; the sockets of the result are valid until the
// next look. Its error is a [*ProcessError] if all processes have ended, or if one became
// another user's. A look costs processor time: see [Pause].
func (w *Watcher) Look() (watch.Look, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := threadTime()
	l := watch.Look{At: time.Since(w.began), Range: w.ports}
	if err := w.stillThere(); err != nil {
		return l, err
	}
	begin := func() { w.found, w.listeners, w.known.skipped = w.found[:0], w.listeners[:0], 0 }
	if err := w.diag.Sockets(w.query, begin, w.add); err != nil {
		return l, err
	}
	if err := w.findOwners(); err != nil {
		return l, err
	}
	w.known.learn(w.found, w.listeners)
	w.out = w.out[:0]
	uses := map[way]*watch.PortUse{}
	for i := range w.found {
		f := &w.found[i]
		ours, leads := w.known.judge(f)
		if leads { // also if the socket is another process's: all share the ports
			w.count(uses, f)
		}
		if !ours {
			continue
		}
		if f.State == stateTimeWait {
			side := 0
			if f.Accepted {
				side = 1
			}
			l.TimeWait[side]++
		}
		w.out = append(w.out, f.Socket)
	}
	w.known.sweep(w.found)
	l.Sockets, l.Toward = w.out, most(uses)
	if len(l.Toward) > 0 {
		l.Ports = l.Toward[0].Ports
	}
	l.Took = threadTime() - before
	return l, nil
}

// threadTime is the processor time of the calling thread.
func threadTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// stillThere leaves out processes that have ended, and fails if none is left.
func (w *Watcher) stillThere() error {
	if len(w.cfg.PIDs) == 0 {
		return nil
	}
	w.processes = slices.DeleteFunc(w.processes, func(p process) bool { return !p.alive() })
	if len(w.processes) == 0 {
		return &ProcessError{w.cfg.PIDs[0], ErrEnded}
	}
	return nil
}

// add keeps a socket of a dump.
func (w *Watcher) add(d *host.DiagSocket) {
	if d.State == host.Listen {
		w.listeners = append(w.listeners, listener{d.Local.Port(), d.Inode})
		return
	}
	if w.known.skip(d) {
		return
	}
	w.found = append(w.found, found{})
	w.found[len(w.found)-1].read(d)
}

// findOwners reads which sockets the processes have, if there are sockets whose owner is not
// known.
func (w *Watcher) findOwners() error {
	if len(w.cfg.PIDs) == 0 || !w.known.asks(w.found, w.listeners) {
		return nil
	}
	inodes := map[uint32]struct{}{}
	for _, p := range w.processes {
		var ended *ProcessError
		if err := p.inodes(inodes, false); err != nil && (!errors.As(err, &ended) || !errors.Is(err, ErrEnded)) {
			return err
		}
	}
	w.known.answer(w.found, w.listeners, inodes)
	return nil
}

// way is what a range of local ports is for.
type way struct {
	local  netip.Addr
	remote netip.AddrPort
}

func (w *Watcher) count(uses map[way]*watch.PortUse, f *found) {
	at := way{f.Local.Addr(), f.Remote}
	u := uses[at]
	if u == nil {
		u = &watch.PortUse{Local: at.local, Remote: at.remote}
		u.Reuse = w.reuse == "1" || w.reuse == "2" && at.remote.Addr().IsLoopback()
		uses[at] = u
	}
	u.Ports++
	if f.waits {
		u.Freed[min(max(0, int(f.frees/time.Second)), watch.TimeWaitFor-1)]++
	}
}

// mostUses is how many pairs of address and target a look names.
const mostUses = 32

// most returns the uses with most ports.
func most(uses map[way]*watch.PortUse) []watch.PortUse {
	list := make([]watch.PortUse, 0, len(uses))
	for _, u := range uses {
		list = append(list, *u)
	}
	slices.SortFunc(list, func(a, b watch.PortUse) int {
		return cmp.Or(b.Ports-a.Ports, a.Remote.Compare(b.Remote), a.Local.Compare(b.Local))
	})
	return list[:min(len(list), mostUses)]
}
