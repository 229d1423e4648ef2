package watching

import (
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/evidence/segments"
)

func TestConditions(t *testing.T) {
	for line, says := range map[string]string{
		"failures > 0": "", "failures>0": "", "ports.left < 1000": "", "pool.pending = 3": "", "closes.server 5..9": "",
		"failure > 0": "did you mean failures?", "xyz > 0": "there are closes", "failures": "want", "failures > 5ms": "without a unit", "failures > 1%": "without a unit",
		"failures > closes": "neither a number", "failures > counts.failed": "no other figure", "": "not a path", "> 0": "not a path", "failures > x y": "",
	} {
		_, err := parseCondition(line)
		switch {
		case says == "" && err != nil && line != "failures > x y":
			t.Errorf("%q: %v", line, err)
		case says == "" && line == "failures > x y" && err == nil, says != "" && err == nil:
			t.Errorf("%q is a condition", line)
		case says != "" && says != "want" && !strings.Contains(err.Error(), says):
			t.Errorf("%q: %v, want %q", line, err, says)
		}
	}
	c, err := parseCondition("failures >= 2")
	if err != nil {
		t.Fatal(err)
	}
	if c.holds(map[string]float64{"failures": 1}) || !c.holds(map[string]float64{"failures": 2}) || c.holds(nil) {
		t.Error("failures >= 2 holds for 1 or for what is not known, or not for 2")
	}
	c.again(map[string]float64{"failures": 2})
	if c.holds(map[string]float64{"failures": 3}) || !c.holds(map[string]float64{"failures": 4}) {
		t.Error("the count does not begin again")
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"1GB": 1e9, "1.5 GB": 15e8, "500MiB": 500 << 20, "2000000": 2e6, "3gb": 0, "1KB": 0, "": 0, "-1GB": 0, "GB": 0, "1XB": 0, "1e99GB": 0} {
		got, err := parseSize(text)
		if text == "3gb" && err == nil && got == 3e9 {
			continue
		}
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

// Beyond the size that is kept, the oldest results of a condition are removed, and never the
// newest.
func TestRotation(t *testing.T) {
	dir := t.TempDir()
	d := &session{o: &options{limit: 2500}, s: cli.NewStreams(io.Discard, io.Discard)}
	for _, name := range []string{"1", "2", "3", "4"} {
		one := filepath.Join(dir, name)
		size := 1000
		if name == "4" {
			size = 9000
		}
		if err := os.MkdirAll(filepath.Join(one, "sub"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(one, "sub", "file"), make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
		d.old = append(d.old, one)
		d.rotate()
		if name == "3" {
			if _, err := os.Stat(filepath.Join(dir, "1")); !os.IsNotExist(err) || len(d.old) != 2 {
				t.Errorf("after three: %v, %q", err, d.old)
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "4" {
		t.Errorf("%v, %v", entries, err)
	}
}

// The newest headers are kept, in a bounded memory, and without payload.
func TestHeadersAreBounded(t *testing.T) {
	h := &headers{}
	end := netip.MustParseAddrPort("10.0.0.1:80")
	for i := range 3 * maxHeaders {
		h.add(&segments.Segment{At: time.Duration(i) * time.Millisecond, Src: end, Dst: end, Len: 5, Payload: []byte("hello")})
	}
	if h.count() != maxHeaders || len(h.list) > 2*maxHeaders || h.list[h.first].At != 2*maxHeaders*time.Millisecond {
		t.Errorf("%d of %d, from %v", h.count(), len(h.list), h.list[h.first].At)
	}
	for i := h.first; i < len(h.list); i++ {
		if h.list[i].Payload != nil {
			t.Fatal("payload is kept")
		}
	}
	h.last = time.Second
	h.pass(3 * maxHeaders * time.Millisecond)
	if h.count() != 1000 {
		t.Errorf("%d of the last second", h.count())
	}
}
