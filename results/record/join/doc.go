// Package join adds the figures of several agents' runs, which sent the requests of one
// run together. It opens no file. What docs/results.md says about joined runs, it
// computes: which figures are added, which are the largest, and which come from the
// joined samples. Counts and percentiles are not here: results.Tally adds them.
package join
