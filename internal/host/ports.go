package host

import (
	"fmt"
	"strconv"
	"strings"
)

// EphemeralPorts are the ports from which the kernel picks the local port of a
// connection that is not bound to one.
type EphemeralPorts struct {
	First, Last uint16 // net.ipv4.ip_local_port_range, both included; for IPv6 too
	Reserved    int    // how many of them are never picked: net.ipv4.ip_local_reserved_ports
}

// Available returns how many ports the kernel can pick from, for each combination of
// local address, remote address and remote port.
func (p EphemeralPorts) Available() int { return int(p.Last) - int(p.First) + 1 - p.Reserved }

// parseEphemeral reads the two settings as the kernel prints them: "32768\t60999", and
// "8080,9148-9200" or an empty text.
func parseEphemeral(portRange, reserved string) (EphemeralPorts, error) {
	var p EphemeralPorts
	fields := strings.Fields(portRange)
	if len(fields) != 2 {
		return p, fmt.Errorf("port range %q is not two numbers", portRange)
	}
	var err error
	if p.First, p.Last, err = parsePorts(fields[0], fields[1]); err != nil {
		return EphemeralPorts{}, err
	}
	// The kernel prints a sorted list without overlaps; other lists are accepted
	// too.
	var taken [1 << 16]bool
	for item := range strings.SplitSeq(strings.TrimSpace(reserved), ",") {
		if item == "" {
			continue
		}
		low, high, isRange := strings.Cut(item, "-")
		if !isRange {
			high = low
		}
		first, last, err := parsePorts(low, high)
		if err != nil {
			return EphemeralPorts{}, err
		}
		for port := int(max(first, p.First)); port <= int(min(last, p.Last)); port++ {
			if !taken[port] {
				taken[port] = true
				p.Reserved++
			}
		}
	}
	return p, nil
}

func parsePorts(low, high string) (first, last uint16, err error) {
	a, err := strconv.ParseUint(low, 10, 16)
	if err != nil {
		return 0, 0, fmt.Errorf("port %q is not a number up to 65535", low)
	}
	b, err := strconv.ParseUint(high, 10, 16)
	if err != nil {
		return 0, 0, fmt.Errorf("port %q is not a number up to 65535", high)
	}
	if b < a {
		return 0, 0, fmt.Errorf("ports %d-%d run backwards", a, b)
	}
	return uint16(a), uint16(b), nil
}
