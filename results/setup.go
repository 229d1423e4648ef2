package results

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Setup is the part of a run's profile that readers of its results need. The profile
// itself belongs to the room profiles, which results does not import. A field that
// cannot be read has its zero value.
type Setup struct {
	Client   string
	Duration time.Duration
	WarmUp   time.Duration
	MaxLag   time.Duration
	Seed     uint64 // decides the arrivals
	Method   string // "" if the requests come from a file; so is URL then
	URL      string
	Hosts    []string // the target's names and addresses in the profile
	File     string   // the file with the requests; "": none

	// Server has the settings of kabench's own server, by their key, if that is the target; nil: it is not.
	Server  map[string]string
	Proxies int               // number of kabench's own proxies in front of the target
	Link    map[string]string // settings of kabench's own link to the target; nil: there is none
	Private bool              // in a private network

	TLSResume bool // the client takes up earlier TLS sessions

	PeerIdleTimeout time.Duration // of the client's peer, if the peer is kabench's own server or proxy
	MaxConns        int           // of the pool; -1: not known
	PendingMax      int           // likewise

	Load map[string]string // settings by their key, as the profile would have them
	Pool map[string]string // likewise
}

// SetupOf reads the Setup from run's profile. Only this function knows where a profile
// keeps these settings. It reads each section by itself, so that a section of another
// version does not make the others unreadable.
func SetupOf(run *Run) Setup {
	var p struct{ Client, Load, Pool, Target, Network json.RawMessage }
	if json.Unmarshal(run.Profile, &p) != nil {
		p.Client, p.Load, p.Pool, p.Target, p.Network = nil, nil, nil, nil, nil
	}
	s := Setup{Client: settingText(p.Client), Load: settingTexts(p.Load), Pool: settingTexts(p.Pool), MaxConns: -1, PendingMax: -1}
	s.Duration, s.WarmUp, s.MaxLag = settingTime(s.Load["duration"]), settingTime(s.Load["warm_up"]), settingTime(s.Load["max_lag"])
	var load struct {
		Seed uint64 `json:"seed"`
	}
	if json.Unmarshal(p.Load, &load) == nil {
		s.Seed = load.Seed
	}
	pool := struct {
		MaxConns   int `json:"max_conns"`
		PendingMax int `json:"pending_max"`
	}{-1, -1}
	if json.Unmarshal(p.Pool, &pool) == nil {
		s.MaxConns, s.PendingMax = pool.MaxConns, pool.PendingMax
	}
	s.Private = len(p.Network) > 0 && string(p.Network) != "null"
	s.readTarget(p.Target)
	return s
}

// readTarget sets the fields of s that the profile's section target determines.
func (s *Setup) readTarget(section json.RawMessage) {
	type peer struct {
		IdleTimeout string `json:"idle_timeout"`
	}
	var t struct {
		URL     string            `json:"url"`
		Method  string            `json:"method"`
		File    string            `json:"file"`
		Headers map[string]string `json:"headers"`
		TLS     struct {
			ServerName string `json:"server_name"`
			Resume     bool   `json:"resume"`
		} `json:"tls"`
		Sources []string `json:"source_addresses"`
		Lab     *peer    `json:"lab"`
		Proxies []peer   `json:"proxies"`
	}
	var raw struct{ Lab, Link json.RawMessage }
	if json.Unmarshal(section, &raw) == nil {
		s.Server, s.Link = settingTexts(raw.Lab), settingTexts(raw.Link)
	}
	if json.Unmarshal(section, &t) != nil {
		return
	}
	if t.File == "" {
		s.Method, s.URL = cmp.Or(t.Method, http.MethodGet), t.URL
	}
	if u, err := url.Parse(t.URL); err == nil {
		s.Hosts = append(s.Hosts, u.Hostname())
	}
	s.File, s.Proxies, s.TLSResume = t.File, len(t.Proxies), t.TLS.Resume
	s.Hosts = append(append(s.Hosts, t.TLS.ServerName), t.Sources...)
	for name, value := range t.Headers {
		if strings.EqualFold(name, "Host") {
			s.Hosts = append(s.Hosts, value)
		}
	}
	switch {
	case len(t.Proxies) > 0:
		s.PeerIdleTimeout = settingTime(t.Proxies[0].IdleTimeout)
	case t.Lab != nil:
		s.PeerIdleTimeout = settingTime(t.Lab.IdleTimeout)
	}
}

// settingTexts are the settings of a section, by their key.
func settingTexts(section json.RawMessage) map[string]string {
	var values map[string]json.RawMessage
	if json.Unmarshal(section, &values) != nil || values == nil {
		return nil
	}
	texts := map[string]string{}
	for key, value := range values {
		texts[key] = settingText(value)
	}
	return texts
}

// settingTime reads a duration of a profile; 0 if text is no duration.
func settingTime(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0
	}
	return max(d, 0)
}

// settingText is a value as a profile would write it: a text without quotes, a list
// of texts separated by commas.
func settingText(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	var list []string
	if json.Unmarshal(value, &list) == nil && len(list) > 0 {
		return strings.Join(list, ",")
	}
	var b bytes.Buffer
	if json.Compact(&b, value) != nil {
		return ""
	}
	return b.String()
}
