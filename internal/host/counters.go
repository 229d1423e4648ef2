package host

import (
	"bytes"
	"fmt"
	"strconv"
)

// Counters are the kernel's network counters. A key is group and name, as nstat(8)
// prints them: "TcpExtTCPAbortOnData", "TcpOutRsts". Counters never decrease.
type Counters map[string]uint64

// add adds the counters in the text of /proc/net/netstat or /proc/net/snmp. The text has
// pairs of lines that begin with the group: a line of names, then a line of values
// (net/ipv4/proc.c). It leaves out limits, which may be negative.
func (c Counters) add(text []byte) error {
	var names []byte
	for line := range bytes.Lines(text) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if names == nil {
			names = line
			continue
		}
		if err := c.addPair(names, line); err != nil {
			return err
		}
		names = nil
	}
	if names != nil {
		return fmt.Errorf("the names %.40q have no values", names)
	}
	return nil
}

func (c Counters) addPair(names, values []byte) error {
	group, names, found := bytes.Cut(names, []byte(":"))
	again, values, foundAgain := bytes.Cut(values, []byte(":"))
	if !found || !foundAgain || !bytes.Equal(group, again) {
		return fmt.Errorf("a line of %.20q follows one of %.20q", again, group)
	}
	keys, numbers := bytes.Fields(names), bytes.Fields(values)
	if len(keys) != len(numbers) {
		return fmt.Errorf("%.20q has %d names and %d values", group, len(keys), len(numbers))
	}
	for i, key := range keys {
		text := string(numbers[i])
		n, err := strconv.ParseUint(text, 10, 64)
		if err == nil {
			c[string(group)+string(key)] = n
		} else if _, err := strconv.ParseInt(text, 10, 64); err != nil {
			return fmt.Errorf("%.20q: %.40q is %.40q, not a number", group, key, text)
		}
	}
	return nil
}
