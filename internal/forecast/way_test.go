package forecast

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/script"
)

// seldom has one connection, and a request every 4 s: 15 of them. The device remembers for
// 1.5 s, so that each request comes on a connection that is not known, or on a new one.
const seldom = `
load: {rate: 0.25/s, arrivals: constant, duration: 60s, timeout: 1s}
pool: {liveness: events, max_conns: 1}
network: {hosts: [{name: server}], links: [{between: [client, server], delay: 1ms, flows: {idle: 1500ms, unknown: drop}}]}
target: {lab: {delay: 10ms}}
`

// What a device does is seen in every second request if the pool cannot know, and in none if
// it can.
func TestDeviceOnTheWay(t *testing.T) {
	const flows = "network.links.0.flows."
	for name, c := range map[string]struct {
		sets           []string
		failed, opened uint64
		how            string // of all failures
	}{
		"drop":                      {nil, 7, 8, "before_response.timeout"},
		"rst on the next packet":    {[]string{flows + "unknown=rst"}, 7, 8, "before_response.rst"},
		"rst to both ends":          {[]string{flows + "at_expiry=rst"}, 0, 15, ""},
		"unknown flows pass":        {[]string{flows + "unknown=pass"}, 0, 1, ""},
		"probes often enough":       {[]string{"target.tcp.keep_alive=1s"}, 0, 1, ""},
		"probes too seldom, rst":    {[]string{flows + "unknown=rst", "target.tcp.keep_alive=2s"}, 0, 15, ""},
		"probes too seldom, drop":   {[]string{"target.tcp.keep_alive=2s"}, 7, 8, "before_response.timeout"},
		"an idle timeout below":     {[]string{"pool.idle_timeout=1s"}, 0, 15, ""},
		"the server is earlier":     {[]string{"target.lab.idle_timeout=1s"}, 0, 15, ""},
		"the server is later":       {[]string{"target.lab.idle_timeout=3s"}, 7, 8, "before_response.timeout"},
		"sent again":                {[]string{flows + "unknown=rst", "pool.resend=[{on: any, after: [rst], methods: all, max: 1}]"}, 0, 15, ""},
		"longer than the answer":    {[]string{"target.lab.delay=2s", "load.timeout=3s"}, 15, 15, "before_response.timeout"},
		"reset while it is waiting": {[]string{"target.lab.delay=2s", "load.timeout=3s", flows + "at_expiry=rst"}, 15, 15, "before_response.rst"},
	} {
		t.Run(name, func(t *testing.T) {
			run := document(t, short, seldom, c.sets...)
			if run.Counts.Due != 15 || run.Counts.Failed != c.failed || run.Connections.Opened != c.opened {
				t.Errorf("%d of %d failed, %d opened; want %d and %d: %v", run.Counts.Failed, run.Counts.Due, run.Connections.Opened, c.failed, c.opened, run.FailureCounts())
			}
			if c.failed > 0 && run.FailureCounts()["failures.rate."+c.how] != c.failed {
				t.Errorf("%v, want %s", run.FailureCounts(), c.how)
			}
		})
	}
}

// The same device as a link on the loopback, and as what the options say.
func TestDeviceOfALinkAndOfTheOptions(t *testing.T) {
	bare := strings.Replace(seldom, "network: {hosts: [{name: server}], links: [{between: [client, server], delay: 1ms, flows: {idle: 1500ms, unknown: drop}}]}\n", "", 1)
	via := profiles.ServerFacts{IdleTimeout: 1500 * time.Millisecond, Silent: true}
	for how, failed := range map[script.Expiry]uint64{script.Fin: 0, script.Reset: 0, script.ResetNext: 7, script.Drop: 7, script.Reroute: 7} {
		v := via
		v.Silent, v.PassesOn, v.AtExpiry = how.Silent(), !how.Silent(), how
		o := short
		o.Via = &v
		if run := document(t, o, bare); run.Counts.Failed != failed {
			t.Errorf("via %v: %d failed, want %d: %v", how, run.Counts.Failed, failed, run.FailureCounts())
		}
		if how == script.Drop || how == script.Reroute {
			continue // a link cannot
		}
		// Probes do not reach such a link, so that they change nothing.
		sets := []string{"target.link={delay: 1ms, idle_timeout: 1500ms, at_expiry: " + how.String() + "}", "target.tcp.keep_alive=1s"}
		if run := document(t, short, bare, sets...); run.Counts.Failed != failed {
			t.Errorf("link %v: %d failed, want %d: %v", how, run.Counts.Failed, failed, run.FailureCounts())
		}
	}
	// A device that never forgets changes nothing.
	o := short
	o.Via = &profiles.ServerFacts{IdleForEver: true, Silent: true, AtExpiry: script.Drop}
	if run := document(t, o, bare); run.Counts.Failed != 0 || run.Connections.Opened != 1 {
		t.Errorf("for ever: %d failed, %d opened", run.Counts.Failed, run.Connections.Opened)
	}
	// A load balancer that ends the connections has its own timer, which races as a server's does.
	front := Options{For: 4 * time.Hour, Via: &profiles.ServerFacts{IdleTimeout: 200 * time.Millisecond}}
	run := document(t, front, poisson, "load.rate=15/s", "target.link.delay=4ms", "pool.lease_order=fifo")
	if r := run.Forecast.Races; r == nil || r.Counted < 100 || !strings.Contains(strings.Join(run.Forecast.LeftOut, " "), "(via)") {
		t.Errorf("%+v, %q", r, run.Forecast.LeftOut)
	}
	// Go's server keeps a flow awake by probes of its own.
	server, _ := profiles.FindServer("go")
	nlb, _ := profiles.FindServer("aws-nlb")
	for _, name := range []string{"go", "spring-boot-netty"} {
		server, _ = profiles.FindServer(name)
		o := Options{Requests: 1, Via: &nlb.Facts, Server: &server}
		run := document(t, o, bare, "load.rate=0.001/s", "load.duration=2h")
		if (run.Counts.Failed == 0) != (name == "go") {
			t.Errorf("%s: %+v", name, run.Counts)
		}
	}
}

// Races with a RST that a device sends to both ends are integrated as those with a server's
// close are.
func TestExposureToADevice(t *testing.T) {
	text := strings.Replace(poisson, ", link: {delay: 1ms}", "", 1) + "network: {hosts: [{name: server}], links: [{between: [client, server], delay: 4ms, flows: {idle: 200ms, unknown: drop, at_expiry: rst}}]}\n"
	run := document(t, Options{For: 4 * time.Hour}, text, "load.rate=15/s", "target.lab.idle_timeout=0s", "pool.lease_order=fifo")
	r := run.Forecast.Races
	if r == nil || r.Counted < 100 || math.Abs(float64(r.Counted)-r.Expected) > 4*math.Sqrt(r.Expected)+(r.High-r.Low) {
		t.Errorf("%+v", r)
	}
}

func TestDevicesThatAreNotForecast(t *testing.T) {
	for set, want := range map[string]string{
		"network.links.0.flows.lifetime=1s":                      "network.links.0.flows: ",
		"network.links.0.flows.max=10":                           "network.links.0.flows: ",
		"load.timeout=0s":                                        "load.timeout: ",
		"network.links.0.rules=[{flags: S, times: 1, do: drop}]": "network.links.0: a forecast has no rules",
	} {
		_, err := factsOf(profileFor(t, seldom, set), &Options{})
		if u, is := err.(*Unsupported); !is || len(u.Lines) != 1 || !strings.HasPrefix(u.Lines[0], want) {
			t.Errorf("%s: %v", set, err)
		}
	}
	for want, via := range map[string]profiles.ServerFacts{
		"via.idle_timeout: ":             {Silent: true, AtExpiry: script.Drop},
		"via.at_expiry: ":                {Silent: true, IdleTimeout: time.Second},
		"via: a forecast has one device": {Silent: true, IdleTimeout: time.Second, AtExpiry: script.Drop},
	} {
		_, err := factsOf(profileFor(t, seldom), &Options{Via: &via})
		if u, is := err.(*Unsupported); !is || len(u.Lines) != 1 || !strings.HasPrefix(u.Lines[0], want) {
			t.Errorf("%+v: %v", via, err)
		}
	}
}

// What a device on the way has and a forecast has not is said.
func TestPortsOfTheDeviceAreLeftOut(t *testing.T) {
	bare := strings.Replace(seldom, "network: {hosts: [{name: server}], links: [{between: [client, server], delay: 1ms, flows: {idle: 1500ms, unknown: drop}}]}\n", "", 1)
	nat, _ := profiles.FindServer("aws-nat-gateway")
	full := nat.Facts
	full.Table, full.MaxLifetime = 900, time.Hour
	for _, via := range []*profiles.ServerFacts{nil, {IdleForEver: true, Silent: true, AtExpiry: script.Drop}, &nat.Facts, &full} {
		o := short
		o.Via = via
		said := strings.Join(document(t, o, bare).Forecast.LeftOut, "\n")
		for text, is := range map[string]bool{
			"The 55000 ports of the device": via != nil && via.Ports > 0, "The table of 900 connections of": via == &full,
			"The end of a connection after 1h0m0s at": via == &full, "(via)": via != nil && via.Ports > 0,
		} {
			if strings.Contains(said, text) != is {
				t.Errorf("%+v: %q is said: %v, in\n%s", via, text, !is, said)
			}
		}
	}
}
