// Package kabench is the one place where the rooms meet: a profile goes in, a
// results.Run comes out. [Run] makes one run; [Reproduce] makes an incident's
// run and one for each of its remedies, and says what they show.
package kabench
