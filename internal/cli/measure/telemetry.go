package measure

import (
	"context"
	"fmt"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/telemetry"
	"github.com/kabench/kabench/internal/telemetry/otlp"
	"github.com/kabench/kabench/internal/telemetry/scrape"
	"github.com/kabench/kabench/internal/usage"
)

// telemetryOptions holds the flags of metrics and spans.
type telemetryOptions struct {
	at   string // where metrics are served; "": nowhere
	wait time.Duration
	to   string // the collector's URL; "": none
}

// metricsWait is the scrape interval in the configuration that comes with Prometheus.
const metricsWait = 15 * time.Second

func (o *telemetryOptions) flags(c *cobra.Command) {
	c.Flags().StringVar(&o.at, "metrics", "", "serve metrics for Prometheus: :9464 for this machine only, :0 for any free port, HOST:PORT (0.0.0.0:9464) for other machines too")
	c.Flags().DurationVar(&o.wait, "metrics-wait", metricsWait, "with --metrics: how long to wait at the end until the final figures have been scraped once; 0: not at all")
	c.Flags().StringVar(&o.to, "otlp", "", "send metrics, and a span for each failure, to the OpenTelemetry collector at this URL, for example http://localhost:4318")
}

// outlets is where the figures of runs go. A nil outlets does nothing.
type outlets struct {
	book     *telemetry.Book
	server   *scrape.Server // nil: there is none
	wait     time.Duration
	exporter *otlp.Exporter // nil: there is none
	to       string
}

// open opens what the flags ask for, and prints where metrics are served. It returns nil if
// they ask for nothing.
func (o *telemetryOptions) open(c *cobra.Command, s *cli.Streams, bare bool) (_ *outlets, err error) {
	command := c.CommandPath()
	switch {
	case o.at == "" && c.Flags().Changed("metrics-wait"):
		return nil, usage.Errorf(command, "--metrics-wait needs --metrics")
	case o.wait < 0:
		return nil, usage.Errorf(command, "--metrics-wait %v: want 0 or more", o.wait)
	case o.at == "" && o.to == "":
		return nil, nil
	case bare:
		return nil, usage.Errorf(command, "--no-instruments and --metrics or --otlp contradict each other: without measuring there is nothing to tell")
	}
	out := &outlets{book: telemetry.NewBook(), wait: o.wait, to: o.to}
	if o.to != "" {
		if out.exporter, err = otlp.Start(o.to, cli.Version(), out.book); err != nil {
			return nil, usage.Errorf(command, "--otlp: %v", err)
		}
	}
	if o.at == "" {
		return out, nil
	}
	if out.server, err = scrape.Start(o.at, out.book.Metrics); err != nil {
		return nil, fmt.Errorf("--metrics: %w", err)
	}
	fmt.Fprintf(s.Err, "metrics: %s\n", out.server.URL())
	if !out.server.Alone() {
		fmt.Fprintln(s.Err, "kabench: everyone who can reach this machine can read the metrics; --metrics :PORT serves them to this machine only")
	}
	return out, nil
}

// follow has a run tell o how it stands.
func (o *outlets) follow(opts *kabench.Options) {
	if o == nil {
		return
	}
	opts.Standing = o.book.Stand
	if o.exporter != nil {
		opts.Failure = o.exporter.Fail
	}
}

// next names the run that comes next.
func (o *outlets) next(name string) {
	if o != nil {
		o.book.Next(name)
	}
}

// close waits until the final figures have left, and says what was lost. It waits for no
// scrape if the run was stopped by a signal, and another signal ends every wait.
func (o *outlets) close(ctx context.Context, s *cli.Streams, stopped <-chan struct{}) {
	if o == nil {
		return
	}
	ctx, cancel := signal.NotifyContext(ctx, kabench.StopSignals()...)
	defer cancel()
	if o.server != nil {
		defer o.server.Close()
	}
	if o.book.Started().IsZero() { // no run has begun
		if o.exporter != nil {
			o.exporter.Close(ctx)
		}
		return
	}
	if missing := o.book.Missing(); missing != "" {
		fmt.Fprintf(s.Err, "kabench: %s\n", missing)
	}
	if o.exporter != nil {
		o.told(s, o.exporter.Close(ctx))
	}
	if o.server == nil {
		return
	}
	wait := o.wait
	select {
	case <-stopped:
		wait = 0
	default:
	}
	switch {
	case wait == 0:
	case o.scraped(ctx, s, wait):
		fmt.Fprintln(s.Err, "metrics: the final figures were scraped")
	case ctx.Err() != nil:
		fmt.Fprintln(s.Err, "kabench: --metrics: the final figures were not scraped, because you stopped the wait")
	default:
		fmt.Fprintf(s.Err, "kabench: --metrics: nobody scraped the final figures within %v, so a scraper may have older ones; set --metrics-wait above its scrape interval\n", wait)
	}
}

// scraped waits for the last scrape.
func (o *outlets) scraped(ctx context.Context, s *cli.Streams, wait time.Duration) bool {
	o.server.Final()
	fmt.Fprintf(s.Err, "metrics: %s has the final figures; waiting up to %v until they are scraped; press Ctrl-C to stop\n", o.server.URL(), wait)
	return o.server.Last(ctx, wait)
}

// told reports how much the collector has received, and what was lost.
func (o *outlets) told(s *cli.Streams, r otlp.Report) {
	to := telemetry.Printable(o.to)
	if r.Limited > 0 {
		fmt.Fprintf(s.Err, "otlp: %d failures have no span, because at most %d per second get one; they are counted in the metrics\n", r.Limited, otlp.SpansPerSecond)
	}
	if r.LostSpans == 0 && r.LostExports == 0 {
		fmt.Fprintf(s.Err, "otlp: the final metrics and %d spans of failures are at %s\n", r.Spans, to)
		return
	}
	final := "the final metrics arrived"
	if !r.Final {
		final = "the metrics there are older than the results"
	}
	why := ""
	if r.Why != "" {
		why = ": " + r.Why
	}
	fmt.Fprintf(s.Err, "kabench: --otlp %s: %d spans and %d metric exports were lost, and %s%s\n", to, r.LostSpans, r.LostExports, final, why)
}
