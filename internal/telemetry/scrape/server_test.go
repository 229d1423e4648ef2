package scrape

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	dto "github.com/prometheus/client_model/go"

	"github.com/kabench/kabench/internal/telemetry"
	"github.com/kabench/kabench/results/timings"
)

func start(t *testing.T, metrics func() []telemetry.Metric) *Server {
	t.Helper()
	s, err := Start(":0", metrics)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// one is a counter with that many points, each with a label of that width.
func one(points, width int) func() []telemetry.Metric {
	return func() []telemetry.Metric {
		m := telemetry.Metric{Name: "kabench.test", Help: "h", Kind: telemetry.Counter}
		for i := range points {
			m.Points = append(m.Points, telemetry.Point{Value: float64(i), Labels: []telemetry.Label{{Name: "kabench.run", Value: fmt.Sprintf("%0*d", width, i)}}})
		}
		return []telemetry.Metric{m}
	}
}

func get(t *testing.T, s *Server, accept string) (*http.Response, map[string]*dto.MetricFamily) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, s.URL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	families := map[string]*dto.MetricFamily{}
	decoder := expfmt.NewDecoder(answer.Body, expfmt.ResponseFormat(answer.Header))
	for {
		f := &dto.MetricFamily{}
		if err := decoder.Decode(f); err == io.EOF {
			return answer, families
		} else if err != nil {
			t.Fatal(err)
		}
		families[f.GetName()] = f
	}
}

// A histogram has the same classic and native buckets for a scraper that it has here.
func TestHistograms(t *testing.T) {
	h := &timings.Histogram{}
	for _, d := range []time.Duration{0, time.Microsecond, time.Millisecond, time.Millisecond, 3 * time.Millisecond, 40 * time.Second, time.Hour} {
		h.Add(d)
	}
	s := start(t, func() []telemetry.Metric {
		return []telemetry.Metric{{Name: "kabench.lag", Unit: "s", Help: "h", Kind: telemetry.Histogram, Points: []telemetry.Point{
			{Histogram: h}, {Histogram: &timings.Histogram{}, Labels: []telemetry.Label{{Name: "kabench.run", Value: "empty"}}},
		}}}
	})
	_, families := get(t, s, "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	metrics := families["kabench_lag_seconds"].GetMetric()
	for _, m := range metrics {
		got := m.GetHistogram()
		want := h
		if len(m.GetLabel()) > 0 {
			want = &timings.Histogram{}
		}
		if got.GetSampleCount() != want.Count || got.GetZeroCount() != want.Zero || got.GetSchema() != timings.Scale || len(got.GetPositiveSpan()) == 0 {
			t.Errorf("%v", got)
		}
		index, count, sum := 0, int64(0), want.Zero
		deltas := got.GetPositiveDelta()
		for i, span := range got.GetPositiveSpan() {
			if index += int(span.GetOffset()); i > 0 && span.GetOffset() < 0 {
				t.Errorf("span %d goes back", i)
			}
			for range span.GetLength() {
				count += deltas[0]
				deltas = deltas[1:]
				at := index - 1 - want.First
				if uint64(count) != want.Buckets[at] {
					t.Errorf("bucket %d has %d, not %d", index, count, want.Buckets[at])
				}
				sum += uint64(count)
				index++
			}
		}
		if sum != want.Count || len(deltas) > 0 {
			t.Errorf("the buckets have %d of %d", sum, want.Count)
		}
		last := got.GetBucket()[len(timings.Bounds)-1]
		if above := want.Count - last.GetCumulativeCount(); last.GetUpperBound() != 300 || want.Count > 0 && above != 1 {
			t.Errorf("%v", last)
		}
	}
	if len(metrics) != 2 {
		t.Errorf("%v", metrics)
	}
}

// Hostile text in a label arrives as text: it cannot end the label or the line.
func TestHostileLabels(t *testing.T) {
	hostile := "a\"} 1\nkabench_fake 7\n\\ \x00\xff" + strings.Repeat("x", 1000)
	s := start(t, func() []telemetry.Metric {
		return []telemetry.Metric{{Name: "kabench.test", Help: "h", Kind: telemetry.Gauge, Points: []telemetry.Point{
			{Value: 1, Labels: []telemetry.Label{{Name: "kabench.run", Value: telemetry.Printable(hostile)}}},
		}}}
	})
	for _, accept := range []string{"text/plain", "application/openmetrics-text", ""} {
		_, families := get(t, s, accept)
		m := families["kabench_test"].GetMetric()
		if len(families) != 1 || len(m) != 1 || m[0].GetLabel()[0].GetValue() != telemetry.Printable(hostile) || len(telemetry.Printable(hostile)) > telemetry.MaxLabel {
			t.Errorf("%s: %v", accept, families)
		}
	}
	if !model.LabelValue(telemetry.Printable(hostile)).IsValid() {
		t.Error("not a valid label")
	}
}

func TestWhoIsServed(t *testing.T) {
	s := start(t, one(1, 1))
	for _, c := range []struct {
		method, host, path string
		want               int
	}{
		{"GET", "", "metrics", 200}, {"GET", "localhost:" + port(s), "metrics", 200}, {"POST", "", "metrics", 405}, {"HEAD", "", "metrics", 405},
		{"GET", "", "", 404}, {"GET", "", "debug/pprof/", 404}, {"GET", "attacker.example:" + port(s), "metrics", 421},
	} {
		r, err := http.NewRequest(c.method, strings.TrimSuffix(s.URL(), path)+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = c.host
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != c.want {
			t.Errorf("%+v: %s", c, answer.Status)
		}
	}
	if _, err := Start(":"+port(s), one(1, 1)); err == nil || !strings.Contains(err.Error(), "give another port, or :0") {
		t.Errorf("a port that is taken: %v", err)
	}
}

func port(s *Server) string {
	_, port, _ := net.SplitHostPort(s.place.Addr().String())
	return port
}

// Last waits for a scrape that has begun after it, and says whether there was one.
func TestLast(t *testing.T) {
	s := start(t, one(1, 1))
	get(t, s, "")
	s.Final()
	if s.Last(t.Context(), 0) {
		t.Error("a scrape before the end counts as the last one")
	}
	done := make(chan bool)
	go func() { done <- s.Last(t.Context(), 10*time.Minute) }()
	get(t, s, "")
	if !<-done {
		t.Error("the last scrape was not noticed")
	}
}

// Scrapes in the middle of the shutdown are answered whole, or refused: what was read is as
// long as was announced, and parses.
func TestScrapesDuringShutdown(t *testing.T) {
	const points = 300
	s, err := Start(":0", one(points, 100))
	if err != nil {
		t.Fatal(err)
	}
	var scrapers sync.WaitGroup
	var mu sync.Mutex
	whole, refused := 0, 0
	first := make(chan struct{})
	var once sync.Once
	for range 4 {
		scrapers.Go(func() {
			client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
			defer client.CloseIdleConnections()
			for {
				answer, err := client.Get(s.URL())
				if err != nil {
					mu.Lock()
					refused++
					mu.Unlock()
					return
				}
				body, err := io.ReadAll(answer.Body)
				answer.Body.Close()
				mu.Lock()
				if err != nil || int64(len(body)) != answer.ContentLength || strings.Count(string(body), "\nkabench_test_total{") != points {
					t.Errorf("a scrape has %d bytes of %d: %v", len(body), answer.ContentLength, err)
				}
				whole++
				mu.Unlock()
				once.Do(func() { close(first) })
			}
		})
	}
	<-first
	s.Close()
	scrapers.Wait()
	if whole == 0 || refused != 4 {
		t.Errorf("%d answers, %d refused", whole, refused)
	}
}

// A scraper that does not read does not hold up the end.
func TestScraperThatDoesNotRead(t *testing.T) {
	s, err := Start(":0", one(500, 40_000))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", s.place.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /metrics HTTP/1.1\r\nHost: %s\r\n\r\n", s.place.Addr())
	if _, err := conn.Read(make([]byte, 1)); err != nil { // it is being answered
		t.Fatal(err)
	}
	if s.Final(); s.Last(t.Context(), 0) {
		t.Error("what was not read counts as a scrape")
	}
	s.Close()
}
