// Package sandbox is a small internet inside one process: kabench re-executes
// itself in a network namespace of its own ([Reexec]), makes hosts there, each
// in a further namespace with its own ports and TCP settings ([Host]), and
// carries every packet between them itself ([Network]). Both ends of every
// connection are the kernel's own TCP. What lies between them is made by this package:
// delay, jitter, loss and bandwidth, rules that drop or reset, middleboxes that forget
// ([network.Link]), balancers that lose their state ([network.Balancer]), and NATs that run out of ports
// ([network.NAT]). The machine's settings, addresses and ports stay untouched.
//
// The path of one packet:
//
//	a host's TCP → its TUN device → the wire reads it, stamps it, records it
//	→ link: rules, flow table, loss, bandwidth, delay → (balancer: choice of a
//	backend, new address; NAT: new address and port) → (second link) → the TUN device of the other host
//
// Why TUN devices and not veth pairs with netem, conntrack and nft: those need
// modules that many kernels lack (netem above all), they decide unseen, and
// they keep no record. A wire in user space needs only /dev/net/tun, needs no root
// where users may open that device, can drop one packet of one connection, and knows
// of every packet when it was sent, when it arrived and what happened to it. That
// record is written as packets.pcapng ([Network.WritePcapng]) and shows who closed a
// connection, and how ([ClosedBy], [Ladder]).
//
// The deciding part (core, flowTable, rule, recorder) has no clock, device or
// goroutine: its methods are given the time. wire_linux.go is the thread around it.
// [Stats] says how late the wire was.
//
// Limits: IPv4 only. Links keep the order of packets even with jitter.
// Balancers carry TCP only, NATs translate TCP only, and ICMP errors about the connections
// of either are not translated.
//
// It needs Linux; elsewhere [Available] and all other functions return
// [ErrNeedsLinux].
package sandbox

import "errors"

// ErrNeedsLinux is the error of functions that only Linux can do.
var ErrNeedsLinux = errors.New("the sandbox needs Linux: its hosts are network namespaces")
