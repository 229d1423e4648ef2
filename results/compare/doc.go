// Package compare compares the runs of several configurations: it turns the
// documents of runs into the measures of a results.Comparison, its tests and its
// verdict.
//
// Exchanges of one run are not independent of each other, so everything is tested
// over runs, and within blocks of runs. Counts get at least the spread that chance
// and clusters within the runs cause. docs/compare.md describes the methods and
// their assumptions.
package compare
