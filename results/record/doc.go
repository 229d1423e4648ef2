// Package record keeps results on disk, and reads them back.
//
// A [Writer] writes one run's directory while the run goes on: exchanges, samples
// and latencies as they come, and run.json at the end, whole or not at all. Room
// for run.json is taken at the beginning, so a disk that fills up costs the end of
// the record and not the document. [Open] gives a [Dir], to read from; the document
// of a run that was killed is rebuilt from what it had written.
//
// [OpenArchive] opens whatever a directory holds: a run, an incident with its
// remedies, or a comparison.
package record
