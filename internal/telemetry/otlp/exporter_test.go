package otlp

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	metricscollector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracecollector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/telemetry"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/timings"
)

// collector keeps what it is sent.
type collector struct {
	*httptest.Server

	mu      sync.Mutex
	headers http.Header                // guarded by mu; of the newest request
	metrics *metricspb.ResourceMetrics // guarded by mu; the newest
	spans   []*tracepb.Span            // guarded by mu
}

func startCollector(t *testing.T) *collector {
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.headers = r.Header
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			body, _ = gzip.NewReader(r.Body)
		}
		text, err := io.ReadAll(body)
		if err != nil {
			t.Error(err)
		}
		switch r.URL.Path {
		case "/v1/metrics":
			var m metricscollector.ExportMetricsServiceRequest
			if err := proto.Unmarshal(text, &m); err != nil {
				t.Error(err)
			}
			c.metrics = m.ResourceMetrics[0]
		case "/v1/traces":
			var m tracecollector.ExportTraceServiceRequest
			if err := proto.Unmarshal(text, &m); err != nil {
				t.Error(err)
			}
			for _, s := range m.ResourceSpans[0].ScopeSpans {
				c.spans = append(c.spans, s.Spans...)
			}
		default:
			t.Errorf("a request for %s", r.URL)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// values are the newest metrics: name and sorted labels -> value, of a histogram its count.
func (c *collector) values() map[string]float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	values := map[string]float64{}
	for _, m := range c.metrics.GetScopeMetrics()[0].Metrics {
		for _, p := range append(m.GetSum().GetDataPoints(), m.GetGauge().GetDataPoints()...) {
			name := m.Name
			for _, a := range p.Attributes {
				name += " " + a.Key + "=" + a.Value.GetStringValue()
			}
			values[name] = p.GetAsDouble()
		}
		for _, p := range m.GetExponentialHistogram().GetDataPoints() {
			values[m.Name] += float64(p.Count)
		}
		for _, p := range m.GetHistogram().GetDataPoints() {
			values[m.Name] += float64(p.Count)
		}
	}
	return values
}

// raced is an exchange that met the server's FIN on an idle connection.
func raced(seq uint64) *results.Exchange {
	var e results.Exchange
	e.Reset(seq, time.Second)
	e.Start, e.Leased, e.WroteHeaders, e.Wrote, e.Done = time.Second+time.Millisecond, time.Second+2*time.Millisecond, time.Second+3*time.Millisecond, time.Second+3*time.Millisecond, time.Second+4*time.Millisecond
	e.Phase, e.Cause, e.Conn, e.Use, e.Idle, e.Age, e.Attempts = results.PhaseBeforeResponse, results.CauseFIN, 7, 3, 500*time.Millisecond, time.Second, 1
	e.Err = fmt.Errorf("EOF")
	e.AtLease = &results.TCPInfo{State: "CLOSE_WAIT"}
	return &e
}

// standing is that of a run with that number of failures.
func standing(failed uint64) kabench.Standing {
	doc := &results.Run{Name: "race", Version: "v", Start: time.Unix(1_700_000_000, 0)}
	doc.Counts = results.Counts{Due: failed + 5, Started: failed + 5, OK: 5, Failed: failed}
	return kabench.Standing{Run: doc, Timings: &timings.Timings{}, Server: "[::1]:8080", Method: "GET", Over: true}
}

func begin(t *testing.T, at string) (*telemetry.Book, *Exporter) {
	t.Helper()
	book := telemetry.NewBook()
	e, err := Start(at, "v", book)
	if err != nil {
		t.Fatal(err)
	}
	return book, e
}

// The collector has the final counters, and a span for each failure with what happened to it.
func TestCollectorHasEverything(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "X-Token=secret%20one")
	c := startCollector(t)
	book, e := begin(t, c.URL+"/")
	e.Fail(raced(1)) // before the run has told how it stands
	book.Stand(standing(2))
	e.Fail(raced(2))
	r := e.Close(t.Context())
	if want := (Report{Final: true, Spans: 2}); r != want {
		t.Fatalf("%+v", r)
	}
	values := c.values()
	for name, want := range map[string]float64{
		"kabench.exchanges.due kabench.run=race": 7, "kabench.exchanges.ok kabench.run=race": 5, "kabench.exchanges.failed kabench.run=race": 2,
		"kabench.run.over kabench.run=race": 1,
	} {
		if got, known := values[name]; got != want || !known {
			t.Errorf("%s is %v, not %v; %v", name, got, want, values)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.headers.Get("X-Token") != "secret one" {
		t.Errorf("%v", c.headers)
	}
	s := c.spans[0]
	var events []string
	for _, ev := range s.Events {
		events = append(events, fmt.Sprintf("%s %dms", ev.Name, (ev.TimeUnixNano-s.StartTimeUnixNano)/1e6))
	}
	if got := strings.Join(events, ", "); got != "due 0ms, started 1ms, leased 2ms, written 3ms, FIN seen 4ms" {
		t.Error(got)
	}
	attributes := map[string]string{}
	for _, list := range [][]*commonKeyValue{asStrings(s.Attributes), asStrings(s.Events[2].Attributes)} {
		for _, a := range list {
			attributes[a.key] = a.value
		}
	}
	for key, want := range map[string]string{
		"error.type": "before_response/fin", "http.request.method": "GET", "server.address": "::1", "server.port": "8080", "kabench.run": "race",
		"kabench.connection.id": "7", "kabench.connection.use": "3", "kabench.connection.reused": "true", "kabench.connection.idle": "0.5", "kabench.tcp.state": "CLOSE_WAIT",
	} {
		if attributes[key] != want {
			t.Errorf("%s is %q, not %q", key, attributes[key], want)
		}
	}
	if s.Kind != tracepb.Span_SPAN_KIND_CLIENT || s.Status.Code != tracepb.Status_STATUS_CODE_ERROR || s.Status.Message != "before_response/fin: EOF" || s.EndTimeUnixNano-s.StartTimeUnixNano != 4e6 {
		t.Errorf("%v", s)
	}
}

// Of many failures only some get a span, and the rest is counted.
func TestSpansAreBounded(t *testing.T) {
	c := startCollector(t)
	book, e := begin(t, c.URL)
	const all = 5000
	book.Stand(standing(all))
	for i := range uint64(all) {
		e.Fail(raced(i))
	}
	r := e.Close(t.Context())
	if r.Spans+r.Limited != all || r.LostSpans != 0 || r.Limited < all/2 || r.Spans < SpansPerSecond {
		t.Errorf("%+v", r)
	}
}

// A collector that takes connections and never answers delays nothing, and what it did not
// take is counted. The end is bounded.
func TestCollectorThatHangs(t *testing.T) {
	hung, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hung.Close()
	t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "10")
	book, e := begin(t, "http://"+hung.Addr().String())
	book.Stand(standing(50))
	for i := range uint64(50) {
		e.Fail(raced(i)) // returns, although nobody takes it
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the user does not want to wait for the rest
	r := e.Close(ctx)
	if r.Final || r.LostSpans != 50 || r.LostExports == 0 || r.Spans != 0 || r.Why == "" {
		t.Errorf("%+v", r)
	}
}

func TestCollectorThatRefuses(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"an error": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "no \x1b[31m\n"+strings.Repeat("x", 1<<20), http.StatusForbidden)
		},
		"not found": http.NotFound,
	} {
		refusing := httptest.NewServer(handler)
		book, e := begin(t, refusing.URL)
		book.Stand(standing(1))
		e.Fail(raced(0))
		r := e.Close(t.Context())
		if r.Final || r.LostSpans != 1 || r.LostExports != 1 || r.Why == "" || len(r.Why) > maxWhy || strings.ContainsAny(r.Why, "\n\x1b") {
			t.Errorf("%s: %+v", name, r)
		}
		refusing.Close()
	}
}

// Classic histograms are sent to those who ask for them as the standard says.
func TestClassicHistograms(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram")
	c := startCollector(t)
	book, e := begin(t, c.URL)
	s := standing(0)
	s.Timings.Add(raced(0))
	s.Timings.Add(raced(1))
	book.Stand(s)
	e.Close(t.Context())
	for _, m := range c.metrics.ScopeMetrics[0].Metrics {
		if m.GetExponentialHistogram() != nil {
			t.Errorf("%s is exponential", m.Name)
		}
	}
	if got := c.values()["http.client.request.duration"]; got != 2 {
		t.Errorf("%v", got)
	}
}

func TestEndpoint(t *testing.T) {
	for given, want := range map[string]string{
		"http://localhost:4318": "http://localhost:4318/v1/metrics", "https://c.example/otlp/": "https://c.example/otlp/v1/metrics", "http://[::1]:1": "http://[::1]:1/v1/metrics",
	} {
		if metrics, _, err := Endpoint(given); err != nil || metrics != want {
			t.Errorf("%s: %s %v", given, metrics, err)
		}
	}
	for given, want := range map[string]string{
		"": "http://localhost:4318", "localhost:4318": "http://localhost:4318", "grpc://x": "begin with http", "http://": "a host", "http://u:secret@h": "OTEL_EXPORTER_OTLP_HEADERS",
		"http://h?q=1": "a query", "http://h#f": "a query", "http://h:0": "port", "http://h:65536": "port", "http://h:x": "not a URL", "http://h\n/": "not a URL", "http://" + strings.Repeat("x", 5000) + ":99999": "port",
	} {
		_, _, err := Endpoint(given)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n") || len(err.Error()) > 400 {
			t.Errorf("%.50q: %v", given, err)
		}
	}
}
