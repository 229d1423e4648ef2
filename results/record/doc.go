// Package record keeps results on disk, and reads them back.
//
// A [Writer] writes one run's directory while the run goes on: exchanges, samples
// and latencies as they come, and run.json at the end, completely or not at all. It
// takes room for run.json at the beginning: if the disk fills up, the end of the record
// is lost, but not the document. [Open] returns a [Dir], which reads a run's directory.
// It rebuilds the document of a run that was killed from the other files of the run.
//
// [OpenArchive] opens any directory of results: a run, an incident with its remedies,
// or a comparison.
package record
