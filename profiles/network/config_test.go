package network

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

func TestConfigReadsFromYAML(t *testing.T) {
	const text = `
hosts:
  - name: client
    port_range: [40000, 40099]
    sysctls: {net.ipv4.tcp_tw_reuse: "0"}
  - name: server1
  - name: server2
links:
  - between: [client, vip]
    delay: 5ms
    loss: 0.01
    back: {delay: 7ms}
    flows: {idle: 10s, unknown: rst, max: 9}
    rules:
      - {from: client, flags: S, not_flags: A, do: rst, to: both, after: cut}
balancers:
  - {name: vip, backends: [server1, server2], choose: round_robin, idle: 10s, lifetime: 60s, unknown: pass}
nats:
  - {name: nat, addresses: 2, ports: 64, ports_per: client, reuse: 120s, idle: 350s, unknown: rst}
`
	var got Config
	if err := yaml.UnmarshalWithOptions([]byte(text), &got, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	want := Config{
		Hosts: []Host{
			{Name: "client", PortRange: [2]int{40000, 40099}, Sysctls: map[string]string{"net.ipv4.tcp_tw_reuse": "0"}},
			{Name: "server1"}, {Name: "server2"},
		},
		Links: []Link{{
			Between: [2]string{"client", "vip"}, Conditions: Conditions{Delay: 5 * time.Millisecond, Loss: .01},
			Back:  &Conditions{Delay: 7 * time.Millisecond},
			Flows: &Flows{Idle: 10 * time.Second, Unknown: UnknownRST, Max: 9},
			Rules: []Rule{{From: "client", Flags: SYN, NotFlags: ACK, Do: ActionRST, To: RSTToBoth, After: "cut"}},
		}},
		Balancers: []Balancer{{
			Name: "vip", Backends: []string{"server1", "server2"}, Choose: RoundRobin,
			Flows: Flows{Idle: 10 * time.Second, Lifetime: time.Minute},
		}},
		NATs: []NAT{{
			Name: "nat", Addresses: 2, Ports: 64, PortsPer: PortsPerClient,
			Reuse: 2 * time.Minute, Idle: 350 * time.Second, Unknown: UnknownRST,
		}},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateNamesWhatIsWrong(t *testing.T) {
	with := func(b Balancer) Config {
		b.Name, b.Backends = "vip", []string{"server"}
		return Config{Hosts: []Host{{Name: "server"}}, Balancers: []Balancer{b}}
	}
	for _, c := range []struct {
		want string
		cfg  Config
	}{
		{"hosts[0].name", Config{Hosts: []Host{{Name: "Server"}}}},
		{"hosts[1].name", Config{Hosts: []Host{{Name: "a"}, {Name: "a"}}}},
		{"hosts[0].port_range", Config{Hosts: []Host{{Name: "a", PortRange: [2]int{9, 1}}}}},
		{"hosts[0].sysctls", Config{Hosts: []Host{{Name: "a", Sysctls: map[string]string{"kernel.panic": "1"}}}}},
		{"hosts[0].sysctls", Config{Hosts: []Host{{Name: "a", Sysctls: map[string]string{"net.ipv4/../../kernel/panic": "1"}}}}},
		{"links[0].between", clientServerOf(Link{Between: [2]string{"client", "nobody"}})},
		{"twice", clientServerOf(Link{Between: [2]string{"client", "client"}})},
		{"links[0].loss", clientServer(Link{Conditions: Conditions{Loss: 2}})},
		{"links[0].delay", clientServer(Link{Conditions: Conditions{Delay: -1}})},
		{"links[0].queue", clientServer(Link{Conditions: Conditions{Queue: 1}})},
		{"links[0].back.bandwidth", clientServer(Link{Back: &Conditions{Bandwidth: 1}})},
		{"links[0].rules[0].from", clientServer(Link{Rules: []Rule{{From: "proxy"}}})},
		{"links[0].rules[0].not_flags", clientServer(Link{Rules: []Rule{{Flags: SYN | ACK, NotFlags: ACK}}})},
		{"links[0].rules[0].src", clientServer(Link{Rules: []Rule{{Src: "proxy"}}})},
		{"links[0].rules[0].to", clientServer(Link{Rules: []Rule{{To: RSTToBoth}}})},
		{"links[0].flows.at_expiry", clientServer(Link{Flows: &Flows{AtExpiry: ExpiryRST}})},
		{"balancers[0].backends", Config{Balancers: []Balancer{{Name: "vip"}}}},
		{"balancers[0].joins", with(Balancer{Joins: map[string]string{"server9": "up"}})},
		{"balancers[0].leaves.server", with(Balancer{Leaves: map[string]string{"server": ""}})},
		{"balancers[0].leaves.server", with(Balancer{Joins: map[string]string{"server": "up"}, Leaves: map[string]string{"server": "up"}})},
		{"balancers[0].at_leave", with(Balancer{AtLeave: 9})},
		{"balancers[0].name", Config{Balancers: []Balancer{{Name: "client", Backends: []string{"client"}}}}},
		{"links[0].flows.max", clientServer(Link{Flows: &Flows{Max: -1}})},
		{"links[0].flows.max", clientServer(Link{Flows: &Flows{Max: 1, Lifetime: 1}})},
		{"nats[0].ports", Config{NATs: []NAT{{Name: "nat"}}}},
		{"nats[0].ports", Config{NATs: []NAT{{Name: "nat", Ports: 64513}}}},
		{"nats[0].ports", Config{Hosts: []Host{{Name: "client", Addresses: 2}}, NATs: []NAT{{Name: "nat", Ports: 40000, PortsPer: PortsPerClient}}}},
		{"nats[0].name", Config{NATs: []NAT{{Name: "client", Ports: 1}}}},
		{"nats[0].clients: there is no host \"nobody\"; there are a, client", Config{Hosts: []Host{{Name: "a"}}, NATs: []NAT{{Name: "nat", Ports: 1, Clients: []string{"nobody"}}}}},
		{"nats[1].clients", Config{NATs: []NAT{{Name: "a", Ports: 1}, {Name: "b", Ports: 1}}}},
		{"nats[0].clients", Config{Hosts: []Host{{Name: "a"}}, Balancers: []Balancer{{Name: "vip", Backends: []string{"a"}}}, NATs: []NAT{{Name: "nat", Ports: 1, Clients: []string{"a"}}}}},
		{"nats[0].idle", Config{NATs: []NAT{{Name: "nat", Ports: 1, Idle: 1, Reuse: 2}}}},
		{"nats[0].at_expiry", Config{NATs: []NAT{{Name: "nat", Ports: 1, AtExpiry: ExpiryRST}}}},
		{"hosts: 201", Config{NATs: []NAT{{Name: "nat", Ports: 1, Addresses: 200}}}},
		{"dns.on: there is no host \"dns\"; add one to hosts, or name another (there is only the client)", Config{DNS: &DNS{Records: []DNSRecord{{Name: "api.test", To: []string{"client"}}}}}},
		{"dns.on: it cannot be the client", named(DNS{On: "client"})},
		{"dns.delay", named(DNS{Delay: -1})},
		{"dns.unanswered", named(DNS{Unanswered: 9})},
		{"dns.timeout", named(DNS{Timeout: -1})},
		{"dns.records: there are none", named(DNS{Records: []DNSRecord{}})},
		{"dns.records[0].name", named(DNS{}, DNSRecord{Name: "api", To: []string{"server"}})},
		{"dns.records[0].name", named(DNS{}, DNSRecord{Name: "10.0.0.1", To: []string{"server"}})},
		{"dns.records[0].to: there are none", named(DNS{}, DNSRecord{Name: "api.test"})},
		{"dns.records[0].to: there is no host or balancer \"nobody\"; there are dns, server", named(DNS{}, DNSRecord{Name: "api.test", To: []string{"nobody"}})},
		{"dns.records[0].to: there is no host or balancer \"nat\"", named(DNS{}, DNSRecord{Name: "api.test", To: []string{"nat"}})},
		{"dns.records[0].to: the name cannot lead to the client", named(DNS{}, DNSRecord{Name: "api.test", To: []string{"client"}})},
		{"dns.records[0].ttl", named(DNS{}, DNSRecord{Name: "api.test", To: []string{"server"}, TTL: 1})},
		{"dns.records[0].until", named(DNS{}, DNSRecord{Name: "api.test", To: []string{"server"}, After: "a", Until: "a"})},
		{"mtu", Config{MTU: 1}},
		{"record.snap", Config{Record: Record{Snap: 10}}},
	} {
		if err := c.cfg.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want a complaint about %s, got %v", c.want, err)
		}
	}
	for _, good := range []Config{{}, named(DNS{})} {
		if err := good.Validate(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
}

// named is a network with a NAT, and with d on a host of its own unless d says where. Without
// records d has a good one.
func named(d DNS, records ...DNSRecord) Config {
	if d.Records == nil {
		d.Records = []DNSRecord{{Name: "api.test", To: []string{"server"}}}
	}
	if len(records) > 0 {
		d.Records = records
	}
	return Config{Hosts: []Host{{Name: "server"}, {Name: "dns"}}, NATs: []NAT{{Name: "nat", Ports: 1}}, DNS: &d}
}

func clientServerOf(l Link) Config {
	return Config{Hosts: []Host{{Name: "server"}}, Links: []Link{l}}
}

func TestAnUnknownNameIsAnError(t *testing.T) {
	var u Unknown
	if err := u.UnmarshalText([]byte("explode")); err == nil || !strings.Contains(err.Error(), "drop") {
		t.Errorf("explode: %v, want the list of names", err)
	}
}

func clientServer(l Link) Config {
	l.Between = [2]string{"client", "server"}
	return Config{Hosts: []Host{{Name: "server"}}, Links: []Link{l}}
}
