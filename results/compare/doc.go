// Package compare holds the runs of several configurations against each other:
// it turns the documents of runs into the measures of a results.Comparison, its
// tests and its verdict.
//
// Exchanges of one run are not independent of each other, so everything is tested
// over runs, and within blocks of runs; counts with no less spread than chance
// and clusters within the runs give them. The methods, and what each assumes, are in
// docs/compare.md.
package compare
