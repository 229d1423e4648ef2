package software

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// counted is how many segments with FIN and with RST a capture has.
type counted struct{ FINs, RSTs int }

// referee compares how many FINs and RSTs tcpdump, tshark and kabench count in a capture
// and returns the number.
func referee(t *testing.T, kabench, file string) (ours counted) {
	t.Helper()
	tcpdump, tshark := program(t, "tcpdump", "tcpdump"), program(t, "tshark", "tshark")
	out, err := exec.Command(kabench, "autopsy", "--json", file).Output()
	if err != nil {
		t.Errorf("%s: %v", file, err)
		return counted{}
	}
	if err := json.Unmarshal(out, &ours); err != nil {
		t.Fatal(err)
	}
	var shark counted
	for line := range strings.Lines(lines(t, tshark, "-nr", file, "-Y", "tcp.flags.fin == 1 || tcp.flags.reset == 1", "-T", "fields", "-e", "tcp.flags.fin", "-e", "tcp.flags.reset")) {
		fin, rst, _ := strings.Cut(strings.TrimSpace(line), "\t")
		shark.FINs += set(fin)
		shark.RSTs += set(rst)
	}
	for name, theirs := range map[string]counted{
		"tcpdump": {
			strings.Count(lines(t, tcpdump, "-nr", file, "tcp[tcpflags] & tcp-fin != 0"), "\n"),
			strings.Count(lines(t, tcpdump, "-nr", file, "tcp[tcpflags] & tcp-rst != 0"), "\n"),
		},
		"tshark": shark,
	} {
		if theirs != ours {
			t.Errorf("%s: %s counts %+v, kabench %+v", file, name, theirs, ours)
		}
	}
	return ours
}

// referees compares the counts in the captures of a reproduction.
func referees(t *testing.T, kabench, dir string) (files int, sum counted) {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, ownResults, "*", "packets.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		list = []string{filepath.Join(dir, onLoopback), filepath.Join(dir, onAny)}
	}
	for _, file := range list {
		n := referee(t, kabench, file)
		sum.FINs, sum.RSTs = sum.FINs+n.FINs, sum.RSTs+n.RSTs
	}
	return len(list), sum
}

// set is 1 for a flag of a segment that is set. tshark has written flags in two ways.
func set(flag string) int {
	if flag == "1" || flag == "True" {
		return 1
	}
	return 0
}

// lines returns the lines that a program prints.
func lines(t *testing.T, name string, args ...string) string {
	t.Helper()
	c := exec.Command(name, args...)
	c.WaitDelay = time.Minute
	var says bytes.Buffer
	c.Stderr = &says
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, &says)
	}
	return string(out)
}
