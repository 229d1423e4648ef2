// Package otlp sends the metrics of runs, and a span for each failure, to an OpenTelemetry
// collector over HTTP. It never delays a run: what cannot be sent in time is lost, and
// counted.
package otlp
