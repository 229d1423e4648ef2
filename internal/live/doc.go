// Package live shows a run while it goes on: a Feed takes in what happens beside
// those who record it, and a Server gives the page of a report made of that to
// browsers, and newer data as they ask for it.
package live
