package diagnose

// captures says, for incidents that no client can cause from outside, what would show
// whether they are the cause.
var captures = map[string]string{
	"before-response":                  "capture at the server ('tcpdump -i any port PORT') until the line comes again: if the failed request was the first on its connection, or its connection was not idle before, the server's process or its limits ended it. Compare the time with the server's log",
	"during-response":                  "the server's log at the same second, and a capture at the server: it shows which side ended the connection within the response",
	"truncated":                        "a capture at the client: the bytes of the body against its Content-Length, and which side closed",
	"while-sending-body":               "a capture at the client: a RST that comes while the body is being sent. The server's limits for the size of bodies have the reason",
	"half-close":                       "a capture at the client: a response, and a RST after it, while the body is still being sent",
	"data-after-close":                 "a capture at the server: data that arrives after its FIN, and the RST that its kernel sends for it (the counter TCPAbortOnData)",
	"backpressure":                     "the pool's gauges over time: leased, idle and pending, beside the rate of requests",
	"silent-drop":                      "a capture at both ends at the same time: segments that one end sends again and again, and that the other end never sees",
	"lb-rst-unknown-flow":              "a capture at the client: the TTL of the RST beside the TTL of the server's data. If they differ, a machine between the two sent the RST",
	"stateless-lb-round-robin":         "captures at two servers behind the balancer: a request that arrives at a server which never saw the connection's SYN",
	"stateless-lb-hash":                "captures at the servers behind the balancer, to see which of them gets the packets of one connection",
	"rolling-deploy":                   "a capture at the client ('tcpdump -i any port PORT') during a deploy: many connections to one address that end within a few milliseconds, whatever they did before",
	"scale-out-pinned":                 "the connections of each server by their age ('ss -tno'), and the server's own rate of requests since it was added",
	"pool-leak":                        "'ss -tno' at the client while requests wait: as many established connections as the pool may have, and no data on any of them, although the pool counts all as leased. A heap dump says who holds the responses",
	"dead-peer":                        "'ss -tno' at the client while requests hang: connections whose send queue stays full and whose timer is that of retransmission (timer:(on,...)), to an address that nobody answers for",
	"conntrack-full":                   "captures on both sides of the firewall or node: SYNs that come in and do not go out, while kept connections go on; and nf_conntrack_count beside nf_conntrack_max there",
	"nat-ports":                        "a capture at the server: the SYNs that are sent again at the client never arrive; and the gateway's own counter (ErrorPortAllocation, OUT_OF_RESOURCES)",
	"nginx-upstream-mismatch":          "a capture at the proxy of its connections to the server: SYNs that are sent again after 1 s and 3 s, and the counter ListenOverflows at the server",
	"nginx-upstream-keepalive-timeout": "a capture at the proxy of its connections to the server: which side closes idle connections first",
}

// capture returns what would show whether an incident is the cause.
func capture(incident string) string {
	if text, known := captures[incident]; known {
		return text
	}
	return "a capture at the client ('tcpdump -i any port PORT') while the line is written shows which side closed, and what the connection did before"
}
