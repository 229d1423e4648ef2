package trace

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/kabench/kabench/generator"
)

// began is when the logs of the tests begin.
var began = time.Date(2026, 11, 28, 9, 59, 58, 0, time.UTC)

// due makes times of requests with bursts, in order, to the microsecond.
func due(n int) []time.Duration {
	rng := rand.New(rand.NewPCG(1, 2))
	list := make([]time.Duration, n)
	for i := range list {
		if i > 0 {
			gap := rng.ExpFloat64() * float64(20*time.Millisecond)
			if i%10 > 3 {
				gap /= 50
			}
			list[i] = list[i-1] + time.Duration(gap).Round(time.Microsecond)
		}
	}
	return list
}

// line writes a request: its number, when it began, and how long it took.
type line func(i int, at time.Time, took time.Duration) string

// kinds are the formats, each with its resolution and with what the times are rounded to.
var kinds = []struct {
	name  string
	of    generator.Trace
	grain time.Duration
	head  string
	line  line
}{
	{"combined", generator.Trace{}, time.Second, "", func(i int, at time.Time, _ time.Duration) string {
		return fmt.Sprintf(`203.0.113.%d - joe user [%s] "GET /a/%d?token=S HTTP/1.1" 200 12 "-" "Mozilla [x]"`, i%9, at.Format("02/Jan/2006:15:04:05 -0700"), i)
	}},
	{"vhost_combined", generator.Trace{Host: "shop.example", Path: "/a"}, time.Second, "", func(i int, at time.Time, _ time.Duration) string {
		return fmt.Sprintf(`shop.example:443 203.0.113.%d - - [%s] "GET /a HTTP/1.1" 200 12`, i%9, at.Format("02/Jan/2006:15:04:05 -0700"))
	}},
	{"common with msec in brackets", generator.Trace{}, time.Millisecond, "", func(i int, at time.Time, _ time.Duration) string {
		return fmt.Sprintf(`::1 - - [%d.%03d] "GET / HTTP/2.0" 200 12`, at.Unix(), at.Nanosecond()/1e6)
	}},
	{"common with time_iso8601", generator.Trace{}, time.Second, "", func(i int, at time.Time, _ time.Duration) string {
		return fmt.Sprintf(`10.0.0.1 - - [%s] "\x16\x03" 400 12`, at.Format("2006-01-02T15:04:05-07:00"))
	}},
	{"log_format", generator.Trace{Format: `$remote_addr [$time_local] $msec ${host} "$request" $status $request_time`, Host: "h", Path: "/a"}, time.Millisecond, "", func(i int, at time.Time, took time.Duration) string {
		end := at.Truncate(time.Millisecond).Add(took)
		return fmt.Sprintf(`10.0.0.1 [%s] %d.%03d h "GET /a/b HTTP/1.1" 200 %.3f`, end.Format("02/Jan/2006:15:04:05 -0700"), end.Unix(), end.Nanosecond()/1e6, took.Seconds())
	}},
	{"haproxy", generator.Trace{Path: "/a"}, time.Millisecond, "", func(i int, at time.Time, _ time.Duration) string {
		return fmt.Sprintf(`Nov 28 10:00:00 lb haproxy[14389]: 10.0.1.2:%d [%s] fe bk/s%d 0/0/1/5/6 200 750 - - ---- 1/1/1/1/0 0/0 {a|b} "GET /a HTTP/1.1"`, 1024+i, at.Format("02/Jan/2006:15:04:05.000"), i%3)
	}},
	{"envoy", generator.Trace{Host: "shop.example", Path: "/a"}, time.Millisecond, "", func(i int, at time.Time, _ time.Duration) string {
		return fmt.Sprintf(`[%s] "POST /a/v1 HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "nsq2http" "cc21d9b0-cf5c" "shop.example" "tcp://10.0.2.1:80"`, at.Format("2006-01-02T15:04:05.000Z"))
	}},
	{"alb", generator.Trace{Host: "www.example.com"}, time.Microsecond, "", func(i int, at time.Time, took time.Duration) string {
		return fmt.Sprintf(`https %s app/lb/50dc 192.168.131.39:2817 10.0.0.1:80 0.000 0.001 0.000 200 200 34 366 "GET https://www.example.com:443/a HTTP/1.1" "curl \"x\" 7" ECDHE TLSv1.2 arn:aws "Root=1-5" "www.example.com" "arn:cert" 0 %s "forward" "-" "-" "10.0.0.1:80" "200" "-" "-"`,
			at.Add(took).Format("2006-01-02T15:04:05.000000Z"), at.Format("2006-01-02T15:04:05.000000Z"))
	}},
	{"json", generator.Trace{Host: "shop.example", Path: "/a"}, time.Microsecond, "", func(i int, at time.Time, _ time.Duration) string {
		return fmt.Sprintf(`{"level":"info","ts":%d.%06d,"request":{"host":"shop.example:8443","uri":"/a?x=%d"}}`, at.Unix(), at.Nanosecond()/1e3, i)
	}},
	{"json at a path", generator.Trace{Time: "request.start"}, time.Nanosecond, "", func(i int, at time.Time, _ time.Duration) string {
		return fmt.Sprintf(`{"time":"never","request":{"start":%d}}`, at.UnixNano())
	}},
	{"json with a dotted key", generator.Trace{Format: "json", Time: "event.start"}, time.Millisecond, "", func(i int, at time.Time, _ time.Duration) string {
		return fmt.Sprintf(`{"event.start":%d}`, at.UnixMilli())
	}},
	{"json with @timestamp", generator.Trace{}, time.Microsecond, "", func(i int, at time.Time, _ time.Duration) string {
		return fmt.Sprintf(`{"@timestamp":"%s"}`, at.In(time.FixedZone("", 9*3600)).Format("2006-01-02T15:04:05.000000-07:00"))
	}},
	{"json of nginx", generator.Trace{}, time.Millisecond, "", func(i int, at time.Time, took time.Duration) string {
		end := at.Truncate(time.Millisecond).Add(took)
		return fmt.Sprintf(`{"msec":"%d.%03d","request_time":"%.3f","request":"GET / HTTP/1.1"}`, end.Unix(), end.Nanosecond()/1e6, took.Seconds())
	}},
	{"k6 csv", generator.Trace{Path: "/a"}, time.Second, "metric_name,timestamp,metric_value,check,error,url,extra_tags\n", func(i int, at time.Time, _ time.Duration) string {
		return fmt.Sprintf("http_reqs,%d,1,,,http://h/a,\nhttp_req_duration,%d,0.25,,\"a, b\",http://h/a,", at.Unix(), at.Unix())
	}},
	{"k6 json", generator.Trace{Host: "h"}, time.Nanosecond, `{"type":"Metric","data":{"name":"http_reqs"},"metric":"http_reqs"}` + "\n", func(i int, at time.Time, took time.Duration) string {
		return fmt.Sprintf(`{"metric":"http_req_duration","type":"Point","data":{"time":"%s","value":%v,"tags":{"url":"http://h/a"}}}`, at.Add(took).Format(time.RFC3339Nano), took.Seconds()*1000)
	}},
	{"vegeta csv", generator.Trace{Host: "h"}, time.Nanosecond, "", func(i int, at time.Time, _ time.Duration) string {
		return fmt.Sprintf("%d,200,123456,0,2,,%s,name,%d,GET,http://h/a,", at.UnixNano(), base64.StdEncoding.EncodeToString([]byte("ok")), i)
	}},
	{"vegeta json", generator.Trace{Path: "/a"}, time.Nanosecond, "", func(i int, at time.Time, _ time.Duration) string {
		return fmt.Sprintf(`{"attack":"","seq":%d,"code":200,"timestamp":"%s","latency":123,"bytes_out":0,"bytes_in":0,"error":"","body":null,"method":"GET","url":"http://h/a","headers":null}`, i, at.Format(time.RFC3339Nano))
	}},
	{"requests", generator.Trace{}, time.Microsecond, requestsHead + ": times of the requests of a capture, in seconds\nsent,client,connection,nth,idle,took,status,met\n", func(i int, at time.Time, _ time.Duration) string {
		return strconv.FormatFloat(at.Sub(began).Seconds(), 'f', 6, 64) + ",1,1,1,,0.001,200,"
	}},
}

// times reads a log.
func times(t *testing.T, of generator.Trace, log string) (*generator.Times, []string) {
	t.Helper()
	got, notes, err := read(of, bufio.NewReaderSize(strings.NewReader(log), 1<<20), most)
	if err != nil {
		t.Fatal(err)
	}
	return got, notes
}

// stamps are all stamps of a log.
func stamps(t *generator.Times) (list []time.Duration) {
	for at := range t.Stamps(1 << 62) {
		list = append(list, time.Duration(at))
	}
	return list
}

// A log of known times, written in each format, gives these times again, to the resolution of
// the format. Lines are written when requests end, so they are not in the order of the times.
func TestEveryFormatGivesItsTimesBack(t *testing.T) {
	const n = 2000
	at := due(n)
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			type ended struct {
				text string
				at   time.Duration
			}
			var lines []ended
			var want []time.Duration
			first := began.Truncate(k.grain)
			for i, d := range at {
				took := time.Duration(i%7) * 30 * time.Millisecond
				moment := began.Add(d).Add(time.Duration(i % 3)).Truncate(min(k.grain, time.Microsecond))
				want = append(want, moment.Truncate(k.grain).Sub(first))
				lines = append(lines, ended{k.line(i, moment, took), d + took})
			}
			slices.SortStableFunc(lines, func(a, b ended) int { return int(a.at - b.at) })
			var log strings.Builder
			log.WriteString(k.head)
			for _, l := range lines {
				log.WriteString(l.text + "\n")
			}
			slices.Sort(want)
			got, _ := times(t, k.of, log.String())
			if list := stamps(got); !near(list, want, k.grain) {
				t.Errorf("got %d times, %v, ...; want %d, %v, ...", len(list), list[:3], len(want), want[:3])
			}
			if got.Grain() != k.grain || got.Spread() != (k.grain == time.Second) {
				t.Errorf("the resolution is %v, want %v", got.Grain(), k.grain)
			}
			begin, dated := got.Begin()
			if dated == (k.name == "requests") || dated && !begin.Equal(first) {
				t.Errorf("it begins at %v (%v), want %v", begin, dated, first)
			}
		})
	}
}

// near reports whether times are the same; to the nanosecond, unless a duration in
// milliseconds with a fraction was subtracted.
func near(got, want []time.Duration, grain time.Duration) bool {
	return slices.EqualFunc(got, want, func(a, b time.Duration) bool { return a == b || grain == 1 && (a-b).Abs() <= 1 })
}

// What vegeta's own encoders write is recognised and read.
func TestVegetaResults(t *testing.T) {
	want := due(300)
	for name, encoder := range map[string]func(io.Writer) vegeta.Encoder{"binary": vegeta.NewEncoder, "csv": vegeta.NewCSVEncoder, "json": vegeta.NewJSONEncoder} {
		for _, format := range []string{"", "vegeta"} {
			var b bytes.Buffer
			encode := encoder(&b)
			for i, d := range want {
				if err := encode.Encode(&vegeta.Result{Seq: uint64(i), Timestamp: began.Add(d), Method: "GET", URL: "http://h/a", Code: 200, Body: []byte("a,b"), Headers: http.Header{"A": {"b"}}}); err != nil {
					t.Fatal(err)
				}
			}
			got, _ := times(t, generator.Trace{Format: format, Host: "h", Path: "/a"}, b.String())
			if list := stamps(got); !slices.Equal(list, want) {
				t.Errorf("%s: got %d times, want %d", name, len(list), len(want))
			}
		}
	}
}

// What is sent to agents is due there at the same times.
func TestPackedTimesAreDueAtTheSameTimes(t *testing.T) {
	for _, k := range []int{0, 7, 8} {
		var lines []string
		for i, d := range due(3000) {
			lines = append(lines, kinds[k].line(i, began.Add(d), 0))
		}
		log := strings.Join(lines, "\n")
		of := kinds[k].of
		of.Speed = 1.5
		l := generator.Load{Trace: of, Seed: 5, Duration: 4 * time.Second}
		l.Times, _ = times(t, of, log)
		data, err := Packed(l)
		if err != nil {
			t.Fatal(err)
		}
		other := l
		other.Trace = generator.Trace{File: "requests.gz", Format: "requests", Speed: 1.5}
		dir := t.TempDir()
		other.Trace.File = dir + "/requests.gz"
		write(t, other.Trace.File, data)
		if other.Times, _, err = Read(other.Trace); err != nil {
			t.Fatal(err)
		}
		l.Trace.File = "log"
		a, b := schedule(t, l), schedule(t, other)
		if !slices.Equal(a, b) || len(a) < 100 {
			t.Errorf("%s: %d and %d due times", kinds[k].name, len(a), len(b))
		}
	}
}

func schedule(t *testing.T, l generator.Load) []time.Duration {
	t.Helper()
	l.MaxInFlight = 1
	s, err := l.Schedule()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(s)
}
