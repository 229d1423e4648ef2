// Package export writes results in the formats of other tools.
//
// [CSV], [Vegeta] and [HdrHistogram] write the record of one run: its exchanges
// for a spreadsheet, for `vegeta report` and `vegeta plot`, and its latency log.
// [Bench], [RunsCSV] and [JUnit] write the figures of many runs: for benchstat, for
// a spreadsheet, and for CI. Each returns notes, which say what of the results the
// export does not have.
package export
