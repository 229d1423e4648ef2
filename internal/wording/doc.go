// Package wording knows the log texts of HTTP clients and proxies for failed
// exchanges, and what each text means. Explain goes from a pasted line to the
// client, phase and cause; For goes from an outcome back to the texts.
//
// Explain first removes what encloses the text (unwrap), translates the operating
// system's errors into one language (faults.yaml), and finds the clients that the
// text names by their marks (clients.yaml). It then looks for every wording that
// one of these clients, or any client, may have written.
//
// The texts of clients are in wordings.yaml and others.yaml, the codes of access
// logs in codes.yaml. A pattern is literal text with holes: <#name> is a number,
// <name> is any text up to what follows it, and <...> is any text over several
// lines, such as a stack trace up to its cause.
package wording
