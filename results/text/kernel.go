package text

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/kabench/kabench/results"
)

// clientHost is the client's name among a Kernel's Hosts.
const clientHost = "client"

// explanation says how a kernel counter is related to failures.
type explanation struct {
	counter string
	of      func(results.Outcome) bool // whether it explains such a failure
	says    string                     // the meaning of its number, if it rose
	silent  string                     // what follows if it did not rise; "": nothing
}

// explanations are in the order in which a report prints them.
var explanations = []explanation{
	{"TCPAbortOnData", endedEarly, "sockets met data after their close: a request was the first to acknowledge their FIN, which is the idle race itself (or they were closed with SO_LINGER 0)", ""},
	{"TCPAbortOnClose", wasReset, "sockets were closed with data in them that nobody had read, and so by RST", ""},
	{"OutRsts", wasReset, "RSTs sent; those beyond the two above answered packets for which there was no socket any more, its FIN acknowledged long since, or never one", ""},
	{"EstabResets", wasReset, "connections ended by RST, each end counted", ""},
	{"AttemptFails", connecting, "connection attempts failed before the handshake was done", ""},
	{"ListenOverflows", connecting, "connection attempts met a full accept queue: Linux drops them, and the client tries again after a second", ""},
	{"ListenDrops", connecting, "connection attempts were dropped by a listener, for a full accept queue or anything else", ""},
	{"TCPReqQFullDrop", connecting, "SYNs were dropped because too many handshakes were under way (net.ipv4.tcp_max_syn_backlog)", ""},
	{"TCPSynRetrans", connecting, "SYNs were sent again, because no answer came", ""},
	{"TW", exhausted, "connections entered TIME_WAIT, which keeps the port for a minute where the close came first", ""},
	{"TWRecycled", exhausted, "ports in TIME_WAIT were still taken for new connections (net.ipv4.tcp_tw_reuse)", ""},
	{"TCPTimeouts", unanswered, "retransmission timers ran out: packets were lost or held back, and the server need not have been slow", "no retransmission timer ran out: the requests arrived and the answers were late, or the timeout was shorter than that timer (200 ms at least)"},
	{"RetransSegs", unanswered, "segments were sent again", ""},
	{"TCPAbortOnTimeout", unanswered, "connections were given up by the kernel, after all retransmissions or TCP keep-alive probes", ""},
	{"TCPBacklogDrop", unanswered, "segments were dropped because their socket was busy and its backlog full", ""},
}

// endedEarly reports whether the peer ended the connection before its response.
func endedEarly(o results.Outcome) bool {
	return wasReset(o) || o.Cause == results.CauseFIN && o.Phase >= results.PhaseWriteHeaders && o.Phase <= results.PhaseBeforeResponse
}

// wasReset reports whether the connection was seen to end by RST.
func wasReset(o results.Outcome) bool {
	return o.Cause == results.CauseRST || o.Cause == results.CausePipe
}

func connecting(o results.Outcome) bool {
	return o.Phase == results.PhaseConnect && (o.Cause == results.CauseTimeout || o.Cause == results.CauseRefused)
}

func exhausted(o results.Outcome) bool { return o.Cause == results.CausePortExhausted }

func unanswered(o results.Outcome) bool {
	return o.Cause == results.CauseTimeout && o.Phase >= results.PhaseWriteHeaders
}

// renderKernel writes the counters that are related to the failures of run.
func renderKernel(b *bytes.Buffer, run *results.Run) {
	if !run.Kernel.Available {
		return
	}
	title := "\nWhat the kernel counted meanwhile (all of this network namespace, other programs' traffic too)\n"
	if run.Kernel.Hosts != nil {
		title = "\nWhat the kernel counted meanwhile, for each host by itself\n"
	}
	for _, x := range explanations {
		if !slices.ContainsFunc(run.Outcomes, func(o results.Outcome) bool { return o.Failed() && x.of(o) }) {
			continue
		}
		for _, c := range figuresOf(&run.Kernel, x.counter) {
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

// counted is a counter's number and the host that counted it; where is "" if only one
// place counts.
type counted struct {
	n     uint64
	where string
}

// figuresOf returns the counter's figures, or none if the counter is not known. If
// there are several hosts, it returns those where the counter rose, in the order of
// their names. If it rose nowhere, it returns the client's.
func figuresOf(k *results.Kernel, counter string) []counted {
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
