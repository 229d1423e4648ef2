package profiles

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const networked = `
load: {rate: 10/s}
network:
  hosts: [{name: server}, {name: other}, {name: proxy}]
  links:
    - between: [client, server]
      delay: 1ms
      loss: 0.5
      there: {delay: 2ms}
      rules: [{from: client, flags: S, do: rst}]
target:
  lab: {}
`

func TestNetworkLoads(t *testing.T) {
	p, err := Load("p.yaml", []byte(networked), []string{"network.links.0.delay=3ms", "network.links.0.between.1=server", "target.on=server"})
	if err != nil {
		t.Fatal(err)
	}
	l := p.Network.Links[0]
	if l.Delay.String() != "3ms" || l.Loss != 0.5 || l.There.Delay.String() != "2ms" || l.Rules[0].Flags.String() != "S" {
		t.Errorf("%+v", l)
	}
	if !slices.Equal(p.Target.On, []string{"server"}) {
		t.Errorf("on %q", p.Target.On)
	}
	loadsBack(t, p)
	c := p.Clone()
	c.Network.Links[0].Rules[0].Times = 7
	c.Network.Links[0].There.Delay++
	c.Network.Hosts[0].Name = "changed"
	if p.Network.Links[0].Rules[0].Times != 0 || p.Network.Links[0].There.Delay.String() != "2ms" || p.Network.Hosts[0].Name != "server" {
		t.Error("a change of the copy changed the profile")
	}
}

func TestPathOfTheRequests(t *testing.T) {
	for name, c := range map[string]struct {
		yaml string
		want Path
	}{
		"one server": {"network: {hosts: [{name: server}]}\ntarget: {lab: {}}", Path{"server", []string{"server"}, nil, nil, []string{"server"}, 80}},
		"tls":        {"network: {hosts: [{name: a}]}\ntarget: {on: a, lab: {tls: true}}", Path{"a", []string{"a"}, nil, nil, []string{"a"}, 443}},
		"balancer":   {"network: {hosts: [{name: a}, {name: b}], balancers: [{name: lb, backends: [a, b]}]}\ntarget: {lab: {}}", Path{"lb", []string{"lb"}, nil, nil, []string{"a", "b"}, 80}},
		"past the balancer": {"network: {hosts: [{name: a}, {name: b}], balancers: [{name: lb, backends: [a, b]}]}\ntarget: {lab: {}, on: [a, b], at: b}",
			Path{"b", []string{"b"}, nil, nil, []string{"a", "b"}, 80}},
		"proxies": {"network: {hosts: [{name: server}, {name: proxy}, {name: edge}]}\ntarget: {lab: {}, proxies: [{on: edge}, {}]}",
			Path{"edge", []string{"edge"}, []string{"edge", "proxy"}, []string{"server"}, []string{"server"}, 80}},
		"proxy before the balancer": {"network: {hosts: [{name: a}, {name: b}, {name: proxy}], balancers: [{name: lb, backends: [a, b]}]}\ntarget: {lab: {}, proxies: [{}]}",
			Path{"proxy", []string{"proxy"}, []string{"proxy"}, []string{"lb"}, []string{"a", "b"}, 80}},
		"a name that moves": {"events: {moved: 1s}\nnetwork: {hosts: [{name: old}, {name: new}, {name: dns}], dns: {records: [{name: api.test, to: [old], until: moved}, {name: api.test, to: [new], after: moved}]}}\ntarget: {lab: {}}",
			Path{"api.test", []string{"old", "new"}, nil, nil, []string{"old", "new"}, 80}},
		"a name of a balancer": {"network: {hosts: [{name: a}, {name: b}, {name: dns}], balancers: [{name: lb, backends: [a, b]}], dns: {records: [{name: api.test, to: [lb]}]}}\ntarget: {lab: {}}",
			Path{"api.test", []string{"lb"}, nil, nil, []string{"a", "b"}, 80}},
		"a name of a balancer and of a backend": {"network: {hosts: [{name: a}, {name: b}, {name: dns}], balancers: [{name: lb, backends: [a, b]}], dns: {records: [{name: api.test, to: [lb, b]}]}}\ntarget: {lab: {}}",
			Path{"api.test", []string{"lb", "b"}, nil, nil, []string{"a", "b"}, 80}},
	} {
		p, err := Load("p.yaml", []byte("load: {rate: 10/s}\n"+c.yaml), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := p.Path(); err != nil || !cmp.Equal(got, c.want) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
}

// What cannot work is one clear line, with its place, before any traffic.
func TestSignatureThatCanNeverBeChecked(t *testing.T) {
	const profile = "load: {rate: 10/s}\ntarget: {url: http://127.0.0.1:1/}\n"
	for expect, want := range map[string]string{
		"closed.link.rst":   "p.yaml:3:10: expect.closed.link.rst: can never be checked: packets are seen in a private network only: the profile has none; remove it",
		"packets.forgotten": "packets are seen in a private network only",
		"kernel.server.TW":  "hosts count for themselves in a private network only: the profile has none",
		"lab.share.server":  "the target is not kabench's own server",
		"lab.requests":      "the target is not kabench's own server",
	} {
		_, err := Load("p.yaml", []byte(profile+"expect: {"+expect+": 0}"), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", expect, err, want)
		}
		if _, err := Load("p.yaml", []byte(networked), []string{"expect={" + expect + ": 0}"}); err != nil {
			t.Errorf("%s in a network: %v", expect, err)
		}
	}
}

// A host that is not there counts nothing, and a server that keeps no headers has
// none to count.
func TestSignatureThatNobodyCounts(t *testing.T) {
	for expect, want := range map[string]string{
		"kernel.client.OutRsts":  "",
		"kernel.other.OutRsts":   "",
		"kernel.srever.OutRsts":  `expect.kernel.srever.OutRsts: can never be checked: there is no host "srever" (there are server, other, proxy); remove it`,
		"lab.share.server":       "",
		"lab.share.other":        `expect.lab.share.other: can never be checked: no host "other" serves the target; remove it`,
		"lab.headers.via":        "expect.lab.headers.via: can never be checked: the server keeps no headers without target.lab.record_headers: true; remove it",
		"packets.nat_ports.peak": "the network has no NAT",
		"packets.flows.peak":     "no link and no balancer has a limit of flows",
	} {
		_, err := Load("p.yaml", []byte(networked), []string{"expect={" + expect + ": 0}"})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: error %v, want %q", expect, err, want)
		}
	}
	for _, known := range [][]string{
		{"target.lab.record_headers=true", "expect={lab.headers.via: 0}"},
		{"network.links.0.flows={max: 9}", "expect={packets.flows.first: 3s}"},
		{"network.links=[]", "network.nats=[{name: nat, ports: 9}]", "expect={packets.nat_ports.first: 3s}"},
	} {
		if _, err := Load("p.yaml", []byte(networked), known); err != nil {
			t.Errorf("%q: %v", known, err)
		}
	}
}

// An event of a server that does not serve the target would come for nobody.
func TestEventsOfOtherServers(t *testing.T) {
	for where, sets := range map[string][]string{
		"other": {"events={cut: 1s}", "target.lab.stop_on={other: cut}"},
		"none":  {"events={cut: 1s}", "target.lab.stop_on={none: cut}", "network=null"},
	} {
		want := `target.lab.stop_on.` + where + `: no host "` + where + `" serves the target; name one event for all servers, or a host of target.on`
		if _, err := Load("p.yaml", []byte(networked), sets); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	for _, moments := range []string{"cut", "{server: cut}"} {
		p, err := Load("p.yaml", []byte(networked), []string{"events={cut: 1s}", "target.lab.reload_on=" + moments})
		if err != nil || p.Target.Lab.ReloadOn.Of("server") != "cut" {
			t.Errorf("%s: %v", moments, err)
			continue
		}
		written, err := Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Load("p.yaml", written, nil); err != nil || !cmp.Equal(again.Target.Lab.ReloadOn, p.Target.Lab.ReloadOn) {
			t.Errorf("%s: written and read again: %v\n%s", moments, err, written)
		}
	}
}

func TestNetworkIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ set, want string }{
		"unknown host":        {"target.on=srever", `--set target.on=srever: there is no host "srever"; there are server, other, proxy`},
		"the client":          {"target.on=client", `--set target.on=client: it cannot be the client; name another host`},
		"twice":               {"target.on=[server, server]", `--set target.on=[server, server]: "server" twice; remove one`},
		"unknown at":          {"target.at=lb", `--set target.at=lb: there is no host or balancer "lb"; there are server, other, proxy`},
		"elsewhere":           {"target.at=other", `--set target.at=other: "other" does not lead to server, which the requests must reach; see target.on and target.proxies`},
		"no lab":              {"", "p.yaml:3:1: network: it has no server; set target.lab (a private network cannot reach a server outside)"},
		"link in a network":   {"target.link={delay: 1ms}", "is for a target on the loopback; in a network use network.links"},
		"a proxy's host":      {"target.proxies=[{on: server}]", `--set target.proxies=[{on: server}]: target.proxies.0.on: "server" is in use; a proxy needs its own host`},
		"three proxies":       {"target.proxies=[{}, {}, {}]", "there are 3; at most 2 can stand in a row"},
		"TLS before a proxy":  {"target={lab: {tls: true}, proxies: [{}]}", "the proxies speak plain HTTP to the server"},
		"TLS between proxies": {"target={lab: {}, proxies: [{tls: true}, {tls: true, on: other}]}", "target.proxies.1.tls: the proxy before it speaks plain HTTP to it"},
		"a link's host":       {"network.links.0.between=[client, srever]", `there is no host, balancer or NAT "srever"; there are client, other, proxy, server`},
		"past the NAT":        {"network.nats=[{name: nat, ports: 9}]", "no request passes between client and server: they go client to nat, nat to server; remove the link"},
		"behind a NAT":        {"network.nats=[{name: nat, ports: 9, clients: [server]}]", "server is behind nat, where client cannot reach it"},
		"one end":             {"network.links.0.between=[client]", "is a list of 1; 2 belong here"},
		"a link off the path": {"network.links.0.between=[client, other]", "no request passes between client and other: they go client to server"},
		"from":                {"network.links.0.rules.0.from=other", "is not an end of this link, client or server: the rule would match nothing"},
		"src":                 {"network.links.0.rules.0.src=server", "network.links.0.rules.0: would match nothing: packets here go from client to server at port 80 and back"},
		"port":                {"network.links.0.rules.0.dst_port=8080", "would match nothing"},
		"a port of nobody":    {"network.links.0.rules=[{src_port: 8080, do: rst}]", "would match nothing: packets here go from client to server at port 80 and back"},
		"outside the range":   {"network.links.0.rules=[{from: server, dst_port: 61000, do: rst}]", "would match nothing"},
		"an address":          {"network.links.0.rules=[{src: 10.9.9.9, do: rst}]", "would match nothing"},
		"another's address":   {"network.links.0.rules=[{src: 10.77.0.3, do: rst}]", "would match nothing"},
		"S and F":             {"network.links.0.rules=[{flags: SF, do: rst}]", "would match nothing: the flag S comes alone or with . (ACK), and without data"},
		"S with data":         {"network.links.0.rules=[{flags: S, data: true, do: rst}]", "would match nothing: the flag S"},
		"R with P":            {"network.links.0.rules=[{flags: RP, do: rst}]", "would match nothing: the flag R"},
		"data without ACK":    {"network.links.0.rules=[{not_flags: ., data: true, do: rst}]", "would match nothing: only packets with the flag S or R"},
		"S. of the client":    {"network.links.0.rules=[{from: client, flags: S., do: rst}]", "would match nothing"},
		"S of the server":     {"network.links.0.rules=[{from: server, flags: S, not_flags: ., do: rst}]", "would match nothing"},
		"no event":            {"network.links.0.rules.0.after=failover", `the event "failover" does not come; set events.failover to its time`},
		"a mistyped event":    {"network.links.0.rules=[{until: mvoed, do: drop}]", `network.links.0.rules.0.until: the event "mvoed" does not come; did you mean moved? If not, set events.mvoed to its time`},
		"no event to reload":  {"target.lab.reload_on=deploy", `--set target.lab.reload_on=deploy: the event "deploy" does not come; set events.deploy`},
		"no event to stop":    {"target.lab.stop_on={server: gone}", `target.lab.stop_on.server: the event "gone" does not come`},
		"an event of no name": {"target.lab.reload_on=''", "--set target.lab.reload_on='': name the event at which it happens"},
		"gone before it came": {"network.balancers=[{name: lb, backends: [server], joins: {server: up}, leaves: {server: down}}]", `network.balancers.0.leaves.server: the event "down" comes after 1s, and "up", which must come before it, after 2s; set events.down to more`},
		"over before it was":  {"network.links.0.rules=[{after: up, until: down, do: drop}]", `network.links.0.rules.0.until: the event "down" comes after 1s, and "up"`},
		"stalled for ever":    {"target.lab.stall={from: up, until: down}", `target.lab.stall.until: the event "down" comes after 1s, and "up"`},
		"at_leave alone":      {"network.balancers=[{name: lb, backends: [server], at_leave: move}]", "has no effect without leaves; set leaves or remove it"},
		"user_timeout":        {"target.tcp.user_timeout=-1s", "--set target.tcp.user_timeout=-1s: -1s is not between 0 and 1h0m0s (0 means none)"},
		"an idle event":       {"events.cut=1s", "--set events.cut=1s: nothing waits for it; remove it"},
		"flags":               {"network.links.0.rules.0.flags=X", "is no TCP flag"},
		"unknown key":         {"network.links.0.delya=1ms", "unknown key; did you mean network.links.0.delay?"},
		"on, no network":      {"network=null", "p.yaml"},
	} {
		sets := []string{c.set}
		switch name {
		case "gone before it came":
			sets = append(sets, "events={up: 2s, down: 1s}", "network.links=null")
		case "over before it was", "stalled for ever":
			sets = append(sets, "events={up: 2s, down: 1s}")
		case "a mistyped event":
			sets = append(sets, "events={moved: 1s}") // that nothing waits for it is not said beside
		case "no lab":
			sets = []string{"target.lab=null", "target.url=http://127.0.0.1:1/"}
		case "on, no network":
			sets, c.want = []string{"network=null", "target.on=server"}, "has no effect without network; remove it"
		}
		_, err := Load("p.yaml", []byte(networked), sets)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error\n%v\nwant\n%s", name, err, c.want)
		}
		if err != nil && !strings.Contains(name, "prox") && strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("%s: more than one line: %v", name, err)
		}
	}
}

// The links of a NAT carry the client's addresses on one side and its own on the other.
func TestRulesBesideANAT(t *testing.T) {
	for rule, want := range map[string][2]bool{ // whether it matches between client and nat, and between nat and server
		"{}": {true, true}, "{dst: server, dst_port: 80}": {true, true}, "{from: nat}": {true, true},
		"{src: client}": {true, false}, "{src: nat}": {false, true}, "{dst: nat}": {false, true},
	} {
		for i, between := range []string{"[client, nat]", "[nat, server]"} {
			_, err := Load("p.yaml", []byte(networked), []string{
				"network.nats=[{name: nat, ports: 9}]", "network.links=[{between: " + between + ", rules: [" + rule + "]}]",
			})
			if (err == nil) != want[i] {
				t.Errorf("%s between %s: %v", rule, between, err)
			}
		}
	}
}

// Rules that some packet matches are let through.
func TestRulesThatMatch(t *testing.T) {
	for _, rule := range []string{
		"{}", "{from: server}", "{src: 10.77.0.1}", "{dst: 10.77.0.1}", "{dst: 10.77.0.2, dst_port: 80}", "{dst_port: 32768}", "{src_port: 60999, src: client}",
		"{flags: S}", "{flags: S.}", "{from: server, flags: S}", "{flags: S, not_flags: .}", "{flags: R}", "{flags: R.}", "{flags: F, data: true}", "{flags: FP}", "{not_flags: .}",
	} {
		if _, err := Load("p.yaml", []byte(networked), []string{"network.links.0.rules=[" + rule + "]"}); err != nil {
			t.Errorf("%s: %v", rule, err)
		}
	}
	for _, hosts := range []string{
		"[{name: server}, {name: client, port_range: [2000, 9000]}]",
		"[{name: server}, {name: client, sysctls: {net.ipv4.ip_local_port_range: 2000 9000}}]",
	} {
		if _, err := Load("p.yaml", []byte(networked), []string{"network.hosts=" + hosts, "network.links.0.rules=[{dst_port: 8080}]"}); err != nil {
			t.Errorf("%s: %v", hosts, err)
		}
	}
}

// A phase that the profile never has cannot be measured.
func TestSignatureOfWhatNeverIsMeasured(t *testing.T) {
	const lab, url = "load: {rate: 10/s}\ntarget: {lab: {}}\n", "load: {rate: 10/s}\ntarget: {url: 'http://127.0.0.1:1/'}\n"
	for _, c := range []struct {
		text, expect string
		sets         []string
		want         string
	}{
		{lab, "tls.min: '> 1ms'", nil, "expect.tls.min: can never be checked: the target does not speak TLS (target.lab.tls); remove it"},
		{url, "fresh.tls.p99: '> 1ms'", nil, "the target does not speak TLS (target.url is http:)"},
		{lab, "tls.min: '> 1ms'", []string{"target.lab.tls=true"}, ""},
		{url, "tls.min: '> 1ms'", []string{"target.url=https://127.0.0.1:1/"}, ""},
		{lab, "tls.count: 0", nil, ""},
		{lab, "buffer.max: '< 1s'", nil, "nothing waits in a buffer without load.buffer"},
		{lab, "buffer.max: '< 1s'", []string{"load.buffer=3"}, ""},
		{lab, "ports.met: 1", nil, "the time at which ports run out is predicted only if each connection serves a fixed number of requests: pool.max_idle: 0 or pool.max_requests"},
		{lab, "ports.predicted: '> 1s'", []string{"pool.max_idle=0"}, ""},
		{lab, "ports.met: 1", []string{"pool.max_requests=2"}, ""},
		{lab, "ports.recovered: 0", nil, ""},
	} {
		_, err := Load("p.yaml", []byte(c.text+"expect: {"+c.expect+"}\n"), c.sets)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s %v: error %v, want %q", c.expect, c.sets, err, c.want)
		}
	}
}
