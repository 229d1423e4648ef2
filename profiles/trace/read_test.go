package trace

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/kabench/kabench/generator"
)

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// access is a line of the combined format.
func access(at string) string {
	return `10.0.0.1 - - [` + at + `] "GET /a?token=HIDDEN HTTP/1.1" 200 1 "-" "-"` + "\n"
}

func TestLogsThatAreRefused(t *testing.T) {
	good := access("28/Nov/2026:10:00:00 +0000")
	for _, tc := range []struct {
		name string
		of   generator.Trace
		log  string
		want string
	}{
		{"empty", generator.Trace{}, "", "is empty"},
		{"blank", generator.Trace{}, "\n\n# comment\n", "line 1 has none of the formats common, "},
		{"one line", generator.Trace{}, good, "has one request, which has no rate"},
		{"one moment", generator.Trace{}, strings.Repeat(`{"ts":1700000000.123}`+"\n", 3), "has all its requests at one moment"},
		{"another format", generator.Trace{}, "hello token=HIDDEN you\n", "line 1 has none of the formats common, haproxy, envoy, alb, json, k6, vegeta, requests; name one in load.trace.format, or give nginx's log_format there; the line begins with \"hello token=(blanked)\""},
		{"binary", generator.Trace{}, "\x7fELF\x02\x00\x00", "the line begins with binary data"},
		{"a line of another format", generator.Trace{}, good + "GET /a?password=HIDDEN\n" + good, "line 2 is not of the format common, which has lines such as ADDRESS - USER [28/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 ...; it begins with \"GET /a?\""},
		{"another format than the one named", generator.Trace{Format: "alb"}, good, "line 1 is not of the format alb, which has lines such as http 2026"},
		{"k6 that is not", generator.Trace{Format: "k6"}, good, "line 1 is not of the format k6, "},
		{"no such month", generator.Trace{Format: "common"}, access("28/Nob/2026:10:00:00 +0000"), "line 1 is not of the format common"},
		{"no such day", generator.Trace{Format: "common"}, access("31/Nov/2026:10:00:00 +0000"), "line 1 is not of the format common"},
		{"no time in the log_format", generator.Trace{Format: "$remote_addr"}, good, "this log_format has no time; it needs $msec, $time_iso8601 or $time_local"},
		{"variables side by side", generator.Trace{Format: "$msec$status"}, good, "two variables side by side, so where $msec ends is not known"},
		{"a dollar", generator.Trace{Format: "$msec $"}, good, "a $ without the name of a variable"},
		{"another log_format", generator.Trace{Format: "$msec $status"}, good, "line 1 is not of the format log_format, which has lines such as $msec $status"},
		{"no JSON", generator.Trace{Format: "json"}, "{\"ts\":\n", "line 1 is not of the format json"},
		{"JSON without a time", generator.Trace{}, `{"a":1}` + "\n", "with the time in time, timestamp, ts, "},
		{"nothing at the path", generator.Trace{Time: "a.b"}, `{"a":1}` + "\n", "line 1 is not of the format json, which has lines such as one object on each line, with a time at a.b"},
		{"out of order", generator.Trace{}, good + access("28/Nov/2026:10:05:00 +0000") + good, "line 3 is 5m0s behind a line before it: the log is out of order by more than 1m0s; sort it, or set load.trace.zone if clocks went back"},
		{"a long line", generator.Trace{}, good + strings.Repeat("x", 2<<20), "line 2 is longer than 1024 kB"},
		{"no such host", generator.Trace{Host: "a", Path: "/b?key=HIDDEN"}, good + good, "has 2 requests, but none with the host a and a path that begins with /b?key=(blanked); the first is at 2026-11-28T10:00:00Z"},
		{"no hosts at all", generator.Trace{Host: "a"}, `1.2.3.4:5 [28/Nov/2026:10:00:00.123] fe be/s 0/0/0/1/1 200 1 - - ---- 1/1/1/1/0 0/0 "GET / HTTP/1.1"` + "\n", "the format haproxy does not have the host: remove load.trace.host"},
		{"past the end", generator.Trace{From: "1h"}, good + good, "none with a time within from and to"},
		{"a moment without dates", generator.Trace{From: "2026-11-28"}, requestsHead + "\nsent\n0.0\n1.0\n", "has no dates, so load.trace.from must be the time since the first request, such as 90m"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := read(tc.of, bufio.NewReaderSize(strings.NewReader(tc.log), 1<<20), most)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "HIDDEN") || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v\nwant %s", err, tc.want)
			}
		})
	}
}

func TestTooManyRequests(t *testing.T) {
	log := ""
	for i := range 100 {
		log += access(began.Add(time.Duration(i) * time.Hour).Format("02/Jan/2006:15:04:05 -0700"))
	}
	_, _, err := read(generator.Trace{}, bufio.NewReader(strings.NewReader(log)), 50)
	want := "there are more than 50 requests up to line 51, which is 50h0m0s after the first; take a part with load.trace.from and load.trace.to, for example from 2026-11-28T09:59:58Z to 2026-11-29T10:59:58Z"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	times, _, err := read(generator.Trace{From: "2026-11-28 12:00", To: "2026-11-28T16:59:58+01:00"}, bufio.NewReader(strings.NewReader(log)), 50)
	if err != nil || times.Count() != 3 {
		t.Errorf("got %v, %v", times, err)
	}
}

// What an hour has twice when clocks go back, and a second that is leapt, keep their order.
func TestClocks(t *testing.T) {
	for _, tc := range []struct {
		name string
		of   generator.Trace
		at   []string
		want []time.Duration // between the lines
	}{
		{"zones", generator.Trace{}, []string{"28/Nov/2026:23:59:59 +0000", "29/Nov/2026:00:00:00 +0000", "29/Nov/2026:09:00:01 +0900"}, []time.Duration{1, 1}},
		{"a leap second", generator.Trace{}, []string{"31/Dec/2016:23:59:59 +0000", "31/Dec/2016:23:59:60 +0000", "01/Jan/2017:00:00:00 +0000"}, []time.Duration{1, 0}},
		{"a leap day", generator.Trace{}, []string{"28/Feb/2028:23:59:59 +0000", "29/Feb/2028:00:00:00 +0000", "01/Mar/2028:00:00:00 +0000"}, []time.Duration{1, 86400}},
		{"forward", generator.Trace{Zone: "Europe/Berlin"}, []string{"2026-03-29 01:59:59", "2026-03-29 03:00:00"}, []time.Duration{1}},
		{"back", generator.Trace{Zone: "Europe/Berlin"}, []string{"2026-10-25 02:00:00", "2026-10-25 02:59:59", "2026-10-25 02:00:00", "2026-10-25 02:59:59", "2026-10-25 03:00:00"}, []time.Duration{3599, 1, 3599, 1}},
		{"without a zone", generator.Trace{}, []string{"2026-10-25 02:00:00", "2026-10-25 03:00:00"}, []time.Duration{3600}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			log := ""
			for _, at := range tc.at {
				log += access(at)
			}
			got, _ := times(t, tc.of, log)
			list := stamps(got)
			for i, want := range tc.want {
				if gap := list[i+1] - list[i]; gap != want*time.Second {
					t.Errorf("gap %d is %v, want %v", i, gap, want*time.Second)
				}
			}
		})
	}
}

// Lines are out of order by as long as requests take, up to the window; a request that
// took longer than ten minutes is sent ten minutes before its end.
func TestLinesOutOfOrder(t *testing.T) {
	of := generator.Trace{Format: "$msec $request_time"}
	var lines []string
	for i := range 70_000 { // more than are sorted at once
		end := 1_700_000_000_000 + int64(i)*10
		lines = append(lines, fmt.Sprintf("%d.%03d %.3f", end/1000, end%1000, float64(i%50)))
	}
	for i := 0; i+40 < len(lines); i += 41 {
		lines[i], lines[i+40] = lines[i+40], lines[i]
	}
	got, notes := times(t, of, strings.Join(lines, "\n"))
	if list := stamps(got); !slices.IsSorted(list) || len(list) != len(lines) {
		t.Errorf("%d of %d times, in order: %v", len(list), len(lines), slices.IsSorted(list))
	}
	if len(notes) != 0 {
		t.Errorf("notes: %v", notes)
	}
	lines = append(lines[:20:20], "1700000003.000 5000")
	if got, notes = times(t, of, strings.Join(lines, "\n")); got.Count() != 21 || len(notes) != 1 || !strings.Contains(notes[0], "has requests that took longer than 10m0s (1); ") {
		t.Errorf("%d requests, notes: %v", got.Count(), notes)
	}
}

// A file is read as it is, compressed, and while it is being written. The second time it is
// not read again, unless it has changed.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	log := ""
	for i := range 10 {
		log += access(began.Add(time.Duration(i) * time.Second).Format("02/Jan/2006:15:04:05 -0700"))
	}
	log += "10.0.0.1 - - [28/No"
	path := filepath.Join(dir, "access.log.gz")
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(log))
	z.Close()
	write(t, path, b.Bytes())
	of := generator.Trace{File: path}
	got, notes, err := Read(of)
	if err != nil || got.Count() != 10 || len(notes) != 2 {
		t.Fatalf("%v, %v, %v", got, notes, err)
	}
	if !strings.HasPrefix(notes[0], path+" has times in whole seconds") || !strings.HasSuffix(notes[1], "ends with half a line (line 11), which is left out") {
		t.Errorf("notes: %v", notes)
	}
	if again, _, err := Read(of); again != got || err != nil {
		t.Errorf("read again: %v", err)
	}
	if part, _, err := Read(generator.Trace{File: path, From: "2s", To: "5s"}); err != nil || part.Count() != 3 {
		t.Errorf("%v, %v", part, err)
	}
	write(t, path, []byte(log[:len(log)/2]))
	if again, _, err := Read(of); again == got || err != nil {
		t.Errorf("it has changed: %v", err)
	}
	for file, want := range map[string]string{dir: "is a directory", filepath.Join(dir, "none"): "no such file"} {
		if _, _, err := Read(generator.Trace{File: file}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// A reader of any format takes a line or refuses it, whatever is in it.
func FuzzRead(f *testing.F) {
	for i, k := range kinds {
		f.Add(uint8(i), k.head+k.line(1, began, 0)+"\n"+k.line(2, began.Add(time.Second), time.Millisecond)+"\n")
	}
	f.Fuzz(func(t *testing.T, kind uint8, log string) {
		of := kinds[int(kind)%len(kinds)].of
		for _, of := range []generator.Trace{of, {}, {Format: generator.TraceFormats()[int(kind)%8], Path: "/"}} {
			got, _, err := read(of, bufio.NewReaderSize(strings.NewReader(log), 1<<12), 100)
			if err != nil {
				if got != nil || strings.Contains(err.Error(), "\n") {
					t.Fatalf("%q", err)
				}
				continue
			}
			if list := stamps(got); !slices.IsSorted(list) || len(list) != got.Count() || list[0] != 0 {
				t.Fatal("the times are not in order")
			}
		}
	})
}

// BenchmarkRead reads 100 MB of each common format.
func BenchmarkRead(b *testing.B) {
	for _, name := range []string{"combined", "haproxy", "envoy", "alb", "log_format", "json", "k6 json"} {
		k := kinds[slices.IndexFunc(kinds, func(k struct {
			name  string
			of    generator.Trace
			grain time.Duration
			head  string
			line  line
		}) bool {
			return k.name == name
		})]
		b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			var log bytes.Buffer
			lines := 0
			for at := began; log.Len() < 100e6; at = at.Add(3 * time.Millisecond) {
				log.WriteString(k.line(lines, at, time.Duration(lines%7)*30*time.Millisecond) + "\n")
				lines++
			}
			b.SetBytes(int64(log.Len()))
			b.ReportAllocs()
			for b.Loop() {
				got, _, err := read(k.of, bufio.NewReaderSize(bytes.NewReader(log.Bytes()), 1<<20), most)
				if err != nil || got.Count() != lines {
					b.Fatal(got, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(lines), "ns/line")
		})
	}
}
