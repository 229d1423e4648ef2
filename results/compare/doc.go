// Package compare holds the runs of several configurations against each other:
// it turns the documents of runs into the measures of a results.Comparison, its
// tests and its verdict.
//
// What is counted in exchanges is tested as counts, where the runs let it be;
// everything else is tested over runs, because the exchanges of one run are not
// independent of each other. The methods, and what each assumes, are in
// docs/compare.md.
package compare
