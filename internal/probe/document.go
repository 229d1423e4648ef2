package probe

import (
	"encoding/json"
	"net/netip"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// Schema is the name and version of Document's format.
const Schema = "kabench.probe/v1"

// Document is what a probe has found, as JSON. Times are in seconds.
type Document struct {
	Schema      string    `json:"schema"`
	Version     string    `json:"version"` // of kabench
	URL         string    `json:"url"`     // without secrets
	Start       time.Time `json:"start"`
	Took        float64   `json:"took"`
	MaxRequests int       `json:"max_requests"`
	Limit       float64   `json:"limit"`
	Requests    int       `json:"requests"`    // sent, unfinished ones included
	Connections int       `json:"connections"` // opened
	Lateness    float64   `json:"lateness"`    // the longest time in which kabench itself noticed nothing
	Interrupted bool      `json:"interrupted,omitempty"`
	Stopped     string    `json:"stopped,omitempty"` // why it ended before its time
	NotProbed   []string  `json:"not_probed,omitempty"`
	Servers     []Found   `json:"servers"`
}

// Found is what was found at one address.
type Found struct {
	Address    string                `json:"address"`
	Error      string                `json:"error,omitempty"` // why nothing was found
	Says       string                `json:"says,omitempty"`  // how it treats idle connections, in words
	Statements []evidence.Statement  `json:"statements,omitempty"`
	Notes      []string              `json:"notes,omitempty"`
	Slack      float64               `json:"slack,omitempty"` // how late the times of closes were taken, in the median
	Server     *evidence.Server      `json:"server,omitempty"`
	Idle       []float64             `json:"idle,omitempty"` // how old idle connections were when the server closed them
	Late       []LateRequest         `json:"late,omitempty"`
	Seen       []evidence.Connection `json:"-"`
}

// LateRequest is a request on a connection that had been idle for about as long as the
// server keeps one.
type LateRequest struct {
	Idle float64 `json:"idle"`
	Met  string  `json:"met"` // response, 408, fin, rst, close_notify, silent or nothing
}

// Document describes r for a kabench of that version.
func (r *Result) Document(version string, o Options) Document {
	o = o.withDefaults()
	d := Document{
		Schema: Schema, Version: version, URL: r.URL, Start: r.Began.UTC(), Took: r.Took.Seconds(),
		MaxRequests: o.Requests, Limit: o.Limit.Seconds(), Requests: r.Requests, Connections: r.Connections,
		Lateness: r.Late.Seconds(), Interrupted: r.Interrupted(), NotProbed: texts(r.Left), Servers: []Found{},
	}
	if r.Stopped != nil && !r.Interrupted() {
		d.Stopped = r.Stopped.Error()
	}
	for _, s := range r.Sites {
		d.Servers = append(d.Servers, s.found())
	}
	return d
}

func texts(addrs []netip.AddrPort) (list []string) {
	for _, a := range addrs {
		list = append(list, a.String())
	}
	return list
}

// found describes one address.
func (s Site) found() Found {
	f := Found{Address: s.Address.String(), Notes: s.Notes, Late: s.Late, Seen: s.Connections}
	if s.Err != nil {
		f.Error = s.Err.Error()
		return f
	}
	server := s.Server()
	f.Server, f.Says, f.Statements, f.Slack = &server, server.Sentence(), server.Statements(), server.Idle.Slack.Seconds()
	for i := range s.Connections {
		if idle, closed := idleAtClose(&s.Connections[i]); closed {
			f.Idle = append(f.Idle, idle.Seconds())
		}
	}
	return f
}

// UnmarshalJSON reads what was kept, except Server, which is only written.
func (f *Found) UnmarshalJSON(text []byte) error {
	type plain Found
	return json.Unmarshal(text, &struct {
		*plain
		Server json.RawMessage `json:"server"`
	}{plain: (*plain)(f)})
}

// Server is what follows for the server at s.
func (s Site) Server() evidence.Server {
	server := evidence.Infer(s.Connections)
	server.Address = s.Address.String()
	return server
}

// lateRequests returns the late requests at s.
func (s *site) lateRequests() (list []LateRequest) {
	for _, c := range s.conns {
		n := len(c.seen.Exchanges)
		if c.plan.Role != Late || n < 2 || c.seen.Exchanges[1].Sent == evidence.NotSeen {
			continue
		}
		second := c.seen.Exchanges[1]
		l := LateRequest{Idle: (second.Sent - c.seen.Exchanges[0].Done).Seconds(), Met: "nothing"}
		switch {
		case second.Done != evidence.NotSeen && second.Status == 408:
			l.Met = "408"
		case second.Done != evidence.NotSeen:
			l.Met = "response"
		case c.closed():
			l.Met = c.seen.Close.How.String()
		}
		list = append(list, l)
	}
	return list
}
