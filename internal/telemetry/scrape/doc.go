// Package scrape serves the metrics of runs to Prometheus: in its text formats with classic
// buckets, and in protobuf with native histograms too, when a server asks for that.
package scrape
