package trace

import (
	"bytes"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// jsonTimes are the usual names of a request's time in JSON lines; the first that the first
// line has is taken.
var jsonTimes = []string{"time", "timestamp", "ts", "@timestamp", "msec", "time_iso8601", "time_local", "start_time", "date"}

// jsonHosts and jsonPaths are the usual names of the host and of the path or URL.
var (
	jsonHosts = []string{"host", "http_host", "authority", ":authority", "server_name", "domain", "request.host"}
	jsonPaths = []string{"path", "uri", "url", "request_uri", "target", "request.uri", "request.url", "request.path", "request"}
)

// plain escapes what the library's paths give a meaning to, except dots.
var plain = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "|", `\|`, "#", `\#`, "@", `\@`, "!", `\!`, "{", `\{`, "}", `\}`, "[", `\[`, "]", `\]`, "(", `\(`, ")", `\)`, ":", `\:`, "<", `\<`, ">", `\>`, "=", `\=`, "%", `\%`, "~", `\~`)

// look finds the first of the paths in a line. A name with a dot may be one key.
func look(b []byte, paths ...string) (escaped string, v gjson.Result) {
	for _, p := range paths {
		whole := plain.Replace(p)
		for _, try := range []string{strings.ReplaceAll(whole, ".", `\.`), whole} {
			if v := gjson.GetBytes(b, try); v.Exists() {
				return try, v
			}
		}
	}
	return "", v
}

// found is the path at which the last line had a value.
type found struct{ path string }

// in finds a value where the last line had it, or else at the first of the paths.
func (f *found) in(b []byte, paths []string) (v gjson.Result) {
	if f.path != "" {
		if v = gjson.GetBytes(b, f.path); v.Exists() {
			return v
		}
	}
	f.path, v = look(b, paths...)
	return v
}

// jsonLines reads objects, one on each line. The time is at a path, or at one of the usual
// names: text of any form, or a number of seconds, milliseconds, microseconds or nanoseconds
// since 1970. nginx's own names mean what they mean to nginx: the time is the request's end.
func jsonLines(c *clock, path string, wanted bool) *format {
	f := &format{name: "json", hosts: true, wants: `{"time": "2026-11-28T10:00:00.123Z", ...}, one object on each line, with the time in ` + strings.Join(jsonTimes, ", ") + " or at load.trace.time"}
	names := jsonTimes
	if path != "" {
		names = []string{path}
		f.wants = "one object on each line, with a time at " + path + ", as " + `"2026-11-28T10:00:00.123Z"` + " or a number of seconds since 1970"
	}
	at, nginx := "", false
	var host, target found
	f.read = func(b []byte, e *entry) outcome {
		if b[0] != '{' || !gjson.ValidBytes(b) {
			return wrong
		}
		if at == "" {
			if at, _ = look(b, names...); at == "" {
				return wrong
			}
			nginx = at == "msec" || at == "time_iso8601" || at == "time_local"
		}
		v := gjson.GetBytes(b, at)
		text := v.Raw
		if v.Type == gjson.String {
			text = v.Str
		}
		ok := false
		if e.stamp, ok = c.read([]byte(text)); !ok {
			return wrong
		}
		if nginx {
			if t := gjson.GetBytes(b, "request_time"); t.Exists() {
				e.took, _ = seconds([]byte(t.String()))
			}
		}
		if wanted {
			if v := target.in(b, jsonPaths); v.Type == gjson.String {
				if strings.Contains(v.Str, " ") {
					e.request([]byte(v.Str))
				} else {
					e.target([]byte(v.Str))
				}
			}
			if v := host.in(b, jsonHosts); v.Type == gjson.String {
				e.host = []byte(v.Str)
			}
		}
		return taken
	}
	return f
}

// k6Lasted is the metric whose values are how long requests took; its time is their end.
const k6Lasted = "http_req_duration"

// k6JSON reads the results of k6 run --out json.
func k6JSON(c *clock, wanted bool) *format {
	f := &format{name: "k6", hosts: true, wants: `{"type":"Point","metric":"http_req_duration","data":{"time":...,"value":...}}`}
	f.read = func(b []byte, e *entry) outcome {
		if !bytes.Contains(b, []byte(`"`+k6Lasted+`"`)) {
			if b[0] != '{' {
				return wrong
			}
			return skipped
		}
		if !gjson.ValidBytes(b) {
			return wrong
		}
		// One walk over the line: each path that is asked for would be another.
		kind, metric, data := "", "", gjson.Result{}
		gjson.ParseBytes(b).ForEach(func(key, v gjson.Result) bool {
			switch key.Str {
			case "type":
				kind = v.Str
			case "metric":
				metric = v.Str
			case "data":
				data = v
			}
			return true
		})
		if kind != "Point" || metric != k6Lasted {
			return skipped
		}
		ok := false
		data.ForEach(func(key, v gjson.Result) bool {
			switch key.Str {
			case "time":
				e.stamp, ok = c.read([]byte(v.Str))
			case "value":
				e.took = milliseconds(v.Num)
			case "tags":
				if wanted {
					e.target([]byte(v.Get("url").Str))
				}
			}
			return true
		})
		if !ok {
			return wrong
		}
		return taken
	}
	return f
}

// milliseconds are bounded, because a file may say anything.
func milliseconds(v float64) time.Duration {
	if !(v >= 0 && v < 1e12) {
		return 0
	}
	return time.Duration(v * float64(time.Millisecond))
}

// k6CSV reads the results of k6 run --out csv, whose first line has the names of the columns.
func k6CSV(c *clock, wanted bool) *format {
	f := &format{name: "k6", hosts: true, wants: "metric_name,timestamp,metric_value,..., then http_req_duration,1700000000,12.3,..."}
	url := -1
	f.read = func(b []byte, e *entry) outcome {
		if bytes.HasPrefix(b, []byte("metric_name,")) {
			for i, rest := 0, b; len(rest) > 0; i++ {
				var name []byte
				if name, rest = column(rest); string(name) == "url" {
					url = i
				}
			}
			return skipped
		}
		metric, rest := column(b)
		at, rest := column(rest)
		ok := false
		if e.stamp, ok = c.read(at); !ok {
			return wrong
		}
		if string(metric) != k6Lasted {
			return skipped
		}
		value, rest := column(rest)
		ms, _ := seconds(value)
		e.took = ms / 1000
		if wanted && url > 2 {
			var in []byte
			for i := 3; i <= url; i++ {
				in, rest = column(rest)
			}
			e.target(in)
		}
		return taken
	}
	return f
}

// vegetaJSON reads what vegeta encode --to json writes.
func vegetaJSON(c *clock, wanted bool) *format {
	f := &format{name: "vegeta", hosts: true, wants: `{"attack":"","seq":0,"code":200,"timestamp":"2026-11-28T10:00:00.123456789Z",...}`}
	f.read = func(b []byte, e *entry) outcome {
		if b[0] != '{' || !gjson.ValidBytes(b) {
			return wrong
		}
		ok := false
		if e.stamp, ok = c.read([]byte(gjson.GetBytes(b, "timestamp").Str)); !ok {
			return wrong
		}
		if wanted {
			e.target([]byte(gjson.GetBytes(b, "url").Str))
		}
		return taken
	}
	return f
}

// vegetaURL is the column of the URL in what vegeta encode --to csv writes.
const vegetaURL = 10

// vegetaCSV reads what vegeta encode --to csv writes. Its first column is the time in
// nanoseconds since 1970.
func vegetaCSV(c *clock, wanted bool) *format {
	f := &format{name: "vegeta", hosts: true, wants: "1700000000123456789,200,1234567,...: nanoseconds since 1970, the status, the latency"}
	f.read = func(b []byte, e *entry) outcome {
		at, rest := column(b)
		ok := false
		if e.stamp, ok = epoch(at); !ok || e.digits < 9 {
			return wrong
		}
		if wanted {
			var in []byte
			for range vegetaURL {
				in, rest = column(rest)
			}
			e.target(in)
		}
		return taken
	}
	return f
}

// requestsHead begins the file that kabench autopsy --requests writes.
const requestsHead = "# kabench.requests/v1"

// requests reads that file: the first column is the time since the first request, in seconds.
func requests() *format {
	f := &format{name: "requests", since: true, wants: "sent,client,..., then 0.000000,1,...: seconds since the first request"}
	f.read = func(b []byte, e *entry) outcome {
		at, _ := column(b)
		if string(at) == "sent" {
			return skipped
		}
		d, ok := since(at)
		if !ok {
			return wrong
		}
		e.stamp = d
		return taken
	}
	return f
}

// since reads a number of seconds with a fraction, exactly.
func since(b []byte) (s stamp, ok bool) {
	whole, fraction, _ := bytes.Cut(b, []byte("."))
	if len(whole) == 0 || len(whole) > 9 || len(fraction) > 9 {
		return s, false
	}
	n := number(whole, len(whole))
	if n < 0 {
		return s, false
	}
	s.at, s.digits = int64(n)*int64(time.Second), len(fraction)
	scale := int64(100_000_000)
	for _, c := range fraction {
		if !digit(c) {
			return s, false
		}
		s.at += int64(c-'0') * scale
		scale /= 10
	}
	return s, true
}
