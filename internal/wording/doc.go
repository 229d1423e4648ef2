// Package wording knows what HTTP clients and proxies write in their logs when
// an exchange fails, and what follows from it: from a pasted line to the client,
// phase and cause (Explain), and back from an outcome to the words (For).
//
// A text is first taken out of what carries it (unwrap), the operating system's
// errors in it are brought into one language (faults.yaml), and the clients that
// it names are found by their marks (clients.yaml). What may then have been
// written by one of them, or by anybody, is looked for.
//
// The words of clients are in wordings.yaml and others.yaml, the codes of access
// logs in codes.yaml. A pattern is literal text with holes: <#name>
// is a number, <name> any text on the way to what follows it, and <...> the same
// over several lines, as in a stack trace with its cause.
package wording
