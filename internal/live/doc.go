// Package live shows a run in a browser while it goes on: a Feed receives the exchanges
// and samples of the run, and a Server serves the page of a report made from them, and
// newer data when the page asks for it.
package live
