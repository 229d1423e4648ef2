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

// TestReferees compares how many FINs and RSTs tcpdump, tshark and kabench count in captures
// of kabench's own incidents: as tcpdump wrote them on two kinds of links, as kabench
// wrote them, with short packets, and compressed.
func TestReferees(t *testing.T) {
	tcpdump := needCaptures(t)
	tshark := program(t, "tshark", "tshark")
	kabench := built(t)
	dir := t.TempDir()
	loopback := reproduction{name: "idle-race", sets: []string{"load.duration=3s", "remedies=null"}, seed: 1}
	private := reproduction{name: "lb-rst-unknown-flow", sets: []string{"load.duration=5s", "remedies=null"}, seed: 1}
	failed := make(chan error)
	for _, r := range []reproduction{loopback, private} {
		go func() { failed <- r.made(kabench, tcpdump, dir) }()
	}
	for range 2 {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	lo, any := filepath.Join(dir, loopback.dir(), onLoopback), filepath.Join(dir, loopback.dir(), onAny)
	own := filepath.Join(dir, private.dir(), ownResults, "incident", "packets.pcapng")
	short := filepath.Join(dir, "short.pcap")
	writeFrames(t, short, cutTo(readFrames(t, lo), 96))
	for _, file := range []string{lo, any, short, own} {
		of := map[string]counted{
			"tcpdump": {lines(t, tcpdump, "-nr", file, "tcp[tcpflags] & tcp-fin != 0"), lines(t, tcpdump, "-nr", file, "tcp[tcpflags] & tcp-rst != 0")},
			"tshark":  {lines(t, tshark, "-nr", file, "-Y", "tcp.flags.fin == 1"), lines(t, tshark, "-nr", file, "-Y", "tcp.flags.reset == 1")},
		}
		var ours counted
		out, err := exec.Command(kabench, "autopsy", "--json", file).Output()
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out, &ours); err != nil {
			t.Fatal(err)
		}
		for name, theirs := range of {
			if theirs != ours || ours.FINs == 0 || ours.RSTs == 0 {
				t.Errorf("%s: %s counts %+v, kabench %+v", filepath.Base(file), name, theirs, ours)
			}
		}
		t.Logf("%s: %+v", filepath.Base(file), ours)
	}
}

// lines counts the lines that a program prints.
func lines(t *testing.T, name string, args ...string) int {
	t.Helper()
	c := exec.Command(name, args...)
	c.WaitDelay = time.Minute
	var says bytes.Buffer
	c.Stderr = &says
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, &says)
	}
	return bytes.Count(out, []byte("\n"))
}
