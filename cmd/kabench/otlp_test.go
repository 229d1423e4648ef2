package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	metricscollector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracecollector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/results"
)

// racing is a short run in which requests meet the end of idle connections.
func racing(t *testing.T, collector string) (doc results.Run, chatter string) {
	t.Helper()
	out, chatter := says(t, exit.Done, "run", "idle-race", "--json", "--out", "none", "--duration", "1s", "--set", "expect=null", "--set", "load.max_lag=0",
		"--set", "target.lab.idle_timeout=100ms", "--otlp", collector)
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatalf("%v in %s%s", err, out, chatter)
	}
	return doc, chatter
}

// received is what a collector has: the newest counters without labels other than the run's, and
// the number of spans.
type received struct {
	mu       sync.Mutex
	counters map[string]float64
	spans    int
	err      error
}

func (c *received) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		if body, c.err = gzip.NewReader(r.Body); c.err != nil {
			return
		}
	}
	var text bytes.Buffer
	if _, c.err = text.ReadFrom(body); c.err != nil {
		return
	}
	if r.URL.Path == "/v1/traces" {
		var m tracecollector.ExportTraceServiceRequest
		if c.err = proto.Unmarshal(text.Bytes(), &m); c.err != nil {
			return
		}
		for _, of := range m.ResourceSpans {
			for _, scope := range of.ScopeSpans {
				c.spans += len(scope.Spans)
			}
		}
		return
	}
	var m metricscollector.ExportMetricsServiceRequest
	if c.err = proto.Unmarshal(text.Bytes(), &m); c.err != nil {
		return
	}
	c.counters = map[string]float64{}
	for _, metric := range m.ResourceMetrics[0].ScopeMetrics[0].Metrics {
		for _, p := range metric.GetSum().GetDataPoints() {
			if len(p.Attributes) == 1 {
				c.counters[metric.Name] = p.GetAsDouble()
			}
		}
	}
}

// A collector has the counters of run.json when the command has ended, and the spans that are
// said to be there.
func TestCollectorHasTheCounters(t *testing.T) {
	t.Parallel()
	c := &received{}
	collector := httptest.NewServer(c)
	defer collector.Close()
	doc, chatter := racing(t, collector.URL)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || doc.Counts.Started == 0 {
		t.Fatalf("%v, %+v", c.err, doc.Counts)
	}
	n := &doc.Counts
	for name, want := range map[string]uint64{
		"exchanges.due": n.Due, "exchanges.started": n.Started, "exchanges.dropped": n.Dropped, "exchanges.ok": n.OK, "exchanges.failed": n.Failed,
		"exchanges.unfinished": n.Unfinished, "exchanges.waited": n.Waited, "exchanges.warm_up": n.WarmUp, "exchanges.unbounded": n.Unbounded,
		"attempts": doc.Attempts, "connections.opened": doc.Connections.Opened, "connections.tls_resumed": doc.Connections.TLSResumed,
	} {
		if got, known := c.counters["kabench."+name]; !known || got != float64(want) {
			t.Errorf("kabench.%s is %v, and run.json has %d", name, got, want)
		}
	}
	if uint64(c.spans) > n.Failed || !strings.Contains(chatter, "otlp: the final metrics and ") {
		t.Errorf("%d spans of %d failures\n%s", c.spans, n.Failed, chatter)
	}
}

// A collector that takes connections and never answers delays no request, does not hold up the
// end for long, and what is lost is said.
func TestCollectorThatNeverAnswers(t *testing.T) {
	t.Parallel()
	hung, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hung.Close()
	began := time.Now()
	doc, chatter := racing(t, "http://"+hung.Addr().String())
	if took := time.Since(began); took > 3*time.Minute { // a run of 1 s, and at most 10 s for the rest
		t.Errorf("it took %v", took)
	}
	if n := &doc.Counts; n.Started == 0 || n.Started != n.Due || !n.Balance() || doc.Interrupted {
		t.Errorf("%+v", n)
	}
	if !strings.Contains(chatter, " metric exports were lost, and the metrics there are older than the results") {
		t.Error(chatter)
	}
}
