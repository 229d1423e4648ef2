package results

import (
	"fmt"
	"strings"
)

// Packets counts what the links of a private network saw.
type Packets struct {
	Seen        uint64            `json:"seen"`        // packets that a host sent or a link made
	Overwritten uint64            `json:"overwritten"` // of them, the oldest, which are no longer in packets.pcapng
	Unseen      uint64            `json:"unseen"`      // dropped by the kernel before a link saw them
	Forgotten   uint64            `json:"forgotten"`   // open connections that links, balancers and NATs forgot because of a timeout
	Fates       map[string]uint64 `json:"fates"`       // number of packets by what happened to them
	NATPorts    Budget            `json:"nat_ports"`   // of NATs: ports to one destination, those that wait for their reuse included
	Flows       Budget            `json:"flows"`       // of links and balancers that remember a limited number of flows
	Struck      map[string]uint64 `json:"struck"`      // number of packets that each rule applied to, by "LINK: RULE"
	LateP99     float64           `json:"late_p99"`    // by how much packets were delivered after they were due, seconds
	LateMax     float64           `json:"late_max"`
	Closed      []Closing         `json:"closed"`   // how those connections ended whose first packet is not overwritten
	Failures    []Evidence        `json:"failures"` // the first failure of each kind, at most three
}

// Budget counts how much of something limited was in use.
type Budget struct {
	Peak    int     `json:"peak"`    // most in use at once
	Dropped uint64  `json:"dropped"` // packets, mostly SYNs, that were dropped because nothing was left
	First   float64 `json:"first"`   // when the first of them was dropped, seconds since the start of the run; 0: none was
}

// PacketsNote says where the packets of a run were seen, if a reader could take them for
// others; else it is "".
func (run *Run) PacketsNote() string {
	if run.Packets == nil || run.Driver == nil || run.Link == nil {
		return ""
	}
	return "These packets are between the client and kabench's link, which acknowledges at once: the server gets a request, and the client the server's close, only after the link's delay."
}

// Closing counts connections by who closed them first and how.
type Closing struct {
	Opened string `json:"opened_by"` // the host
	By     string `json:"by"`        // client (which opened it), server or link; "": not closed
	How    string `json:"how"`       // fin, rst or alert; "": not closed
	Count  uint64 `json:"count"`
}

// Evidence is about one failed exchange: the last packets of its connection, with
// kabench's own stamps between them.
type Evidence struct {
	Seq     uint64        `json:"seq"` // of the exchange
	Conn    uint64        `json:"conn"`
	Use     int           `json:"use"`
	Phase   Phase         `json:"phase"`
	Cause   Cause         `json:"cause"`
	Client  string        `json:"client"` // address
	Server  string        `json:"server"`
	By      string        `json:"closed_by"`
	How     string        `json:"closed_how"`
	Earlier int           `json:"earlier"` // packets of the connection before the first row
	Rows    []EvidenceRow `json:"rows"`
}

// EvidenceRow is a packet, or one of kabench's own stamps.
type EvidenceRow struct {
	At    float64  `json:"at"`             // seconds since the start of the run, at the client
	Sent  *float64 `json:"sent,omitempty"` // for a packet that the client received: when it was sent
	Note  string   `json:"note,omitempty"` // the stamp; "" for a packet
	From  string   `json:"from,omitempty"` // client, server, link
	To    string   `json:"to,omitempty"`   // client, server
	Host  string   `json:"host,omitempty"` // of several servers behind a balancer, the one that sent or received the packet; "": it reached none
	Flags string   `json:"flags,omitempty"`
	Seq   uint32   `json:"seq,omitempty"`
	Len   int      `json:"len,omitempty"`  // bytes of payload
	Fate  string   `json:"fate,omitempty"` // unless it was delivered
	Who   string   `json:"who,omitempty"`  // the link or rule that decided the fate or made the packet
}

// String is the row as a line of a ladder.
func (r EvidenceRow) String() string { return r.line(len("server")) }

// Lines is the ladder: a line for each row, their columns aligned.
func (e Evidence) Lines() []string {
	width := len("server")
	for _, r := range e.Rows {
		width = max(width, len(r.Host))
	}
	lines := make([]string, len(e.Rows))
	for i, r := range e.Rows {
		lines[i] = r.line(width)
	}
	return lines
}

// line is the row as a line of a ladder. Names take width columns.
func (r EvidenceRow) line(width int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%10.6f s  ", r.At)
	if r.Note != "" {
		return b.String() + "· " + r.Note
	}
	// The client is always on the left, also when it receives.
	left, arrow, right := r.From, "→", r.To
	if r.To == "client" {
		left, arrow, right = r.To, "←", r.From
	}
	if right == "server" && r.Host != "" {
		right = r.Host
	}
	fmt.Fprintf(&b, "%-6s %s %-*s  %-3s %6d B", left, arrow, width, right, r.Flags, r.Len)
	if r.Sent != nil {
		fmt.Fprintf(&b, "  sent %.6f s", *r.Sent)
	}
	if r.Fate != "" {
		b.WriteString("  " + r.Fate)
	}
	if r.Who != "" {
		fmt.Fprintf(&b, "  (%s)", r.Who)
	}
	return b.String()
}

// LinkSeen counts what kabench's own link delivered.
type LinkSeen struct {
	Delivered uint64 `json:"delivered"` // pieces of data, FINs and RSTs
	Late
}

// Late is how late the planned actions of kabench's own servers or link were, in
// seconds.
type Late struct {
	LateP99 float64 `json:"late_p99"`
	LateMax float64 `json:"late_max"`
}

// LabSeen counts what kabench's own server saw.
type LabSeen struct {
	Connections  uint64 `json:"connections"`
	Requests     uint64 `json:"requests"`
	ClosedIdle   uint64 `json:"closed_idle"`   // by its keep-alive timer
	ClosedFirst  uint64 `json:"closed_first"`  // by the server before the client did, idle connections included
	ClientClosed uint64 `json:"client_closed"` // by the client first
	Executed     uint64 `json:"executed"`      // requests completely read: they had their effect, with a response or without
	Duplicates   uint64 `json:"duplicates"`    // of them, those whose X-Request-Id had been executed before
	Reloads      uint64 `json:"reloads"`       // of the server
	Late                // its responses, after its delay, and its idle timer
	// Headers maps the name of a header, in its canonical form, to how many requests
	// came with it; nil unless the server recorded headers.
	Headers map[string]uint64 `json:"headers,omitempty"`
	// Hosts maps each host of a private network that serves the target to how many of the
	// requests it read; nil without a network.
	Hosts map[string]uint64 `json:"hosts,omitempty"`
}

// ProxySeen counts what all of kabench's own proxies in front of its server saw.
type ProxySeen struct {
	Requests    uint64 `json:"requests"`     // of clients
	Attempts    uint64 `json:"attempts"`     // requests passed on or failed on the way, those sent again included
	Retries     uint64 `json:"retries"`      // of them, those that sent a request again
	Stale       uint64 `json:"stale"`        // attempts that failed on a connection that had been kept
	BadGateways uint64 `json:"bad_gateways"` // 502 responses made by a proxy
	Unavailable uint64 `json:"unavailable"`  // 503 responses made by a proxy
	Timeouts    uint64 `json:"timeouts"`     // 504 responses made by a proxy
	Silent      uint64 `json:"silent"`       // requests whose connection was closed without a response
	Truncated   uint64 `json:"truncated"`    // responses that the server did not complete

	Connections    uint64 `json:"connections"`      // of clients
	ClosedByClient uint64 `json:"closed_by_client"` // of them, by the client first
	ClosedByProxy  uint64 `json:"closed_by_proxy"`  // of them, by the proxy first

	Upstream               uint64 `json:"upstream"`                  // connections made to servers
	UpstreamClosedByProxy  uint64 `json:"upstream_closed_by_proxy"`  // of them, by the proxy first
	UpstreamClosedByServer uint64 `json:"upstream_closed_by_server"` // of them, by the server first
	UpstreamSaidClose      uint64 `json:"upstream_said_close"`       // of them, ended because the server's response said close
	UpstreamSlow           uint64 `json:"upstream_slow"`             // of them, those whose SYN had to be sent again
	ConnectTimeouts        uint64 `json:"connect_timeouts"`          // connects to servers that timed out
}
