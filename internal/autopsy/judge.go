package autopsy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/kabench/kabench/internal/capture"
	"github.com/kabench/kabench/internal/evidence"
)

// MaxListed is how many failures a verdict lists; further ones are counted.
const MaxListed = 1000

// maxServers is how many servers a verdict lists, those with the most failures first;
// further ones are counted.
const maxServers = 1000

// judge makes the verdict.
func (c *collector) judge(sum *capture.Summary) *Verdict {
	v := &Verdict{
		Schema: Schema, Files: c.o.Files, Begin: sum.Begin, Length: sum.End.Sub(sum.Begin).Seconds(),
		Packets: sum.Packets, Segments: sum.Segments, FINs: sum.FINs, RSTs: sum.RSTs, Copies: c.copies, Notes: sum.Notes,
		Met: map[string]int{}, Resets: map[string]int{}, TimeWait: map[string]int{}, Failures: []Failure{},
	}
	if c.back > 0 {
		v.Notes = append(v.Notes, fmt.Sprintf("The clock of the capture went back: %s more than a second earlier than packets before.", plural(c.back, "packet")))
	}
	near := make([]evidence.Side, len(sum.Places)+len(c.logs))
	clocks := make([]time.Duration, len(sum.Places)+len(c.logs))
	for i, p := range sum.Places {
		near[i] = c.near(i)
		one := Place{Files: p.Files, Interface: p.Interface, Segments: p.Segments, Near: near[i]}
		if i > 0 {
			clocks[i], one.Shakes = c.clock(0, i)
			one.Clock = clocks[i].Seconds()
		}
		v.Places = append(v.Places, one)
	}
	if !c.live { // there, each connection is seen once
		c.twins(clocks, near)
		c.strayed(clocks)
	}
	c.joinLogs(v, sum)
	c.count(v)
	list := c.withLogs(c.passedOn(c.failures()))
	for _, f := range list {
		v.Met[f.Met.String()]++
	}
	servers := c.servers(list)
	v.Servers, v.ServersLeft = servers[:min(len(servers), maxServers)], max(len(servers)-maxServers, 0)
	v.Clients = c.clients()
	v.Failures, v.Left = list[:min(len(list), MaxListed)], max(len(list)-MaxListed, 0)
	v.Found = len(list) > 0
	v.speak(list)
	v.logged = c.gathered()
	if c.live {
		v.Cannot = c.cannotLive(list)
		return v
	}
	v.Cannot = append(c.cannot(v, sum, list), c.cannotLogs(v, list)...)
	return v
}

// count counts what concerns all connections.
func (c *collector) count(v *Verdict) {
	for i := range c.list {
		one := &c.list[i]
		if one.twin {
			continue
		}
		v.Connections++
		if one.Other {
			v.Other++
			continue
		}
		v.Requests += one.Requests + len(one.Unanswered)
		v.Connects.count(&one.Connection)
		for _, r := range one.Resets {
			v.Resets[r.Origin.String()]++
		}
		switch {
		case one.BothWait:
			v.TimeWait["both"]++
		case one.TimeWait != evidence.Nobody:
			v.TimeWait[one.TimeWait.String()]++
		}
	}
	for _, n := range c.left {
		v.Connections += n.connections
		v.Requests += n.requests
	}
	for i, s := range c.slow {
		if i == 0 || s.Responses > v.Slow.Responses { // places see the same responses
			v.Slow = s
		}
	}
}

func (n *Connects) count(c *evidence.Connection) {
	if c.SYNs == 0 {
		return
	}
	if c.SYNs > 1 {
		n.Retried++
	}
	switch {
	case c.Ready == evidence.NotSeen && c.Close.How == evidence.RST:
		n.Refused++
	case c.Ready == evidence.NotSeen && c.RoundTrip == 0 && c.Requests == 0:
		n.Unanswered++
	case !c.TLS && c.Ready != evidence.NotSeen:
		n.Slowest = max(n.Slowest, (c.Ready - c.Opened).Seconds())
	}
}

// servers judges each server by the connections to it. The servers with the most
// failures come first, then those with the most requests.
func (c *collector) servers(failures []Failure) []Server {
	of, requests, bounds := map[string][]evidence.Connection{}, map[string]int{}, c.bounds()
	for i := range c.list {
		if one := &c.list[i]; !one.twin && !one.Other {
			requests[one.server()] += one.Requests + len(one.Unanswered)
			of[one.server()] = append(of[one.server()], one.facts())
		}
	}
	met := map[string]map[string]int{}
	for _, f := range failures {
		if met[f.Server] == nil {
			met[f.Server] = map[string]int{}
		}
		met[f.Server][f.Met.String()]++
	}
	list := make([]Server, 0, len(of))
	for address, own := range of {
		facts := evidence.Infer(own)
		if facts.Address == "" {
			facts.Address = address // a log may name the server otherwise
		}
		if bounds[address].vague {
			facts.Close = evidence.Open
		}
		one := Server{Address: address, Sentence: facts.Sentence(), Facts: facts, Statements: facts.Statements(), Met: met[address], Requests: requests[address]}
		if b, logged := bounds[address]; logged {
			one.Sentence = b.sentence(facts)
		}
		if a, err := netip.ParseAddrPort(address); err == nil {
			one.Requests += c.left[a].requests
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b Server) int {
		return cmp.Or(cmp.Compare(b.failed(), a.failed()), cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Address, b.Address))
	})
	return list
}

// failed counts the failures at a server.
func (s *Server) failed() (n int) {
	for _, count := range s.Met {
		n += count
	}
	return n
}
