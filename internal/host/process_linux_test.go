package host

import (
	"os"
	"runtime/debug"
	"strings"
	"testing"
)

func TestFacts(t *testing.T) {
	f := ReadFacts()
	if f.Kernel == "" || f.OpenFiles == 0 {
		t.Errorf("facts are missing: %+v", f)
	}
	for name, value := range f.Sysctls {
		if strings.ContainsAny(value, "\t\n") {
			t.Errorf("%s = %q is not on one line", name, value)
		}
	}
	if _, ok := f.Sysctls["net.ipv4.ip_local_port_range"]; !ok {
		t.Errorf("no port range among %v", f.Sysctls)
	}
	p, err := Ports()
	if err != nil {
		t.Fatal(err)
	}
	if n := p.Available(); n < 1 || n > 1<<16 {
		t.Errorf("%d ports available of %+v", n, p)
	}
}

func TestOpenFilesFollowsOpening(t *testing.T) {
	before, err := OpenFiles()
	if err != nil {
		t.Fatal(err)
	}
	const more = 20
	for range more {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	after, err := OpenFiles()
	if err != nil {
		t.Fatal(err)
	}
	if after != before+more {
		t.Errorf("%d open files, then %d more: %d", before, more, after)
	}
}

func TestProcessUsage(t *testing.T) {
	before, err := CPUTime()
	if err != nil {
		t.Fatal(err)
	}
	for after := before; after <= before; { // ends only if it grows
		if after, err = CPUTime(); err != nil {
			t.Fatal(err)
		}
	}
	memory := make([]byte, 64<<20)
	for i := 0; i < len(memory); i += 4096 {
		memory[i] = 1
	}
	peak, err := PeakRSS()
	if err != nil {
		t.Fatal(err)
	}
	if peak < uint64(len(memory)) {
		t.Errorf("peak of %d bytes with %d in use", peak, len(memory))
	}
	size := uint64(len(memory))
	memory = nil
	debug.FreeOSMemory()
	if err := ResetPeakRSS(); err != nil {
		t.Skip(err) // a kernel without CONFIG_PROC_PAGE_MONITOR
	}
	if now, err := PeakRSS(); err != nil || now > peak-size/2 {
		t.Errorf("peak of %d bytes, %v, after %d of %d were given back and the peak reset", now, err, size, peak)
	}
}

func TestParseHighWater(t *testing.T) {
	for in, want := range map[string]uint64{
		"VmPeak:\t    9 kB\nVmHWM:\t   12345 kB\nVmRSS:\t 1 kB\n": 12345 << 10,
		"VmHWM: 0 kB":                       0,
		"VmHWM:\t7 MB\n":                    1,
		"VmHWM:\t\n":                        1,
		"VmHWM:\t-7 kB\n":                   1,
		"Name:\tVmHWM: 7 kB\n":              1,
		"":                                  1,
		"VmHWM:\t99999999999999999999 kB\n": 1,
	} {
		got, err := parseHighWater([]byte(in))
		if want == 1 { // no number of kB is 1 byte: stands for an error here
			if err == nil {
				t.Errorf("%q: no error, %d", in, got)
			}
		} else if err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", in, got, err, want)
		}
	}
}

func FuzzParseHighWater(f *testing.F) {
	f.Add([]byte("VmHWM:\t   12345 kB\n"))
	f.Add([]byte("VmHWM: kB\nVmHWM"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = parseHighWater(b) // must not panic
	})
}
