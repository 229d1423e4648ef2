package host

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"unicode"
)

const snmp = "Ip: Forwarding DefaultTTL\nIp: 1 64\n" +
	"Tcp: RtoAlgorithm MaxConn ActiveOpens OutRsts\nTcp: 1 -1 933844 18446744073709551615\n"

func TestCounters(t *testing.T) {
	c := Counters{"TcpExtTW": 3}
	if err := c.add([]byte(snmp)); err != nil {
		t.Fatal(err)
	}
	want := Counters{"IpForwarding": 1, "IpDefaultTTL": 64, "TcpRtoAlgorithm": 1, "TcpActiveOpens": 933844, "TcpOutRsts": 1<<64 - 1, "TcpExtTW": 3}
	if !maps.Equal(c, want) {
		t.Errorf("got %v, want %v", c, want)
	}
}

func TestCountersRefused(t *testing.T) {
	for text, want := range map[string]string{
		"Tcp: A B\n":                          "have no values",
		"Tcp: A B\nTcp: 1\n":                  "2 names and 1 values",
		"Tcp: A\nTcpExt: 1\n":                 `a line of "TcpExt" follows one of "Tcp"`,
		"Tcp: A\nTcp: many\n":                 `"A" is "many", not a number`,
		"A\n1\n":                              "follows one of",
		"Tcp: A\nTcp: 99999999999999999999\n": "not a number",
	} {
		if err := (Counters{}).add([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", text, err, want)
		}
	}
}

func FuzzCounters(f *testing.F) {
	f.Add([]byte(snmp))
	f.Add([]byte("TcpExt: TW\nTcpExt: 7\n"))
	f.Add([]byte("Tcp:\nTcp:\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c := Counters{}
		if c.add(text) != nil {
			return
		}
		var names, values strings.Builder
		for key, n := range c {
			if strings.ContainsFunc(key, unicode.IsSpace) {
				return // of a group that the kernel would not name so
			}
			fmt.Fprintf(&names, " %s", key)
			fmt.Fprintf(&values, " %d", n)
		}
		again := Counters{}
		if err := again.add([]byte(":" + names.String() + "\n:" + values.String() + "\n")); err != nil || !maps.Equal(c, again) {
			t.Errorf("%q: %v, and written out and read again %v (%v)", text, c, again, err)
		}
	})
}
