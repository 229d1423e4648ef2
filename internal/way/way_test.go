package way

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/network"
	"github.com/kabench/kabench/profiles/script"
)

const (
	loopback = "load: {rate: 10/s, duration: 5s}\ntarget: {lab: {}, link: {delay: 2ms}}\n"
	private  = "load: {rate: 10/s, duration: 5s}\ntarget: {lab: {}}\nnetwork: {hosts: [{name: server}], links: [{between: [client, server], delay: 2ms}]}\n"
)

func profile(t *testing.T, text, via string, sets ...string) *profiles.Profile {
	t.Helper()
	p, err := profiles.Load("p.yaml", []byte(text), append(sets, "via="+via))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Everything on the way in the library is put before a server, on the loopback and in a
// network, or refused with what to set; what is put there is a profile that can be run.
func TestEveryPresetIsPlayedOrRefused(t *testing.T) {
	played := map[string]int{}
	for _, preset := range profiles.Servers() {
		if !preset.OnTheWay {
			continue
		}
		for where, text := range map[string]string{"loopback": loopback, "network": private} {
			p := profile(t, text, preset.Name)
			before := p.Clone()
			_, err := Put(p)
			if err == nil {
				played[where]++
				err = p.Validate()
				if err != nil {
					t.Errorf("%s on %s: %v", preset.Name, where, err)
				}
				continue
			}
			if !strings.HasPrefix(err.Error(), "via") || !strings.Contains(err.Error(), "set ") && !strings.Contains(err.Error(), "put it there") {
				t.Errorf("%s on %s: %v", preset.Name, where, err)
			}
			if !reflect.DeepEqual(p, before) {
				t.Errorf("%s on %s: refused, and changed", preset.Name, where)
			}
		}
	}
	if played["loopback"] < 15 || played["network"] < 8 {
		t.Errorf("only %v were played", played)
	}
}

func TestOnTheLoopback(t *testing.T) {
	for via, want := range map[string]script.Link{
		"aws-nlb":            {Delay: 2 * time.Millisecond, IdleTimeout: 350 * time.Second, AtExpiry: script.ResetNext},
		"azure-lb-tcp-reset": {Delay: 2 * time.Millisecond, IdleTimeout: 4 * time.Minute, AtExpiry: script.Reset},
		"gcp-nlb":            {Delay: 2 * time.Millisecond, IdleTimeout: time.Minute, AtExpiry: script.ResetNext},
		"{idle_timeout: 1s, passes_on: true, at_expiry: fin}": {Delay: 2 * time.Millisecond, IdleTimeout: time.Second, AtExpiry: script.Fin},
	} {
		p := profile(t, loopback, via)
		if _, err := Put(p); err != nil || *p.Target.Link != want || p.Network != nil {
			t.Errorf("%s: %+v, %v", via, p.Target.Link, err)
		}
	}
	p := profile(t, loopback, "ingress-nginx", "target.lab.tls=true")
	if _, err := Put(p); err != nil || len(p.Target.Proxies) != 1 {
		t.Fatalf("%+v, %v", p.Target.Proxies, err)
	}
	front := p.Target.Proxies[0].Proxy
	if front.IdleTimeout != 75*time.Second || front.Upstream.IdleTimeout != time.Minute || !front.TLS || p.Target.Lab.TLS {
		t.Errorf("%+v, lab.tls %v", front, p.Target.Lab.TLS)
	}
}

func TestInANetwork(t *testing.T) {
	for via, want := range map[string]network.Flows{
		"azure-lb":                               {Idle: 4 * time.Minute, Unknown: network.UnknownDrop},
		"aws-nlb":                                {Idle: 350 * time.Second, Unknown: network.UnknownRST},
		"f5-bigip-fastl4":                        {Idle: 5 * time.Minute, Unknown: network.UnknownDrop, AtExpiry: network.ExpiryRST},
		"{preset: kube-proxy, idle_timeout: 1s}": {Idle: time.Second, Unknown: network.UnknownRST, Max: 131072},
	} {
		p := profile(t, private, via)
		unlike, err := Put(p)
		if err != nil || *p.Network.Links[0].Flows != want || p.Network.Links[0].Delay != 2*time.Millisecond {
			t.Errorf("%s: %+v, %v", via, p.Network.Links, err)
		}
		if (len(unlike) > 0) != strings.Contains(via, "kube") { // which would choose another backend
			t.Errorf("%s: %q", via, unlike)
		}
	}
	p := profile(t, private, "gcp-cloud-nat")
	if _, err := Put(p); err != nil || len(p.Network.NATs) != 1 || p.Network.Links[0].Between != [2]string{"via", "server"} {
		t.Fatalf("%+v, %v", p.Network, err)
	}
	if n := p.Network.NATs[0]; n.Ports != 64 || n.Reuse != 2*time.Minute || n.Idle != 20*time.Minute || n.Unknown != network.UnknownDrop || n.PortsPer != network.PortsPerClient {
		t.Errorf("%+v", n)
	}
}

// named is a profile whose client asks for a name that leads to those hosts.
func named(to string) string {
	return "load: {rate: 10/s, duration: 5s}\ntarget: {lab: {}}\n" +
		"network: {hosts: [{name: a}, {name: b}, {name: dns}], links: [{between: [client, a], delay: 2ms}], dns: {records: [{name: api.test, to: " + to + "}]}}\n"
}

// A name stands for the host that it leads to.
func TestBehindAName(t *testing.T) {
	for via, between := range map[string][2]string{"aws-nlb": {"client", "a"}, "gcp-cloud-nat": {"via", "a"}} {
		p := profile(t, named("[a]"), via)
		if _, err := Put(p); err != nil || len(p.Network.Links) != 1 || p.Network.Links[0].Between != between {
			t.Errorf("%s: %+v, %v", via, p.Network.Links, err)
		}
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", via, err)
		}
	}
}

// What a device does and the one that is played does not is said.
func TestWhatIsNotPlayed(t *testing.T) {
	for via, want := range map[string]string{
		"{silent: true, idle_timeout: 1s, at_expiry: drop, ports: 9, port_reuse: 1s, table: 99}": "its table of 99 connections",
		"{silent: true, idle_timeout: 1s, at_expiry: drop, max_lifetime: 1m}":                    "the end of a connection after 1m0s",
	} {
		p := profile(t, private, via)
		if unlike, err := Put(p); err != nil || len(unlike) != 1 || !strings.Contains(unlike[0], want) {
			t.Errorf("%s: %q, %v", via, unlike, err)
		}
	}
}

func TestWhatCannotBePlayed(t *testing.T) {
	for name, c := range map[string]struct{ text, via, set, want string }{
		"nothing":       {loopback, "{}", "", "nothing is known"},
		"no timer":      {loopback, "{silent: true}", "", "via.idle_timeout: "},
		"no kind":       {loopback, "{silent: true, idle_timeout: 1s}", "", "via.at_expiry: "},
		"drop":          {loopback, "azure-lb", "", "network={hosts: [{name: server}]}"},
		"a fin":         {private, "{passes_on: true, idle_timeout: 1s, at_expiry: fin}", "", "set rst"},
		"a day":         {private, "kube-proxy", "", "via.idle_timeout: 24h0m0s is above 1h0m0s"},
		"a proxy there": {private, "aws-alb", "", "target.proxies"},
		"two":           {private, "aws-nlb", "network.links.0.flows={idle: 1s}", "network.links.0.flows: "},
		"two links":     {loopback, "aws-nlb", "target.link={delay: 0s, idle_timeout: 1s, at_expiry: rst}", "target.link.idle_timeout: "},
		"two proxies":   {loopback, "aws-alb", "target.proxies=[{}, {}]", "two can stand in a row"},
		"for ever":      {loopback, "{silent: true, idle_for_ever: true, at_expiry: drop}", "", "via.idle_for_ever: "},
		"two servers":   {named("[a, b]"), "aws-nlb", "", "via: api.test leads to a, b"},
		"rules":         {private, "gcp-cloud-nat", "network.links.0.rules=[{flags: S, times: 1, do: drop}]", "network.links.0.rules: "},
		"two nats":      {strings.Replace(private, "client, server]", "nat, server]", 1) + "", "gcp-cloud-nat", "network.nats=[{name: nat, ports: 9}]", "network.nats: "},
	} {
		if name == "two nats" { // the NAT must be there when the link names it
			c.text = strings.Replace(c.text, "links:", "nats: [{name: nat, ports: 9}], links:", 1)
		}
		sets := []string{}
		if c.set != "" {
			sets = append(sets, c.set)
		}
		p := profile(t, c.text, c.via, sets...)
		if _, err := Put(p); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}
