package autopsy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/capture"
	"github.com/kabench/kabench/internal/evidence"
)

// maxSays is about how many sentences are said about servers with failures.
const maxSays = 20

// speak writes the headline and the further sentences.
func (v *Verdict) speak(list []Failure) {
	if len(list) == 0 {
		v.nothing()
		return
	}
	of := map[string][]Failure{}
	for _, f := range list {
		of[f.Server] = append(of[f.Server], f)
	}
	for i := range v.Servers {
		if len(v.Says) > maxSays {
			v.Says = append(v.Says, "Requests to further servers failed as well.")
			break
		}
		s := &v.Servers[i]
		own := of[s.Address]
		if i == 0 && s.inBursts(own)*2 > len(own) {
			v.Incident = "rolling-deploy"
		} else if i == 0 {
			v.Incident = incident(list)
		}
		for _, met := range order {
			group := slices.DeleteFunc(slices.Clone(own), func(f Failure) bool { return kindOf(f) != met })
			if len(group) == 0 {
				continue
			}
			v.Says = append(v.Says, upper(sentence(s, met, group)+"."))
			if text := v.behind(group); text != "" {
				v.Says = append(v.Says, text)
			}
		}
	}
	v.Headline = v.Says[0]
	v.Says = v.Says[1:]
}

// behind says what the server behind a proxy does, if requests failed there too.
func (v *Verdict) behind(group []Failure) string {
	for _, f := range group {
		for i := range v.Servers {
			if s := &v.Servers[i]; f.Behind == s.Address {
				return fmt.Sprintf("%s passes requests on to %s, which %s.", f.Server, s.Address, s.Sentence)
			}
		}
	}
	return ""
}

// closeMet stands for all meetings with the server's close.
const closeMet = evidence.Crossed

// order is the order of the sentences about one server.
var order = []evidence.Meeting{closeMet, evidence.Forgotten, evidence.Lost, evidence.Abandoned}

func kindOf(f Failure) evidence.Meeting {
	switch f.Met {
	case evidence.Arrived, evidence.Late:
		return closeMet
	}
	return f.Met
}

// sentence says what requests of one kind met at a server.
func sentence(s *Server, met evidence.Meeting, group []Failure) string {
	count := fmt.Sprintf("%s of %s", number(len(group)), plural(s.Requests, "request"))
	if group[0].logged && s.failed() == s.Requests { // a log of errors has no others
		count = plural(len(group), "request")
	}
	switch met {
	case closeMet:
		text := fmt.Sprintf("%s met the server's close: %s %s", count, s.Address, s.Sentence)
		if s.Sentence == untold {
			text = fmt.Sprintf("%s met the close of %s", count, s.Address)
		}
		if idle := idleTimes(group); idle != "" {
			text += "; " + idle
		}
		if n := s.inBursts(group); n > 0 {
			text += fmt.Sprintf("; %s of them met it when it closed many connections at one moment (probably a reload, a deploy or a process that ended)", number(n))
		}
		return text + "; " + meetings(group)
	case evidence.Forgotten:
		were := "were"
		if len(group) == 1 {
			were = "was"
		}
		return fmt.Sprintf("%s to %s %s answered by RST, and no close was seen before: %s%s", count, s.Address, were, origin(group), also(idleTimes(group)))
	case evidence.Lost:
		return fmt.Sprintf("%s to %s got no ACK at all, although the client sent them again%s", count, s.Address, also(idleTimes(group)))
	}
	var waits []time.Duration
	for _, f := range group {
		if f.Sent != evidence.NotSeen {
			waits = append(waits, f.Apart)
		}
	}
	if len(waits) == 0 {
		return fmt.Sprintf("the client gave up %s to %s, and closed first", count, s.Address)
	}
	return fmt.Sprintf("the client gave up %s to %s, and closed first, %s after it had sent them", count, s.Address, between(waits))
}

// inBursts counts the failures that met a close in one of the server's bursts.
func (s *Server) inBursts(group []Failure) (n int) {
	const near = 100 * time.Millisecond
	for _, f := range group {
		if slices.ContainsFunc(s.Facts.Bursts, func(b evidence.Burst) bool { return f.Close.At >= b.At-near && f.Close.At <= b.Until+near }) {
			n++
		}
	}
	return n
}

func also(text string) string {
	if text == "" {
		return ""
	}
	return "; " + text
}

// idleTimes says how long the connections had been idle.
func idleTimes(group []Failure) string {
	var times []time.Duration
	fresh := 0
	for _, f := range group {
		switch {
		case !f.Reused && f.Nth > 0:
			fresh++
		case f.Idle != evidence.NotSeen:
			times = append(times, f.Idle)
		}
	}
	switch {
	case fresh == len(group):
		return "they were the first on their connections"
	case len(times) == 0:
		return ""
	case len(times) == 1 && len(group) == 1:
		return "its connection had been idle for " + between(times)
	case len(times) == len(group):
		return "their connections had been idle for " + between(times)
	}
	return fmt.Sprintf("the connections of %s of them had been idle for %s", number(len(times)), between(times))
}

// meetings says how the requests and the close met, and how far apart they were.
func meetings(group []Failure) string {
	if group[0].logged {
		return meetingsLogged(group)
	}
	var parts []string
	for _, m := range []struct {
		met  evidence.Meeting
		cut  bool
		text string
	}{
		{evidence.Crossed, false, "crossed the close, %s apart where they were seen"},
		{evidence.Arrived, false, "had arrived %s before the server closed"},
		{evidence.Late, false, "%s written %s after the close had come"},
		{evidence.Arrived, true, "got the beginning of a response, and the close %s after the request"},
	} {
		var apart []time.Duration
		n := 0
		for _, f := range group {
			if f.Met != m.met || m.cut != (f.First != evidence.NotSeen && m.met == evidence.Arrived) {
				continue
			}
			n++
			if f.Sent != evidence.NotSeen {
				apart = append(apart, f.Apart.Abs())
			}
		}
		if n == 0 {
			continue
		}
		far := between(apart)
		if len(apart) == 0 {
			far = "an unknown time"
		}
		who, was := number(n)+" of them", "were"
		switch {
		case n == 1 && len(group) == 1:
			who, was = "it", "was"
		case n == len(group):
			who = "they"
		case n == 1:
			was = "was"
		}
		if m.met == evidence.Late {
			parts = append(parts, who+" "+fmt.Sprintf(m.text, was, far))
			continue
		}
		parts = append(parts, who+" "+fmt.Sprintf(m.text, far))
	}
	return strings.Join(parts, ", ")
}

// origin says who made the RSTs.
func origin(group []Failure) string {
	if group[0].logged {
		return "who sent the RST, and whether the request had arrived, the log does not say"
	}
	strayed, middle := 0, 0
	why := ""
	for _, f := range group {
		switch {
		case f.Strayed != "":
			strayed++
		case f.Close.By == evidence.ByMiddle:
			middle++
			why = f.Close.Why
		default:
			_, why, _ = strings.Cut(f.Why, "there any more; ")
		}
	}
	switch {
	case strayed*2 > len(group):
		return fmt.Sprintf("%s arrived at another server, such as %s, which had not got the connection's SYN: a balancer changed its mind", number(strayed), group[0].Strayed)
	case middle*2 > len(group):
		return "a machine between the ends sent the RST (" + why + ")"
	case why != "":
		return "the RST seems to be the server's (" + why + ")"
	}
	return "who sent the RST is unknown"
}

// incident names the incident of the catalogue that shows the same.
func incident(list []Failure) string {
	votes := map[string]int{}
	for _, f := range list {
		votes[incidentOf(f)]++
	}
	best, most := "", 0
	for name, n := range votes {
		if n > most || n == most && name < best {
			best, most = name, n
		}
	}
	return best
}

func incidentOf(f Failure) string {
	switch {
	case f.logged:
		return incidentLogged(f)
	case f.Met == evidence.Lost:
		return "silent-drop"
	case f.Strayed != "":
		return "stateless-lb-round-robin"
	case f.Met == evidence.Forgotten:
		return "lb-rst-unknown-flow"
	case f.Met == evidence.Abandoned:
		return ""
	case !f.Whole && f.Line != "" && !strings.HasPrefix(f.Line, "GET "):
		return "while-sending-body"
	case f.First != evidence.NotSeen:
		return "during-response"
	case f.Met == evidence.Late && !f.TLS:
		return "direct-idle-order"
	case !f.Reused:
		return "before-response"
	case f.TLS:
		return "idle-race-tls"
	}
	return "idle-race"
}

// nothing is the verdict when no request was left without a response.
func (v *Verdict) nothing() {
	text := fmt.Sprintf("No request met a close: all of %s got a response", plural(v.Requests, "request"))
	if v.Requests == 0 {
		text = fmt.Sprintf("No request was seen on %s", plural(v.Connections, "connection"))
	}
	switch s := v.Slow; {
	case s.Responses == 0 || v.Requests == 0:
	case s.Fresh == s.Responses:
		text += fmt.Sprintf("; %s took over 1 s (at most %s), all as the first on their connections", plural(s.Responses, "response"), seconds(s.Longest))
	default:
		text += fmt.Sprintf("; %s took over 1 s (at most %s), %s of them as the first on their connections", plural(s.Responses, "response"), seconds(s.Longest), number(s.Fresh))
	}
	v.Headline = text + "."
}

// met has the ways in which requests met the end of their connection.
type met map[evidence.Meeting]bool

func metBy(list []Failure) met {
	all := met{}
	for _, f := range list {
		all[f.Met] = true
	}
	return all
}

// unseen lists what only the server, or a capture there, could say about these meetings.
func (m met) unseen() (says []string) {
	if m[evidence.Arrived] {
		says = append(says, "Whether the server executed the requests that had arrived: its log says so, or a capture behind it.")
	}
	if m[evidence.Lost] {
		says = append(says, "Where the packets were lost. Capture at the server at the same time: if they do not arrive there, a machine in between drops them.")
	}
	if m[evidence.Abandoned] {
		says = append(says, "Why the response was late. Capture at the server, to see whether it was late there too.")
	}
	return says
}

// cannot lists what the captures cannot say, and which further capture would.
func (c *collector) cannot(v *Verdict, sum *capture.Summary, list []Failure) (says []string) {
	client, server := false, false
	for _, p := range v.Places {
		client = client || p.Near == evidence.ByClient
		server = server || p.Near == evidence.ByServer
	}
	met := metBy(list)
	if met[evidence.Crossed] && client && !server {
		says = append(says, "When the server's close left: it was seen at the client. Capture at the server at the same time.")
	}
	says = append(says, met.unseen()...)
	tls, guessed, middle, missing := 0, 0, 0, 0
	for i := range c.list {
		one := &c.list[i]
		if one.twin || one.log != nil {
			continue
		}
		if one.TLS {
			tls++
		}
		if one.Guessed {
			guessed++
		}
		if one.SYNs == 0 {
			middle++
		}
		missing += one.Missing
	}
	if tls > 0 {
		says = append(says, fmt.Sprintf("What the requests on %s were: they are encrypted. Where a response ends, and whether the last record is close_notify, follows from lengths and directions.", plural(tls, "TLS connection")))
	}
	if middle > 0 {
		says = append(says, fmt.Sprintf("What happened on %s before the capture began. Start the capture first, then the client.", plural(middle, "connection")))
	}
	if guessed > 0 {
		says = append(says, fmt.Sprintf("Which end of %s is the client: the lower port was taken for the server's. Name it with --server host:port.", plural(guessed, "connection")))
	}
	if missing > 0 {
		says = append(says, fmt.Sprintf("What was in %s that the capture lacks: it lost packets. Give tcpdump a larger buffer (-B 65536), or a filter (tcp port N).", plural(missing, "byte")))
	}
	if v.Other > 0 {
		says = append(says, fmt.Sprintf("What happened on %s with another protocol than HTTP/1 and TLS.", plural(v.Other, "connection")))
	}
	left := 0
	for _, n := range c.left {
		left += n.connections
	}
	if left > 0 {
		says = append(says, fmt.Sprintf("Timers from more than %s connections: %s further ones were only counted. Name one server with --server host:port.", number(maxConnections), number(left)))
	}
	return says
}
