// Package results is the vocabulary of kabench and the document of a run.
//
// [Exchange] is one request as measured, [Phase] says where it ended and [Cause]
// says why. A [Tally] counts exchanges, and fills a [Run] with them: the document
// that is kept as run.json. [Reproduction] and [Comparison] are the documents of
// several runs.
//
// Every room uses this vocabulary, so it imports none of them. Other rooms work with
// results: results/record keeps them on disk, results/expect checks what a run must
// show, results/text prints them, results/export writes them for other tools, and
// results/redact removes what must not be shown.
package results
