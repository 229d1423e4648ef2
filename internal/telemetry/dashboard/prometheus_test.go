package dashboard

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/telemetry"
	"github.com/kabench/kabench/internal/telemetry/scrape"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// patience is how long the slowest machine may take for anything.
const patience = 4 * time.Minute

// raced is a pool that never notices that the server has closed a connection: requests fail,
// or are sent again.
const raced = `
name: raced
client: policy
load: {rate: 40/s, arrivals: constant, duration: 2s}
target: {lab: {idle_timeout: 5ms}}
pool: {liveness: none%s}
`

// A real Prometheus scrapes two runs, and at the end its counters are those of run.json. Each
// query of the dashboard returns data, those of other pools' gauges too.
func TestPrometheusHasTheCountersOfRunJSON(t *testing.T) {
	book := telemetry.NewBook()
	server, err := scrape.Start(":0", book.Metrics)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	text, err := os.ReadFile("testdata/services.prom")
	if err != nil {
		t.Fatal(err)
	}
	services := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = w.Write(text)
	}))
	defer services.Close()
	targets := map[string]string{"kabench": server.URL(), "services": services.URL + "/metrics"}
	p := startPrometheus(t, targets, "--enable-feature=native-histograms")
	classic := startPrometheus(t, targets)

	// It takes seconds to find its targets, and rates need two scrapes.
	for _, each := range []*prometheus{p, classic} {
		each.eventually(t, "its targets", "up == 1", func(found []sample) bool { return len(found) == 2 })
	}

	dirs := map[string]string{}
	for name, extra := range map[string]string{"fails": "", "resends": ", resend: [{on: reused, after: [unsent, eof, rst], methods: all, max: 3, path: pool}]"} {
		profile, err := profiles.Load("", fmt.Appendf(nil, raced, extra), nil)
		if err != nil {
			t.Fatal(err)
		}
		dirs[name] = filepath.Join(t.TempDir(), name)
		book.Next(name)
		if _, err := kabench.Run(t.Context(), profile, kabench.Options{Out: dirs[name], Standing: book.Stand}); err != nil {
			t.Fatal(err)
		}
	}
	server.Final()
	if !server.Last(t.Context(), patience) {
		t.Fatal("Prometheus has not scraped the final figures")
	}
	for name, dir := range dirs {
		d, err := record.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := d.Run()
		if err != nil {
			t.Fatal(err)
		}
		compareCounters(t, p, name, doc)
	}
	for _, row := range Rows {
		for _, panel := range row.Panels {
			for _, q := range panel.Queries {
				expr := strings.NewReplacer("$run", ".*", "$__rate_interval", "1m").Replace(q.Expr)
				for _, each := range []*prometheus{p, classic} {
					each.eventually(t, "panel "+panel.Title, expr, func(found []sample) bool { return len(found) > 0 })
				}
			}
		}
	}
}

// compareCounters compares every counter of the document with what Prometheus has.
func compareCounters(t *testing.T, p *prometheus, name string, doc *results.Run) {
	t.Helper()
	if doc.Counts.Failed+doc.Resends.Count == 0 {
		t.Errorf("%s: no request met a connection that the server had closed", name)
	}
	run := `{kabench_run="` + name + `"}`
	equal := func(expr string, want float64) {
		t.Helper()
		p.eventually(t, name, expr, func(found []sample) bool { return len(found) == 1 && found[0].value == want })
	}
	equal("kabench_run_over"+run, 1)
	c := doc.Counts
	for counter, n := range map[string]uint64{
		"due": c.Due, "started": c.Started, "dropped": c.Dropped, "ok": c.OK, "failed": c.Failed,
		"unfinished": c.Unfinished, "waited": c.Waited, "warm_up": c.WarmUp, "unbounded": c.Unbounded,
	} {
		equal("kabench_exchanges_"+counter+"_total"+run, float64(n))
	}
	for _, o := range doc.Outcomes {
		equal(fmt.Sprintf(`kabench_outcomes_total{kabench_run="%s",kabench_phase="%s",kabench_cause="%s",kabench_connection="%s"}`, name, o.Phase, o.Cause, o.Connection()), float64(o.Count))
	}
	equal("sum(kabench_outcomes_total"+run+")", float64(c.Due))
	for status, n := range doc.Statuses {
		equal(fmt.Sprintf(`kabench_responses_total{kabench_run="%s",http_response_status_code="%s",kabench_complete="true"}`, name, status), float64(n))
	}
	equal("kabench_attempts_total"+run, float64(doc.Attempts))
	for _, r := range doc.Resends.Causes {
		equal(fmt.Sprintf(`kabench_resends_total{kabench_run="%s",kabench_phase="%s",kabench_cause="%s",kabench_reused="%t"}`, name, r.Phase, r.Cause, r.Reused), float64(r.Count))
	}
	equal("kabench_connections_opened_total"+run, float64(doc.Connections.Opened))
	for closer, n := range map[string]uint64{"us": doc.Connections.ClosedByUs, "peer": doc.Connections.ClosedByPeer, "reset": doc.Connections.Reset, "unknown": doc.Connections.Unknown} {
		equal(fmt.Sprintf(`kabench_connections_closed_total{kabench_run="%s",kabench_closer="%s"}`, name, closer), float64(n))
	}
	for reason, n := range doc.Connections.Evictions {
		equal(fmt.Sprintf(`kabench_connections_evicted_total{kabench_run="%s",kabench_reason="%s"}`, name, reason), float64(n))
	}
	for counter, n := range doc.Kernel.Counters {
		equal(fmt.Sprintf(`kabench_kernel_events_total{kabench_run="%s",kabench_counter="%s"}`, name, counter), float64(n))
	}
	// Native histograms: all exchanges are in them, and quantiles are right up to a bucket.
	equal("histogram_count(sum(http_client_request_duration_seconds"+run+"))", float64(c.OK+c.Failed))
	equal("histogram_count(kabench_lag_seconds"+run+")", float64(c.Started))
	q, bucket := doc.Latency[results.LatencyResponse], math.Pow(2, 1.0/16)
	p.eventually(t, name, `histogram_quantile(0.99, kabench_response_duration_seconds{kabench_run="`+name+`",kabench_outcome="ok"})`, func(found []sample) bool {
		// Of so few exchanges, two programs may take neighbours for the 99th percentile.
		return q.Count == 0 && len(found) == 1 || len(found) == 1 && found[0].value > q.P90/bucket && found[0].value < q.Max*bucket
	})
}

// prometheus is a Prometheus in a process of its own.
type prometheus struct{ url string }

func startPrometheus(t *testing.T, targets map[string]string, flags ...string) *prometheus {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	config := "global: {scrape_interval: 2s, scrape_timeout: 2s}\nscrape_configs:\n"
	for job, at := range targets {
		u, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		config += fmt.Sprintf("- {job_name: %s, metrics_path: %s, static_configs: [{targets: ['%s']}]}\n", job, u.Path, u.Host)
	}
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, append(flags, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0")...)
	log, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	listening := regexp.MustCompile(`msg="Listening on" address=(\S+)`)
	at := make(chan string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(at)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				at <- m[1]
			}
		}
	}()
	t.Cleanup(func() {
		_ = c.Process.Kill()
		<-read
		_ = c.Wait()
	})
	select {
	case address := <-at:
		return &prometheus{"http://" + address}
	case <-time.After(patience):
		t.Fatal("Prometheus has not begun to listen")
		return nil
	}
}

// sample is one series of an answer.
type sample struct {
	labels map[string]string
	value  float64
}

// eventually asks until the answer is right, or until patience ends.
func (p *prometheus) eventually(t *testing.T, about, expr string, right func([]sample) bool) {
	t.Helper()
	var found []sample
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if found = p.query(t, expr); right(found) {
			return
		}
	}
	t.Fatalf("%s: %s is %v", about, expr, found)
}

func (p *prometheus) query(t *testing.T, expr string) (found []sample) {
	t.Helper()
	answer, err := http.Get(p.url + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var body struct {
		Error string
		Data  struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if answer.StatusCode == http.StatusServiceUnavailable {
		return nil // it is starting
	}
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s %v", expr, answer.Status, body.Error, err)
	}
	for _, r := range body.Data.Result {
		text, _ := r.Value[1].(string)
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			continue // a histogram, which has no such value
		}
		found = append(found, sample{r.Metric, v})
	}
	return found
}

// The dashboard is what Grafana imports: every panel has a place of its own and queries the
// chosen data source.
func TestGrafana(t *testing.T) {
	var d struct {
		Title  string
		Panels []struct {
			ID      int
			Type    string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ RefID, Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(Grafana(), &d); err != nil {
		t.Fatal(err)
	}
	taken := map[[2]int]int{}
	queries := 0
	for _, p := range d.Panels {
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != 0 || x >= columns {
					t.Fatalf("panel %d is where panel %d is, at %d,%d", p.ID, other, x, y)
				}
				taken[[2]int{x, y}] = p.ID
			}
		}
		queries += len(p.Targets)
	}
	want := 0
	for _, row := range Rows {
		for _, p := range row.Panels {
			want += len(p.Queries)
		}
	}
	if queries != want || d.Title != "kabench" {
		t.Errorf("%s has %d queries, not %d", d.Title, queries, want)
	}
}
