package results

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
