// Package network describes a private network: hosts with their addresses, ports
// and kernel settings, links with delay, loss and bandwidth, rules that drop or
// reset packets, middleboxes that forget connections, balancers, and NATs. It is the
// section network of a profile. The package only describes and validates;
// internal/sandbox makes the network.
package network
