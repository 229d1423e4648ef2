// Package wording knows what HTTP clients and proxies write in their logs when
// an exchange fails, and what follows from it: from a pasted line to the client,
// phase and cause (Explain), and back from an outcome to the words (For).
//
// The words are in wordings.yaml. A pattern is literal text with holes: <#name>
// is a number, <name> any text on the way to what follows it, and <...> the same
// over several lines, as in a stack trace with its cause.
package wording
