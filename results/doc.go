// Package results holds what one run measured and how each exchange ended, and
// knows how to store, read, check, export and print it.
//
// The vocabulary of kabench lives here, because every other room speaks it:
// [Exchange] is one request as measured, [Phase] says where it ended, [Cause]
// says why, and [Run] is the document written as run.json. The package imports
// no other room.
package results
