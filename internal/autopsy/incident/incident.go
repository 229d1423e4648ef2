package incident

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/aim"
	"github.com/kabench/kabench/internal/autopsy"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/serverfile"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/schema"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// enough is how many failures a run of the capture's own load must be expected to show.
// Otherwise the traffic is planned, so that it meets the server's timer.
const enough = 5

// Made is a profile with what it follows from.
type Made struct {
	Profile  *profiles.Profile
	Forecast *results.Forecast
	Says     []string // sentences: where its load and pool come from
}

// Text returns the profile as YAML, with what it follows from as comments before it.
func (m Made) Text() ([]byte, error) {
	body, err := profiles.Marshal(m.Profile)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString(schema.Line("profile"))
	b.WriteString("# An incident made from a capture by kabench autopsy --incident. Run it: kabench reproduce FILE\n")
	for _, text := range m.Says {
		b.WriteString("# " + strings.Join(strings.Fields(text), " ") + "\n")
	}
	return append([]byte(b.String()), body...), nil
}

// Of makes the incident of the server with the most failures. pool is a preset or a file;
// "": the pool that the connections show. The error says why there is no such incident.
func Of(v *autopsy.Verdict, seen autopsy.Gathered, pool string) (Made, error) {
	name, err := baseOf(v)
	if err != nil {
		return Made{}, err
	}
	base, err := profiles.Open(name, nil)
	if err != nil {
		return Made{}, err
	}
	facts := v.Servers[0].Facts
	server := serverfile.Preset(facts, serverfile.Source{URL: "http://" + v.Servers[0].Address + "/", From: "autopsy", At: v.Begin})
	delay := delayOf(v, facts)
	order := aim.Order{Incident: base, URL: "http://127.0.0.1:1/", Server: local(server), Pool: pool, Here: true, LinkDelay: &delay}
	if facts.TLS {
		order.URL = "https://127.0.0.1:1/"
	}
	made := Made{Says: []string{fmt.Sprintf("The server %s.", facts.Sentence())}}
	if pool == "" {
		sets, says := guessed(v)
		order.Sets, made.Says = sets, append(made.Says, says)
	} else {
		made.Says = append(made.Says, fmt.Sprintf("The pool is %s.", pool))
	}
	if err := made.plan(order, seen, facts); err != nil {
		return Made{}, err
	}
	made.finish(v, server, delay)
	return made, made.Profile.Validate()
}

// baseOf names the incident of the library that is changed.
func baseOf(v *autopsy.Verdict) (string, error) {
	if !v.Found || len(v.Servers) == 0 {
		return "", errors.New("no request met the end of its connection, so there is nothing to reproduce")
	}
	met := v.Servers[0].Met
	closes := met[evidence.Crossed.String()] + met[evidence.Arrived.String()] + met[evidence.Late.String()]
	switch takes, _ := aim.Takes(v.Incident); {
	case closes > 0 && !v.Servers[0].Facts.Idle.Known():
		return "", errors.New("it is not known after which time the server closes idle connections; a longer capture shows it, or kabench probe")
	case closes > 0 && takes:
		return v.Incident, nil
	case closes > 0:
		return "idle-race", nil
	case v.Incident == "":
		return "", errors.New("the client gave up on these requests itself, which is no incident of a pool")
	}
	return "", fmt.Errorf("the requests did not meet a close of the server; %s shows the same in a private network: kabench reproduce %s", v.Incident, v.Incident)
}

// local returns the server as it is on this machine, behind kabench's own link: the way
// to it takes no time.
func local(p profiles.ServerPreset) profiles.ServerPreset {
	m := *p.Measured
	m.Response, m.ResponseMax = max(m.Response-m.RoundTrip, 0), max(m.ResponseMax-m.RoundTrip, 0)
	m.RoundTrip, m.RoundTripMax = 0, 0
	p.Measured = &m
	return p
}

// leastDelay is the delay of the link, each way, on a fast network: a machine's own
// lateness must not decide who comes first.
const leastDelay = aim.DefaultLinkDelay

// delayOf is how long a packet is on its way: half of the time in which a request and a
// close can miss each other.
func delayOf(v *autopsy.Verdict, s evidence.Server) time.Duration {
	var apart []time.Duration
	for _, f := range v.Failures {
		if f.Met == evidence.Crossed && f.Sent != evidence.NotSeen && f.Server == v.Servers[0].Address {
			apart = append(apart, f.Apart.Abs())
		}
	}
	delay := max(s.RoundTrip.Median/2, leastDelay)
	if len(apart) > 0 { // they lie anywhere within a round trip
		slices.Sort(apart)
		delay = max(delay, min(apart[len(apart)/2], 50*time.Millisecond))
	}
	return delay.Round(100 * time.Microsecond)
}

// guessed returns the pool that the connections show, as --set has it.
func guessed(v *autopsy.Verdict) (sets []string, says string) {
	order, idle := "", "never closes idle connections itself"
	i := slices.IndexFunc(v.Clients, func(c autopsy.Client) bool { return c.Server == v.Servers[0].Address })
	timeout := "0s"
	if i >= 0 {
		order = v.Clients[i].LeaseOrder
		if t := v.Clients[i].IdleTimeout; t != nil {
			d := time.Duration(t.Median * float64(time.Second)).Round(time.Millisecond)
			timeout, idle = d.String(), "closes idle connections after "+d.String()
		}
	}
	sets = append(sets, "pool.idle_timeout="+timeout)
	says = "The pool is a guess from the connections: it " + idle
	if order == "lifo" || order == "fifo" {
		sets = append(sets, "pool.lease_order="+order)
		says += ", and takes connections in the order " + order
	}
	if met := v.Servers[0].Met; met[evidence.Late.String()] > met[evidence.Crossed.String()]+met[evidence.Arrived.String()] {
		sets = append(sets, "pool.liveness=none")
		says += ", and does not notice that the server has closed one"
	}
	return sets, says + "."
}

// plan chooses the load: the capture's own, if it meets the server's timer often enough.
func (m *Made) plan(order aim.Order, seen autopsy.Gathered, facts evidence.Server) error {
	own, ok := fitted(seen.Requests, facts.Idle)
	if ok {
		as := order
		as.Sets = append(slices.Clone(order.Sets), own.sets()...)
		p, forecast, err := aim.Plan(as)
		if err == nil && forecast.Mean >= enough {
			m.Profile, m.Forecast = p, forecast
			m.Says = append(m.Says, fmt.Sprintf("The load is the capture's: %v.", own))
			return nil
		}
	}
	p, forecast, err := aim.Plan(order)
	if err != nil {
		return err
	}
	if aim.Hopeless(forecast) {
		return fmt.Errorf("with this pool no request would meet the server's close: %s", forecast.Why)
	}
	m.Profile, m.Forecast = p, forecast
	switch {
	case ok:
		m.Says = append(m.Says, fmt.Sprintf("The load is planned so that it meets the server's timer often. The capture's own (%v) meets it too seldom for a short run.", own))
	default:
		m.Says = append(m.Says, "The load is planned so that it meets the server's timer often: the capture has too few requests, or too many for a short run.")
	}
	return nil
}

// finish gives the profile the lab's server instead of the target.
func (m *Made) finish(v *autopsy.Verdict, server profiles.ServerPreset, delay time.Duration) {
	p := m.Profile
	lab := server.Lab
	lab.Delay = script.Delay{A: max(lab.Delay.A-2*delay+server.Measured.RoundTrip, 0).Truncate(time.Millisecond)} // a response takes as long as in the capture
	p.Target.URL, p.Target.Lab, p.Server = "", &lab, profiles.ServerFacts{}
	p.Target.Link = &script.Link{Delay: delay}
	p.Question = "Why did requests meet the server's close in the capture?"
	p.Source = "kabench autopsy of a capture of " + v.Begin.UTC().Format("2006-01-02")
	p.Scale = fmt.Sprintf("The timers are those of the capture; a link delays packets by %v each way", delay)
}
