package otlp

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/kabench/kabench/internal/telemetry"
	"github.com/kabench/kabench/results"
)

const (
	// SpansPerSecond bounds how many failures get a span.
	SpansPerSecond = 100
	// maxWhy bounds the text of an error, which may be the collector's, in bytes.
	maxWhy = 300
	// waiting is how many failures may wait to become spans.
	waiting = 1024
	// exportEvery is how often metrics are sent, unless OTEL_METRIC_EXPORT_INTERVAL says so.
	exportEvery = 5 * time.Second
	// exportTime is how long one export may take, with its retries.
	exportTime = 5 * time.Second
	// Flush is how long the end may take.
	Flush = 10 * time.Second

	scope = "github.com/kabench/kabench"
)

// Exporter sends the metrics of a Book, and the failures that Fail gets. Make one with Start,
// and Close it.
type Exporter struct {
	book    *telemetry.Book
	metrics *otlpmetrichttp.Exporter
	spans   *sdktrace.TracerProvider
	tracer  trace.Tracer
	about   *resource.Resource
	classic bool

	failed chan failure
	stop   chan struct{}
	life   context.Context // of exports while the run goes on
	giveUp func()          // ends life
	work   sync.WaitGroup

	mu     sync.Mutex
	second int64 // guarded by mu; the newest second with spans
	spent  int   // guarded by mu; spans of that second

	limited, lostExports, delivered atomic.Uint64
	why                             atomic.Pointer[string] // the newest error; nil: none
}

// failure is an exchange that failed, with its run.
type failure struct {
	of       *telemetry.Entry
	exchange results.Exchange
}

// Endpoint checks the URL of a collector and returns those of its metrics and its traces.
func Endpoint(given string) (metrics, traces string, err error) {
	const how = "write the base address of a collector, as http://localhost:4318"
	u, err := url.Parse(given)
	switch {
	case err != nil:
		return "", "", fmt.Errorf("%q is not a URL; %s", telemetry.Printable(given), how)
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return "", "", fmt.Errorf("%q does not begin with http:// or https:// and a host; %s", telemetry.Printable(given), how)
	case u.User != nil:
		return "", "", errors.New("the URL has a user name or password; set OTEL_EXPORTER_OTLP_HEADERS=Authorization=… in the environment instead")
	case u.RawQuery != "" || u.Fragment != "":
		return "", "", fmt.Errorf("%q has a query or a fragment, which a collector has no use for; %s", telemetry.Printable(given), how)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", "", fmt.Errorf("%q: the port is not between 1 and 65535; %s", telemetry.Printable(given), how)
		}
	}
	base := strings.TrimSuffix(u.String(), "/")
	return base + "/v1/metrics", base + "/v1/traces", nil
}

// Start begins to send. It opens no connection itself, so that a collector that does not
// answer delays nothing.
func Start(given, version string, book *telemetry.Book) (*Exporter, error) {
	metricsURL, tracesURL, err := Endpoint(given)
	if err != nil {
		return nil, err
	}
	if err := checkEnvironment(); err != nil {
		return nil, err
	}
	ctx := context.Background()
	e := &Exporter{book: book, failed: make(chan failure, waiting), stop: make(chan struct{})}
	e.life, e.giveUp = context.WithCancel(ctx)
	e.classic = strings.EqualFold(os.Getenv("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"), "explicit_bucket_histogram")
	// What the SDK has to say comes here, not to standard error in the middle of the progress.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(e.blame))
	otel.SetLogger(logr.Discard())
	if e.metrics, err = otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(metricsURL), otlpmetrichttp.WithTimeout(exportTime)); err != nil {
		return nil, err
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(tracesURL), otlptracehttp.WithTimeout(exportTime))
	if err != nil {
		return nil, err
	}
	e.about, err = resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "kabench"), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	e.spans = sdktrace.NewTracerProvider(sdktrace.WithResource(e.about), sdktrace.WithSampler(sdktrace.AlwaysSample()),
		sdktrace.WithBatcher(&counted{exporter, e}, sdktrace.WithBatchTimeout(time.Second), sdktrace.WithExportTimeout(exportTime)))
	e.tracer = e.spans.Tracer(scope, trace.WithInstrumentationVersion(version))
	e.work.Go(e.sendMetrics)
	e.work.Go(e.makeSpans)
	return e, nil
}

// blame keeps an error, to be said at the end.
func (e *Exporter) blame(err error) {
	if err != nil {
		text := telemetry.Line(err.Error(), maxWhy)
		e.why.Store(&text)
	}
}

// counted counts the spans that were delivered.
type counted struct {
	sdktrace.SpanExporter
	e *Exporter
}

func (c *counted) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := c.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		c.e.delivered.Add(uint64(len(spans)))
	}
	return err
}

// Fail takes an exchange that failed. It does not wait, and does not keep x.
func (e *Exporter) Fail(x *results.Exchange) {
	if !e.mayAdd(time.Now()) {
		e.limited.Add(1)
		return
	}
	select {
	case e.failed <- failure{e.book.Current(), *x}:
	default: // what is not delivered is lost: see Report
	}
}

// mayAdd reports whether one more span may be made in the second of now.
func (e *Exporter) mayAdd(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if second := now.Unix(); second != e.second {
		e.second, e.spent = second, 0
	}
	e.spent++
	return e.spent <= SpansPerSecond
}

// makeSpans makes spans of failures until stop is closed, and then of the rest.
func (e *Exporter) makeSpans() {
	for {
		select {
		case f := <-e.failed:
			e.makeSpan(f)
			continue
		case <-e.stop:
		}
		for {
			select {
			case f := <-e.failed:
				e.makeSpan(f)
				continue
			default:
			}
			return
		}
	}
}

func (e *Exporter) makeSpan(f failure) {
	select {
	case <-f.of.Begun():
	case <-e.stop:
		if f.of.Standing() == nil {
			return // the run has ended without telling how it stood
		}
	}
	record(e.tracer, telemetry.Printable(f.of.Name()), f.of.Standing(), &f.exchange)
}

// sendMetrics sends the metrics again and again until stop is closed.
func (e *Exporter) sendMetrics() {
	tick := time.NewTicker(interval())
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			e.export(e.life)
		case <-e.stop:
			return
		}
	}
}

// interval is how often metrics are sent.
func interval() time.Duration {
	if ms, err := strconv.ParseUint(os.Getenv("OTEL_METRIC_EXPORT_INTERVAL"), 10, 31); err == nil && ms > 0 {
		return time.Duration(ms) * time.Millisecond
	}
	return exportEvery
}

// export sends the metrics as they are now, and reports whether they arrived.
func (e *Exporter) export(ctx context.Context) bool {
	list := e.book.Metrics()
	if len(list) == 0 {
		return true // nothing has begun
	}
	ctx, cancel := context.WithTimeout(ctx, exportTime)
	defer cancel()
	err := e.metrics.Export(ctx, &metricdata.ResourceMetrics{Resource: e.about, ScopeMetrics: []metricdata.ScopeMetrics{{
		Scope:   instrumentation.Scope{Name: scope},
		Metrics: asData(list, e.book.Started(), time.Now(), e.classic),
	}}})
	if err != nil {
		e.lostExports.Add(1)
		e.blame(err)
	}
	return err == nil
}

// Report says how much was delivered, and how much was lost.
type Report struct {
	Final       bool   // the last metrics arrived
	LostExports uint64 // metrics were not delivered so often
	Spans       uint64 // delivered
	LostSpans   uint64 // failures that were to get a span, and whose span was not delivered
	Limited     uint64 // failures without a span, because there were more than SpansPerSecond
	Why         string // the newest error; "": none
}

// Close sends what is left, for at most Flush or until ctx is done, and says what was lost.
// It must be called after the last Fail.
func (e *Exporter) Close(ctx context.Context) Report {
	ctx, cancel := context.WithTimeout(ctx, Flush)
	defer cancel()
	close(e.stop)
	defer context.AfterFunc(ctx, e.giveUp)()
	e.work.Wait()
	var r Report
	var both sync.WaitGroup
	both.Go(func() { r.Final = e.export(ctx) })
	both.Go(func() {
		if err := e.spans.Shutdown(ctx); err != nil {
			e.blame(err)
		}
	})
	both.Wait()
	_ = e.metrics.Shutdown(ctx) // which sends nothing more
	e.giveUp()
	r.LostExports, r.Spans, r.Limited = e.lostExports.Load(), e.delivered.Load(), e.limited.Load()
	r.LostSpans = e.book.Failed() - min(e.book.Failed(), r.Spans+r.Limited)
	if why := e.why.Load(); why != nil {
		r.Why = *why
	}
	return r
}
