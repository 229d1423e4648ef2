// Package export writes results in the formats of other tools.
//
// Three functions write the record of one run: [CSV] its exchanges for a spreadsheet,
// [Vegeta] its exchanges for `vegeta report` and `vegeta plot`, and [HdrHistogram] its
// latency log. Three functions write the figures of many runs: [Bench] for benchstat,
// [RunsCSV] for a spreadsheet, and [JUnit] for CI. Each function returns notes, which
// say which results are missing from the export.
package export
