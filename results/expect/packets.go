package expect

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
)

// closers and manners are the values of Closing.By and Closing.How that a path may
// name.
var (
	closers = []string{"client", "server", "link"}
	manners = []string{"fin", "rst", "alert"}
)

// closedPath counts the client's connections that were closed by this side, and in
// this manner if the path closed.<by>[.<how>] names one.
func closedPath(run *results.Run, rest string) (Value, bool) {
	by, how, hasHow := strings.Cut(rest, ".")
	if !slices.Contains(closers, by) || hasHow && !slices.Contains(manners, how) {
		return Value{}, false
	}
	if run.Packets == nil {
		return Value{Why: noPackets}, true
	}
	if n := run.Packets.Overwritten; n > 0 {
		return Value{Why: fmt.Sprintf("the connections of the first %d packets are not known, which the record has no room for: raise network.record.packets", n)}, true
	}
	var n uint64
	for _, c := range run.Packets.Closed {
		if c.Opened == "client" && c.By == by && (!hasHow || c.How == how) {
			n += c.Count
		}
	}
	return count(n), true
}

// budgets are the parts of Packets that count something limited.
var budgets = []string{"nat_ports", "flows"}

// packetsPath finds what was in use of something limited: packets.<budget>.<name>.
func packetsPath(run *results.Run, rest string) (Value, bool) {
	which, name, _ := strings.Cut(rest, ".")
	if !slices.Contains(budgets, which) {
		return Value{}, false
	}
	var packets results.Packets
	if run.Packets != nil {
		packets = *run.Packets
	}
	b := packets.NATPorts
	if which == "flows" {
		b = packets.Flows
	}
	v, found := field(reflect.ValueOf(b), name)
	if name == "first" {
		v.Unit = results.UnitSeconds
		if b.Dropped == 0 {
			v.Why = "nothing was dropped: there was always one left"
		}
	}
	if run.Packets == nil {
		v.Why = noPackets
	}
	return v, found
}

const noPackets = "packets are seen in a private network only: the profile has none"
