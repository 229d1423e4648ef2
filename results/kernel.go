package results

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Kernel is how far the kernel's TCP counters rose in the course of a run, the
// warm-up included, up to where the idle connections are closed at its end. They
// are of the whole network namespace: of both sides when the server is in it,
// and of every other program in it.
type Kernel struct {
	Available bool              `json:"available"` // false: they could not be read; Why says
	Why       string            `json:"why,omitempty"`
	Counters  map[string]uint64 `json:"counters"` // those of KernelCounters that this kernel has
	// Hosts are the same of each host of a private network, which has a namespace
	// of its own; the client's are the ones above.
	Hosts map[string]map[string]uint64 `json:"hosts,omitempty"`
}

// clientHost is the client's name among a Kernel's Hosts.
const clientHost = "client"

// KernelCounter is a counter of the kernel's, as /proc/net names it.
type KernelCounter struct {
	Group string // "Tcp": in /proc/net/snmp; "TcpExt": in /proc/net/netstat
	Name  string
}

// KernelCounters are the counters that a Kernel has. docs/results.md says what
// each counts.
var KernelCounters = []KernelCounter{
	{"Tcp", "ActiveOpens"}, {"Tcp", "PassiveOpens"}, {"Tcp", "AttemptFails"}, {"Tcp", "EstabResets"},
	{"Tcp", "OutRsts"}, {"Tcp", "RetransSegs"},
	{"TcpExt", "TW"}, {"TcpExt", "TWRecycled"}, {"TcpExt", "TWKilled"}, {"TcpExt", "TCPTimeWaitOverflow"},
	{"TcpExt", "ListenOverflows"}, {"TcpExt", "ListenDrops"},
	{"TcpExt", "TCPReqQFullDrop"}, {"TcpExt", "TCPReqQFullDoCookies"}, {"TcpExt", "TCPBacklogDrop"},
	{"TcpExt", "TCPAbortOnData"}, {"TcpExt", "TCPAbortOnClose"}, {"TcpExt", "TCPAbortOnTimeout"},
	{"TcpExt", "TCPAbortOnMemory"}, {"TcpExt", "TCPAbortFailed"},
	{"TcpExt", "TCPTimeouts"}, {"TcpExt", "TCPSynRetrans"}, {"TcpExt", "TCPLostRetransmit"},
	{"TcpExt", "TCPSlowStartRetrans"}, {"TcpExt", "TCPKeepAlive"}, {"TcpExt", "DelayedACKs"}, {"TcpExt", "PAWSEstab"},
}

// isKernelCounter reports whether KernelCounters has one of that name.
func isKernelCounter(name string) bool {
	return slices.ContainsFunc(KernelCounters, func(c KernelCounter) bool { return c.Name == name })
}

// kernelPath finds kernel.<counter> and, in a private network,
// kernel.<host>.<counter>.
func kernelPath(run *Run, rest string) (value, bool) {
	name, ofHost := rest, false
	host, counter, dotted := strings.Cut(rest, ".")
	if dotted {
		name, ofHost = counter, true
	}
	if !isKernelCounter(name) || ofHost && host == "" {
		return value{}, false
	}
	if !ofHost {
		return run.Kernel.value(run.Kernel.Counters, name), true
	}
	v := run.Kernel.value(run.Kernel.Hosts[host], name)
	if run.Kernel.Hosts[host] == nil && run.Kernel.Available {
		v.why = fmt.Sprintf("the kernel's counters of a host %s were not read", host)
	}
	return v, true
}

// value is the counter of that name.
func (k *Kernel) value(counters map[string]uint64, name string) value {
	n, known := counters[name]
	v := count(n)
	switch {
	case !k.Available && k.Why != "":
		v.why = "the kernel's counters could not be read: " + k.Why
	case !k.Available:
		v.why = "the kernel's counters could not be read"
	case !known:
		v.why = "this kernel does not count it"
	}
	return v
}

// explanation is what a counter has to do with failures.
type explanation struct {
	counter string
	of      func(Outcome) bool
	says    string // of what it counts, when it rose
	silent  string // what follows when it did not; "": nothing
}

// explanations are in the order in which a report has them.
var explanations = []explanation{
	{"TCPAbortOnData", endedEarly, "sockets met data after their close: a request was the first to acknowledge their FIN, which is the idle race itself (or they were closed with SO_LINGER 0)", ""},
	{"TCPAbortOnClose", wasReset, "sockets were closed with data in them that nobody had read, and so by RST", ""},
	{"OutRsts", wasReset, "RSTs sent; those beyond the two above answered packets for which there was no socket any more, its FIN acknowledged long since, or never one", ""},
	{"EstabResets", wasReset, "connections ended by RST, each end counted", ""},
	{"AttemptFails", connecting, "connection attempts failed before the handshake was done", ""},
	{"ListenOverflows", connecting, "connection attempts met a full accept queue: Linux drops them, and the client tries again after a second", ""},
	{"ListenDrops", connecting, "connection attempts were dropped by a listener, for a full accept queue or anything else", ""},
	{"TCPReqQFullDrop", connecting, "SYNs were dropped because too many handshakes were under way (net.ipv4.tcp_max_syn_backlog)", ""},
	{"TCPSynRetrans", connecting, "SYNs were sent again, for want of an answer", ""},
	{"TW", exhausted, "connections entered TIME_WAIT, which keeps the port for a minute where the close came first", ""},
	{"TWRecycled", exhausted, "ports in TIME_WAIT were taken for new connections all the same (net.ipv4.tcp_tw_reuse)", ""},
	{"TCPTimeouts", unanswered, "retransmission timers ran out: packets were lost or held back, and the server need not have been slow", "no retransmission timer ran out: the requests arrived and the answers were late, or the timeout was shorter than that timer (200 ms at least)"},
	{"RetransSegs", unanswered, "segments were sent again", ""},
	{"TCPAbortOnTimeout", unanswered, "connections were given up by the kernel, after all retransmissions or TCP keep-alive probes", ""},
	{"TCPBacklogDrop", unanswered, "segments were dropped because their socket was busy and its backlog full", ""},
}

// endedEarly: the peer ended the connection before it answered.
func endedEarly(o Outcome) bool {
	return wasReset(o) || o.Cause == CauseFIN && o.Phase >= PhaseWriteHeaders && o.Phase <= PhaseBeforeResponse
}

// wasReset: by RST, as far as we saw.
func wasReset(o Outcome) bool { return o.Cause == CauseRST || o.Cause == CausePipe }

func connecting(o Outcome) bool {
	return o.Phase == PhaseConnect && (o.Cause == CauseTimeout || o.Cause == CauseRefused)
}

func exhausted(o Outcome) bool { return o.Cause == CausePortExhausted }

func unanswered(o Outcome) bool { return o.Cause == CauseTimeout && o.Phase >= PhaseWriteHeaders }

// renderKernel writes the counters that bear on the failures of run.
func renderKernel(b *bytes.Buffer, run *Run) {
	if !run.Kernel.Available {
		return
	}
	title := "\nWhat the kernel counted meanwhile (all of this network namespace, other programs' traffic too)\n"
	if run.Kernel.Hosts != nil {
		title = "\nWhat the kernel counted meanwhile, for each host by itself\n"
	}
	for _, x := range explanations {
		if !slices.ContainsFunc(run.Outcomes, func(o Outcome) bool { return o.failed() && x.of(o) }) {
			continue
		}
		for _, c := range run.Kernel.of(x.counter) {
			text := x.says
			if c.n == 0 {
				text = x.silent
			}
			if text == "" {
				continue
			}
			b.WriteString(title)
			title = ""
			wrap(b, fmt.Sprintf("  %s %d%s: ", x.counter, c.n, c.where), text)
		}
	}
}

// counted is a counter, and where it was counted: "" when there is one place.
type counted struct {
	n     uint64
	where string
}

// of are the counter's figures, none if it is not known. Of several hosts they
// are those where it rose, in the order of their names, or else the client's.
func (k *Kernel) of(counter string) []counted {
	n, known := k.Counters[counter]
	if !known {
		return nil
	}
	var rose []counted
	for _, host := range slices.Sorted(maps.Keys(k.Hosts)) {
		if n := k.Hosts[host][counter]; n > 0 {
			rose = append(rose, counted{n, " at " + host})
		}
	}
	if rose != nil {
		return rose
	}
	return []counted{{n: n}}
}
