// Package timings has the durations of a run's exchanges in a form for telemetry: by how
// each exchange ended, in buckets that grow by the same factor, as native histograms of
// Prometheus and exponential histograms of OpenTelemetry have them.
package timings
